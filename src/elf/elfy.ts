import { Buffer } from 'node:buffer';
import elfy from 'elfy';
import { Cursor } from '../bytes/cursor.ts';
import { readString } from '../bytes/text.ts';
import type { SectionFault } from '../errors/elf.ts';
import { BpfError, type BpfErrorDetail } from '../errors.ts';
import { SHN, SHT } from './constants.ts';
import { readNumber64 } from './number64.ts';

/** What the ELF header says, as far as it is of use here. */
export interface ElfHeader {
  readonly class: 32 | 64;
  readonly littleEndian: boolean;
  /** `ET_*`. */
  readonly type: number;
  /** `EM_*`. */
  readonly machine: number;
}

/** One section, its bounds proved to lie in the file. */
export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** `SHT_*`. */
  readonly type: number;
  /** `SHF_*`, the lower 32 bits: the upper half has no meaning in any ABI. */
  readonly flags: number;
  /** In bytes from the start of the file. */
  readonly offset: number;
  /** In bytes; sections without contents in the file (`SHT_NOBITS`) have one too. */
  readonly size: number;
  readonly link: number;
  readonly info: number;
  /** In bytes; 0 and 1 mean none. */
  readonly alignment: number;
  /** Size of one entry in bytes, 0 where the section is no table. */
  readonly entrySize: number;
  /** A view of the contents; empty for `SHT_NOBITS` and `SHT_NULL`. */
  readonly bytes: Uint8Array;
}

/** The section table of an ELF file of any kind. */
export interface SectionTable {
  readonly header: ElfHeader;
  readonly sections: readonly ElfSection[];
}

/** Bound on the bytes of all section names together: names may share bytes of the string table. */
const nameLimit = 1 << 24;

/**
 * Identifies an ELF file, of any class, machine and byte order, and reads its section table
 * through elfy. elfy trusts its input and knows neither every field nor every constant, so
 * all that it relies on is checked before, and what it gets wrong is read again: types and
 * flags (it maps them to names and drops those it does not know), alignment and entry size
 * (which it reads at wrong offsets in 64-bit files), the machine, and names that are not
 * UTF-8.
 *
 * `check` may refuse the file for what its header says, before anything else is looked at.
 * Throws a {@link BpfError} for anything but a sound table.
 */
export function readSectionTable(
  bytes: Uint8Array,
  check: (header: ElfHeader) => void = () => {},
): SectionTable {
  const raw = readRawHeader(bytes);
  check(raw);
  checkProgramHeaders(raw, bytes.length);
  checkSectionHeaders(raw, bytes.length);
  const rows = readRows(bytes, raw);
  checkNames(bytes, raw, rows);
  const parsed = elfy.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const sections = rows.map((row, index): ElfSection => {
    const section = parsed.body.sections[index];
    if (section === undefined) throw new Error(`elfy lost section ${index}`);
    return {
      index,
      name: exactName(section.name, bytes, rows[raw.stringIndex], row),
      type: row.type,
      flags: row.flags,
      offset: section.off,
      size: section.size,
      link: section.link,
      info: section.info,
      alignment: row.alignment,
      entrySize: row.entrySize,
      bytes: hasContents(row) ? bytes.subarray(section.off, section.off + section.size) : noBytes,
    };
  });
  const { class: size, littleEndian, type, machine } = raw;
  return { header: { class: size, littleEndian, type, machine }, sections };
}

const noBytes = new Uint8Array(0);

interface RawHeader extends ElfHeader {
  readonly programOffset: number;
  readonly programEntrySize: number;
  readonly programCount: number;
  readonly sectionOffset: number;
  readonly sectionEntrySize: number;
  readonly sectionCount: number;
  readonly stringIndex: number;
}

/**
 * The header after the 16 bytes of identification; fields marked N are 4 bytes wide in
 * 32-bit files and 8 in 64-bit files.
 *
 * ```
 *   type:2 machine:2 version:4 entry:N phoff:N shoff:N flags:4
 *   ehsize:2 phentsize:2 phnum:2 shentsize:2 shnum:2 shstrndx:2
 * ```
 */
