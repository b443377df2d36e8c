import { quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** What is wrong with one section header. Sizes and offsets in bytes. */
export type SectionFault =
  | {
      readonly kind: 'outside-file';
      readonly offset: number;
      readonly size: number;
      readonly fileSize: number;
    }
  | { readonly kind: 'name-offset'; readonly offset: number; readonly tableSize: number }
  | { readonly kind: 'field-too-large'; readonly field: string }
  | { readonly kind: 'link'; readonly link: number; readonly wanted: string }
  | { readonly kind: 'entry-size'; readonly entrySize: number; readonly wanted: number }
  | { readonly kind: 'size-not-multiple'; readonly size: number; readonly of: number }
  | { readonly kind: 'no-terminator' }
  | { readonly kind: 'compressed' }
  | { readonly kind: 'rela' }
  | { readonly kind: 'target'; readonly target: number };

/** What is wrong with one symbol. Values and sizes in bytes. */
export type SymbolFault =
  | { readonly kind: 'name-offset'; readonly offset: number; readonly tableSize: number }
  | { readonly kind: 'section-index'; readonly section: number; readonly sections: number }
  | { readonly kind: 'extended-index' }
  | {
      readonly kind: 'outside-section';
      readonly section: string;
      readonly value: number;
      readonly size: number;
      readonly sectionSize: number;
    };

/** What is wrong with one relocation entry. Offsets in bytes in the target section. */
export type RelocationFault =
  | { readonly kind: 'type'; readonly type: number }
  | { readonly kind: 'symbol'; readonly symbol: number; readonly symbols: number }
  | { readonly kind: 'offset'; readonly offset: number; readonly targetSize: number };

/** Errors of reading an ELF file. */
export type ElfErrorDetail =
  | { readonly code: 'elf-magic'; readonly size: number }
  | {
      readonly code: 'elf-unsupported';
      readonly field: 'class' | 'byte order' | 'version' | 'type' | 'machine';
      readonly value: number;
    }
  | {
      readonly code: 'elf-header';
      readonly field: 'e_phentsize' | 'e_shentsize' | 'e_shstrndx';
      readonly value: number;
      readonly wanted: string;
    }
  | {
      readonly code: 'elf-table-bounds';
      readonly table: 'section' | 'program';
      readonly offset: number;
      readonly size: number;
      readonly fileSize: number;
    }
  | { readonly code: 'elf-no-sections' }
  | { readonly code: 'elf-extended-sections' }
  | {
      readonly code: 'elf-section';
      readonly index: number;
      /** Empty where the name could not be read. */
      readonly name: string;
      readonly fault: SectionFault;
    }
  | {
      readonly code: 'elf-symbol';
      readonly index: number;
      readonly name: string;
      readonly fault: SymbolFault;
    }
  | { readonly code: 'elf-symbol-tables'; readonly first: number; readonly second: number }
  | {
      readonly code: 'elf-relocation';
      readonly section: string;
      readonly index: number;
      readonly fault: RelocationFault;
    }
  | { readonly code: 'elf-names-too-long'; readonly table: string; readonly limit: number };

export const elfWords: Words<ElfErrorDetail> = {
  'elf-magic': (d) =>
    `not an ELF file (${d.size} bytes); expected an object made by clang -target bpf`,
  'elf-unsupported': (d) => `ELF ${d.field} ${d.value} is not supported: ${wantedIdent(d.field)}`,
  'elf-header': (d) => `ELF header: ${d.field} is ${d.value}, expected ${d.wanted}`,
  'elf-table-bounds': (d) =>
    `the ELF ${d.table} header table (${d.size} bytes at offset ${d.offset}) is outside the file of ${d.fileSize} bytes; is the file cut off?`,
  'elf-no-sections': () => 'the ELF file has no sections; was it stripped of its section table?',
  'elf-extended-sections': () =>
    'the ELF file has more than 65,279 sections (extended numbering), which is not supported',
  'elf-section': (d) => `section ${sectionLabel(d.index, d.name)} ${sectionFault(d.fault)}`,
  'elf-symbol': (d) =>
    `symbol ${d.index}${d.name === '' ? '' : ` ${quoteName(d.name)}`} ${symbolFault(d.fault)}`,
  'elf-symbol-tables': (d) =>
    `sections ${d.first} and ${d.second} are both symbol tables; an object has only one`,
  'elf-relocation': (d) =>
    `relocation ${d.index} of section ${quoteName(d.section)} ${relocationFault(d.fault)}`,
  'elf-names-too-long': (d) =>
    `the names in ${quoteName(d.table)} add up to more than ${d.limit} bytes`,
};

function wantedIdent(field: 'class' | 'byte order' | 'version' | 'type' | 'machine'): string {
  switch (field) {
    case 'class':
      return 'BPF objects are 64-bit (class 2); compile with clang -target bpf';
    case 'byte order':
      return 'it must be 1 (little-endian) or 2 (big-endian)';
    case 'version':
      return 'only version 1 exists';
    case 'type':
      return 'expected a relocatable object (type 1); compile with -c and do not link';
    case 'machine':
      return 'expected BPF (247); compile with clang -target bpf';
  }
}

function sectionLabel(index: number, name: string): string {
  return name === '' ? `${index}` : `${index} ${quoteName(name)}`;
}

function sectionFault(fault: SectionFault): string {
  switch (fault.kind) {
    case 'outside-file':
      return `(${fault.size} bytes at offset ${fault.offset}) is outside the file of ${fault.fileSize} bytes`;
    case 'name-offset':
      return `has its name at offset ${fault.offset} of a string table of ${fault.tableSize} bytes`;
    case 'field-too-large':
      return `has an impossibly large ${fault.field}`;
    case 'link':
      return `is linked to section ${fault.link}, which is not ${fault.wanted}`;
    case 'entry-size':
      return `has entries of ${fault.entrySize} bytes, expected ${fault.wanted}`;
    case 'size-not-multiple':
      return `is ${fault.size} bytes long, which is no multiple of ${fault.of}`;
    case 'no-terminator':
      return 'is a string table that does not end with a zero byte';
    case 'compressed':
      return 'is compressed, which is not supported; build without -gz';
    case 'rela':
      return 'holds relocations with explicit addends (RELA), which BPF objects do not use; compile with clang -target bpf';
    case 'target':
      return `relocates section ${fault.target}, which does not exist`;
  }
}

function symbolFault(fault: SymbolFault): string {
  switch (fault.kind) {
    case 'name-offset':
      return `has its name at offset ${fault.offset} of a string table of ${fault.tableSize} bytes`;
    case 'section-index':
      return `is in section ${fault.section}, but there are only ${fault.sections}`;
    case 'extended-index':
      return 'uses extended section numbering, which is not supported';
    case 'outside-section':
      return `(${fault.size} bytes at offset ${fault.value}) is outside its section ${quoteName(fault.section)} of ${fault.sectionSize} bytes`;
  }
}

function relocationFault(fault: RelocationFault): string {
  switch (fault.kind) {
    case 'type':
      return `has the unknown type ${fault.type}`;
    case 'symbol':
      return `refers to symbol ${fault.symbol}, but there are only ${fault.symbols}`;
    case 'offset':
      return `is at offset ${fault.offset} of a section of ${fault.targetSize} bytes`;
  }
}
