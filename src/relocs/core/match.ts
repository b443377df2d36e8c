import type { TypeComparison, TypeDifference } from '../../btf/compatible/comparison.ts';
import { fieldsCompatible } from '../../btf/compatible/fields.ts';
import { isComposite, isEnum, type TypeView } from '../../btf/compatible/view.ts';
import { essentialName } from '../../btf/graph.ts';
import type { BtfComposite, TypeId } from '../../btf/types.ts';
import { CORE_RELO } from '../../object/spec.ts';
import { type CoreSpec, type CoreStep, elementBits, tooDeep, withinArray } from './access.ts';
import type { Budget } from './budget.ts';
import { coreKindRule } from './kinds.ts';
import { coreMaxDepth, coreSizeOf } from './sizes.ts';

/**
 * Why a candidate does not match. Types are in words (`struct foo`); names are as the BTFs
 * have them and must be escaped before printing.
 */
export type CoreMismatch =
  /** The struct has no member of that name, also not in its members without a name. */
  | { readonly kind: 'member-missing'; readonly type: string; readonly member: string }
  /** The member is there, but its type cannot stand for the local one. */
  | {
      readonly kind: 'member-incompatible';
      readonly type: string;
      readonly member: string;
      readonly local: string;
      readonly target: string;
    }
  /** A member is looked for in something that has none. */
  | { readonly kind: 'not-composite'; readonly type: string; readonly member: string }
  /** An element is looked for in something that is no array. */
  | { readonly kind: 'not-array'; readonly type: string }
  | { readonly kind: 'index-out-of-range'; readonly index: number; readonly length: number }
  | { readonly kind: 'enumerator-missing'; readonly type: string; readonly enumerator: string }
  | { readonly kind: 'not-enum'; readonly type: string }
  /** The types as such differ; `path` leads to the first difference. */
  | {
      readonly kind: 'type-differs';
      readonly why: TypeDifference['why'];
      readonly local: string;
      readonly target: string;
      readonly path: readonly string[];
      readonly missing: string | undefined;
    }
  /** Did not match an earlier relocation of the same local type, so libbpf no longer looks at it. */
  | { readonly kind: 'ruled-out' };

/** A candidate's spec, or why it has none. */
export type CoreMatch =
  | { readonly matched: true; readonly spec: CoreSpec }
  | { readonly matched: false; readonly why: CoreMismatch; readonly holder?: TypeId | undefined };

/** The object's side of a match. */
export interface LocalSpec {
  readonly types: TypeView;
  readonly spec: CoreSpec;
}

/**
 * Looks for an object's access in a candidate type (`bpf_core_spec_match`). Nesting beyond
 * what libbpf follows is an error, not a mismatch.
 */
export function matchSpec(
  local: LocalSpec,
  target: TypeView,
  id: TypeId,
  comparison: TypeComparison,
  budget: Budget,
): CoreMatch {
  const { kind } = local.spec;
  switch (coreKindRule(kind).subject) {
    case 'type': {
      const root = local.spec.root;
      const difference =
        kind === CORE_RELO.TYPE_MATCHES
          ? comparison.matching(root, id)
          : comparison.compatible(root, id);
      if (difference !== undefined) return typeDiffers(local.types, target, difference);
      return { matched: true, spec: { kind, root: id, indices: [], steps: [], bitOffset: 0 } };
    }
    case 'enumerator':
      return matchEnumerator(local.spec, target, id);
    case 'field':
      return new FieldMatch(local, target, id, budget).run();
  }
}

function typeDiffers(local: TypeView, target: TypeView, difference: TypeDifference): CoreMatch {
  const why = {
    kind: 'type-differs',
    why: difference.why,
    local: local.words(difference.local),
    target: target.words(difference.target),
    path: difference.path,
    missing: difference.missing,
  } as const;
  return { matched: false, why, holder: difference.target };
}

function matchEnumerator(local: CoreSpec, target: TypeView, id: TypeId): CoreMatch {
  const type = target.resolved(id);
  if (!isEnum(type)) return mismatch({ kind: 'not-enum', type: target.words(type.id) });
  const enumerator = local.steps[0]?.name ?? '';
  const index = target.findEnumerator(type, essentialName(enumerator));
  if (index === undefined) {
    return mismatch(
      { kind: 'enumerator-missing', type: target.words(type.id), enumerator },
      type.id,
    );
  }
  const step = { type: type.id, index, name: type.values[index]?.name };
  const { kind } = local;
  return {
    matched: true,
    spec: { kind, root: id, indices: [index], steps: [step], bitOffset: 0 },
  };
}

