import { Cursor } from '../bytes/cursor.ts';
import { decodeText } from '../bytes/text.ts';
import type { SymbolFault } from '../errors/elf.ts';
import { BpfError } from '../errors.ts';
import { SHN, SHT, STB, STT, STV } from './constants.ts';
import { badSection, type ElfSection } from './elfy.ts';
import { readNumber64 } from './number64.ts';

/** Size of one `Elf64_Sym` in bytes. */
const symbolSize = 24;

/** Bound on the bytes of all decoded symbol names together: names may share bytes. */
const nameLimit = 1 << 26;

/**
 * The symbols of an object as columns, index by index as in the file; symbol 0 is the empty
 * one. Every value, section and name offset was checked; names are decoded when asked for,
 * because most symbols of a large object are labels that nobody looks at. The columns are
 * plain arrays: to allocate seven typed ones took a fifth of the time of reading a small object.
 */
export class SymbolTable {
  /** Index of the symbol's section, or one of the reserved `SHN_*`. */
  readonly sections: number[] = [];
  /** `STT_*`. */
  readonly types: number[] = [];
  /** `STB_*`. */
  readonly bindings: number[] = [];
  /** `STV_*`. */
  readonly visibilities: number[] = [];
  /** In bytes from the start of the symbol's section; exact for symbols that have a section. */
  readonly values: number[] = [];
  /** In bytes. */
  readonly sizes: number[] = [];
  /** In bytes from the start of the string table. */
  readonly nameOffsets: number[] = [];
  readonly #strings: Uint8Array;
  readonly #names: (string | undefined)[] = [];
  #decoded = 0;

  constructor(strings: Uint8Array) {
    this.#strings = strings;
  }

  get length(): number {
    return this.values.length;
  }

  /** The name of symbol `index`, empty where it has none. */
  name(index: number): string {
    const known = this.#names[index];
    if (known !== undefined) return known;
    const offset = this.nameOffsets[index] ?? 0;
    if (offset === 0) return '';
    const end = this.#strings.indexOf(0, offset);
    this.#decoded += end - offset;
    if (this.#decoded > nameLimit) {
      throw new BpfError({ code: 'elf-names-too-long', table: 'symbol table', limit: nameLimit });
    }
    const name = decodeText(this.#strings.subarray(offset, end));
    this.#names[index] = name;
    return name;
  }

  section(index: number): number {
    return this.sections[index] ?? SHN.UNDEF;
  }

  value(index: number): number {
    return this.values[index] ?? 0;
  }

  size(index: number): number {
    return this.sizes[index] ?? 0;
  }

  type(index: number): number {
    return this.types[index] ?? STT.NOTYPE;
  }

  binding(index: number): 'local' | 'global' | 'weak' {
    const binding = this.bindings[index];
    return binding === STB.LOCAL ? 'local' : binding === STB.WEAK ? 'weak' : 'global';
  }

  /** Hidden or internal: visible in its own object only. */
  hidden(index: number): boolean {
    const visibility = this.visibilities[index];
    return visibility === STV.HIDDEN || visibility === STV.INTERNAL;
  }

  /** True where the symbol lies in a section of the file. */
  isDefined(index: number): boolean {
    const section = this.section(index);
    return section !== SHN.UNDEF && section < SHN.LORESERVE;
  }
}

/**
 * Reads the symbol table of a 64-bit relocatable object: none gives an empty table, two are
 * an error. A symbol that reaches outside its section, its section table or its string
 * table is an error that names it.
 */
export function readSymbols(sections: readonly ElfSection[], littleEndian: boolean): SymbolTable {
  const table = findTable(sections);
  if (table === undefined) return new SymbolTable(noStrings);
  checkEntries(table, symbolSize);
  const strings = stringsOf(table, sections);
  const length = table.size / symbolSize;
  const symbols = new SymbolTable(strings);
  const cursor = new Cursor(table.bytes, { littleEndian, section: table.name });
  for (let index = 0; index < length; index++) {
    const nameOffset = readSymbol(symbols, cursor);
    checkName(index, nameOffset, strings.length);
    checkPlace(symbols, index, sections);
  }
  return symbols;
}

const noStrings = new Uint8Array(1);

function findTable(sections: readonly ElfSection[]): ElfSection | undefined {
  let found: ElfSection | undefined;
  for (const section of sections) {
    if (section.type !== SHT.SYMTAB) continue;
    if (found !== undefined) {
      throw new BpfError({
        code: 'elf-symbol-tables',
        first: found.index,
        second: section.index,
      });
    }
    found = section;
  }
  return found;
}

/** Proves that a table section consists of whole entries of the one size that ELF64 allows. */
export function checkEntries(section: ElfSection, wanted: number): void {
  const { index, name, entrySize, size } = section;
  if (entrySize !== wanted)
    throw badSection(index, name, { kind: 'entry-size', entrySize, wanted });
  if (size % wanted !== 0) {
    throw badSection(index, name, { kind: 'size-not-multiple', size, of: wanted });
  }
}

function stringsOf(table: ElfSection, sections: readonly ElfSection[]): Uint8Array {
  const strings = sections[table.link];
  if (strings === undefined || strings.type !== SHT.STRTAB) {
    throw badSection(table.index, table.name, {
      kind: 'link',
      link: table.link,
      wanted: 'a string table',
    });
  }
  if (strings.bytes.at(-1) !== 0) {
    throw badSection(strings.index, strings.name, { kind: 'no-terminator' });
  }
  return strings.bytes;
}

/**
 * Appends the next `Elf64_Sym` and returns its name's offset:
 *
 * ```
 *   name:4  info:1 (binding:4 type:4)  other:1 (visibility in bits 0..1)  shndx:2
 *   value:8  size:8
 * ```
 */
function readSymbol(symbols: SymbolTable, cursor: Cursor): number {
  const nameOffset = cursor.u32();
  symbols.nameOffsets.push(nameOffset);
  const info = cursor.u8();
  symbols.bindings.push(info >> 4);
  symbols.types.push(info & 0xf);
  symbols.visibilities.push(cursor.u8() & 3);
  symbols.sections.push(cursor.u16());
  symbols.values.push(readNumber64(cursor));
  symbols.sizes.push(readNumber64(cursor));
  return nameOffset;
}

function checkName(index: number, offset: number, tableSize: number): void {
  if (offset < tableSize) return;
  throw badSymbol(index, '', { kind: 'name-offset', offset, tableSize });
}

function checkPlace(symbols: SymbolTable, index: number, sections: readonly ElfSection[]): void {
  const at = symbols.sections[index] as number;
  if (at === SHN.XINDEX) throw badSymbol(index, symbols.name(index), { kind: 'extended-index' });
  if (at === SHN.UNDEF || at >= SHN.LORESERVE) return;
  const section = sections[at];
  if (section === undefined) {
    const fault: SymbolFault = { kind: 'section-index', section: at, sections: sections.length };
    throw badSymbol(index, symbols.name(index), fault);
  }
  const value = symbols.values[index] as number;
  const size = symbols.sizes[index] as number;
  if (value + size <= section.size) return;
  throw badSymbol(index, symbols.name(index), {
    kind: 'outside-section',
    section: section.name,
    value,
    size,
    sectionSize: section.size,
  });
}

function badSymbol(index: number, name: string, fault: SymbolFault): BpfError {
  return new BpfError({ code: 'elf-symbol', index, name, fault });
}
