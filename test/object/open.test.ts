import test from 'ava';
import { BpfError } from '../../src/errors.ts';
import { openObject } from '../../src/object/open.ts';
import type { MapSpec, ObjectSpec } from '../../src/object/spec.ts';
import { type BuildElf, buildElf } from '../elf/elf-builder.ts';
import { mutate } from '../fuzz/mutate.ts';
import { Random } from '../fuzz/random.ts';
import { fixture, fixtureEntries, fixturePaths } from '../support/fixtures.ts';
import type { BtfBuilder } from './btf-builder.ts';
import { codeSection, errorOf, exit, objectWithMaps } from './support.ts';

for (const entry of fixtureEntries()) {
  test(`opens ${entry.name}`, (t) => {
    for (const variant of Object.keys(entry.sha256) as ('v3' | 'v4' | 'be')[]) {
      const spec = openObject(fixture(`${variant}/${entry.name}`), { name: entry.name });
      t.is(spec.littleEndian, variant !== 'be');
      t.deepEqual(
        spec.programs.map(({ name, section }) => [name, section]).toSorted(),
        entry.programs.map(({ name, section }) => [name, section.replace('?', '')]).toSorted(),
      );
      const defined = spec.maps.filter((map) => isDefined(map));
      t.deepEqual(defined.map((map) => map.name).toSorted(), [...entry.maps].toSorted());
      checkConsistent(t, spec);
    }
  });
}

/** A map of `.maps`, which may be an arena with variables. */
function isDefined({ data, structOps }: MapSpec): boolean {
  return structOps === undefined && (data === undefined || data.kind === 'arena');
}

/** Every index of a specification leads somewhere, and every list is in order. */
function checkConsistent(
  t: {
    true: (value: boolean, message: string) => unknown;
    is: (value: unknown, expected: unknown, message: string) => unknown;
  },
  spec: ObjectSpec,
) {
  for (const { name, insns, relocations, lineInfo, funcInfo, coreRelocations } of spec.functions) {
    const records = [relocations, lineInfo, funcInfo, coreRelocations];
    for (const list of records) {
      const places = list.map((record) => Number(record.insn));
      t.true(
        places.every((place) => place >= 0 && place < insns.length),
        name,
      );
      t.true(
        places.every((place, i) => i === 0 || place >= (places[i - 1] ?? 0)),
        name,
      );
    }
    for (const relocation of relocations) {
      if ('map' in relocation) t.true(spec.maps[relocation.map] !== undefined, name);
      if ('targets' in relocation) {
        t.true(
          relocation.targets.every((target) => target >= 0 && target < insns.length),
          name,
        );
      }
      if ('target' in relocation) t.true(spec.functions[relocation.target] !== undefined, name);
    }
    t.true(spec.btf === undefined || funcInfo.length === 1, name);
  }
  for (const map of spec.maps) {
    if (isDefined(map)) continue;
    const contents = (map.structOps ?? map.data)?.contents;
    t.is(contents?.length, map.valueSize, map.name);
  }
}

test('the byte order makes no difference to anything but code and types', (t) => {
  for (const { name: entry, sha256 } of fixtureEntries()) {
    if (sha256.be === undefined || sha256.v3 === undefined) continue;
    const big = openObject(fixture(`be/${entry}`));
    const little = openObject(fixture(`v3/${entry}`));
    const shape = (spec: ObjectSpec) => ({
      programs: spec.programs,
      externs: spec.externs,
      maps: spec.maps.map(({ data, structOps, ...map }) => ({
        ...map,
        variables: data?.variables,
        functions: structOps?.functions,
      })),
      functions: spec.functions.map(({ name, section, coreRelocations }) => ({
        name,
        section,
        // Bit fields are loaded in another way, so kinds and counts differ.
        core: [...new Set(coreRelocations.map((record) => record.access))].toSorted(),
      })),
    });
    t.deepEqual(shape(big), shape(little), entry);
  }
});

test('the same bytes give the same value, wherever they lie in memory', (t) => {
  const bytes = fixture('v3/demo');
  const shifted = new Uint8Array(bytes.length + 3).subarray(3);
  shifted.set(bytes);
  const [a, b] = [openObject(bytes), openObject(shifted)].map(({ btf, ...spec }) => spec);
  t.deepEqual(a, b);
});

