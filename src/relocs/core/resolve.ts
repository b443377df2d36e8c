import type { Btf } from '../../btf/btf.ts';
import { TypeComparison } from '../../btf/compatible/comparison.ts';
import { TypeView } from '../../btf/compatible/view.ts';
import type { TypeId } from '../../btf/types.ts';
import type { CoreAmbiguousCandidate } from '../../errors/relocs-core.ts';
import { BpfError, type BpfErrorDetail } from '../../errors.ts';
import { CORE_RELO, type CoreRelocation } from '../../object/spec.ts';
import { type CoreSpec, parseAccess } from './access.ts';
import { Budget, candidateSteps } from './budget.ts';
import { type CoreCandidate, findCandidates } from './candidates.ts';
import type { CoreExplainer } from './explain.ts';
import { coreKindName } from './kinds.ts';
import { type CoreMatch, matchSpec } from './match.ts';
import type { CoreCandidateResult, CoreResult } from './result.ts';
import { type CoreValue, computeValue, localTypeId } from './value.ts';

/** What is known of one root type of the object: its candidates, and the results so far. */
interface Root {
  /**
   * Candidates still looked at. As in libbpf, one that does not match an access of this type
   * while others do is not looked at again, so the order of relocations counts. Undefined
   * until they are first asked for.
   */
  candidates: readonly CoreCandidate[] | undefined;
  ruledOut: readonly CoreCandidate[];
  /** By kind, then by access string. */
  readonly results: Map<number, Map<string, CoreResult>>;
}

/** A candidate that matches, with what it leads to. */
interface Matching {
  readonly candidate: CoreCandidate;
  readonly spec: CoreSpec;
  readonly value: CoreValue;
}

/**
 * Decides relocations of one object against its targets (`bpf_core_calc_relo_insn`). Results
 * are kept by type, kind and access: large objects hold thousands of relocations, but few
 * different ones.
 */
export class CoreResolver {
  readonly #local: TypeView;
  readonly #targets: Iterable<Btf>;
  readonly #explainer: CoreExplainer | undefined;
  readonly #roots = new Map<TypeId, Root>();
  readonly #budget = new Budget();
  readonly #comparisons = new Map<TypeView, TypeComparison>();

  constructor(local: Btf, targets: Iterable<Btf>, explainer: CoreExplainer | undefined) {
    this.#local = TypeView.of(local);
    this.#targets = targets;
    this.#explainer = explainer;
  }

  /** The result for a relocation; what fails is a result too. */
  resolve(relocation: CoreRelocation): CoreResult {
    const root = this.#rootOf(relocation.type);
    const known = root.results.get(relocation.kind)?.get(relocation.access);
    if (known !== undefined) return known;
    const result = this.#decide(root, relocation);
    // Kept after deciding, since ruling out candidates throws the root's earlier results away.
    keep(root, relocation, result);
    return result;
  }

  #rootOf(type: TypeId): Root {
    let root = this.#roots.get(type);
    if (root === undefined) {
      root = { candidates: undefined, ruledOut: [], results: new Map() };
      this.#roots.set(type, root);
    }
    return root;
  }

  #decide(root: Root, relocation: CoreRelocation): CoreResult {
    const attempt = new Attempt(this.#local, relocation, this.#explainer, this.#budget);
    try {
      const spec = attempt.parse();
      if (relocation.kind === CORE_RELO.TYPE_ID_LOCAL) return attempt.local(spec);
      root.candidates ??= findCandidates(this.#local, relocation.type, this.#targets);
      attempt.ruledOut(root.ruledOut);
      const matching = this.#match(root, root.candidates, attempt, spec);
      return attempt.finish(matching);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return attempt.fail(error.detail);
    }
  }

  #match(
    root: Root,
    candidates: readonly CoreCandidate[],
    attempt: Attempt,
    spec: CoreSpec,
  ): readonly Matching[] {
    const matching: Matching[] = [];
    const others: CoreCandidate[] = [];
    for (const candidate of candidates) {
      const found = attempt.look(candidate, spec, this.#comparisonWith(candidate.types));
      if (found === undefined) others.push(candidate);
      else matching.push(found);
    }
    attempt.agree(matching);
    if (matching.length > 0 && others.length > 0) {
      root.candidates = matching.map((found) => found.candidate);
      root.ruledOut = [...root.ruledOut, ...others];
      root.results.clear();
    }
    return matching;
  }

  #comparisonWith(target: TypeView): TypeComparison {
    let comparison = this.#comparisons.get(target);
    if (comparison === undefined) {
      comparison = new TypeComparison(this.#local.btf, target.btf, this.#budget);
      this.#comparisons.set(target, comparison);
    }
    return comparison;
  }
}

function keep(root: Root, relocation: CoreRelocation, result: CoreResult): void {
  let results = root.results.get(relocation.kind);
  if (results === undefined) {
    results = new Map();
    root.results.set(relocation.kind, results);
  }
  results.set(relocation.access, result);
}

