import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND } from '../types.ts';

/** Words of `struct btf_type`: name_off, info, size or type. */
export const headWords = 3;

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

/** For each kind, where the ids are behind the head: the first, and how far apart (0: none). */
const idFirst = new Uint8Array(128);
const idStep = new Uint8Array(128);

/** For each kind, where the names are behind the head. */
const nameFirst = new Uint8Array(128);
const nameStep = new Uint8Array(128);

/** 1 for the kinds whose third word is an id. */
const hasTarget = new Uint8Array(128);

for (const kind of [BTF_KIND.STRUCT, BTF_KIND.UNION]) {
  [idFirst[kind], idStep[kind]] = [headWords + 1, 3];
  [nameFirst[kind], nameStep[kind]] = [headWords, 3];
}
[idFirst[BTF_KIND.ARRAY], idStep[BTF_KIND.ARRAY]] = [headWords, 1];
[idFirst[BTF_KIND.FUNC_PROTO], idStep[BTF_KIND.FUNC_PROTO]] = [headWords + 1, 2];
[idFirst[BTF_KIND.DATASEC], idStep[BTF_KIND.DATASEC]] = [headWords, 3];
[nameFirst[BTF_KIND.FUNC_PROTO], nameStep[BTF_KIND.FUNC_PROTO]] = [headWords, 2];
[nameFirst[BTF_KIND.ENUM], nameStep[BTF_KIND.ENUM]] = [headWords, 2];
[nameFirst[BTF_KIND.ENUM64], nameStep[BTF_KIND.ENUM64]] = [headWords, 3];
for (const kind of [
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
]) {
  hasTarget[kind] = 1;
}

/** Whether the third word of a kind is an id. */
export function isTarget(kind: number): boolean {
  return hasTarget[kind] === 1;
}

/** Changes every id in the words of one type, from `start` to `end`. */
export function mapIds(
  words: Uint32Array,
  start: number,
  end: number,
  newIds: Int32Array | Uint32Array,
): void {
  const kind = ((words[start + 1] as number) >>> 24) & 0x7f;
  if (hasTarget[kind] === 1) words[start + 2] = newIds[words[start + 2] as number] as number;
  const step = idStep[kind] as number;
  if (step === 0) return;
  // The third word behind the head of an array is its length.
  const stop = kind === BTF_KIND.ARRAY ? start + headWords + 2 : end;
  for (let i = start + (idFirst[kind] as number); i < stop; i += step) {
    words[i] = newIds[words[i] as number] as number;
  }
}

/** Changes every string offset in the words of one type, in the order in which they stand. */
export function mapNames(
  words: Uint32Array,
  start: number,
  end: number,
  change: (offset: number) => number,
): void {
  words[start] = change(words[start] as number);
  const kind = ((words[start + 1] as number) >>> 24) & 0x7f;
  const step = nameStep[kind] as number;
  if (step === 0) return;
  for (let i = start + (nameFirst[kind] as number); i < end; i += step) {
    words[i] = change(words[i] as number);
  }
}
