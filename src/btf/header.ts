import { Cursor } from '../bytes/cursor.ts';
import { BpfError } from '../errors.ts';

/** `BTF_MAGIC` of <linux/btf.h>; its byte order tells the order of everything else. */
export const btfMagic = 0xeb9f;

/** Bytes of `struct btf_header` up to and with `str_len`, which every BTF has. */
export const shortHeaderLength = 24;

/** Bytes of `struct btf_header` with the layout section's offset and length (Linux 7.1). */
export const longHeaderLength = 32;

/** A part of the BTF; offset from the start of the BTF, both in bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export interface BtfHeader {
  readonly littleEndian: boolean;
  readonly length: number;
  readonly types: Extent;
  readonly strings: Extent;
  /** Sizes of the kinds that the writer knew; undefined if it wrote none. */
  readonly layout: Extent | undefined;
}

/**
 * Reads and checks `struct btf_header`:
 *
 *     0 magic u16   2 version u8   3 flags u8   4 hdr_len u32
 *     8 type_off   12 type_len   16 str_off   20 str_len   [24 layout_off   28 layout_len]
 *
 * Offsets in it count from the header's end. The sections may stand in any order, as for
 * the kernel, but lie inside the bytes and do not overlap. A header longer than known must
 * be zero in the rest, as the kernel demands.
 */
export function parseHeader(bytes: Uint8Array, name: string): BtfHeader {
  const littleEndian = byteOrder(bytes, name);
  const cursor = new Cursor(bytes, { littleEndian, section: name });
  cursor.skip(2);
  const version = cursor.u8();
  if (version !== 1) throw unsupported(name, 'version', version);
  const flags = cursor.u8();
  if (flags !== 0) throw unsupported(name, 'flags', flags);
  const length = cursor.u32();
  if (length < shortHeaderLength) throw unsupported(name, 'hdr_len', length);
  cursor.skip(length - 8);
  cursor.seek(8);
  const extent = (): Extent => ({ offset: length + cursor.u32(), length: cursor.u32() });
  const types = extent();
  const strings = extent();
  const layout = length >= longHeaderLength ? extent() : undefined;
  while (cursor.position < length) {
    const rest = cursor.u8();
    if (rest !== 0) throw unsupported(name, 'rest of the header', rest);
  }
  const header: BtfHeader = {
    littleEndian,
    length,
    types,
    strings,
    layout: layout?.length === 0 ? undefined : layout,
  };
  checkSections(header, bytes.length, name);
  return header;
}

function byteOrder(bytes: Uint8Array, name: string): boolean {
  const magic = new Cursor(bytes, { littleEndian: true, section: name }).u16();
  if (magic === btfMagic) return true;
  if (magic === 0x9feb) return false;
  throw new BpfError({ code: 'btf-magic', btf: name, magic });
}

function unsupported(
  btf: string,
  field: 'version' | 'flags' | 'hdr_len' | 'rest of the header',
  value: number,
): BpfError {
  return new BpfError({ code: 'btf-header', btf, field, value });
}

type SectionName = 'type' | 'string' | 'layout';

function checkSections(header: BtfHeader, end: number, name: string): void {
  const { types, strings, layout } = header;
  const refuse = (section: SectionName, { offset, length }: Extent, problem: string): BpfError =>
    new BpfError({ code: 'btf-section', btf: name, section, offset, length, problem });
  const check = (section: SectionName, at: Extent, next: SectionName, other?: Extent): void => {
    if (at.offset + at.length > end) {
      throw refuse(section, at, `ends after the ${end} bytes of the BTF`);
    }
    const aligned = section === 'string' || (at.offset - header.length) % 4 === 0;
    if (!aligned) throw refuse(section, at, 'is not aligned to 4 bytes');
    if (other !== undefined && overlaps(at, other)) {
      throw refuse(section, at, `overlaps the ${next} section`);
    }
  };
  check('type', types, 'string', strings);
  check('type', types, 'layout', layout);
  check('string', strings, 'layout', layout);
  if (layout === undefined) return;
  check('layout', layout, 'type');
  if (layout.length % 4 !== 0) throw refuse('layout', layout, 'is not a row of 4-byte records');
}

function overlaps(a: Extent, b: Extent): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}
