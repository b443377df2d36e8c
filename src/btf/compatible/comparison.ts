import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { essentialName } from '../graph.ts';
import type { BtfComposite, BtfEnum, BtfForward, BtfFuncProto, BtfType, TypeId } from '../types.ts';
import { isComposite, isEnum, kindsCompatible, TypeView } from './view.ts';

/** Calls within calls, and references within one call, that libbpf follows when comparing types. */
const maxNesting = 32;

/** What comparing one pair of types costs, in steps of a {@link ComparisonBudget}. */
const comparisonSteps = 4;

/**
 * Bounds the work of comparing: types can be made so that it would take for ever. Whoever
 * compares many types may share one among them.
 */
export interface ComparisonBudget {
  /** Takes some steps, or throws; the type in words, by a function since words cost time. */
  spend(count: number, type: () => string): void;
}

/**
 * Steps of one comparison by itself: two million pairs of types. Real types take a few
 * thousand; those made to be slow are refused within a second.
 */
const ownSteps = 1 << 23;

class OwnBudget implements ComparisonBudget {
  readonly #btf: string;
  #left = ownSteps;

  constructor(btf: string) {
    this.#btf = btf;
  }

  spend(count: number, type: () => string): void {
    this.#left -= count;
    if (this.#left >= 0) return;
    throw new BpfError({ code: 'btf-compare-limit', btf: this.#btf, type: type() });
  }
}

/** Why two types do not match, at the first place where they differ. */
export interface TypeDifference {
  readonly why:
    | 'kind'
    | 'name'
    | 'size'
    | 'sign'
    | 'length'
    | 'parameters'
    | 'bit-integer'
    | 'unsupported'
    | 'member'
    | 'enumerator';
  readonly local: TypeId;
  readonly target: TypeId;
  /** Members on the way there, outermost first. */
  readonly path: readonly string[];
  /** The member or enumerator that the target lacks. */
  readonly missing?: string | undefined;
}

/** Result of one comparison: how many levels it needed, and the difference if there is one. */
interface Outcome {
  readonly height: number;
  readonly difference: TypeDifference | undefined;
}

const same: Outcome = { height: 1, difference: undefined };

/**
 * Compares types of an object (local) with types of one target. Results are kept by pair of types, so
 * that types which refer to each other in many ways are compared once; where libbpf's limit
 * on nesting would be met, it is met here too: {@link BpfError} `btf-nesting`.
 *
 * @example
 * ```ts
 * const comparison = new TypeComparison(object, vmlinux);
 * const difference = comparison.matching(localId, targetId); // undefined where they match
 * ```
 */
export class TypeComparison {
  readonly #local: TypeView;
  readonly #target: TypeView;
  readonly #budget: ComparisonBudget;
  readonly #compatible = new Map<string, Outcome | 'running'>();
  readonly #matching = new Map<string, Outcome | 'running'>();

  constructor(local: Btf, target: Btf, budget: ComparisonBudget = new OwnBudget(local.name)) {
    this.#local = TypeView.of(local);
    this.#target = TypeView.of(target);
    this.#budget = budget;
  }

  /**
   * `bpf_core_types_are_compat`, the rule for the existence, size and id of a type: the same
   * kind, through pointers, arrays and function parameters; structs, unions and enums need
   * nothing more, names were compared by the caller.
   */
  compatible(localId: TypeId, targetId: TypeId): TypeDifference | undefined {
    // Only here do typedefs and qualifiers count as kinds of their own.
    if (!kindsCompatible(this.#local.kind(localId), this.#target.kind(targetId))) {
      return { why: 'kind', local: localId, target: targetId, path: [] };
    }
    return this.#compatibleAt(localId, targetId, maxNesting).difference;
  }

  #compatibleAt(localId: TypeId, targetId: TypeId, level: number): Outcome {
    let local = this.#local.resolved(localId);
    let target = this.#target.resolved(targetId);
    for (let depth = 0; depth < maxNesting; depth++) {
      this.#step(localId);
      const differs = (why: TypeDifference['why']) => different(why, local.id, target.id);
      if (!kindsCompatible(this.#local.kind(local.id), this.#target.kind(target.id))) {
        return differs('kind');
      }
      if (local.kind === 'int' && target.kind === 'int') {
        return local.bitOffset === 0 && target.bitOffset === 0 ? same : differs('bit-integer');
      }
      if (local.kind === 'func-proto' && target.kind === 'func-proto') {
        return this.#memoised(this.#compatible, local.id, target.id, '', level, () =>
          this.#prototypesCompatible(local as BtfFuncProto, target as BtfFuncProto, level),
        );
      }
      const [nextLocal, nextTarget] = [pointee(local), pointee(target)];
      if (nextLocal === undefined || nextTarget === undefined) {
        return alwaysCompatible(local) ? same : differs('unsupported');
      }
      local = this.#local.resolved(nextLocal);
      target = this.#target.resolved(nextTarget);
    }
    throw this.#local.nesting(localId, maxNesting);
  }

  #prototypesCompatible(local: BtfFuncProto, target: BtfFuncProto, level: number): Outcome {
    if (local.params.length !== target.params.length) {
      return different('parameters', local.id, target.id);
    }
    let height = 1;
    for (const [index, parameter] of local.params.entries()) {
      if (level <= 0) throw this.#local.nesting(local.id, maxNesting);
      const other = target.params[index] as { readonly type: TypeId };
      const outcome = this.#compatibleAt(parameter.type, other.type, level - 1);
      height = Math.max(height, outcome.height + 1);
      if (outcome.difference !== undefined) return { height, difference: outcome.difference };
    }
    // libbpf goes on with the result type within the same call, so it costs no level.
    const result = this.#compatibleAt(local.returns, target.returns, level);
    return { height: Math.max(height, result.height), difference: result.difference };
  }

  /**
   * `bpf_core_types_match`, the rule of `bpf_core_type_matches()`: everything that the local
   * type has is in the target under the same name and of a matching type; behind a pointer
   * structs and unions are compared by name only.
   */
  matching(localId: TypeId, targetId: TypeId): TypeDifference | undefined {
    return this.#matchingAt(localId, targetId, false, maxNesting).difference;
  }

  #matchingAt(localId: TypeId, targetId: TypeId, pointed: boolean, level: number): Outcome {
    if (level <= 0) throw this.#local.nesting(localId, maxNesting);
    let behindPointer = pointed;
    let local = this.#local.resolved(localId);
    let target = this.#target.resolved(targetId);
    for (let depth = 0; depth < maxNesting; depth++) {
      this.#step(localId);
      const next = this.#matchingHere(local, target, behindPointer, level);
      if (!('local' in next)) return next;
      if (local.kind === 'ptr') behindPointer = true;
      local = this.#local.resolved(next.local);
      target = this.#target.resolved(next.target);
    }
    throw this.#local.nesting(localId, maxNesting);
  }

  /** Compares two types as such; the types to go on with where that is not the end. */
  #matchingHere(
    local: BtfType,
    target: BtfType,
    behindPointer: boolean,
    level: number,
  ): Outcome | { readonly local: TypeId; readonly target: TypeId } {
    const differs = (why: TypeDifference['why']) => different(why, local.id, target.id);
    if (essentialName(this.#nameOf(local)) !== essentialName(this.#nameOf(target))) {
      return differs('name');
    }
    if (local.kind === 'fwd') return matchForward(local, target, behindPointer);
    if (isEnum(local)) return isEnum(target) ? this.#enumsMatch(local, target) : differs('kind');
    if (isComposite(local)) return this.#compositesMatch(local, target, behindPointer, level);
    if (local.kind !== target.kind) return differs('kind');
    if (local.kind === 'int' && target.kind === 'int') {
      if (local.size !== target.size) return differs('size');
      return local.signed === target.signed ? same : differs('sign');
    }
    if (local.kind === 'array' && target.kind === 'array') {
      if (local.length !== target.length) return differs('length');
      return { local: local.element, target: target.element };
    }
    if (local.kind === 'ptr' && target.kind === 'ptr') {
      return { local: local.target, target: target.target };
    }
    if (local.kind === 'func-proto' && target.kind === 'func-proto') {
      return this.#memoised(this.#matching, local.id, target.id, String(behindPointer), level, () =>
        this.#prototypesMatch(local, target, behindPointer, level),
      );
    }
    // Floats, functions, variables, sections and tags match nothing in libbpf.
    return local.kind === 'void' ? same : differs('unsupported');
  }

