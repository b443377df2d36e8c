import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import { type ElfFile, plainContents, readElf, relocationsOf } from '../../src/elf/elf.ts';
import { readSectionTable } from '../../src/elf/elfy.ts';
import { BpfError, type BpfErrorCode } from '../../src/errors.ts';
import { fixture, fixturePath, fixturePaths } from '../support/fixtures.ts';
import { type BuildElf, buildElf, codeFlags, exitCode, patched } from './elf-builder.ts';

/** One section of code with one function. */
function simple(changes: Partial<BuildElf> = {}): BuildElf {
  return {
    sections: [{ name: 'xdp', flags: codeFlags, data: exitCode(), alignment: 8n }],
    symbols: [{ name: 'main', type: 2, section: 1, size: 16n }],
    ...changes,
  };
}

function errorOf(work: () => unknown): BpfError {
  try {
    work();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

for (const littleEndian of [true, false]) {
  test(`reads an object, ${littleEndian ? 'little' : 'big'}-endian`, (t) => {
    const relocations = new Map([[1, [{ offset: 8n, type: 1, symbol: 1 }]]]);
    const elf = readElf(buildElf(simple({ littleEndian, relocations })));
    t.is(elf.littleEndian, littleEndian);
    t.deepEqual(
      elf.sections.map((section) => section.name),
      ['', 'xdp', '.symtab', '.rel1', '.strtab'],
    );
    const [, code, symbols] = elf.sections;
    t.is(code?.flags, 6);
    t.is(code?.alignment, 8);
    t.is(code?.size, 16);
    t.is(symbols?.entrySize, 24);
    t.is(elf.symbols.length, 2);
    t.is(elf.symbols.name(1), 'main');
    t.is(elf.symbols.size(1), 16);
    t.is(elf.symbols.binding(1), 'global');
    const [table] = relocationsOf(elf, 1);
    t.is(table?.length, 1);
    t.deepEqual([table?.offsets[0], table?.types[0], table?.symbols[0]], [8, 1, 1]);
  });
}

test('keeps fields that elfy misreads', (t) => {
  const sections = [
    {
      name: Uint8Array.of(0x2e, 0xff, 0x78),
      type: 0x6fff4c03,
      flags: 0x8000_0000n,
      alignment: 4096n,
      entrySize: 7n,
      data: Uint8Array.of(1),
    },
  ];
  const section = readElf(buildElf({ sections })).sections[1];
  t.is(section?.name, '.\udcffx');
  t.is(section?.type, 0x6fff4c03);
  t.is(section?.flags, 0x8000_0000);
  t.is(section?.alignment, 4096);
  t.is(section?.entrySize, 7);
});

test('hostile names are names', (t) => {
  const long = 'x'.repeat(100_000);
  for (const name of ['__proto__', 'constructor', 'a\nb', '\u001b[2J', long, '\ufffd']) {
    const elf = readElf(buildElf({ sections: [{ name }], symbols: [{ name, section: 1 }] }));
    t.is(elf.sections[1]?.name, name);
    t.is(elf.symbols.name(1), name);
  }
});

/** Offset of the section header table. */
function table(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer).getBigUint64(40, true));
}

function header(bytes: Uint8Array, index: number): number {
  return table(bytes) + 64 * index;
}

const good = buildElf(
  simple({ relocations: new Map([[1, [{ offset: 0n, type: 1, symbol: 1 }]]]) }),
);
/** Where the symbol of `good` and its relocation are. */
const symbolAt = 64 + 16 + 24;
const relocationAt = 64 + 16 + 48;

/** Title, bytes, code of the error, what its message says. */
type Damage = readonly [string, Uint8Array, BpfErrorCode, RegExp];

