import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { headWords } from '../fields.ts';
import { BTF_KIND } from '../types.ts';

/** In `Columns.canonical`: nothing is known yet of the type. */
export const unprocessed = -1;

/** In `Columns.canonical`: the references of the type are being looked at. */
export const inProgress = -2;

/**
 * All types that a deduplication can see, in one array of words: `void` as three zeros, the
 * bases, the BTF itself. Names and references of its own types are rewritten there.
 *
 * One array with one row of places is what keeps the equivalence check monomorphic; copying
 * vmlinux for a module's sake takes 1 ms.
 */
export interface Columns {
  readonly name: string;
  readonly words: Uint32Array;
  /** Index in `words` of each type, and of the end: a type's words end where the next begin. */
  readonly at: Uint32Array;
  /** First id that may be changed; those below are of the bases. */
  readonly firstId: number;
  readonly endId: number;
  /**
   * What stands for each type: itself, or another id on the way to that; negative where it
   * is not decided. Ids fit, since no section of types holds more than 2^32 / 12.
   */
  readonly canonical: Int32Array;
}

/** Levels of a BTF, the lowest base first. */
export function levelsOf(btf: Btf): readonly Btf[] {
  const levels: Btf[] = [];
  for (let level: Btf | undefined = btf; level !== undefined; level = level.base) {
    levels.push(level);
  }
  return levels.reverse();
}

/** Copies the types of a BTF and its bases into {@link Columns}; nothing is decided yet. */
export function makeColumns(btf: Btf): Columns {
  const levels = levelsOf(btf);
  const length = levels.reduce((sum, level) => sum + level.words.length, headWords);
  const words = new Uint32Array(length);
  const at = new Uint32Array(btf.endId + 1);
  let start = headWords;
  for (const level of levels) {
    words.set(level.words, start);
    const { offsets, firstId } = level;
    for (let i = 0; i < offsets.length; i++) at[firstId + i] = start + (offsets[i] as number);
    start += level.words.length;
  }
  at[btf.endId] = length;
  const canonical = new Int32Array(btf.endId).fill(unprocessed);
  const columns = { name: btf.name, words, at, firstId: btf.firstId, endId: btf.endId, canonical };
  for (let id = 1; id < btf.endId; id++) refuseUnknownKind(btf.name, id, kindOf(columns, id));
  return columns;
}

/** What a type of a newer kind refers to cannot be known, so its ids could not be changed. */
export function refuseUnknownKind(btf: string, id: number, kind: number): void {
  if (kind !== BTF_KIND.VOID && kind <= BTF_KIND.ENUM64) return;
  throw new BpfError({ code: 'btf-dedup-kind', btf, id, kind });
}

/** The kind of a type. */
export function kindOf({ words, at }: Columns, id: number): number {
  return ((words[(at[id] as number) + 1] as number) >>> 24) & 0x7f;
}

/** Follows what is decided about a type as far as it goes. */
export function resolve(canonical: Int32Array, id: number): number {
  for (let current = id; ; ) {
    const next = canonical[current] as number;
    if (next === current || next < 0) return current;
    current = next;
  }
}
