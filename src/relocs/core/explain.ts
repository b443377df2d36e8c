import type { Btf } from '../../btf/btf.ts';
import { isComposite, isEnum, kindsCompatible, type TypeView } from '../../btf/compatible/view.ts';
import { typeToString } from '../../btf/graph.ts';
import type { BtfKind, TypeId } from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';
import { CORE_RELO } from '../../object/spec.ts';
import type { CoreSpec } from './access.ts';
import { coreKindRule } from './kinds.ts';
import type { CoreMatch } from './match.ts';
import { nearestNames } from './nearest.ts';
import type { CoreCandidateResult, CoreLayout, CoreResult } from './result.ts';
import { coreSizeOf } from './sizes.ts';
import { placeOf } from './value.ts';

/**
 * Wanted characters times names that are compared for one object: thousands of missing members
 * in kernel structs, hundreds of missing types, about a second.
 */
const maxCompared = 200_000_000;

/**
 * Finds what a reader of a plan wants to know and loading does not need: layouts in words and
 * names similar to missing ones. Looking through all names of a kernel takes milliseconds, so
 * it is done on demand only.
 */
export class CoreExplainer {
  readonly #targets: Iterable<Btf>;
  /** Characters that may still be compared. */
  #left = maxCompared;
  /** Names of types by kind, of all targets. */
  readonly #names = new Map<BtfKind, readonly string[]>();

  constructor(targets: Iterable<Btf>) {
    this.#targets = targets;
  }

  /** What to add to a candidate's result. */
  candidate(types: TypeView, match: CoreMatch): Partial<CoreCandidateResult> {
    if (match.matched) return { layout: layoutOf(types, match.spec) };
    const missing = missingName(match);
    if (missing === undefined || match.holder === undefined) return {};
    const { holder } = match;
    return { nearest: orNone(() => this.#nearest(missing, namesIn(types, holder))) };
  }

  /** What to add to a relocation's result. */
  result(local: TypeView, result: CoreResult): Partial<CoreResult> {
    const localLayout = result.local === undefined ? undefined : layoutOf(local, result.local);
    const searched = result.kind !== CORE_RELO.TYPE_ID_LOCAL && result.error === undefined;
    if (!searched || result.candidates.length > 0) return { localLayout };
    const name = local.btf.nameOf(result.typeId);
    const kind = local.kind(result.typeId);
    return { localLayout, nearestTypes: orNone(() => this.#nearest(name, this.#namesOf(kind))) };
  }

  /** Undefined once too much was asked for. */
  #nearest(wanted: string, names: readonly string[]): readonly string[] | undefined {
    this.#left -= wanted.length * names.length;
    return this.#left < 0 ? undefined : nearestNames(wanted, names);
  }

  #namesOf(kind: BtfKind): readonly string[] {
    let names = this.#names.get(kind);
    if (names === undefined) {
      names = [...new Set([...this.#targets].flatMap((target) => typeNames(target, kind)))];
      this.#names.set(kind, names);
    }
    return names;
  }
}

function typeNames(btf: Btf, kind: BtfKind): readonly string[] {
  const names: string[] = [];
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    if (kindsCompatible(btf.kindOf(id as TypeId), kind)) names.push(btf.nameOf(id as TypeId));
  }
  return names;
}

function missingName(match: CoreMatch): string | undefined {
  if (match.matched) return undefined;
  const { why } = match;
  if (why.kind === 'member-missing') return why.member;
  if (why.kind === 'enumerator-missing') return why.enumerator;
  return why.kind === 'type-differs' ? why.missing : undefined;
}

function namesIn(types: TypeView, holder: TypeId): readonly string[] {
  const type = types.type(holder);
  if (isComposite(type)) return types.memberNames(type);
  return isEnum(type) ? type.values.map((value) => value.name) : [];
}

/** What a spec leads to; undefined where that cannot be told, such as for damaged types. */
export function layoutOf(types: TypeView, spec: CoreSpec): CoreLayout | undefined {
  return orNone(() => describeLayout(types, spec));
}

/** Explaining never fails: what damaged types do not tell is left out. */
export function orNone<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

function describeLayout(types: TypeView, spec: CoreSpec): CoreLayout | undefined {
  const step = spec.steps.at(-1);
  switch (coreKindRule(spec.kind).subject) {
    case 'type':
      return { of: 'type', size: orNone(() => coreSizeOf(types, spec.root)) };
    case 'enumerator': {
      const type = step === undefined ? undefined : types.type(step.type);
      if (step === undefined || type === undefined || !isEnum(type)) return undefined;
      return { of: 'enumerator', value: type.values[step.index]?.value ?? 0n };
    }
    case 'field': {
      if (step === undefined) return undefined;
      const holder = types.type(step.type);
      const member = isComposite(holder) ? holder.members[step.index] : undefined;
      const declared = step.name === undefined || member === undefined ? step.type : member.type;
      const type = typeToString(types.btf, declared);
      return { of: 'field', ...placeOf({ types, spec }, step), type };
    }
  }
}
