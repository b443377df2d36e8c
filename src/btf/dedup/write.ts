import { type Btf, parseBtf } from '../btf.ts';
import { ownLayout, writeBtf as writeSections } from '../tools/reencode.ts';

/** Parts of a new BTF that takes the place of, or stands beside, an old one. */
export interface NewParts {
  /** In the machine's byte order. */
  readonly words: Uint32Array;
  readonly strings: Uint8Array;
}

/** Writes a BTF in the byte order, on the base, and with the layout section of `like`. */
export function writeBtf(like: Btf, { words, strings }: NewParts): Btf {
  const { littleEndian, base, name, pointerSize } = like;
  const layout = ownLayout(like, littleEndian);
  return parseBtf(writeSections({ littleEndian, words, strings, layout }), {
    base,
    name,
    pointerSize,
  });
}
