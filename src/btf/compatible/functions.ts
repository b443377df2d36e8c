import type { Btf } from '../btf.ts';
import type { TypeId } from '../types.ts';
import { TypeComparison } from './comparison.ts';
import { fieldsCompatible } from './fields.ts';
import { type FoundMember, namedMembers as membersByName } from './search.ts';
import { isComposite, TypeView } from './view.ts';

/**
 * Whether a type can stand for a local one where only its existence, size or id counts
 * (libbpf's `bpf_core_types_are_compat`): the same kind, through pointers, arrays and
 * parameters. Names are not compared, and structs, unions and enums need not agree in
 * anything; candidates of a name are `btf.findEssential(essentialName(…))`.
 *
 * Symmetric. {@link BpfError} `btf-nesting` for more than the 32 levels that libbpf follows,
 * `btf-compare-limit` for types made to be slow. To know *why* two types differ, or to
 * compare many, use a {@link TypeComparison}.
 */
export function typesCompatible(
  local: Btf,
  localId: TypeId,
  target: Btf,
  targetId: TypeId,
): boolean {
  return new TypeComparison(local, target).compatible(localId, targetId) === undefined;
}

/**
 * Whether everything that the local type has is in the target's under the same name (but for
 * flavours) and of a matching type (libbpf's `bpf_core_types_match`, which decides
 * `bpf_core_type_matches()`). The target may have more; behind pointers, structs and unions
 * are compared by name only. Floats match nothing, as in libbpf.
 *
 * Not symmetric. Errors as {@link typesCompatible}.
 *
 * @example
 * ```ts
 * for (const id of vmlinux.findEssential('task_struct')) {
 *   if (typesMatch(object, localId, vmlinux, id)) return id;
 * }
 * ```
 */
export function typesMatch(local: Btf, localId: TypeId, target: Btf, targetId: TypeId): boolean {
  return new TypeComparison(local, target).matching(localId, targetId) === undefined;
}

/**
 * Where a member of a local struct or union is in a target's (libbpf's
 * `bpf_core_match_member`): found by its name, also in members without a name, its type one
 * that {@link fieldsCompatible} accepts. Undefined where it is not there, where its type is
 * another, where either type is no struct or union (behind typedefs and qualifiers), and for
 * a local member without a name, which can be looked for by nothing.
 */
export function matchMember(
  local: Btf,
  localId: TypeId,
  index: number,
  target: Btf,
  targetId: TypeId,
): FoundMember | undefined {
  const ours = TypeView.of(local).resolved(localId);
  const member = isComposite(ours) ? ours.members[index] : undefined;
  if (member === undefined || member.name === '') return undefined;
  const found = findMember(target, targetId, member.name);
  if (found === undefined) return undefined;
  return fieldsCompatible(local, member.type, target, found.type) ? found : undefined;
}

/**
 * The member of that name in a struct or union (behind typedefs and qualifiers), also in its
 * members without a name, as C finds it; with its offset from the start of the whole. The
 * first in declaration order, undefined if there is none. Answers are kept.
 *
 * @example
 * ```ts
 * const place = findMember(btf, btf.find('task_struct') ?? voidId, 'pid');
 * console.log(place === undefined ? 'gone' : place.bitOffset / 8);
 * ```
 */
export function findMember(btf: Btf, id: TypeId, name: string): FoundMember | undefined {
  const types = TypeView.of(btf);
  const type = types.resolved(id);
  if (name === '' || !isComposite(type)) return undefined;
  return types.findMember(type, name).found;
}

/**
 * All members that C code can name in a struct or union (behind typedefs and qualifiers),
 * those of its members without a name included, each with its offset from the start of the
 * whole; in declaration order, a name only where {@link findMember} finds it. Empty for
 * other types. {@link BpfError} `btf-nesting` beyond 256 levels.
 */
export function namedMembers(btf: Btf, id: TypeId): readonly FoundMember[] {
  const types = TypeView.of(btf);
  const type = types.resolved(id);
  return isComposite(type) ? membersByName(types, type) : [];
}
