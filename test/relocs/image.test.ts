import test, { type ExecutionContext } from 'ava';
import { PSEUDO } from '../../src/asm/opcodes.ts';
import { BpfError, type BpfErrorCode } from '../../src/errors.ts';
import type { ProgramImage } from '../../src/object/image.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { buildImage, buildImages } from '../../src/relocs/image.ts';
import {
  at,
  exit,
  type FunctionSeed,
  far,
  fn,
  makeFunction,
  makeMap,
  makeProgram,
  makeSpec,
  map,
  near,
  nop,
  wide,
} from './specs.ts';

function build(spec: ObjectSpec): ProgramImage {
  const program = spec.programs[0];
  if (program === undefined) throw new Error('no program');
  return buildImage(spec, program, { targets: [] });
}

/** `name@start` of each function, and where each call goes. */
function shape(image: ProgramImage): { functions: string[]; calls: string[] } {
  const calls: string[] = [];
  const { code, src, imm } = image.insns;
  for (let i = 0; i < code.length; i++) {
    const isCall = code[i] === 0x85 && src[i] === 1;
    const isAddress = code[i] === 0x18 && src[i] === PSEUDO.FUNC;
    if (!isCall && !isAddress) continue;
    const target = i + 1 + (imm[i] as number);
    const found = image.functions.find((each) => each.start === target);
    calls.push(`${i}${isAddress ? ' address' : ''} -> ${found?.name ?? target}`);
  }
  return { functions: image.functions.map(({ name, start }) => `${name}@${start}`), calls };
}

function refuses(t: ExecutionContext, code: BpfErrorCode, work: () => unknown, message: string) {
  const error = t.throws(work, { instanceOf: BpfError });
  t.is(error?.code, code);
  t.is(error?.message, message);
}

const call = (insn: number, target: number) =>
  ({ kind: 'call', insn: at(insn), target: fn(target) }) as const;

test('subprograms are appended once, depth first, in the order of their first call', (t) => {
  const spec = makeSpec([
    {
      name: 'main',
      section: 'xdp',
      rows: [far, far, far, exit],
      relocations: [call(0, 3), call(1, 1), call(2, 3)],
    },
    { name: 'a', rows: [nop, exit] },
    { name: 'dead', rows: [exit], sectionOffset: 2 },
    { name: 'b', rows: [near(1), exit], sectionOffset: 3 },
    { name: 'c', rows: [far, exit], sectionOffset: 5, relocations: [call(0, 1)] },
  ]);
  const image = build(spec);
  t.deepEqual(shape(image), {
    functions: ['main@0', 'b@4', 'c@6', 'a@8'],
    calls: ['0 -> b', '1 -> a', '2 -> b', '4 -> c', '6 -> a'],
  });
  t.is(image.insns.length, 10);
});

test('recursion, also of the entry function, ends', (t) => {
  const spec = makeSpec([
    { name: 'main', section: 'xdp', rows: [far, exit], relocations: [call(0, 1)] },
    { name: 'a', rows: [near(1), exit] },
    {
      name: 'b',
      rows: [near(-3), far, exit],
      sectionOffset: 2,
      relocations: [call(1, 0)],
    },
  ]);
  t.deepEqual(shape(build(spec)), {
    functions: ['main@0', 'a@2', 'b@4'],
    calls: ['0 -> a', '2 -> b', '4 -> a', '5 -> main'],
  });
});

test('addresses of functions become distances, with the pseudo source set', (t) => {
  const spec = makeSpec([
    {
      name: 'main',
      section: 'xdp',
      rows: [...wide(2), exit],
      relocations: [{ kind: 'function-address', insn: at(0), target: fn(1) }],
    },
    { name: 'callback', rows: [exit] },
  ]);
  t.deepEqual(shape(build(spec)), {
    functions: ['main@0', 'callback@3'],
    calls: ['0 address -> callback'],
  });
});

test('maps and variables become slots', (t) => {
  const spec = makeSpec(
    [
      {
        name: 'main',
        section: 'xdp',
        rows: [far, ...wide(1), exit],
        relocations: [call(0, 1), { kind: 'map', insn: at(1), map: map(1) }],
      },
      {
        name: 'sub',
        rows: [nop, ...wide(3), exit],
        relocations: [{ kind: 'map-value', insn: at(1), map: map(0), offset: 24 }],
      },
    ],
    { maps: [makeMap('.data'), makeMap('counts')] },
  );
  const image = build(spec);
  t.deepEqual(image.slots, [
    { kind: 'map', insn: at(1), map: map(1) },
    { kind: 'map-value', insn: at(5), map: map(0), offset: 24 },
  ]);
  t.is(image.insns.src[1], PSEUDO.MAP_FD);
  t.is(image.insns.src[5], PSEUDO.MAP_VALUE);
  t.is(image.insns.imm[6], 24);
  t.is(spec.functions[1]?.insns.imm[2], 0, 'the spec stays as it was');
});

