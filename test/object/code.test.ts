import test from 'ava';
import type { BpfErrorDetail } from '../../src/errors.ts';
import { openObject } from '../../src/object/open.ts';
import {
  type BuildElf,
  type BuildRelocation,
  type BuildSection,
  type BuildSymbol,
  buildElf,
} from '../elf/elf-builder.ts';
import { BtfBuilder } from './btf-builder.ts';
import { codeSection, errorOf, exit, loadWide, nop, type Row } from './support.ts';

/** A call of a subprogram, the immediate counted from the next instruction. */
function call(imm: number): Row {
  return [0x85, 0, 1, 0, imm];
}

function func(name: string, section: number, start: number, length: number): BuildSymbol {
  return {
    name,
    type: 2,
    section,
    value: BigInt(8 * start),
    size: BigInt(8 * length),
  };
}

/** Relocation of instruction `insn`: 1 for a load, 10 for a call. */
function relocate(insn: number, type: number, symbol: number): BuildRelocation {
  return { offset: BigInt(8 * insn), type, symbol };
}

function open(elf: BuildElf) {
  return openObject(buildElf(elf));
}

const sectionSymbol = (section: number): BuildSymbol => ({
  name: '',
  type: 3,
  binding: 0,
  section,
});

test('functions come in the order of section and offset', (t) => {
  const spec = open({
    sections: [codeSection('xdp', [exit, exit, exit]), codeSection('.text', [exit, exit])],
    symbols: [
      { ...func('late', 2, 1, 1), binding: 0 },
      func('b', 1, 1, 2),
      func('a', 1, 0, 1),
      { ...func('early', 2, 0, 1), binding: 2, visibility: 2 },
    ],
  });
  t.deepEqual(
    spec.functions.map(({ name, section, sectionOffset, insns }) => [
      name,
      section,
      sectionOffset,
      insns.length,
    ]),
    [
      ['a', 'xdp', 0, 1],
      ['b', 'xdp', 1, 2],
      ['early', '.text', 0, 1],
      ['late', '.text', 1, 1],
    ] as never,
  );
  t.deepEqual(
    spec.functions.map(({ binding, hidden }) => [binding, hidden]),
    [
      ['global', false],
      ['global', false],
      ['weak', true],
      ['local', false],
    ],
  );
  t.deepEqual(
    spec.programs.map(({ name, function: index }) => [name, index]),
    [
      ['a', 0],
      ['b', 1],
    ] as never,
  );
});

test('functions in .text are no programs, not even a single one', (t) => {
  const text = codeSection('.text', [exit, exit]);
  const one = open({ sections: [text], symbols: [func('only', 1, 0, 2)] });
  t.deepEqual(one.programs, []);
  t.is(one.functions.length, 1);
  const two = open({ sections: [text], symbols: [func('a', 1, 0, 1), func('b', 1, 1, 1)] });
  t.deepEqual(two.programs, []);
});

test('what a section name says of its programs', (t) => {
  const spec = open({
    sections: [
      codeSection('?fentry.s/do_exit', [exit]),
      codeSection('xdp.frags', [exit]),
      codeSection('mystery', [exit]),
    ],
    symbols: [func('a', 1, 0, 1), func('b', 2, 0, 1), func('c', 3, 0, 1)],
  });
  t.like(spec.programs, [
    {
      section: 'fentry.s/do_exit',
      type: 26,
      attachType: 24,
      attachTarget: 'do_exit',
      flags: 16,
      autoload: false,
    },
    { type: 6, attachType: 37, attachTarget: undefined, flags: 32, autoload: true },
    { section: 'mystery', type: undefined, attachType: 0, flags: 0 },
  ]);
  t.is(spec.functions[0]?.section, '?fentry.s/do_exit');
});

