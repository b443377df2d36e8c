// The deliberately invalid inputs of fixtures/invalid: each is a good object with one
// thing wrong, or the output of a source there that no loader should take. The table says
// which error every one must give.
import type { BpfErrorCode } from '../src/errors.ts';
import { ElfEdit, ehdr, shdr, sym } from '../test/support/elf-edit.ts';

/** `open`: opening throws. `load`: opening works, loading all of it into the VM throws. `run`: so does running. */
export type FailingStage = 'open' | 'load' | 'run';

export interface InvalidInput {
  /** Name of the file, without `.o`. */
  readonly name: string;
  /** What is wrong with it. */
  readonly damage: string;
  readonly code: BpfErrorCode;
  readonly stage: FailingStage;
  /**
   * Makes the bytes from a built object (`v3/xdp_counter`, `invalid/…`); absent where a C
   * source of the same name is compiled instead.
   */
  readonly make?: {
    readonly from: string;
    readonly change: (bytes: Uint8Array) => Uint8Array;
  };
}

type Row = Omit<InvalidInput, 'make' | 'stage'> & { readonly stage?: FailingStage };

function compiled(row: Row): InvalidInput {
  return { stage: 'open', ...row };
}

function cut(row: Row, change: (bytes: Uint8Array) => Uint8Array): InvalidInput {
  return { stage: 'open', ...row, make: { from: 'v3/xdp_counter', change } };
}

function edited(row: Row, change: (elf: ElfEdit) => void, from = 'v3/xdp_counter'): InvalidInput {
  const make = (bytes: Uint8Array): Uint8Array => {
    const elf = new ElfEdit(bytes);
    change(elf);
    return elf.bytes;
  };
  return { stage: 'open', ...row, make: { from, change: make } };
}

/** File offset of a BTF header's field, and of the type and string sections behind it. */
function btfParts(elf: ElfEdit): { header: number; types: number; strings: number; end: number } {
  const { offset } = elf.section('.BTF');
  const body = offset + elf.u32(offset + 4);
  const strings = body + elf.u32(offset + 16);
  return {
    header: offset,
    types: body + elf.u32(offset + 8),
    strings,
    end: strings + elf.u32(offset + 20),
  };
}

/** Bytes after the 12 of every type, by kind and vlen. */
function typeTail(kind: number, vlen: number): number {
  switch (kind) {
    case 1:
    case 14:
    case 17:
      return 4;
    case 3:
      return 12;
    case 4:
    case 5:
    case 15:
    case 19:
      return 12 * vlen;
    case 6:
    case 13:
      return 8 * vlen;
    default:
      return 0;
  }
}

/** File offset and id of the first type of that kind and name. */
function findType(elf: ElfEdit, kind: number, name: string): { at: number; id: number } {
  const parts = btfParts(elf);
  let id = 1;
  for (let at = parts.types; at < parts.strings; id++) {
    const info = elf.u32(at + 4);
    const found = (info >>> 24) & 0x1f;
    if (found === kind && elf.string(parts.strings + elf.u32(at)) === name) return { at, id };
    at += 12 + typeTail(found, info & 0xffff);
  }
  throw new Error(`no BTF type ${name}`);
}

const KIND_STRUCT = 4;
const KIND_TYPEDEF = 8;
const SHT_RELA = 4;
const SHT_SYMTAB = 2;

const headers: readonly InvalidInput[] = [
  cut({ name: 'empty', damage: 'no bytes at all', code: 'elf-magic' }, () => new Uint8Array()),
  cut({ name: 'not_elf', damage: 'a text file', code: 'elf-magic' }, () =>
    new TextEncoder().encode('#!/bin/sh\necho not an object file\n'),
  ),
  cut({ name: 'truncated', damage: 'cut off in the middle', code: 'elf-table-bounds' }, (bytes) =>
    bytes.slice(0, Math.floor(bytes.length * 0.6)),
  ),
  cut(
    { name: 'truncated_header', damage: 'cut off in the file header', code: 'truncated' },
    (bytes) => bytes.slice(0, 40),
  ),
  edited({ name: 'wrong_machine', damage: 'for x86-64', code: 'elf-unsupported' }, (elf) =>
    elf.setU16(ehdr.machine, 62),
  ),
  edited({ name: 'elf32', damage: 'a 32-bit class', code: 'elf-unsupported' }, (elf) =>
    elf.setU8(ehdr.class, 1),
  ),
  edited({ name: 'executable', damage: 'type EXEC', code: 'elf-unsupported' }, (elf) =>
    elf.setU16(ehdr.type, 2),
  ),
  edited({ name: 'no_sections', damage: 'no section table', code: 'elf-no-sections' }, (elf) => {
    elf.setU64(ehdr.shoff, 0n);
    elf.setU16(ehdr.shnum, 0);
    elf.setU16(ehdr.shstrndx, 0);
  }),
  edited(
    {
      name: 'extended_sections',
      damage: 'a section count that stands in the first section header',
      code: 'elf-extended-sections',
    },
    (elf) => {
      elf.setU16(ehdr.shnum, 0);
      elf.setU64((elf.sections[0]?.header ?? 0) + shdr.size, 70_000n);
    },
  ),
];