/** Follows the steps of a field access through a target, collecting the target's own. */
class FieldMatch {
  readonly #local: LocalSpec;
  readonly #target: TypeView;
  readonly #root: TypeId;
  readonly #budget: Budget;
  readonly #indices: number[] = [];
  readonly #steps: CoreStep[] = [];
  #at: TypeId;
  #bitOffset = 0;

  constructor(local: LocalSpec, target: TypeView, root: TypeId, budget: Budget) {
    this.#local = local;
    this.#target = target;
    this.#root = root;
    this.#budget = budget;
    this.#at = root;
  }

  run(): CoreMatch {
    for (const step of this.#local.spec.steps) {
      this.#at = this.#target.resolve(this.#at);
      const failed = step.name === undefined ? this.#element(step) : this.#member(step, step.name);
      if (failed !== undefined) return failed;
    }
    const { kind } = this.#local.spec;
    const spec = {
      kind,
      root: this.#root,
      indices: this.#indices,
      steps: this.#steps,
      bitOffset: this.#bitOffset,
    };
    return { matched: true, spec };
  }

  #member(step: CoreStep, name: string): CoreMatch | undefined {
    const target = this.#target;
    const type = target.type(this.#at);
    if (!isComposite(type)) {
      return mismatch({ kind: 'not-composite', type: target.words(type.id), member: name });
    }
    const { found, depth, visited } = target.findMember(type, name);
    this.#budget.spend(visited, () => target.words(this.#root));
    if (this.#indices.length + depth > coreMaxDepth) throw tooDeep(target, this.#root);
    if (found === undefined) {
      const words = target.words(type.id);
      return mismatch({ kind: 'member-missing', type: words, member: name }, type.id);
    }
    const localType = this.#localTypeOf(step);
    if (!fieldsCompatible(this.#local.types.btf, localType, target.btf, found.type)) {
      return this.#incompatible(found.holder, name, localType, found.type);
    }
    this.#indices.push(...found.indices);
    this.#steps.push({ type: found.holder.id, index: found.index, name });
    this.#bitOffset = (this.#bitOffset + found.bitOffset) >>> 0;
    this.#at = found.type;
    return undefined;
  }

  #localTypeOf(step: CoreStep): TypeId {
    const holder = this.#local.types.type(step.type);
    const member = isComposite(holder) ? holder.members[step.index] : undefined;
    if (member === undefined) throw new Error('a step of a parsed access has a member');
    return member.type;
  }

  #incompatible(
    holder: BtfComposite,
    member: string,
    localType: TypeId,
    targetType: TypeId,
  ): CoreMatch {
    return mismatch({
      kind: 'member-incompatible',
      type: this.#target.words(holder.id),
      member,
      local: this.#local.types.words(this.#local.types.resolve(localType)),
      target: this.#target.words(this.#target.resolve(targetType)),
    });
  }

  #element(step: CoreStep): CoreMatch | undefined {
    // The first index counts whole structs: what it leads to is the root itself.
    if (this.#steps.length > 0) {
      const array = this.#target.type(this.#at);
      if (array.kind !== 'array') {
        return mismatch({ kind: 'not-array', type: this.#target.words(array.id) });
      }
      if (!withinArray(this.#target, array, this.#steps.at(-1), step.index)) {
        return mismatch({
          kind: 'index-out-of-range',
          index: step.index,
          length: array.length,
        });
      }
      this.#at = this.#target.resolve(array.element);
    }
    if (this.#indices.length === coreMaxDepth) throw tooDeep(this.#target, this.#root);
    this.#steps.push({ type: this.#at, index: step.index, name: undefined });
    this.#indices.push(step.index);
    const bits = elementBits(step.index, coreSizeOf(this.#target, this.#at));
    this.#bitOffset = (this.#bitOffset + bits) >>> 0;
    return undefined;
  }
}

function mismatch(why: CoreMismatch, holder?: TypeId): CoreMatch {
  return { matched: false, why, holder };
}
