import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { mapIds, mapNames } from '../places.ts';
import { refuseUnknownKind } from './columns.ts';
import { writeBtf } from './write.ts';

/**
 * All types of two BTFs in one, nothing merged: those of `first` keep their ids, those of
 * `second` follow, its id `n` becoming `n + first.endId - second.firstId`. Ids and strings of
 * a common base stay. Byte order, name and pointer size are those of `first`.
 *
 * Strings are put side by side, so the result is mostly something for {@link dedupBtf} to
 * work on. {@link BpfError} `btf-build` if the two stand on different bases, `btf-dedup-kind`
 * for types of a kind whose references are not known.
 */
export function appendBtf(first: Btf, second: Btf): Btf {
  if (first.base !== second.base) {
    const problem = `${first.name} and ${second.name} cannot be joined, they have different bases`;
    throw new BpfError({ code: 'btf-build', problem });
  }
  const words = new Uint32Array(first.words.length + second.words.length);
  words.set(first.words, 0);
  words.set(second.words, first.words.length);
  shiftTypes(words.subarray(first.words.length), first, second);
  const strings = new Uint8Array(first.strings.bytes.length + second.strings.bytes.length);
  strings.set(first.strings.bytes, 0);
  strings.set(second.strings.bytes, first.strings.bytes.length);
  return writeBtf(first, { words, strings });
}

function shiftTypes(words: Uint32Array, first: Btf, second: Btf): void {
  const idShift = first.endId - second.firstId;
  const newIds = new Uint32Array(second.endId);
  for (let id = 1; id < second.endId; id++) newIds[id] = id < second.firstId ? id : id + idShift;
  // The empty string of a BTF without a base is that at 0, which says "no name".
  const stringStart = Math.max(second.strings.start, 1);
  const stringShift = first.strings.end - second.strings.start;
  const newOffset = (offset: number): number =>
    offset < stringStart ? offset : offset + stringShift;
  for (let id = second.firstId; id < second.endId; id++) {
    const index = id - second.firstId;
    const start = second.offsets[index] as number;
    const end = second.offsets[index + 1] ?? words.length;
    refuseUnknownKind(second.name, id, ((words[start + 1] as number) >>> 24) & 0x7f);
    mapIds(words, start, end, newIds);
    mapNames(words, start, end, newOffset);
  }
}