const sections: readonly InvalidInput[] = [
  edited(
    {
      name: 'section_table_outside',
      damage: 'the section table starts after the end of the file',
      code: 'elf-table-bounds',
    },
    (elf) => elf.setU64(ehdr.shoff, BigInt(elf.bytes.length + 8)),
  ),
  edited(
    { name: 'section_outside', damage: 'a section ends after the file', code: 'elf-section' },
    (elf) => elf.setU64(elf.section('xdp').header + shdr.size, 0x10000n),
  ),
  edited({ name: 'section_huge', damage: 'a section offset of 2^63', code: 'elf-section' }, (elf) =>
    elf.setU64(elf.section('xdp').header + shdr.offset, 1n << 63n),
  ),
  edited(
    {
      name: 'section_name_outside',
      damage: 'a section name outside of the names',
      code: 'elf-section',
    },
    (elf) => elf.setU32(elf.section('xdp').header + shdr.name, 0xfffffff0),
  ),
  edited(
    {
      name: 'strings_unterminated',
      damage: 'a string table without its last zero byte',
      code: 'elf-section',
    },
    (elf) => {
      const strings = elf.section('.strtab');
      elf.setU8(strings.offset + strings.size - 1, 0x78);
    },
  ),
  edited({ name: 'rela', damage: 'relocations with addends', code: 'elf-section' }, (elf) => {
    elf.setU32(elf.section('.relxdp').header + shdr.type, SHT_RELA);
    elf.setU64(elf.section('.relxdp').header + shdr.entsize, 24n);
  }),
  edited(
    { name: 'two_symbol_tables', damage: 'a second symbol table', code: 'elf-symbol-tables' },
    (elf) => {
      const header = elf.section('license').header;
      elf.setU32(header + shdr.type, SHT_SYMTAB);
      elf.setU32(header + shdr.link, elf.section('.strtab').index);
      elf.setU64(header + shdr.entsize, 24n);
      elf.setU64(header + shdr.size, 0n);
    },
  ),
  edited({ name: 'odd_code', damage: 'code of 8n + 4 bytes', code: 'function-symbol' }, (elf) => {
    const { header, size } = elf.section('xdp');
    const symbol = elf.symbol('count_packets');
    elf.setU64(header + shdr.size, BigInt(size - 4));
    elf.setU64(symbol + sym.size, elf.u64(symbol + sym.size) - 4n);
  }),
];

const symbols: readonly InvalidInput[] = [
  edited(
    {
      name: 'symbol_outside',
      damage: 'a function that starts after its section',
      code: 'elf-symbol',
    },
    (elf) => elf.setU64(elf.symbol('count_packets') + sym.value, 0x100000n),
  ),
  edited(
    { name: 'symbol_section', damage: 'a symbol in section 0x1234', code: 'elf-symbol' },
    (elf) => elf.setU16(elf.symbol('count_packets') + sym.shndx, 0x1234),
  ),
  edited(
    {
      name: 'relocation_symbol',
      damage: 'a relocation against symbol 9999',
      code: 'elf-relocation',
    },
    (elf) => elf.setU32(elf.section('.relxdp').offset + 12, 9999),
  ),
  edited(
    { name: 'relocation_offset', damage: 'a relocation after its section', code: 'elf-relocation' },
    (elf) => elf.setU64(elf.section('.relxdp').offset, 0x100000n),
  ),
  edited(
    { name: 'relocation_type', damage: 'a relocation of type 77', code: 'elf-relocation' },
    (elf) => elf.setU32(elf.section('.relxdp').offset + 8, 77),
  ),
  edited(
    {
      name: 'relocation_null',
      damage: 'a relocation against the null symbol',
      code: 'code-relocation',
    },
    (elf) => elf.setU32(elf.section('.relxdp').offset + 12, 0),
  ),
  edited(
    {
      name: 'relocation_plain_insn',
      damage: 'a map relocation at an exit',
      code: 'code-relocation',
    },
    (elf) => {
      const { offset, size } = elf.section('xdp');
      elf.setU64(elf.section('.relxdp').offset, BigInt(size - 8));
      if (elf.bytes[offset + size - 8] !== 0x95) throw new Error('no exit at the end');
    },
  ),
  edited(
    {
      name: 'call_nowhere',
      damage: 'a call that leads outside of .text',
      code: 'code-relocation',
    },
    (elf) => {
      const { offset, size } = elf.section('xdp');
      for (let at = offset; at < offset + size; at += 8) {
        if (elf.bytes[at] === 0x85 && elf.bytes[at + 1] === 0x10) {
          elf.setU32(at + 4, 0x7ffff0);
          return;
        }
      }
    },
    'v3/xdp_parser',
  ),
];

