import { Writer } from '../../bytes/writer.ts';
import { type Btf, parseBtf } from '../btf.ts';
import { btfMagic, longHeaderLength, shortHeaderLength } from '../header.ts';

/** Parts of a new BTF that takes the place of, or stands beside, an old one. */
export interface NewParts {
  /** In the machine's byte order. */
  readonly words: Uint32Array;
  readonly strings: Uint8Array;
}

/** Writes a BTF in the byte order, on the base, and with the layout section of `like`. */
export function writeBtf(like: Btf, { words, strings }: NewParts): Btf {
  const { littleEndian, base, name, pointerSize } = like;
  // A split BTF has its base's layout unless it brought one.
  const layout = like.layout === base?.layout ? undefined : like.layout;
  const header = layout === undefined ? shortHeaderLength : longHeaderLength;
  const typeBytes = 4 * words.length;
  // The layout goes between the two: it must be aligned.
  const layoutBytes = layout?.length ?? 0;
  const out = new Uint8Array(header + typeBytes + layoutBytes + strings.length);
  const head = new Writer({ littleEndian });
  head.u16(btfMagic).u8(1).u8(0).u32(header);
  head
    .u32(0)
    .u32(typeBytes)
    .u32(typeBytes + layoutBytes)
    .u32(strings.length);
  if (layout !== undefined) head.u32(typeBytes).u32(layoutBytes);
  out.set(head.finish(), 0);
  writeWords(out.subarray(header, header + typeBytes), words, littleEndian);
  if (layout !== undefined) out.set(layout, header + typeBytes);
  out.set(strings, header + typeBytes + layoutBytes);
  return parseBtf(out, { base, name, pointerSize });
}

function writeWords(out: Uint8Array, words: Uint32Array, littleEndian: boolean): void {
  out.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  const isHostLittle = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  if (littleEndian === isHostLittle) return;
  const view = new DataView(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < words.length; i++) view.setUint32(4 * i, words[i] as number, littleEndian);
}