test('calls: by function symbol, by section symbol, and within a section', (t) => {
  const spec = open({
    sections: [
      codeSection('xdp', [call(-1), call(1), exit]),
      codeSection('.text', [call(1), exit, exit]),
    ],
    symbols: [func('main', 1, 0, 3), func('one', 2, 0, 2), func('two', 2, 2, 1), sectionSymbol(2)],
    relocations: new Map([[1, [relocate(0, 10, 3), relocate(1, 10, 4)]]]),
  });
  t.deepEqual(spec.functions[0]?.relocations, [
    { kind: 'call', insn: 0, target: 2 },
    { kind: 'call', insn: 1, target: 2 },
  ] as never);
  t.deepEqual(spec.functions[1]?.relocations, [{ kind: 'call', insn: 0, target: 2 }] as never);
});

test('a called function in a section that means nothing is a subprogram', (t) => {
  const spec = open({
    sections: [codeSection('xdp', [call(-1), exit]), codeSection('helpers', [exit])],
    symbols: [func('main', 1, 0, 2), func('helper', 2, 0, 1)],
    relocations: new Map([[1, [relocate(0, 10, 2)]]]),
  });
  t.deepEqual(
    spec.programs.map((program) => program.name),
    ['main'],
  );
});

test('addresses of functions', (t) => {
  const spec = open({
    sections: [
      codeSection('xdp', [...loadWide, [0x18, 2, 0, 0, 8], [0], exit]),
      codeSection('.text', [exit, exit]),
    ],
    symbols: [func('main', 1, 0, 5), func('one', 2, 0, 1), func('two', 2, 1, 1), sectionSymbol(2)],
    relocations: new Map([[1, [relocate(0, 1, 3), relocate(2, 1, 4)]]]),
  });
  t.deepEqual(spec.functions[0]?.relocations, [
    { kind: 'function-address', insn: 0, target: 2 },
    { kind: 'function-address', insn: 2, target: 2 },
  ] as never);
});

const dataSection: BuildSection = { name: '.data', flags: 3n, data: new Uint8Array(16) };

test('global data: by variable, by section, and merged constants without types', (t) => {
  const spec = open({
    sections: [
      codeSection('xdp', [...loadWide, [0x18, 1, 0, 0, 12], [0], ...loadWide, exit]),
      dataSection,
      { name: '.bss', type: 8, flags: 3n, size: 8n },
      { name: '.rodata.str1.1', flags: 0x32n, data: new Uint8Array(4) },
    ],
    symbols: [
      func('main', 1, 0, 7),
      { name: 'v', type: 1, section: 2, value: 4n, size: 4n },
      sectionSymbol(2),
      { name: '.L.str', type: 0, binding: 0, section: 4, value: 2n },
    ],
    relocations: new Map([[1, [relocate(4, 1, 4), relocate(0, 1, 2), relocate(2, 1, 3)]]]),
  });
  t.deepEqual(spec.functions[0]?.relocations, [
    { kind: 'map-value', insn: 0, map: 0, offset: 4 },
    { kind: 'map-value', insn: 2, map: 0, offset: 12 },
    { kind: 'map-value', insn: 4, map: 2, offset: 2 },
  ] as never);
  t.like(spec.maps, [
    { name: '.data', kernelName: 'object.data', valueSize: 16, flags: 0, valueType: undefined },
    { name: '.bss', kernelName: 'object.bss', valueSize: 8 },
    { name: '.rodata.str1.1', kernelName: '.rodata.str1.1', flags: 128 },
  ]);
  t.like(spec.maps[0]?.data, {
    kind: 'data',
    variables: [{ name: 'v', offset: 4, size: 4, type: undefined, binding: 'global' }],
  });
});

test('relocations outside every function are left over from overridden weak ones', (t) => {
  const spec = open({
    sections: [codeSection('xdp', [...loadWide, exit]), dataSection],
    symbols: [func('main', 1, 2, 1), sectionSymbol(2)],
    relocations: new Map([[1, [relocate(0, 1, 2)]]]),
  });
  t.deepEqual(spec.functions[0]?.relocations, []);
});