const damaged: readonly Damage[] = [
  ['nothing', new Uint8Array(0), 'elf-magic', /0 bytes/],
  ['magic only', good.slice(0, 4), 'elf-unsupported', /class 0/],
  ['half a header', good.slice(0, 40), 'truncated', /ELF header/],
  ['another magic', patched(good, 0, 0), 'elf-magic', /clang -target bpf/],
  ['32 bits', patched(good, 4, 1), 'elf-unsupported', /64-bit/],
  ['class 3', patched(good, 4, 3), 'elf-unsupported', /class 3/],
  ['byte order 3', patched(good, 5, 3), 'elf-unsupported', /byte order 3/],
  ['ident version', patched(good, 6, 2), 'elf-unsupported', /version 2/],
  ['header version', patched(good, 20, 9), 'elf-unsupported', /version 9/],
  ['executable', patched(good, 16, 2), 'elf-unsupported', /type 2.*-c/],
  ['x86-64', patched(good, 18, 62), 'elf-unsupported', /machine 62/],
  ['no section table', patched(good, 40, 0, 0), 'elf-no-sections', /stripped/],
  ['section table outside', patched(good, 42, 0xff), 'elf-table-bounds', /cut off/],
  ['section table far outside', patched(good, 47, 0xff), 'elf-table-bounds', /outside/],
  ['truncated', good.slice(0, -1), 'elf-table-bounds', /outside the file/],
  ['header entry size', patched(good, 58, 40), 'elf-header', /e_shentsize is 40/],
  ['extended count', patched(good, 60, 0, 0), 'elf-extended-sections', /65,279/],
  ['extended names', patched(good, 62, 0xff, 0xff), 'elf-extended-sections', /65,279/],
  ['names in section 0', patched(good, 62, 0, 0), 'elf-header', /e_shstrndx is 0/],
  ['names in section 99', patched(good, 62, 99, 0), 'elf-header', /e_shstrndx is 99/],
  ['names in code', patched(good, 62, 1, 0), 'elf-header', /string table/],
  [
    'name outside',
    patched(good, header(good, 1), 0xff, 0xff),
    'elf-section',
    /section 1 has its name/,
  ],
  ['section outside', patched(good, header(good, 1) + 26, 1), 'elf-section', /section 1 .*outside/],
  ['section far outside', patched(good, header(good, 1) + 31, 0x80), 'elf-section', /outside/],
  ['size 2^63', patched(good, header(good, 1) + 39, 0x80), 'elf-section', /outside/],
  ['alignment 2^60', patched(good, header(good, 1) + 55, 0x10), 'elf-section', /alignment/],
  ['names unterminated', patched(good, header(good, 4) + 32, 4), 'elf-section', /zero byte/],
  ['symbol entry size', patched(good, header(good, 2) + 56, 16), 'elf-section', /entries of 16/],
  ['symbol table size', patched(good, header(good, 2) + 32, 47), 'elf-section', /multiple of 24/],
  ['symbol strings', patched(good, header(good, 2) + 40, 1), 'elf-section', /linked to section 1/],
  ['symbol name', patched(good, symbolAt, 0, 0, 1), 'elf-symbol', /symbol 1 has its name/],
  [
    'symbol section',
    patched(good, symbolAt + 6, 9),
    'elf-symbol',
    /symbol 1 'main' is in section 9/,
  ],
  ['symbol xindex', patched(good, symbolAt + 6, 0xff, 0xff), 'elf-symbol', /extended/],
  [
    'symbol value',
    patched(good, symbolAt + 8, 1),
    'elf-symbol',
    /'main' .*outside its section 'xdp'/,
  ],
  ['symbol value 2^63', patched(good, symbolAt + 15, 0x80), 'elf-symbol', /outside its section/],
  ['symbol size', patched(good, symbolAt + 16, 17), 'elf-symbol', /17 bytes/],
  [
    'relocation target',
    patched(good, header(good, 3) + 44, 77),
    'elf-section',
    /relocates section 77/,
  ],
];

for (const [name, bytes, code, message] of damaged) {
  test(`damaged: ${name}`, (t) => {
    const error = errorOf(() => readElf(bytes, { file: 'x.o' }));
    t.is(error.code, code);
    t.regex(error.message, /^'x.o': /);
    t.regex(error.message, message);
  });
}

