import { Cursor } from '../../bytes/cursor.ts';
import { Writer } from '../../bytes/writer.ts';
import type { Btf } from '../btf.ts';
import { parseBtfExt } from '../ext.ts';
import { btfMagic } from '../header.ts';

/** What becomes of the ids and string offsets in a `.BTF.ext`. */
export interface ExtChange {
  readonly typeId: (id: number) => number;
  readonly string: (offset: number) => number;
}

/** Words of a record, by what they hold; the rest is copied. */
interface RecordShape {
  readonly types: readonly number[];
  readonly strings: readonly number[];
}

/** `struct bpf_func_info`, `bpf_line_info`, `bpf_core_relo`, in the order of the header. */
const shapes: readonly RecordShape[] = [
  { types: [1], strings: [] },
  { types: [], strings: [1, 2] },
  { types: [1], strings: [2] },
];

/**
 * A copy of a `.BTF.ext` with its ids and string offsets changed, those of strings in the
 * order in which they are stored. `btf` is what it belongs to; {@link BpfError} `btf-ext` for
 * anything damaged.
 */
export function changeBtfExt(bytes: Uint8Array, btf: Btf, change: ExtChange): Uint8Array {
  // From here on all places are known to be inside.
  parseBtfExt(bytes, { btf, name: btf.name });
  const probe = new Cursor(bytes, { littleEndian: true, section: '.BTF.ext' });
  const littleEndian = probe.u16() === btfMagic;
  const cursor = new Cursor(bytes, { littleEndian, section: '.BTF.ext' });
  const out = new Writer({ littleEndian }).bytes(bytes);
  const headerLength = cursor.seek(4).u32();
  for (const [i, shape] of shapes.entries()) {
    if (8 + 8 * (i + 1) > headerLength) break;
    const start = headerLength + cursor.seek(8 + 8 * i).u32();
    const length = cursor.u32();
    if (length > 0) changePart({ cursor, out, shape, change }, start, start + length);
  }
  return out.finish();
}

interface Work {
  readonly cursor: Cursor;
  readonly out: Writer;
  readonly shape: RecordShape;
  readonly change: ExtChange;
}

/** One part: a record size, then for each section its name, a count, and the records. */
function changePart(work: Work, start: number, end: number): void {
  const { cursor, out, change } = work;
  const size = cursor.seek(start).u32();
  for (let at = start + 4; at < end; ) {
    out.patchU32(at, change.string(cursor.seek(at).u32()));
    const count = cursor.u32();
    at += 8;
    for (let i = 0; i < count; i++, at += size) changeRecord(work, at);
  }
}

function changeRecord({ cursor, out, shape, change }: Work, at: number): void {
  for (const word of shape.types) {
    out.patchU32(at + 4 * word, change.typeId(cursor.seek(at + 4 * word).u32()));
  }
  for (const word of shape.strings) {
    out.patchU32(at + 4 * word, change.string(cursor.seek(at + 4 * word).u32()));
  }
}