/** Candidates that an error lists. */
const maxListed = 16;

function describeMatching({ candidate, spec, value }: Matching): CoreAmbiguousCandidate {
  const { types, id } = candidate;
  return {
    btf: types.btf.name,
    type: id,
    name: types.words(id),
    bitOffset: spec.bitOffset,
    value: value.target,
  };
}

/** One relocation on its way to a result, with what has been seen so far. */
class Attempt {
  readonly #local: TypeView;
  readonly #relocation: CoreRelocation;
  readonly #explainer: CoreExplainer | undefined;
  readonly #budget: Budget;
  readonly #candidates: CoreCandidateResult[] = [];
  #spec: CoreSpec | undefined;

  constructor(
    local: TypeView,
    relocation: CoreRelocation,
    explainer: CoreExplainer | undefined,
    budget: Budget,
  ) {
    this.#local = local;
    this.#relocation = relocation;
    this.#explainer = explainer;
    this.#budget = budget;
  }

  parse(): CoreSpec {
    const { type } = this.#relocation;
    if (!this.#local.btf.has(type)) throw new BpfError({ code: 'core-no-type', type });
    this.#spec = parseAccess(this.#local, this.#relocation);
    return this.#spec;
  }

  ruledOut(candidates: readonly CoreCandidate[]): void {
    for (const candidate of candidates) {
      this.#record(candidate, { matched: false, why: { kind: 'ruled-out' } }, undefined);
    }
  }

  /** Looks at one candidate; undefined where it does not match. */
  look(candidate: CoreCandidate, spec: CoreSpec, comparison: TypeComparison): Matching | undefined {
    const local = { types: this.#local, spec };
    try {
      const match = matchSpec(local, candidate.types, candidate.id, comparison, this.#budget);
      const value = match.matched
        ? computeValue(local, { types: candidate.types, spec: match.spec })
        : undefined;
      this.#record(candidate, match, value);
      return match.matched && value !== undefined
        ? { candidate, spec: match.spec, value }
        : undefined;
    } catch (error) {
      if (error instanceof BpfError) this.#record(candidate, undefined, undefined);
      throw error;
    }
  }

  #record(
    candidate: CoreCandidate,
    match: CoreMatch | undefined,
    value: CoreValue | undefined,
  ): void {
    const { types, id } = candidate;
    this.#budget.spend(candidateSteps, () => this.#words());
    const base = {
      btf: types.btf.name,
      typeId: id,
      type: types.words(id),
      verdict: match === undefined ? 'error' : match.matched ? 'match' : 'mismatch',
      spec: match?.matched === true ? match.spec : undefined,
      value: value?.target,
      why: match?.matched === false ? match.why : undefined,
    } as const;
    const explained = match === undefined ? undefined : this.#explainer?.candidate(types, match);
    this.#candidates.push(explained === undefined ? base : { ...base, ...explained });
  }

  /** All that match must come to the same place and the same value. */
  agree(matching: readonly Matching[]): void {
    const first = matching[0];
    if (first === undefined) return;
    const agrees = (other: Matching): boolean =>
      other.spec.bitOffset === first.spec.bitOffset && other.value.target === first.value.target;
    if (matching.every(agrees)) return;
    // Those that agree with the first are left out where there are many.
    const many = matching.length > maxListed;
    const listed = many ? [first, ...matching.filter((other) => !agrees(other))] : matching;
    const candidates = listed.slice(0, maxListed).map(describeMatching);
    throw new BpfError({ code: 'core-ambiguous', type: this.#words(), candidates });
  }

  finish(matching: readonly Matching[]): CoreResult {
    const spec = this.#spec as CoreSpec;
    const value = matching[0]?.value ?? computeValue({ types: this.#local, spec }, undefined);
    return this.#result(value, undefined);
  }

  local(spec: CoreSpec): CoreResult {
    return this.#result(localTypeId(spec.root), undefined);
  }

  fail(error: BpfErrorDetail): CoreResult {
    return this.#result(undefined, error);
  }

  #result(value: CoreValue | undefined, error: BpfErrorDetail | undefined): CoreResult {
    const { kind, type, access } = this.#relocation;
    const chosen = this.#candidates.findIndex((candidate) => candidate.verdict === 'match');
    const base = {
      kind,
      kindName: coreKindName(kind),
      typeId: type,
      type: this.#words(),
      access,
      local: this.#spec,
      candidates: this.#candidates,
      chosen: chosen < 0 || error !== undefined ? undefined : chosen,
      value,
      error,
    };
    const explained = this.#explainer?.result(this.#local, base);
    return explained === undefined ? base : { ...base, ...explained };
  }

  #words(): string {
    return this.#local.words(this.#relocation.type);
  }
}