test('func and line info follow the functions', (t) => {
  const spec = makeSpec([
    { name: 'main', section: 'xdp', rows: [far, exit], relocations: [call(0, 2)], info: 10 },
    { name: 'dead', rows: [exit], info: 20 },
    { name: 'sub', rows: [nop, exit], sectionOffset: 1, info: 30 },
  ]);
  const image = build(spec);
  t.deepEqual(
    image.funcInfo.map(({ insn, type }) => [insn, type] as [number, number]),
    [
      [0, 10],
      [2, 30],
    ],
  );
  t.deepEqual(
    image.lineInfo.map(({ insn, line }) => [insn, line] as [number, number]),
    [
      [0, 10],
      [1, 11],
      [2, 30],
      [3, 31],
    ],
  );
});

test('a table that leaves out a function is dropped', (t) => {
  const spec = makeSpec([
    { name: 'main', section: 'xdp', rows: [far, exit], relocations: [call(0, 1)], info: 10 },
    { name: 'sub', rows: [exit] },
  ]);
  t.deepEqual(build(spec).funcInfo, []);
  t.deepEqual(build(spec).lineInfo, []);
});

const externSpec = (weak: boolean, kind: 'ksym' | 'kfunc' | 'kconfig', seed: FunctionSeed) =>
  makeSpec([seed], { externs: [{ name: 'thing', kind, weak, type: undefined }] });

const readsExtern: FunctionSeed = {
  name: 'main',
  rows: [...wide(1), exit],
  relocations: [{ kind: 'extern-address', insn: at(0), extern: 0 }],
};

const callsExtern: FunctionSeed = {
  name: 'main',
  rows: [[0x85, 0, 2, 3, -1], exit],
  relocations: [{ kind: 'extern-call', insn: at(0), extern: 0 }],
};

test('a weak kernel symbol that nothing resolves is a null pointer', (t) => {
  const image = build(externSpec(true, 'ksym', readsExtern));
  t.is(image.insns.imm64(0), 0n);
  t.deepEqual(image.poisoned, []);
});

test('a call of a weak kernel function that nothing resolves is poisoned as libbpf does', (t) => {
  const image = build(externSpec(true, 'kfunc', callsExtern));
  const { src, off, imm } = image.insns;
  t.deepEqual([src[0], off[0], imm[0]], [0, 0, 2_002_000_000]);
  t.deepEqual(image.poisoned, [
    { insn: at(0), reason: "the target has no kernel function 'thing'" },
  ]);
});

for (const [kind, seed, words, reason] of [
  ['ksym', readsExtern, 'kernel symbol', 'only a running kernel knows its address'],
  ['kfunc', callsExtern, 'kernel function', 'the types of the kernel have no such function'],
  ['kconfig', readsExtern, 'kernel configuration value', 'the object has no room for its value'],
] as const) {
  test(`a strong extern that is not there is refused by name: ${kind}`, (t) => {
    refuses(
      t,
      'extern-missing',
      () => build(externSpec(false, kind, seed)),
      `program 'main': function 'main': instruction 0: extern ${words} 'thing': ${reason}; declare it __weak to load without it`,
    );
  });
}