const damagedRelocations: readonly Damage[] = [
  [
    'type 77',
    patched(good, relocationAt + 8, 77),
    'elf-relocation',
    /relocation 0 of section '.rel1'.*77/,
  ],
  ['symbol 9', patched(good, relocationAt + 12, 9), 'elf-relocation', /symbol 9/],
  ['offset 16', patched(good, relocationAt, 16), 'elf-relocation', /offset 16/],
  ['offset 2^60', patched(good, relocationAt + 7, 0x10), 'elf-relocation', /offset/],
  ['entry size', patched(good, header(good, 3) + 56, 24), 'elf-section', /entries of 24/],
  ['size', patched(good, header(good, 3) + 32, 15), 'elf-section', /multiple of 16/],
  ['link', patched(good, header(good, 3) + 40, 1), 'elf-section', /symbol table/],
  ['RELA', patched(good, header(good, 3) + 4, 4), 'elf-section', /RELA/],
];

for (const [name, bytes, code, message] of damagedRelocations) {
  test(`damaged relocations: ${name}`, (t) => {
    const error = errorOf(() => relocationsOf(readElf(bytes), 1));
    t.is(error.code, code);
    t.regex(error.message, message);
  });
}

test('program headers are checked before elfy cuts them out', (t) => {
  const outside = patched(patched(good, 32, 0, 0, 0, 1), 54, 56, 0, 1, 0);
  t.is(errorOf(() => readElf(outside)).code, 'elf-table-bounds');
  const sized = patched(patched(good, 32, 1), 54, 0, 0, 1, 0);
  t.regex(errorOf(() => readElf(sized)).message, /e_phentsize is 0/);
});

test('two symbol tables are refused', (t) => {
  const sections = [{ name: '.symtab2', type: 2, entrySize: 24n }];
  t.is(errorOf(() => readElf(buildElf({ sections }))).code, 'elf-symbol-tables');
});

test('names that share bytes cannot fill memory', (t) => {
  const name = 'n'.repeat(1 << 20);
  const bytes = buildElf({
    sections: Array.from({ length: 64 }, () => ({ name: 'x' })),
    symbols: [{ name, section: 1 }],
  });
  const view = new DataView(bytes.buffer);
  // Every section and symbol gets a name that starts in the long one, each at its own place.
  for (let i = 1; i < 65; i++) view.setUint32(header(bytes, i), i, true);
  t.is(errorOf(() => readElf(bytes)).code, 'elf-names-too-long');
});

test('symbol names that share bytes cannot fill memory', (t) => {
  const symbols = Array.from({ length: 70 }, () => ({ name: '', section: 1 }));
  const bytes = buildElf({
    sections: [{ name: 'x' }],
    symbols: [...symbols, { name: 'n'.repeat(1 << 20), section: 1 }],
  });
  const view = new DataView(bytes.buffer);
  for (let i = 1; i < 71; i++) view.setUint32(64 + 24 * i, i, true);
  const elf = readElf(bytes);
  const error = errorOf(() => {
    for (let i = 0; i < elf.symbols.length; i++) elf.symbols.name(i);
  });
  t.is(error.code, 'elf-names-too-long');
});

test('compressed sections are refused where their contents are wanted', (t) => {
  const built = buildElf({ sections: [{ name: '.BTF', flags: 0x800n, data: exitCode() }] });
  const section = readElf(built).sections.find(({ name }) => name === '.BTF');
  if (section === undefined) return t.fail();
  t.regex(errorOf(() => plainContents(section)).message, /'.BTF' is compressed/);
});

test('reads the section table of a 32-bit file', (t) => {
  // The machine's own tools make none, so: a header, a string table, its section headers.
  const names = new TextEncoder().encode('\0.BTF\0.strtab\0');
  const bytes = new Uint8Array(52 + 16 + 3 * 40);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 2, 1]);
  bytes.set(names, 52);
  view.setUint16(16, 2);
  view.setUint16(18, 40);
  view.setUint32(20, 1);
  view.setUint32(32, 68);
  view.setUint16(46, 40);
  view.setUint16(48, 3);
  view.setUint16(50, 2);
  [
    [0, 0, 0, 0],
    [1, 1, 52, 4],
    [6, 3, 52, names.length],
  ].forEach((fields, index) => {
    const at = 68 + 40 * index;
    view.setUint32(at, fields[0] ?? 0);
    view.setUint32(at + 4, fields[1] ?? 0);
    view.setUint32(at + 16, fields[2] ?? 0);
    view.setUint32(at + 20, fields[3] ?? 0);
  });
  const { header, sections } = readSectionTable(bytes);
  t.is(header.littleEndian, false);
  t.deepEqual(sections[1]?.bytes, names.slice(0, 4));
});