function readRawHeader(bytes: Uint8Array): RawHeader {
  const ident = readIdent(bytes);
  const cursor = new Cursor(bytes, { littleEndian: ident.littleEndian, section: 'ELF header' });
  const wide = ident.class === 64;
  cursor.seek(16);
  const type = cursor.u16();
  const machine = cursor.u16();
  const version = cursor.u32();
  if (version !== 1) throw unsupported('version', version);
  cursor.skip(wide ? 8 : 4);
  const programOffset = readWord(cursor, wide);
  const sectionOffset = readWord(cursor, wide);
  cursor.skip(4 + 2);
  return {
    class: ident.class,
    littleEndian: ident.littleEndian,
    type,
    machine,
    programOffset,
    sectionOffset,
    programEntrySize: cursor.u16(),
    programCount: cursor.u16(),
    sectionEntrySize: cursor.u16(),
    sectionCount: cursor.u16(),
    stringIndex: cursor.u16(),
  };
}

/** Bytes 0..3 magic, 4 class, 5 byte order, 6 version. */
function readIdent(bytes: Uint8Array): Pick<ElfHeader, 'class' | 'littleEndian'> {
  const magic = bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
  if (!magic) throw new BpfError({ code: 'elf-magic', size: bytes.length });
  const size = bytes[4] ?? 0;
  const order = bytes[5] ?? 0;
  const version = bytes[6] ?? 0;
  if (size !== 1 && size !== 2) throw unsupported('class', size);
  if (order !== 1 && order !== 2) throw unsupported('byte order', order);
  if (version !== 1) throw unsupported('version', version);
  return { class: size === 2 ? 64 : 32, littleEndian: order === 1 };
}

/** The refusal of a file of the wrong kind. */
export function unsupported(
  field: Extract<BpfErrorDetail, { code: 'elf-unsupported' }>['field'],
  value: number,
): BpfError {
  return new BpfError({ code: 'elf-unsupported', field, value });
}

function readWord(cursor: Cursor, wide: boolean): number {
  return wide ? readNumber64(cursor) : cursor.u32();
}

/** elfy cuts the program headers out of the file too, although nothing here needs them. */
function checkProgramHeaders(raw: RawHeader, fileSize: number): void {
  if (raw.programOffset === 0 || raw.programCount === 0) return;
  const wanted = raw.class === 64 ? 56 : 32;
  if (raw.programEntrySize !== wanted) {
    throw badHeader('e_phentsize', raw.programEntrySize, `${wanted}`);
  }
  checkTable('program', raw.programOffset, raw.programCount * wanted, fileSize);
}

function checkSectionHeaders(raw: RawHeader, fileSize: number): void {
  if (raw.sectionOffset === 0) throw new BpfError({ code: 'elf-no-sections' });
  // A count of zero, or a string table index of 0xffff, says that the true one is in the
  // first section header because it does not fit in 16 bits.
  if (raw.sectionCount === 0 || raw.stringIndex === SHN.XINDEX) {
    throw new BpfError({ code: 'elf-extended-sections' });
  }
  const wanted = headerSize(raw.class);
  if (raw.sectionEntrySize !== wanted) {
    throw badHeader('e_shentsize', raw.sectionEntrySize, `${wanted}`);
  }
  checkTable('section', raw.sectionOffset, raw.sectionCount * wanted, fileSize);
  if (raw.stringIndex === 0 || raw.stringIndex >= raw.sectionCount) {
    throw badHeader('e_shstrndx', raw.stringIndex, `a section below ${raw.sectionCount}`);
  }
}

function headerSize(size: 32 | 64): number {
  return size === 64 ? 64 : 40;
}

function badHeader(
  field: Extract<BpfErrorDetail, { code: 'elf-header' }>['field'],
  value: number,
  wanted: string,
): BpfError {
  return new BpfError({ code: 'elf-header', field, value, wanted });
}

function checkTable(
  table: 'section' | 'program',
  offset: number,
  size: number,
  fileSize: number,
): void {
  if (offset + size <= fileSize) return;
  throw new BpfError({ code: 'elf-table-bounds', table, offset, size, fileSize });
}

