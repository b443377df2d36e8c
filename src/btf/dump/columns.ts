import type { Btf } from '../btf.ts';
import { BTF_KIND, type TypeId } from '../types.ts';

/**
 * A BTF and its bases as one set of columns, by type id. The dumpers read these instead of
 * type objects: making an object of each type of vmlinux would take longer than its whole
 * C dump.
 *
 * Layouts of what stands behind the three common words of a type: <linux/btf.h>.
 */
export interface Columns {
  readonly btf: Btf;
  /** Kind by id; 0 for `void`. */
  readonly kinds: Uint8Array;
  /** Index in {@link words} of each type's first word; means nothing for `void`. */
  readonly places: Uint32Array;
  /** Type sections of all levels, in the machine's byte order. */
  readonly words: Uint32Array;
  /** String sections of all levels: names are offsets in it. */
  readonly strings: Uint8Array;
  /** Ids are 0 to `count - 1`. */
  readonly count: number;
}

const known = new WeakMap<Btf, Columns>();

/** The columns of a BTF; made once. */
export function columnsOf(btf: Btf): Columns {
  const made = known.get(btf) ?? makeColumns(btf);
  known.set(btf, made);
  return made;
}

function makeColumns(btf: Btf): Columns {
  const levels: Btf[] = [];
  for (let level: Btf | undefined = btf; level !== undefined; level = level.base) {
    levels.unshift(level);
  }
  const words = joinedWords(levels);
  const places = new Uint32Array(btf.endId);
  const kinds = new Uint8Array(btf.endId);
  let base = 0;
  for (const level of levels) {
    const { offsets, firstId } = level;
    for (let i = 0; i < offsets.length; i++) {
      const place = base + (offsets[i] as number);
      places[firstId + i] = place;
      kinds[firstId + i] = ((words[place + 1] as number) >>> 24) & 0x7f;
    }
    base += level.words.length;
  }
  return { btf, kinds, places, words, strings: joinedStrings(levels), count: btf.endId };
}

function joinedWords(levels: readonly Btf[]): Uint32Array {
  const [first] = levels;
  if (levels.length === 1 && first !== undefined) return first.words;
  const words = new Uint32Array(levels.reduce((sum, level) => sum + level.words.length, 0));
  let at = 0;
  for (const level of levels) {
    words.set(level.words, at);
    at += level.words.length;
  }
  return words;
}

function joinedStrings(levels: readonly Btf[]): Uint8Array {
  const [first] = levels;
  if (levels.length === 1 && first !== undefined) return first.strings.bytes;
  const strings = new Uint8Array(
    levels.reduce((sum, { strings }) => sum + strings.bytes.length, 0),
  );
  for (const level of levels) strings.set(level.strings.bytes, level.strings.start);
  return strings;
}

/** Offset of a type's name; 0 where it has none. */
export function nameOf({ words, places }: Columns, id: number): number {
  return id === 0 ? 0 : (words[places[id] as number] as number);
}

/** Number of members, parameters, enumerators or variables; a function's linkage. */
export function vlenOf({ words, places }: Columns, id: number): number {
  return (words[(places[id] as number) + 1] as number) & 0xffffff;
}

/** `kind_flag`: what it says depends on the kind. */
export function flagOf({ words, places }: Columns, id: number): boolean {
  return (words[(places[id] as number) + 1] as number) >>> 31 === 1;
}

/** The third word: a size in bytes or a type id, as the kind says. */
export function sizeOrTypeOf({ words, places }: Columns, id: number): number {
  return words[(places[id] as number) + 2] as number;
}

/** Element type of an array. */
export function elementOf({ words, places }: Columns, id: number): number {
  return words[(places[id] as number) + 3] as number;
}

/** Number of elements of an array. */
export function lengthOf({ words, places }: Columns, id: number): number {
  return words[(places[id] as number) + 5] as number;
}

/** `const`, `volatile`, `restrict` or a type tag (libbpf's `btf_is_mod`). */
export function isModifier(kind: number): boolean {
  return (
    kind === BTF_KIND.CONST ||
    kind === BTF_KIND.VOLATILE ||
    kind === BTF_KIND.RESTRICT ||
    kind === BTF_KIND.TYPE_TAG
  );
}

/** A struct or union. */
export function isComposite(kind: number): boolean {
  return kind === BTF_KIND.STRUCT || kind === BTF_KIND.UNION;
}

/** Ids in `roots` that the BTF does not have are an error of the caller: BpfError `btf-no-type`. */
export function checkRoots(btf: Btf, roots: readonly TypeId[]): void {
  // Asking for a kind checks the id.
  for (const id of roots) btf.kindOf(id);
}