/** Rows of `llvm-readelf --elf-output-style=GNU -S -s -r -W`, made from what was read. */
function facts(elf: ElfFile): string[] {
  const symbols = Array.from({ length: elf.symbols.length }, (_, i) =>
    [elf.symbols.value(i), elf.symbols.size(i), elf.symbols.name(i)].join(' '),
  );
  const sections = elf.sections.map(({ name, offset, size, entrySize, alignment, link, info }) =>
    [name, offset, size, entrySize, alignment, link, info].join(' '),
  );
  const relocations = [...elf.relocationSections.keys()].flatMap((target) =>
    relocationsOf(elf, target).flatMap((table) =>
      Array.from({ length: table.length }, (_, i) =>
        [table.section, table.offsets[i], table.types[i], table.symbols[i]].join(' '),
      ),
    ),
  );
  return [...sections, ...symbols, ...relocations];
}

/** What is used of llvm-readelf's JSON. */
interface ReadelfFile {
  readonly Sections: readonly { readonly Section: ReadelfSection }[];
  readonly Symbols: readonly { readonly Symbol: ReadelfSymbol }[];
  readonly Relocations: readonly {
    readonly SectionIndex: number;
    readonly Relocs: readonly { readonly Relocation: ReadelfRelocation }[];
  }[];
}

interface ReadelfName {
  readonly Name: string;
  /** Offset in the string table. */
  readonly Value: number;
}

interface ReadelfSection {
  readonly Name: ReadelfName;
  readonly Offset: number;
  readonly Size: number;
  readonly EntrySize: number;
  readonly AddressAlignment: number;
  readonly Link: number;
  readonly Info: number;
}

interface ReadelfSymbol {
  readonly Name: ReadelfName;
  readonly Value: number;
  readonly Size: number;
}

interface ReadelfRelocation {
  readonly Offset: number;
  readonly Type: { readonly Value: number };
  readonly Symbol: { readonly Value: number };
}

const readelf = '/usr/bin/llvm-readelf-19';

/** The same rows from llvm-readelf's JSON. */
function readelfFacts(path: string): string[] {
  const options = ['--elf-output-style=JSON', '-S', '-s', '-r', path];
  const [file] = JSON.parse(execFileSync(readelf, options).toString()) as [ReadelfFile];
  const relocations = file.Relocations.flatMap((group) => {
    const section = file.Sections[group.SectionIndex]?.Section.Name.Name;
    return group.Relocs.map(({ Relocation: { Offset, Type, Symbol: target } }) =>
      [section, Offset, Type.Value, target.Value].join(' '),
    );
  });
  return [
    ...file.Sections.map(({ Section: s }) =>
      [s.Name.Name, s.Offset, s.Size, s.EntrySize, s.AddressAlignment, s.Link, s.Info].join(' '),
    ),
    // Symbols of sections have no name of their own, but are printed with the section's.
    ...file.Symbols.map(({ Symbol: { Value, Size, Name } }) =>
      [Value, Size, Name.Value === 0 ? '' : Name.Name].join(' '),
    ),
    ...relocations,
  ];
}

const compare = existsSync(readelf) ? test : test.skip;

for (const path of ['v3/demo', 'be/demo', 'v3/map_in_map', 'be/globals'] as const) {
  compare(`agrees with llvm-readelf: ${path}`, (t) => {
    const ours = facts(readElf(fixture(path)));
    t.deepEqual(ours.toSorted(), readelfFacts(fixturePath(`${path}.o`)).toSorted());
  });
}

test('reads every fixture', (t) => {
  for (const path of fixturePaths()) {
    const elf = readElf(fixture(path));
    t.true(elf.symbols.length > 1, path);
  }
});

test('reads the section table of a large executable with program headers', (t) => {
  const { sections } = readSectionTable(new Uint8Array(readFileSync(process.execPath)));
  t.true(sections.some(({ name }) => name === '.text'));
});