test('externs are recorded', (t) => {
  const btf = new BtfBuilder();
  btf.int('int', 4);
  const kfunc = btf.func('bpf_kfunc', btf.funcProto(1), 2);
  const ksym = btf.variable('runqueues', 1, 2);
  const option = btf.variable('CONFIG_HZ', 1, 2);
  btf.section('.ksyms', 0, [
    [kfunc, 0, 0],
    [ksym, 0, 4],
  ]);
  btf.section('.kconfig', 0, [[option, 0, 4]]);
  const spec = open({
    sections: [
      codeSection('xdp', [call(-1), ...loadWide, ...loadWide, exit]),
      { name: '.BTF', data: btf.bytes() },
    ],
    symbols: [
      func('main', 1, 0, 6),
      { name: 'bpf_kfunc', section: 0, binding: 2 },
      { name: 'runqueues', section: 0 },
      { name: 'CONFIG_HZ', section: 0 },
    ],
    relocations: new Map([[1, [relocate(0, 10, 2), relocate(1, 1, 3), relocate(3, 1, 4)]]]),
  });
  const place = { map: 0, offset: 0, size: 4, form: 'int', signed: false };
  t.deepEqual(spec.externs, [
    { name: 'CONFIG_HZ', kind: 'kconfig', weak: false, type: 1, kconfig: place },
    { name: 'bpf_kfunc', kind: 'kfunc', weak: true, type: kfunc },
    { name: 'runqueues', kind: 'ksym', weak: false, type: 1 },
  ] as never);
  t.deepEqual(spec.functions[0]?.relocations, [
    { kind: 'extern-call', insn: 0, extern: 1 },
    { kind: 'extern-address', insn: 1, extern: 2 },
    { kind: 'extern-address', insn: 3, extern: 0 },
  ] as never);
});

test('reads big-endian code', (t) => {
  const data = Uint8Array.of(
    0x18,
    0x10,
    0,
    0,
    0,
    0,
    0,
    5,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0x95,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  );
  const spec = open({
    littleEndian: false,
    sections: [
      { name: 'xdp', flags: 6n, data },
      dataSection,
      { name: 'version', data: Uint8Array.of(0, 6, 1, 2) },
    ],
    symbols: [func('main', 1, 0, 3), sectionSymbol(2)],
    relocations: new Map([[1, [relocate(0, 1, 2)]]]),
  });
  t.is(spec.littleEndian, false);
  t.is(spec.kernelVersion, 0x060102);
  t.deepEqual(spec.functions[0]?.relocations, [
    { kind: 'map-value', insn: 0, map: 0, offset: 5 },
  ] as never);
});

/** `main` with the given code in `xdp`, and a section of each kind to point at. */
function program(rows: readonly Row[], relocations: readonly BuildRelocation[]): BuildElf {
  return {
    sections: [
      codeSection('xdp', rows),
      codeSection('.text', [exit, exit]),
      dataSection,
      { name: 'other', flags: 3n, data: new Uint8Array(8) },
    ],
    symbols: [
      func('main', 1, 0, rows.length),
      func('sub', 2, 0, 2),
      { name: 'v', type: 1, section: 3, value: 8n, size: 8n },
      sectionSymbol(4),
      { name: 'common', type: 1, section: 0xfff2 },
      { name: 'absolute', section: 0xfff1 },
      { name: 'typed_undefined', type: 2, section: 0 },
    ],
    relocations: new Map([[1, relocations]]),
  };
}

type Fault = Extract<BpfErrorDetail, { code: 'code-relocation' }>['fault']['kind'];