const bad: readonly [string, BpfErrorCode, ObjectSpec, string][] = [
  [
    'a relocation outside of its function',
    'relocation-insn',
    makeSpec(
      [{ name: 'f', rows: [exit], relocations: [{ kind: 'map', insn: at(9), map: map(0) }] }],
      { maps: [makeMap('m')] },
    ),
    "program 'f': function 'f': instruction 9: relocation of a map points outside of its function",
  ],
  [
    'a map in an instruction that loads none',
    'relocation-insn',
    makeSpec(
      [{ name: 'f', rows: [exit], relocations: [{ kind: 'map', insn: at(0), map: map(0) }] }],
      { maps: [makeMap('m')] },
    ),
    "program 'f': function 'f': instruction 0: relocation of a map wants a ld_imm64, but the instruction has opcode 0x95",
  ],
  [
    'half an ld_imm64',
    'relocation-insn',
    makeSpec(
      [{ name: 'f', rows: [[0x18]], relocations: [{ kind: 'map', insn: at(0), map: map(0) }] }],
      { maps: [makeMap('m')] },
    ),
    "program 'f': function 'f': instruction 0: relocation of a map points outside of its function",
  ],
  [
    'a map that is not there',
    'relocation-target',
    makeSpec([
      {
        name: 'f',
        rows: [...wide(1), exit],
        relocations: [{ kind: 'map', insn: at(0), map: map(7) }],
      },
    ]),
    "program 'f': function 'f': instruction 0: relocation names map number 7, but the object has 0",
  ],
  [
    'a function that is not there',
    'relocation-target',
    makeSpec([{ name: 'f', rows: [far, exit], relocations: [call(0, 5)] }]),
    "program 'f': function 'f': instruction 0: relocation names subprogram number 5, but the object has 1",
  ],
  [
    'a call into the middle of nowhere',
    'call-target',
    makeSpec([{ name: 'f', section: 'xdp', rows: [near(40), exit] }]),
    "program 'f': function 'f': instruction 0: call to instruction 41 of section 'xdp', where no function begins",
  ],
  [
    'an address of a function that nothing explains',
    'function-address-without-relocation',
    makeSpec([{ name: 'f', rows: [...wide(1, PSEUDO.FUNC), exit] }]),
    "program 'f': function 'f': instruction 0: address of a function without a relocation that says which one",
  ],
  [
    'a function without instructions',
    'empty-function',
    makeSpec([
      { name: 'f', rows: [far, exit], relocations: [call(0, 1)] },
      { name: 'g', rows: [] },
    ]),
    "program 'f': function 'g' has no instructions",
  ],
  [
    'a section of unknown name',
    'program-without-type',
    makeSpec([{ name: 'f', rows: [exit] }], {
      programs: [makeProgram('f', 0, { type: undefined, section: 'xpd' })],
    }),
    "program 'f': section 'xpd' gives no program type (did you mean 'xdp'?); rename it, set the type, or turn autoload off",
  ],
];

for (const [title, code, spec, message] of bad) {
  test(`refused: ${title}`, (t) => refuses(t, code, () => build(spec), message));
}

test('programs with autoload off are left out unless asked for', (t) => {
  const off = makeProgram('b', 1, { autoload: false });
  const spec = makeSpec(
    [
      { name: 'a', rows: [exit] },
      { name: 'b', rows: [exit], sectionOffset: 1 },
    ],
    { programs: [makeProgram('a', 0), off] },
  );
  const names = (images: readonly ProgramImage[]) => images.map((image) => image.name);
  t.deepEqual(names(buildImages(spec, { targets: [] }).images), ['a']);
  t.deepEqual(names(buildImages(spec, { targets: [], programs: [off] }).images), ['b']);
});

test('a chain of 20,000 calls neither overflows the stack nor takes long', (t) => {
  const size = 20_000;
  const functions = Array.from({ length: size }, (_, i) =>
    makeFunction({
      name: `f${i}`,
      rows: [near(i === size - 1 ? -1 : 1), exit],
      sectionOffset: 2 * i,
    }),
  );
  const spec = { ...makeSpec([{ name: 'f0', rows: [exit] }]), functions };
  const started = performance.now();
  const image = build(spec);
  t.is(image.insns.length, 2 * size);
  t.is(image.functions.length, size);
  t.true(performance.now() - started < 2000);
});

test('430,000 instructions with 35,000 relocations are linear', (t) => {
  const size = 430_000;
  const rows = Array.from({ length: size }, () => nop);
  const relocations = Array.from({ length: 35_000 }, (_, i) => {
    const insn = i * 12;
    rows.splice(insn, 2, ...wide(1));
    return { kind: 'map', insn: at(insn), map: map(0) } as const;
  });
  const spec = makeSpec([{ name: 'f', rows, relocations }], { maps: [makeMap('m')] });
  const started = performance.now();
  const image = build(spec);
  t.is(image.slots.length, 35_000);
  t.is(image.insns.length, size);
  t.true(performance.now() - started < 1000);
});

test('more than the kernel takes is refused before it is copied', (t) => {
  const body = makeFunction({ name: 'big', rows: Array.from({ length: 1000 }, () => nop) });
  const calls = Array.from({ length: 1001 }, (_, i) => call(i, i + 1));
  const main = makeFunction({ name: 'main', rows: calls.map(() => far), relocations: calls });
  const functions = [main, ...calls.map(() => body)];
  const spec = { ...makeSpec([{ name: 'main', rows: [exit] }]), functions };
  refuses(
    t,
    'image-too-large',
    () => build(spec),
    "program 'main': the program and its subprograms have more than 1000000 instructions, the most that a kernel takes",
  );
});
