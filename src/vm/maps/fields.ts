import type { Btf } from '../../btf/btf.ts';
import { resolveType } from '../../btf/graph.ts';
import type { BtfMember, TypeId } from '../../btf/types.ts';

/** A field of a map value that the kernel owns: user space neither reads nor writes it. */
export interface SpecialField {
  readonly kind: SpecialKind;
  /** In bytes from the start of the value. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/** Struct names that mark such fields (`btf_parse_fields` of kernel/bpf/btf.c). */
const kinds = {
  bpf_spin_lock: 'spin-lock',
  bpf_timer: 'timer',
  bpf_wq: 'workqueue',
  bpf_list_head: 'list-head',
  bpf_list_node: 'list-node',
  bpf_rb_root: 'rb-root',
  bpf_rb_node: 'rb-node',
  bpf_refcount: 'refcount',
} as const;

export type SpecialKind = (typeof kinds)[keyof typeof kinds];

/** Structs in structs in arrays: as deep as the kernel looks. */
const maxDepth = 4;
const maxFields = 64;

/** Finds the special fields of a value's type, in the order of their offsets. */
export function findSpecialFields(btf: Btf | undefined, type: TypeId | undefined): SpecialField[] {
  const found: SpecialField[] = [];
  if (btf !== undefined && type !== undefined) collect(btf, type, 0, 0, found);
  return found.sort((a, b) => a.offset - b.offset);
}

function collect(btf: Btf, id: TypeId, offset: number, depth: number, found: SpecialField[]): void {
  if (depth > maxDepth || found.length >= maxFields) return;
  const type = btf.type(resolveType(btf, id));
  if (type.kind !== 'struct') return;
  for (const member of type.members) collectMember(btf, member, offset, depth, found);
}

function collectMember(
  btf: Btf,
  member: BtfMember,
  base: number,
  depth: number,
  found: SpecialField[],
): void {
  if (member.bitSize !== 0 || found.length >= maxFields) return;
  const offset = base + member.bitOffset / 8;
  const type = btf.type(resolveType(btf, member.type));
  if (type.kind !== 'struct') return;
  const kind = Object.hasOwn(kinds, type.name) ? kinds[type.name as keyof typeof kinds] : undefined;
  if (kind === undefined) collect(btf, type.id, offset, depth + 1, found);
  else found.push({ kind, offset, size: type.size });
}