  #nameOf(type: BtfType): string {
    return 'name' in type ? type.name : '';
  }

  #prototypesMatch(
    local: BtfFuncProto,
    target: BtfFuncProto,
    behindPointer: boolean,
    level: number,
  ): Outcome {
    if (local.params.length !== target.params.length) {
      return different('parameters', local.id, target.id);
    }
    let height = 1;
    for (const [index, parameter] of local.params.entries()) {
      const other = target.params[index] as { readonly type: TypeId };
      const outcome = this.#matchingAt(parameter.type, other.type, behindPointer, level - 1);
      height = Math.max(height, outcome.height + 1);
      if (outcome.difference !== undefined) return { height, difference: outcome.difference };
    }
    const result = this.#matchingAt(local.returns, target.returns, behindPointer, level);
    return { height: Math.max(height, result.height), difference: result.difference };
  }

  #enumsMatch(local: BtfEnum, target: BtfEnum): Outcome {
    if (local.size !== target.size) return different('size', local.id, target.id);
    if (local.values.length > target.values.length) {
      return different('length', local.id, target.id);
    }
    for (const { name } of local.values) {
      this.#step(local.id);
      if (this.#target.findEnumerator(target, essentialName(name)) === undefined) {
        return different('enumerator', local.id, target.id, name);
      }
    }
    return same;
  }

  #compositesMatch(
    local: BtfComposite,
    target: BtfType,
    behindPointer: boolean,
    level: number,
  ): Outcome {
    const kindDiffers = different('kind', local.id, target.id);
    if (behindPointer && target.kind === 'fwd') {
      return target.of === local.kind ? same : kindDiffers;
    }
    if (!isComposite(target) || target.kind !== local.kind) return kindDiffers;
    if (behindPointer) return same;
    return this.#memoised(this.#matching, local.id, target.id, '', level, () =>
      this.#membersMatch(local, target, level),
    );
  }

  #membersMatch(local: BtfComposite, target: BtfComposite, level: number): Outcome {
    if (local.members.length > target.members.length) {
      return different('length', local.id, target.id);
    }
    const groups = this.#target.membersByEssentialName(target);
    let height = 1;
    for (const member of local.members) {
      const group = groups.get(essentialName(member.name)) ?? [];
      const outcome = this.#memberMatches(member.type, target, group, level);
      height = Math.max(height, outcome === undefined ? 1 : outcome.height + 1);
      const difference =
        outcome === undefined
          ? different('member', local.id, target.id, member.name).difference
          : within(member.name, outcome.difference);
      if (difference !== undefined) return { height, difference };
    }
    return { height, difference: undefined };
  }

  /** The first member of the group that matches, or the last difference; undefined without any. */
  #memberMatches(
    type: TypeId,
    target: BtfComposite,
    group: readonly number[],
    level: number,
  ): Outcome | undefined {
    let last: Outcome | undefined;
    let height = 1;
    for (const index of group) {
      this.#step(target.id);
      const member = target.members[index] as { readonly type: TypeId };
      last = this.#matchingAt(type, member.type, false, level - 1);
      height = Math.max(height, last.height);
      if (last.difference === undefined) break;
    }
    return last === undefined ? undefined : { height, difference: last.difference };
  }

  /**
   * Runs a comparison once per pair of types. A kept result is used only where as many levels
   * are left as it needed: with fewer, libbpf would fail, and so does running it again. A pair
   * met while it is being compared comes back to itself for ever.
   */
  #memoised(
    memo: Map<string, Outcome | 'running'>,
    local: TypeId,
    target: TypeId,
    variant: string,
    level: number,
    run: () => Outcome,
  ): Outcome {
    const key = `${local} ${target} ${variant}`;
    const known = memo.get(key);
    if (known === 'running') throw this.#local.nesting(local, maxNesting);
    if (known !== undefined && known.height <= level) return known;
    memo.set(key, 'running');
    try {
      const outcome = run();
      memo.set(key, outcome);
      return outcome;
    } catch (error) {
      memo.delete(key);
      throw error;
    }
  }

  #step(id: TypeId): void {
    this.#budget.spend(comparisonSteps, () => this.#local.words(id));
  }
}

function matchForward(local: BtfForward, target: BtfType, behindPointer: boolean): Outcome {
  const kind = target.kind === 'fwd' ? target.of : behindPointer ? target.kind : undefined;
  return kind === local.of ? same : different('kind', local.id, target.id);
}

/** Where the comparison of compatibility goes on. */
function pointee(type: BtfType): TypeId | undefined {
  if (type.kind === 'ptr') return type.target;
  return type.kind === 'array' ? type.element : undefined;
}

/** Kinds of which any two are compatible. */
function alwaysCompatible(type: BtfType): boolean {
  return type.kind === 'void' || type.kind === 'fwd' || isComposite(type) || isEnum(type);
}

function different(
  why: TypeDifference['why'],
  local: TypeId,
  target: TypeId,
  missing?: string,
): Outcome {
  return { height: 1, difference: { why, local, target, path: [], missing } };
}

function within(
  member: string,
  difference: TypeDifference | undefined,
): TypeDifference | undefined {
  if (difference === undefined) return undefined;
  const name = member === '' ? '<anonymous>' : member;
  return { ...difference, path: [name, ...difference.path] };
}
