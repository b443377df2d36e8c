import type { Btf } from './btf.ts';
import { BTF_KIND, type BtfKind, type TypeId, voidId } from './types.ts';

/** Words of `struct btf_type` (name_off, info, size or type); what follows depends on the kind. */
export const headWords = 3;

/** What a word of a type is. */
export const FIELD = {
  /** A size, count, offset or value. */
  PLAIN: 0,
  /** The id of another type. */
  ID: 1,
  /** The offset of a string. */
  NAME: 2,
} as const;

/** One of {@link FIELD}. */
export type FieldRole = (typeof FIELD)[keyof typeof FIELD];

const { PLAIN, ID, NAME } = FIELD;

/** What follows the head: records of so many words, or a single one. */
interface Trailer {
  readonly roles: readonly FieldRole[];
}

/**
 * The words after the head, from <linux/btf.h>: of a record for each of `vlen` (members,
 * parameters, enumerators, variables), or of the one that the kind always has.
 */
const trailers: { readonly [K in BtfKind]?: Trailer } = {
  [BTF_KIND.INT]: { roles: [PLAIN] }, // encoding
  [BTF_KIND.ARRAY]: { roles: [ID, ID, PLAIN] }, // element, index, length
  [BTF_KIND.STRUCT]: { roles: [NAME, ID, PLAIN] }, // name, type, offset
  [BTF_KIND.UNION]: { roles: [NAME, ID, PLAIN] },
  [BTF_KIND.ENUM]: { roles: [NAME, PLAIN] }, // name, value
  [BTF_KIND.ENUM64]: { roles: [NAME, PLAIN, PLAIN] }, // name, low half, high half
  [BTF_KIND.FUNC_PROTO]: { roles: [NAME, ID] }, // name, type
  [BTF_KIND.VAR]: { roles: [PLAIN] }, // linkage
  [BTF_KIND.DATASEC]: { roles: [ID, PLAIN, PLAIN] }, // type, offset, size
  [BTF_KIND.DECL_TAG]: { roles: [PLAIN] }, // component
};

/** Kinds whose third word is an id. */
const referring: ReadonlySet<number> = new Set([
  BTF_KIND.PTR,
  BTF_KIND.TYPEDEF,
  BTF_KIND.VOLATILE,
  BTF_KIND.CONST,
  BTF_KIND.RESTRICT,
  BTF_KIND.FUNC,
  BTF_KIND.FUNC_PROTO,
  BTF_KIND.VAR,
  BTF_KIND.DECL_TAG,
  BTF_KIND.TYPE_TAG,
]);

/** The words of one type, and what each is. */
export interface TypeFields {
  readonly words: Uint32Array;
  /** Index of the type's first word. */
  readonly start: number;
  /** One past its last. */
  readonly end: number;
  /** What the word at `start + index` is. */
  readonly role: (index: number) => FieldRole;
}

const headRoles = {
  refers: [NAME, PLAIN, ID],
  plain: [NAME, PLAIN, PLAIN],
} as const;

const noRecord: Trailer = { roles: [PLAIN] };

/** What the three words of a kind's head are, and those of each record after it. */
export function fieldRoles(kind: BtfKind): {
  readonly head: readonly FieldRole[];
  readonly record: readonly FieldRole[];
} {
  const head = referring.has(kind) ? headRoles.refers : headRoles.plain;
  return { head, record: (trailers[kind] ?? noRecord).roles };
}

/** The words of a type; for other modules of this folder. */
export function fieldsOf(btf: Btf, id: TypeId): TypeFields {
  let level = btf;
  while (id < level.firstId && level.base !== undefined) level = level.base;
  const { words, offsets } = level;
  const index = id - level.firstId;
  const start = offsets[index] as number;
  const end = offsets[index + 1] ?? words.length;
  const kind = btf.kindOf(id);
  const { head, record } = fieldRoles(kind);
  const role = (at: number): FieldRole =>
    (at < headWords ? head[at] : record[(at - headWords) % record.length]) as FieldRole;
  return { words, start, end, role };
}

function fieldValues(btf: Btf, id: TypeId, wanted: FieldRole): readonly number[] {
  btf.kindOf(id); // an id outside is an error
  const found: number[] = [];
  if (id === voidId) return found;
  const { words, start, end, role } = fieldsOf(btf, id);
  for (let at = 0; at < end - start; at++) {
    if (role(at) === wanted) found.push(words[start + at] as number);
  }
  return found;
}

/**
 * Offsets of the strings that a type refers to, in the order in which they are stored, with
 * repetitions and with 0 where a name is empty: its own name first, then those of members,
 * parameters or enumerators. What `btf_field_iter` of libbpf visits; the text of each is
 * `btf.string(offset)`. For the ids that it refers to see `childIds`. Of a kind that only
 * the layout section knows, just the name.
 */
export function stringOffsets(btf: Btf, id: TypeId): readonly number[] {
  return fieldValues(btf, id, NAME);
}

/**
 * Ids of all types, or of those of one kind, in order and bases included (`void` is not);
 * from `first` on, such as `btf.firstId` for the types of a split BTF itself.
 *
 * @example
 * ```ts
 * for (const id of typeIds(btf, { kind: BTF_KIND.FUNC })) console.log(btf.nameOf(id));
 * ```
 */
export function* typeIds(
  btf: Btf,
  options: { readonly kind?: BtfKind | undefined; readonly first?: number | undefined } = {},
): Generator<TypeId, void, undefined> {
  const { kind, first = 1 } = options;
  for (let id = Math.max(1, Math.ceil(first)) as TypeId; id < btf.endId; id = (id + 1) as TypeId) {
    if (kind === undefined || btf.kindOf(id) === kind) yield id;
  }
}
