import { Cursor } from '../bytes/cursor.ts';
import type { RelocationFault } from '../errors/elf.ts';
import { BpfError } from '../errors.ts';
import { R_BPF, SHT } from './constants.ts';
import { badSection, type ElfSection } from './elfy.ts';
import { readNumber64 } from './number64.ts';
import { checkEntries } from './symbols.ts';

/** Size of one `Elf64_Rel` in bytes. */
const relocationSize = 16;

/**
 * The entries of one relocation section as columns, in file order. Offsets lie in the target
 * section, symbol numbers in the symbol table, and types are those of BPF.
 */
export interface RelocationTable {
  /** Name of the relocation section, for messages. */
  readonly section: string;
  /** Index of the section whose bytes are relocated. */
  readonly target: number;
  readonly length: number;
  /** In bytes from the start of the target section. */
  readonly offsets: readonly number[];
  /** `R_BPF_*`. */
  readonly types: readonly number[];
  /** Indices into the symbol table. */
  readonly symbols: readonly number[];
}

/** What a relocation section is checked against. */
export interface RelocationContext {
  readonly sections: readonly ElfSection[];
  readonly symbolCount: number;
  readonly littleEndian: boolean;
}

/**
 * Relocation sections by the index of the section that they apply to. A target that does
 * not exist is an error; entries are read by {@link readRelocations}, because most objects
 * carry thousands of them for debug information that nobody asks for.
 */
export function groupRelocations(
  sections: readonly ElfSection[],
): ReadonlyMap<number, readonly ElfSection[]> {
  const groups = new Map<number, ElfSection[]>();
  for (const section of sections) {
    if (section.type !== SHT.REL && section.type !== SHT.RELA) continue;
    const target = section.info;
    if (target >= sections.length) {
      throw badSection(section.index, section.name, { kind: 'target', target });
    }
    const group = groups.get(target);
    if (group === undefined) groups.set(target, [section]);
    else group.push(section);
  }
  return groups;
}

/** Reads one relocation section; RELA, which no BPF compiler writes, is refused. */
export function readRelocations(section: ElfSection, context: RelocationContext): RelocationTable {
  if (section.type !== SHT.REL) throw badSection(section.index, section.name, { kind: 'rela' });
  checkEntries(section, relocationSize);
  const { link } = section;
  if (context.sections[link]?.type !== SHT.SYMTAB) {
    throw badSection(section.index, section.name, { kind: 'link', link, wanted: 'a symbol table' });
  }
  return readEntries(section, context);
}

/**
 * `Elf64_Rel`; the halves of `info` swap with the byte order, as it is one 64-bit number.
 *
 * ```
 *   offset:8  info:8 (symbol:32 type:32)
 * ```
 */
function readEntries(section: ElfSection, context: RelocationContext): RelocationTable {
  const length = section.size / relocationSize;
  const offsets: number[] = [];
  const types: number[] = [];
  const symbols: number[] = [];
  const targetSize = context.sections[section.info]?.size ?? 0;
  const little = context.littleEndian;
  const cursor = new Cursor(section.bytes, { littleEndian: little, section: section.name });
  for (let index = 0; index < length; index++) {
    const offset = readNumber64(cursor);
    const first = cursor.u32();
    const second = cursor.u32();
    const type = little ? first : second;
    const symbol = little ? second : first;
    const fault = findFault(offset, type, symbol, targetSize, context.symbolCount);
    if (fault !== undefined) throw badRelocation(section.name, index, fault);
    offsets.push(offset);
    types.push(type);
    symbols.push(symbol);
  }
  return { section: section.name, target: section.info, length, offsets, types, symbols };
}

function findFault(
  offset: number,
  type: number,
  symbol: number,
  targetSize: number,
  symbols: number,
): RelocationFault | undefined {
  if (!isKnownType(type)) return { kind: 'type', type };
  if (symbol >= symbols) return { kind: 'symbol', symbol, symbols };
  if (offset >= targetSize) return { kind: 'offset', offset, targetSize };
  return undefined;
}

function isKnownType(type: number): boolean {
  switch (type) {
    case R_BPF.R_64_64:
    case R_BPF.R_64_ABS64:
    case R_BPF.R_64_ABS32:
    case R_BPF.R_64_NODYLD32:
    case R_BPF.R_64_32:
      return true;
    default:
      return false;
  }
}

function badRelocation(section: string, index: number, fault: RelocationFault): BpfError {
  return new BpfError({ code: 'elf-relocation', section, index, fault });
}