const refused: readonly (readonly [string, Fault, readonly Row[], readonly BuildRelocation[]])[] = [
  ['a plain instruction', 'instruction', [nop, exit], [relocate(0, 1, 3)]],
  ['half a load', 'instruction', [exit, [0x18]], [relocate(1, 1, 3)]],
  ['the second half of a load', 'instruction', [...loadWide, exit], [relocate(1, 1, 3)]],
  ['call type at a load', 'type', [...loadWide, exit], [relocate(0, 10, 3)]],
  ['load type at a call', 'type', [call(-1), exit], [relocate(0, 1, 2)]],
  ['twice', 'twice', [call(-1), exit], [relocate(0, 10, 2), relocate(0, 10, 2)]],
  ['helper call', 'call-form', [[0x85, 0, 0, 0, 1], exit], [relocate(0, 10, 2)]],
  ['call of data', 'call-target', [call(-1), exit], [relocate(0, 10, 3)]],
  ['call into a function', 'no-function', [call(0), exit], [relocate(0, 10, 2)]],
  ['call of nothing', 'undefined', [call(-1), exit], [relocate(0, 10, 7)]],
  ['load of nothing', 'undefined', [...loadWide, exit], [relocate(0, 1, 0)]],
  ['load of a common symbol', 'common', [...loadWide, exit], [relocate(0, 1, 5)]],
  ['load of an absolute symbol', 'special-section', [...loadWide, exit], [relocate(0, 1, 6)]],
  ['load of another section', 'section', [...loadWide, exit], [relocate(0, 1, 4)]],
  ['past the data', 'outside-data', [[0x18, 1, 0, 0, 9], [0], exit], [relocate(0, 1, 3)]],
  ['before the data', 'outside-data', [[0x18, 1, 0, 0, -9], [0], exit], [relocate(0, 1, 3)]],
  ['address in a function', 'no-function', [[0x18, 1, 0, 0, 8], [0], exit], [relocate(0, 1, 2)]],
  [
    'address in an instruction',
    'no-function',
    [[0x18, 1, 0, 0, 3], [0], exit],
    [relocate(0, 1, 2)],
  ],
  ['unaligned', 'alignment', [...loadWide, exit], [{ offset: 4n, type: 1, symbol: 3 }]],
];

for (const [title, kind, rows, relocations] of refused) {
  test(`refused relocation: ${title}`, (t) => {
    const error = errorOf(() => openObject(buildElf(program(rows, relocations)), { file: 'a.o' }));
    const { detail } = error;
    if (detail.code !== 'code-relocation') return t.fail(error.message);
    t.is(detail.fault.kind, kind);
    t.regex(error.message, /^'a.o': section 'xdp': .*relocation against/);
    return undefined;
  });
}

test('a call within its section must reach a function', (t) => {
  const error = errorOf(() => open(program([call(5), exit], [])));
  t.is(error.code, 'stray-call');
  t.regex(error.message, /section 'xdp': program 'main': instruction 0: /);
});

type FunctionFault = Extract<BpfErrorDetail, { code: 'function-symbol' }>['fault']['kind'];

const refusedFunctions: readonly (readonly [string, FunctionFault, readonly BuildSymbol[]])[] = [
  ['static', 'static', [{ ...func('f', 1, 0, 1), binding: 0 }]],
  ['no size', 'alignment', [func('f', 1, 0, 0)]],
  ['half an instruction', 'alignment', [{ ...func('f', 1, 0, 1), size: 12n }]],
  ['unaligned', 'alignment', [{ ...func('f', 1, 0, 1), value: 4n }]],
  ['no name', 'no-name', [func('', 1, 0, 1)]],
  ['overlapping', 'overlap', [func('f', 1, 0, 2), func('g', 1, 1, 2)]],
  ['twice', 'overlap', [func('f', 1, 0, 2), func('g', 1, 0, 2)]],
];

for (const [title, kind, symbols] of refusedFunctions) {
  test(`refused function: ${title}`, (t) => {
    const sections = [codeSection('xdp', [exit, exit, exit])];
    const { detail, message } = errorOf(() => open({ sections, symbols }));
    if (detail.code !== 'function-symbol') return t.fail(message);
    t.is(detail.fault.kind, kind);
    t.regex(message, /^section 'xdp': /);
    return undefined;
  });
}

test('maps of the old kind are refused with advice', (t) => {
  for (const type of [1, 8]) {
    const sections = [{ name: 'maps', type, flags: 3n, data: new Uint8Array(20) }];
    const error = errorOf(() => open({ sections }));
    t.is(error.code, 'unsupported-section');
    t.regex(error.message, /'maps'.*bpf_map_def.*SEC\("\.maps"\).*Rust/);
  }
});