/** The fields of a section header that bounds checks need, or that elfy does not give. */
interface Row {
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly alignment: number;
  readonly entrySize: number;
}

function readRows(bytes: Uint8Array, raw: RawHeader): readonly Row[] {
  const cursor = new Cursor(bytes, {
    littleEndian: raw.littleEndian,
    section: 'ELF section headers',
  });
  const rows: Row[] = [];
  for (let index = 0; index < raw.sectionCount; index++) {
    cursor.seek(raw.sectionOffset + index * raw.sectionEntrySize);
    const row = readRow(cursor, raw.class === 64);
    checkRow(row, index, bytes.length);
    rows.push(row);
  }
  return rows;
}

/**
 * ```
 *   name:4 type:4 flags:N addr:N offset:N size:N link:4 info:4 addralign:N entsize:N
 * ```
 */
function readRow(cursor: Cursor, wide: boolean): Row {
  const nameOffset = cursor.u32();
  const type = cursor.u32();
  const flags = readLowerHalf(cursor, wide);
  cursor.skip(wide ? 8 : 4);
  const offset = readWord(cursor, wide);
  const size = readWord(cursor, wide);
  cursor.skip(8);
  const alignment = readWord(cursor, wide);
  const entrySize = readWord(cursor, wide);
  return { nameOffset, type, flags, offset, size, alignment, entrySize };
}

function readLowerHalf(cursor: Cursor, wide: boolean): number {
  const first = cursor.u32();
  if (!wide) return first;
  const second = cursor.u32();
  return cursor.littleEndian ? first : second;
}

function hasContents(row: Row): boolean {
  return row.type !== SHT.NOBITS && row.type !== SHT.NULL;
}

function checkRow(row: Row, index: number, fileSize: number): void {
  if (hasContents(row) && row.offset + row.size > fileSize) {
    const { offset, size } = row;
    throw badSection(index, '', { kind: 'outside-file', offset, size, fileSize });
  }
  checkExact(index, 'size', row.size);
  checkExact(index, 'alignment', row.alignment);
  checkExact(index, 'entry size', row.entrySize);
}

function checkExact(index: number, field: string, value: number): void {
  if (Number.isSafeInteger(value)) return;
  throw badSection(index, '', { kind: 'field-too-large', field });
}

/** The error for section `index`; an empty name where it is not known yet. */
export function badSection(index: number, name: string, fault: SectionFault): BpfError {
  return new BpfError({ code: 'elf-section', index, name, fault });
}

/** Proves that every name lies in the string table, is terminated, and that all fit in memory. */
function checkNames(bytes: Uint8Array, raw: RawHeader, rows: readonly Row[]): void {
  const strings = rows[raw.stringIndex] as Row;
  if (strings.type !== SHT.STRTAB) {
    throw badHeader('e_shstrndx', raw.stringIndex, 'the index of a string table');
  }
  const table = bytes.subarray(strings.offset, strings.offset + strings.size);
  if (table.at(-1) !== 0) throw badSection(raw.stringIndex, '', { kind: 'no-terminator' });
  let total = 0;
  rows.forEach(({ nameOffset: offset }, index) => {
    if (offset >= table.length) {
      throw badSection(index, '', { kind: 'name-offset', offset, tableSize: table.length });
    }
    // The table ends with zero, so this stops. Names are short: `indexOf` took longer.
    let end = offset;
    while (table[end] !== 0) end++;
    total += end - offset;
    if (total > nameLimit) {
      throw new BpfError({ code: 'elf-names-too-long', table: 'section table', limit: nameLimit });
    }
  });
}

/** elfy's name, unless it may have lost bytes in decoding. */
function exactName(name: string, bytes: Uint8Array, strings: Row | undefined, row: Row): string {
  if (strings === undefined || !name.includes('\ufffd')) return name;
  const table = bytes.subarray(strings.offset, strings.offset + strings.size);
  return readString(table, row.nameOffset, 'section names');
}