const types: readonly InvalidInput[] = [
  edited({ name: 'btf_magic', damage: 'BTF with another magic', code: 'btf-magic' }, (elf) =>
    elf.setU16(btfParts(elf).header, 0x1234),
  ),
  edited(
    { name: 'btf_length', damage: 'BTF strings longer than the section', code: 'btf-section' },
    (elf) => elf.setU32(btfParts(elf).header + 20, 0x7fffffff),
  ),
  edited(
    {
      name: 'btf_type_length',
      damage: 'BTF types that end inside a type',
      code: 'btf-type-truncated',
    },
    (elf) => {
      const at = btfParts(elf).header + 12;
      elf.setU32(at, elf.u32(at) - 4);
    },
  ),
  edited(
    { name: 'btf_vlen', damage: 'a structure with 65,535 members', code: 'btf-type-truncated' },
    (elf) => {
      const { at } = findType(elf, KIND_STRUCT, 'protocol_count');
      elf.setU32(at + 4, (KIND_STRUCT << 24) | 0xffff);
    },
  ),
  edited(
    {
      name: 'btf_cyclic',
      damage: 'a map key of a type that is itself',
      code: 'map-definition',
    },
    (elf) => {
      const { at, id } = findType(elf, KIND_TYPEDEF, '__u32');
      elf.setU32(at + 8, id);
    },
  ),
  edited(
    { name: 'btf_name', damage: 'a type name outside of the strings', code: 'btf-name-offset' },
    (elf) => elf.setU32(findType(elf, KIND_STRUCT, 'protocol_count').at, 0x7ffffff0),
  ),
  edited({ name: 'btf_missing', damage: 'maps without BTF', code: 'maps-without-types' }, (elf) =>
    elf.setText(elf.find('.BTF', elf.section('.strtab').offset), '.XTF'),
  ),
  edited(
    { name: 'btf_ext_length', damage: 'function info longer than .BTF.ext', code: 'btf-ext' },
    (elf) => elf.setU32(elf.section('.BTF.ext').offset + 12, 0x7ffffff0),
  ),
  edited(
    { name: 'btf_ext_record', damage: 'function info records of 4 bytes', code: 'btf-ext' },
    (elf) => {
      const { offset } = elf.section('.BTF.ext');
      elf.setU32(offset + elf.u32(offset + 4) + elf.u32(offset + 8), 4);
    },
  ),
  edited(
    {
      name: 'core_access',
      damage: 'a CO-RE access to a member that is not there',
      code: 'core-access',
      stage: 'load',
    },
    (elf) => elf.setText(elf.find('0:10', btfParts(elf).strings), '0:99'),
    'v3/task_walk',
  ),
];

const sources: readonly InvalidInput[] = [
  compiled({ name: 'map_unknown_member', damage: 'a map with `colour`', code: 'map-definition' }),
  edited(
    {
      name: 'map_hostile_member',
      damage: 'a member named by a terminal sequence',
      code: 'map-definition',
    },
    (elf) => elf.setText(elf.find('colour', btfParts(elf).strings), '\u001b[31m\n'),
    'invalid/map_unknown_member',
  ),
  compiled({
    name: 'map_conflicting_key',
    damage: 'a map whose key sizes differ',
    code: 'map-definition',
  }),
  compiled({ name: 'map_not_struct', damage: 'a map that is an int', code: 'map-definition' }),
  compiled({ name: 'map_no_type', damage: 'a map without a type', code: 'map-definition' }),
  compiled({ name: 'legacy_maps', damage: 'section `maps`', code: 'unsupported-section' }),
  compiled({
    name: 'unknown_section',
    damage: 'SEC("xpd")',
    code: 'program-without-type',
    stage: 'load',
  }),
  compiled({
    name: 'static_program',
    damage: 'a static function in SEC("xdp")',
    code: 'function-symbol',
  }),
  compiled({
    name: 'undefined_symbol',
    damage: 'a variable nowhere defined',
    code: 'extern-declaration',
  }),
  compiled({
    name: 'no_exit',
    damage: 'a program without exit',
    code: 'vm-bad-instruction',
    stage: 'load',
  }),
  compiled({
    name: 'endless_loop',
    damage: 'a loop without an end',
    code: 'vm-trap',
    stage: 'run',
  }),
];

/** Every invalid input, in the order of the parts of an object that they damage. */
export const invalidInputs: readonly InvalidInput[] = [
  ...headers,
  ...sections,
  ...symbols,
  ...types,
  ...sources,
];
