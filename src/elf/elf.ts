import { withContext } from '../errors.ts';
import { EM_BPF, EM_NONE, ET_REL, SHF } from './constants.ts';
import {
  badSection,
  type ElfHeader,
  type ElfSection,
  readSectionTable,
  unsupported,
} from './elfy.ts';
import { groupRelocations, type RelocationTable, readRelocations } from './relocations.ts';
import { readSymbols, type SymbolTable } from './symbols.ts';

/** A BPF object file, as ELF sees it. */
export interface ElfFile {
  readonly littleEndian: boolean;
  /** Index by index as in the file; section 0 is the empty one. */
  readonly sections: readonly ElfSection[];
  readonly symbols: SymbolTable;
  /** Relocation sections by the index of the section that they apply to. */
  readonly relocationSections: ReadonlyMap<number, readonly ElfSection[]>;
}

/** Options of reading an ELF file. */
export interface ReadElfOptions {
  /** Name of the file, for messages only. */
  readonly file?: string | undefined;
}

/**
 * Reads a BPF object: ELF64, relocatable, either byte order, machine BPF (or none, as the
 * first compilers wrote). Throws a {@link BpfError} for everything else and for any damage.
 *
 * @example
 * ```ts
 * const elf = readElf(bytes, { file: 'xdp.bpf.o' });
 * elf.sections.map((section) => section.name);
 * ```
 */
export function readElf(bytes: Uint8Array, options: ReadElfOptions = {}): ElfFile {
  return inFile(options, () => {
    const { header, sections } = readSectionTable(bytes, checkObject);
    return {
      littleEndian: header.littleEndian,
      sections,
      symbols: readSymbols(sections, header.littleEndian),
      relocationSections: groupRelocations(sections),
    };
  });
}

function checkObject(header: ElfHeader): void {
  if (header.class !== 64) throw unsupported('class', 1);
  if (header.type !== ET_REL) throw unsupported('type', header.type);
  if (header.machine !== EM_BPF && header.machine !== EM_NONE) {
    throw unsupported('machine', header.machine);
  }
}

/** The relocations that apply to section `target`, one table for each relocation section. */
export function relocationsOf(elf: ElfFile, target: number): readonly RelocationTable[] {
  const context = {
    sections: elf.sections,
    symbolCount: elf.symbols.length,
    littleEndian: elf.littleEndian,
  };
  const group = elf.relocationSections.get(target) ?? [];
  return group.map((section) => readRelocations(section, context));
}

/** The contents of a section that is to be used; a compressed one is refused. */
export function plainContents(section: ElfSection): Uint8Array {
  if ((section.flags & SHF.COMPRESSED) !== 0) {
    throw badSection(section.index, section.name, { kind: 'compressed' });
  }
  return section.bytes;
}

function inFile<T>(options: ReadElfOptions, work: () => T): T {
  return options.file === undefined ? work() : withContext({ file: options.file }, work);
}
