import { FIELD, type FieldRole, fieldRoles, headWords } from './fields.ts';
import { BTF_KIND } from './types.ts';

/** For each kind, where the ids are behind the head: the first, and how far apart (0: none). */
const idFirst = new Uint8Array(128);
const idStep = new Uint8Array(128);

/** For each kind, where the names are behind the head. */
const nameFirst = new Uint8Array(128);
const nameStep = new Uint8Array(128);

/** 1 for the kinds whose third word is an id. */
const hasTarget = new Uint8Array(128);

for (const kind of Object.values(BTF_KIND)) {
  const { head, record } = fieldRoles(kind);
  hasTarget[kind] = head[2] === FIELD.ID ? 1 : 0;
  [idFirst[kind], idStep[kind]] = placesOf(record, FIELD.ID);
  [nameFirst[kind], nameStep[kind]] = placesOf(record, FIELD.NAME);
}

function placesOf(record: readonly FieldRole[], role: FieldRole): [first: number, step: number] {
  const first = record.indexOf(role);
  if (first < 0) return [0, 0];
  const second = record.indexOf(role, first + 1);
  return [headWords + first, second < 0 ? record.length : second - first];
}

/** Whether the third word of a kind is an id. */
export function isTarget(kind: number): boolean {
  return hasTarget[kind] === 1;
}

/**
 * Changes every id in the words of one type, from `start` to `end`. Kinds that only a layout
 * section describes are not known to refer to anything.
 */
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