test('the name comes from the file, or is given', (t) => {
  const bytes = fixture('v3/globals');
  t.is(openObject(bytes).name, 'object');
  t.is(openObject(bytes, { file: '/x/my-prog.bpf.o' }).name, 'my_prog');
  const spec = openObject(bytes, { file: '/x/y.o', name: 'a_rather_long_name' });
  t.is(spec.name, 'a_rather_long_n');
  t.is(spec.maps.find((map) => map.name === '.bss')?.kernelName, 'a_rather.bss');
});

test('errors name the file', (t) => {
  const error = errorOf(() => openObject(new Uint8Array(3), { file: 'bad\nname.o' }));
  t.regex(error.message, /^'bad\\nname\.o': not an ELF file/);
});

/** Two arrays, a map of maps, a prog array, a program and a subprogram; slots from byte 24. */
function slots(): BuildElf {
  const map =
    (type: number, keySize = 4) =>
    (btf: BtfBuilder) => {
      const inner = btf.struct('', 8, [['type', btf.uint(2), 0]]);
      const element = type === 3 ? btf.funcProto(1) : inner;
      return btf.struct('', 24, [
        ['type', btf.uint(type), 0],
        ['key_size', btf.uint(keySize), 8],
        ['values', btf.array(btf.ptr(element), 0), 24],
      ]);
    };
  const plain = (btf: BtfBuilder) => btf.struct('', 8, [['type', btf.uint(2), 0]]);
  const elf = objectWithMaps([
    { name: 'a', define: plain },
    { name: 'outer', define: map(12) },
    { name: 'table', define: map(3) },
    { name: 'wide', define: map(13, 8) },
  ]);
  const sections = [...elf.sections, codeSection('xdp', [exit]), codeSection('.text', [exit])];
  const symbols = [
    ...(elf.symbols ?? []),
    { name: 'main', type: 2, section: 3, size: 8n },
    { name: 'sub', type: 2, section: 4, size: 8n },
  ];
  return { ...elf, sections, symbols };
}

const outer = 128n + 24n;
const tableAt = 256n + 24n;

function withSlots(...entries: readonly (readonly [bigint, number])[]) {
  const list = entries.map(([offset, symbol]) => ({ offset, type: 2, symbol }));
  return openObject(buildElf({ ...slots(), relocations: new Map([[1, list]]) }));
}

test('initial values of maps of maps and prog arrays', (t) => {
  const spec = withSlots([outer + 16n, 1], [tableAt + 8n, 5], [outer, 3]);
  t.deepEqual(spec.maps[1]?.values, [
    { kind: 'map', index: 0, map: 2 },
    { kind: 'map', index: 2, map: 0 },
  ] as never);
  t.deepEqual(spec.maps[2]?.values, [{ kind: 'program', index: 1, program: 0 }] as never);
  t.deepEqual(spec.maps[0]?.values, []);
});

const refusedSlots: readonly (readonly [string, string, readonly (readonly [bigint, number])[]])[] =
  [
    ['a plain map', 'map-type', [[8n, 1]]],
    ['before values', 'not-in-values', [[outer - 8n, 1]]],
    ['between slots', 'not-in-values', [[outer + 4n, 1]]],
    ['over the end', 'no-map', [[252n, 1]]],
    ['a program among maps', 'not-a-map', [[outer, 5]]],
    ['a map among programs', 'not-a-program', [[tableAt, 1]]],
    ['a subprogram', 'not-a-program', [[tableAt, 6]]],
    ['wide keys', 'key-size', [[384n + 24n, 1]]],
    [
      'twice',
      'duplicate',
      [
        [outer, 1],
        [outer, 3],
      ],
    ],
  ];

for (const [title, kind, entries] of refusedSlots) {
  test(`refused initial value: ${title}`, (t) => {
    const { detail, message } = errorOf(() => withSlots(...entries));
    if (detail.code !== 'initial-value') return t.fail(message);
    t.is(detail.fault.kind, kind as never);
    return undefined;
  });
}

test('damaged objects give a value or a BpfError, quickly', (t) => {
  const objects = fixturePaths()
    .map((path) => fixture(path))
    .filter((bytes) => bytes.length < 20_000);
  const counts = { opened: 0, refused: 0 };
  let slowest = 0;
  for (let i = 0; i < 2000; i++) {
    const random = new Random(20, i);
    const bytes = mutate(random.pick(objects), random);
    const start = performance.now();
    try {
      openObject(bytes);
      counts.opened++;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      t.true(error.message.length > 10);
      counts.refused++;
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  t.true(counts.opened > 300 && counts.refused > 300, JSON.stringify(counts));
  t.true(slowest < 1000, `${slowest} ms`);
});
