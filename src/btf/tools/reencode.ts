import { Writer } from '../../bytes/writer.ts';
import type { Btf } from '../btf.ts';
import { btfMagic, longHeaderLength, parseHeader, shortHeaderLength } from '../header.ts';

export interface EncodeBtfOptions {
  /** Byte order to write; the BTF's own by default. */
  readonly littleEndian?: boolean | undefined;
  /**
   * Write the layout section, or an empty place for it in the header, if the BTF has one:
   * Linux before 7.1 refuses it. True by default.
   */
  readonly layout?: boolean | undefined;
}

/**
 * A BTF as bytes: what {@link import('../btf.ts').parseBtf} read, written again. Header,
 * types, strings and layout, the last two in their order, as clang, pahole and the kernel
 * write it, so for theirs the bytes are the same; gaps and a header of other lengths go. Of split BTF
 * the level itself is written.
 *
 * @example
 * ```ts
 * const big = encodeBtf(btf, { littleEndian: false });
 * ```
 */
export function encodeBtf(btf: Btf, options: EncodeBtfOptions = {}): Uint8Array {
  const { littleEndian = btf.littleEndian } = options;
  return writeBtf({
    littleEndian,
    words: btf.words,
    strings: btf.strings.bytes,
    layout: options.layout === false ? undefined : ownLayout(btf, littleEndian),
    ...headerForm(btf, options.layout),
  });
}

/** What a header says besides the places of its sections. */
function headerForm(
  btf: Btf,
  keepLayout = true,
): { readonly layoutFirst: boolean; readonly longHeader: boolean } {
  const { layout, strings, length } = parseHeader(btf.bytes, btf.name);
  const layoutFirst = layout === undefined || layout.offset < strings.offset;
  return { layoutFirst, longHeader: keepLayout && length === longHeaderLength };
}

/**
 * The same types in a byte order. Every field of a type is a word of 32 bits, so nothing
 * else changes. Returns the bytes that are there if they are in that order already.
 */
export function convertEndianness(btf: Btf, littleEndian: boolean): Uint8Array {
  return littleEndian === btf.littleEndian ? btf.bytes : encodeBtf(btf, { littleEndian });
}

/**
 * Puts sections together, layout and strings in either order:
 *
 *     header (24 bytes, 32 with a layout) | types | layout | strings
 *
 * `words` are in the machine's byte order, `layout` is in that of the result.
 */
export function writeBtf(parts: {
  readonly littleEndian: boolean;
  readonly words: Uint32Array;
  readonly strings: Uint8Array;
  readonly layout?: Uint8Array | undefined;
  readonly layoutFirst?: boolean;
  /** The header has room for a layout also where there is none; libbpf 1.7 writes it so. */
  readonly longHeader?: boolean;
}): Uint8Array {
  const { littleEndian, words, strings, layout, layoutFirst = true, longHeader = false } = parts;
  const short = layout === undefined && !longHeader;
  const headerLength = short ? shortHeaderLength : longHeaderLength;
  const typeLength = 4 * words.length;
  const layoutLength = layout?.length ?? 0;
  const layoutAt = typeLength + (layoutFirst ? 0 : aligned(strings.length));
  const stringsAt = typeLength + (layoutFirst ? layoutLength : 0);
  const capacity = headerLength + typeLength + layoutLength + strings.length;
  const out = new Writer({ littleEndian, capacity });
  out.u16(btfMagic).u8(1).u8(0).u32(headerLength);
  out.u32(0).u32(typeLength).u32(stringsAt).u32(strings.length);
  if (layout !== undefined) out.u32(layoutAt).u32(layoutLength);
  else if (longHeader) out.u32(0).u32(0);
  out.bytes(wordBytes(words, littleEndian));
  if (layout !== undefined && layoutFirst) out.bytes(layout);
  out.bytes(strings);
  if (layout !== undefined && !layoutFirst) out.align(4).bytes(layout);
  return out.finish();
}

function aligned(length: number): number {
  return 4 * Math.ceil(length / 4);
}

const hostLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function wordBytes(words: Uint32Array, littleEndian: boolean): Uint8Array {
  if (littleEndian === hostLittleEndian) {
    return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  }
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < words.length; i++) view.setUint32(4 * i, words[i] as number, littleEndian);
  return bytes;
}

/** The layout of this level, if it has one: records of info_sz u8, elem_sz u8, flags u16. */
export function ownLayout(btf: Btf, littleEndian: boolean): Uint8Array | undefined {
  const { layout } = btf;
  if (layout === undefined || layout === btf.base?.layout) return undefined;
  if (littleEndian === btf.littleEndian) return layout;
  const swapped = layout.slice();
  for (let at = 2; at + 1 < layout.length; at += 4) {
    swapped[at] = layout[at + 1] as number;
    swapped[at + 1] = layout[at] as number;
  }
  return swapped;
}