test('what is no concern of a loader is passed over', (t) => {
  const junk = Uint8Array.of(1, 2, 3);
  const sections = [
    codeSection('xdp', [exit]),
    { name: '.debug_info', data: junk },
    // Compressed, with relocations of a kind that no code has.
    { name: '.debug_str', flags: 0x800n, data: new Uint8Array(64) },
    { name: '.eh_frame', flags: 2n, data: junk },
    { name: '.comment', flags: 0x30n, data: junk },
    { name: '.llvm_addrsig', type: 0x6fff4c03, data: junk },
    { name: '.llvm_stats', data: junk },
    { name: '.note.GNU-stack', data: new Uint8Array(0) },
    { name: '.struct_ops', flags: 3n, data: new Uint8Array(0) },
    { name: '.addr_space.1', flags: 3n, data: new Uint8Array(0) },
    { name: 'datafoo', flags: 3n, data: junk },
    { name: '.jumptables', data: new Uint8Array(8) },
  ];
  const symbols = [func('main', 1, 0, 1)];
  const relocations = new Map([[3, [{ offset: 0n, type: 77, symbol: 1 }]]]);
  const spec = open({ sections, symbols, relocations });
  t.deepEqual(
    spec.programs.map((program) => program.name),
    ['main'],
  );
  t.deepEqual(spec.maps, []);
});

test('refused: two sections of one name, endless .bss, odd version, odd code', (t) => {
  const code = codeSection('xdp', [exit]);
  t.is(errorOf(() => open({ sections: [code, code] })).code, 'duplicate-section');
  const license = { name: 'license', data: new Uint8Array(4) };
  t.is(errorOf(() => open({ sections: [license, license] })).code, 'duplicate-section');
  const bss = { name: '.bss', type: 8, size: 1n << 40n };
  t.is(errorOf(() => open({ sections: [bss] })).code, 'data-too-large');
  const halves = [
    { name: '.bss.a', type: 8, size: 1n << 27n },
    { name: '.bss.b', type: 8, size: (1n << 27n) + 1n },
  ];
  t.is(errorOf(() => open({ sections: halves })).code, 'data-too-large');
  const version = { name: 'version', data: new Uint8Array(3) };
  t.is(errorOf(() => open({ sections: [version] })).code, 'version-size');
  const odd = { ...code, data: new Uint8Array(12) };
  t.is(errorOf(() => open({ sections: [odd], symbols: [func('f', 1, 0, 1)] })).code, 'elf-section');
});

test('refused: an extern that no type declares', (t) => {
  const symbols = [{ name: '__proto__', section: 0 }];
  const error = errorOf(() => open({ sections: [], symbols }));
  t.is(error.code, 'extern-declaration');
  t.regex(error.message, /'__proto__'.*-g/);
});

test('license: up to its zero byte, at most 63 characters', (t) => {
  const license = (text: string) =>
    open({ sections: [{ name: 'license', data: new TextEncoder().encode(text) }] }).license;
  t.is(license('GPL\0junk'), 'GPL');
  t.is(license('Dual BSD/GPL'), 'Dual BSD/GPL');
  t.is(license('x'.repeat(100)).length, 63);
  t.is(open({ sections: [] }).license, '');
});

test('hostile names of sections, functions and variables', (t) => {
  const bytes = Uint8Array.of(0x2e, 0x64, 0xff, 0x0a);
  const names = ['__proto__', 'toString', 'a\nb', '\u001b]0;x\u0007', 'x'.repeat(100_000)];
  for (const name of [...names, bytes]) {
    const spec = open({
      sections: [codeSection(name, [exit]), dataSection],
      symbols: [
        { ...func('', 1, 0, 1), name },
        { name, type: 1, section: 2, size: 4n },
      ],
    });
    const text = typeof name === 'string' ? name : '.d\udcff\n';
    t.is(spec.programs[0]?.name, text);
    t.is(spec.functions[0]?.section, text);
    t.is(spec.maps[0]?.data?.variables[0]?.name, text);
  }
});
