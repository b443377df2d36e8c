import { encodeText } from '../../bytes/text.ts';
import { BpfError } from '../../errors.ts';
import { type Btf, parseBtf } from '../btf.ts';
import { changeBtfExt } from '../dedup/ext.ts';
import { mapIds } from '../places.ts';
import type { BtfKind, TypeId } from '../types.ts';
import { ownLayout, writeBtf } from './reencode.ts';

/**
 * The same types in another order, all references rewritten: the type `firstId + i` gets the
 * id `newIds[i]`. Strings stay as they are, and so do the bases of split BTF. As libbpf's
 * `btf__permute`, whose map for a BTF without a base has one more entry, 0 for `void`. The
 * object's `.BTF.ext` goes along with {@link permuteBtfExt}.
 *
 * {@link BpfError} `btf-permutation` where `newIds` is not one id of this level for each.
 */
export function permuteBtf(btf: Btf, newIds: ArrayLike<number>): Btf {
  const order = invert(btf, newIds);
  const { words, offsets } = btf;
  const out = new Uint32Array(words.length);
  const ids = allIds(btf, newIds);
  let at = 0;
  for (const index of order) {
    const end = index + 1 < offsets.length ? (offsets[index + 1] as number) : words.length;
    const type = words.subarray(offsets[index], end);
    out.set(type, at);
    mapIds(out, at, at + type.length, ids);
    at += type.length;
  }
  return withWords(btf, out);
}

/**
 * The section `.BTF.ext` that belongs to `btf`, for its types in another order: functions and
 * the roots of CO-RE relocations get their new ids. Lines and strings refer to no types.
 * {@link BpfError} `btf-permutation` as {@link permuteBtf}, `btf-ext` for a damaged section.
 *
 * @example
 * ```ts
 * const newIds = sortedIds(btf);
 * const sorted = { btf: permuteBtf(btf, newIds), ext: permuteBtfExt(btf, newIds, ext) };
 * ```
 */
export function permuteBtfExt(btf: Btf, newIds: ArrayLike<number>, ext: Uint8Array): Uint8Array {
  invert(btf, newIds);
  const ids = allIds(btf, newIds);
  const typeId = (id: number): number => ids[id] as number;
  return changeBtfExt(ext, btf, { typeId, string: (offset) => offset });
}

/** The new id of every type, also of those of the bases, which stay. */
function allIds({ firstId, endId }: Btf, newIds: ArrayLike<number>): Uint32Array {
  const ids = Uint32Array.from({ length: endId }, (_, id) => id);
  ids.set(newIds, firstId);
  return ids;
}

/** Index of the type that comes to each place. */
function invert(btf: Btf, newIds: ArrayLike<number>): Uint32Array {
  const { firstId, endId, name } = btf;
  const count = endId - firstId;
  const refuse = (problem: string): BpfError =>
    new BpfError({ code: 'btf-permutation', btf: name, problem });
  if (newIds.length !== count) throw refuse(`it has ${count} types, not ${newIds.length}`);
  const order = new Uint32Array(count);
  const taken = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const id = newIds[i] as number;
    if (!(Number.isInteger(id) && id >= firstId && id < endId)) {
      throw refuse(`type ${firstId + i} would become ${id}, ids are ${firstId} to ${endId - 1}`);
    }
    if (taken[id - firstId] === 1) throw refuse(`two types would become ${id}`);
    taken[id - firstId] = 1;
    order[id - firstId] = i;
  }
  return order;
}

/** The BTF with other types behind the same strings. */
function withWords(btf: Btf, words: Uint32Array): Btf {
  const { base, name, pointerSize, littleEndian } = btf;
  const layout = ownLayout(btf, littleEndian);
  const bytes = writeBtf({ littleEndian, words, strings: btf.strings.bytes, layout });
  return parseBtf(bytes, { base, name, pointerSize });
}

/**
 * The same types, those without a name first, the rest by name (as bytes), equal names in
 * their old order: how the kernel's build sorts `vmlinux` since Linux 7.1. A BTF that is
 * sorted already is returned as it is.
 */
export function sortBtf(btf: Btf): Btf {
  return namedStart(btf) === undefined ? permuteBtf(btf, sortedIds(btf)) : btf;
}

/** The id that {@link sortBtf} gives to each type of this level, for {@link permuteBtfExt}. */
export function sortedIds(btf: Btf): Uint32Array {
  const count = btf.endId - btf.firstId;
  const order = Array.from({ length: count }, (_, i) => (btf.firstId + i) as TypeId);
  // Sorting is stable: equal names stay in the order of their ids.
  order.sort((a, b) => compareNames(btf, a, b));
  const newIds = new Uint32Array(count);
  order.forEach((id, i) => {
    newIds[id - btf.firstId] = btf.firstId + i;
  });
  return newIds;
}

/**
 * Id of the first type with a name where this level is sorted as {@link sortBtf} does it
 * (`endId` where no type has one), undefined where it is not.
 */
export function namedStart(btf: Btf): TypeId | undefined {
  let start = btf.firstId as TypeId;
  while (start < btf.endId && btf.nameOffsetOf(start) === 0) start++;
  for (let id = (start + 1) as TypeId; id < btf.endId; id++) {
    if (compareNames(btf, (id - 1) as TypeId, id) > 0) return undefined;
  }
  return start;
}

/**
 * Finds a type of a sorted level by halving, as libbpf and the kernel do: the first of that
 * name and kind from `start` on, which {@link namedStart} gave. `Btf.find` needs no order
 * and its table is faster from the second lookup on; this needs no table.
 */
export function findSorted(
  btf: Btf,
  start: TypeId,
  name: string,
  kind?: BtfKind,
): TypeId | undefined {
  if (name.includes('\0')) return undefined;
  const key = encodeText(name);
  let low = start as number;
  for (let high = btf.endId; low < high; ) {
    const middle = (low + high) >>> 1;
    if (compareToKey(btf, middle as TypeId, key) < 0) low = middle + 1;
    else high = middle;
  }
  for (let id = low as TypeId; id < btf.endId && compareToKey(btf, id, key) === 0; id++) {
    if (kind === undefined || btf.kindOf(id) === kind) return id;
  }
  return undefined;
}

/** Orders two types of one level: no name first, then by the bytes of their names. */
function compareNames(btf: Btf, a: TypeId, b: TypeId): number {
  const x = btf.nameOffsetOf(a);
  const y = btf.nameOffsetOf(b);
  if (x === y) return 0;
  const left = place(btf, x);
  const right = place(btf, y);
  for (let i = 0; ; i++) {
    const difference = (left.bytes[left.at + i] as number) - (right.bytes[right.at + i] as number);
    if (difference !== 0 || left.bytes[left.at + i] === 0) return difference;
  }
}

function compareToKey(btf: Btf, id: TypeId, key: Uint8Array): number {
  const { bytes, at } = place(btf, btf.nameOffsetOf(id));
  for (let i = 0; i < key.length; i++) {
    const difference = (bytes[at + i] as number) - (key[i] as number);
    if (difference !== 0) return difference;
  }
  return bytes[at + key.length] as number;
}

/** The bytes that hold the string at an offset, and where; a zero byte ends it. */
function place(btf: Btf, offset: number): { readonly bytes: Uint8Array; readonly at: number } {
  let table = btf.strings;
  while (offset < table.start && table.base !== undefined) table = table.base;
  return { bytes: table.bytes, at: offset - table.start };
}
