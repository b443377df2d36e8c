// Sections of newer compilers: arenas, jump tables, tags on types and arguments.
import test from 'ava';
import { openObject } from '../../src/object/open.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';
import { type BuildElf, type BuildSymbol, buildElf } from '../elf/elf-builder.ts';
import { fixture } from '../support/fixtures.ts';
import { codeSection, errorOf, exit, loadWide, nop, objectWithMaps } from './support.ts';

function mapOf(spec: ObjectSpec, name: string) {
  return spec.maps.find((map) => map.name === name);
}

for (const variant of ['v3', 'be'] as const) {
  test(`variables of an arena belong to its map: ${variant}`, (t) => {
    const spec = openObject(fixture(`${variant}/arena_globals`));
    const arena = mapOf(spec, 'arena');
    t.like(arena, { type: 33, maxEntries: 100, flags: 1024, extra: 1n << 44n, valueSize: 0 });
    t.like(arena?.data, { section: '.addr_space.1', kind: 'arena' });
    const names = arena?.data?.variables.map(({ name, size, binding }) => [name, size, binding]);
    t.deepEqual(names?.toSorted(), [
      ['numbers', 32, 'global'],
      ['rounds', 4, 'local'],
      ['total', 8, 'global'],
    ]);
    const index = spec.maps.indexOf(arena as never);
    const [add] = spec.functions;
    const places = add?.relocations.flatMap((relocation) =>
      relocation.kind === 'map-value' && relocation.map === index ? [relocation.offset] : [],
    );
    const total = arena?.data?.variables.find(({ name }) => name === 'total')?.offset ?? -1;
    t.true(places?.includes(total));
  });
}

test('refused: two arenas, variables without an arena', (t) => {
  const define = (btf: Parameters<Parameters<typeof objectWithMaps>[0][0]['define']>[0]) =>
    btf.struct('', 8, [['type', btf.uint(33), 0]]);
  const two = objectWithMaps([
    { name: 'one', define },
    { name: 'two', define },
  ]);
  const error = errorOf(() => openObject(buildElf(two)));
  t.is(error.code, 'several-arenas');
  t.regex(error.message, /'one' and 'two'/);
  const sections = [{ name: '.addr_space.1', flags: 3n, data: new Uint8Array(8) }];
  t.is(errorOf(() => openObject(buildElf({ sections }))).code, 'arena-missing');
});

for (const path of ['v4/jump_tables', 'be/jump_tables'] as const) {
  test(`jump tables lead to instructions of their function: ${path}`, (t) => {
    const spec = openObject(fixture(path));
    const tables = spec.functions.map(({ name, relocations }) => [
      name,
      relocations.flatMap((relocation) =>
        relocation.kind === 'jump-table' ? [relocation.targets.length] : [],
      ),
    ]);
    t.deepEqual(Object.fromEntries(tables), { weigh: [5], two_tables: [6, 5], shared_table: [] });
  });
}

/** A program of four instructions behind another, and a table of the given entries. */
function withTable(entries: readonly number[], table: Partial<BuildSymbol> = {}, at = 0): BuildElf {
  const data = new Uint8Array(8 * entries.length);
  const view = new DataView(data.buffer);
  for (const [i, entry] of entries.entries()) view.setBigInt64(8 * i, BigInt(entry), true);
  const [first, second] = loadWide;
  const load = [[0x18, 1, 0, 0, at], second ?? [0]] as const;
  return {
    sections: [
      codeSection('xdp', [exit, ...(at === 0 ? [first ?? [0], second ?? [0]] : load), nop, exit]),
      { name: '.jumptables', data },
    ],
    symbols: [
      { name: 'before', type: 2, section: 1, size: 8n },
      { name: 'main', type: 2, section: 1, value: 8n, size: 32n },
      { name: 'BPF.JT.0.0', type: 1, section: 2, size: BigInt(data.length), ...table },
    ],
    relocations: new Map([[1, [{ offset: 8n, type: 1, symbol: 3 }]]]),
  };
}

function tableOf(elf: BuildElf) {
  return openObject(buildElf(elf)).functions[1]?.relocations[0];
}

test('a jump table counts from the start of its function', (t) => {
  const expected = { kind: 'jump-table', insn: 0, targets: [2, 3, 0], offset: 0 };
  t.deepEqual(tableOf(withTable([24, 32, 8])), expected as never);
  t.like(tableOf(withTable([24, 32, 8], {}, 16)), { offset: 16 });
  const part = tableOf(withTable([24, 32, 8], { value: 8n, size: 8n }));
  t.deepEqual(part, { ...expected, targets: [3] } as never);
});

const refusedTables: readonly (readonly [string, BuildElf, string])[] = [
  ['no size', withTable([24], { size: 0n }), 'jump-table-size'],
  ['half an entry', withTable([24], { size: 4n }), 'jump-table-size'],
  ['unaligned', withTable([24, 24], { value: 4n, size: 8n }), 'jump-table-alignment'],
  ['another function', withTable([24, 0]), 'jump-table-target'],
  ['beyond the function', withTable([40]), 'jump-table-target'],
  ['half an instruction', withTable([28]), 'jump-table-target'],
  ['a huge entry', withTable([-8]), 'jump-table-target'],
  ['beyond the table', withTable([24], {}, 8), 'outside-data'],
];

for (const [title, elf, kind] of refusedTables) {
  test(`refused jump table: ${title}`, (t) => {
    const { detail, message } = errorOf(() => tableOf(elf));
    t.is(detail.code === 'code-relocation' ? detail.fault.kind : detail.code, kind as never);
    t.true(message.includes("'BPF.JT.0.0'"));
  });
}

test('jump tables that share bytes a million times over are refused', (t) => {
  const entries = Array.from({ length: 1 << 14 }, () => 24);
  const elf = withTable(entries);
  const copies = 100;
  const symbols = Array.from({ length: copies }, (_, i) => ({
    ...{ name: `t${i}`, type: 1, section: 2, size: BigInt(8 * entries.length) },
  }));
  const code = Array.from({ length: copies }, () => loadWide).flat();
  const big = {
    ...elf,
    sections: [codeSection('xdp', [exit, nop, nop, nop, ...code]), elf.sections[1] ?? { name: '' }],
    symbols: [
      { name: 'main', type: 2, section: 1, size: BigInt(8 * (4 + code.length)) },
      ...symbols,
    ],
    relocations: new Map([
      [1, symbols.map((_, i) => ({ offset: BigInt(32 + 16 * i), type: 1, symbol: 2 + i }))],
    ]),
  };
  const { detail } = errorOf(() => openObject(buildElf(big)));
  t.is(detail.code === 'code-relocation' ? detail.fault.kind : detail.code, 'jump-table-total');
});

test('pointers in map values, by tag', (t) => {
  const spec = openObject(fixture('v3/kernel_pointers'));
  const pointers = (name: string) =>
    mapOf(spec, name)?.pointers?.map(({ offset, tag, type }) => [
      offset,
      tag,
      spec.btf?.nameOf(type),
    ]);
  t.deepEqual(pointers('plain_pointers'), [
    [8, 'kptr', 'task_struct'],
    [16, 'kptr_untrusted', 'task_struct'],
  ]);
  t.deepEqual(pointers('nested_pointers'), [
    [8, 'kptr', 'task_struct'],
    [16, 'kptr', 'task_struct'],
  ]);
  t.deepEqual(pointers('user_pointers'), [[0, 'uptr', 'user_data']]);
  t.deepEqual(pointers('other_pointers'), [
    [0, 'percpu_kptr', 'own_data'],
    [8, 'uptr', 'user_data'],
  ]);
  t.false('pointers' in (mapOf(openObject(fixture('v3/xdp_counter')), 'counters') ?? {}));
});

test('tags of arguments, by function', (t) => {
  const spec = openObject(fixture('v3/argument_tags'));
  const tags = spec.functions.flatMap(({ name, argumentTags }) =>
    (argumentTags ?? []).map(({ argument, tag }) => `${name} ${argument} ${tag}`),
  );
  t.deepEqual(tags.toSorted(), [
    'with_arena 0 arena',
    'with_context 0 ctx',
    'with_pointers 0 nonnull',
    'with_pointers 1 nullable',
    'with_trusted 0 nullable',
    'with_trusted 0 trusted',
    'with_trusted 1 untrusted',
  ]);
});

test('relaxed map definitions may have members without a meaning', (t) => {
  const elf = objectWithMaps([
    {
      name: 'm',
      define: (btf) =>
        btf.struct('', 24, [
          ['type', btf.uint(2), 0],
          ['own_note', btf.uint(7), 8],
          ['max_entries', btf.uint(3), 16],
        ]),
    },
  ]);
  const bytes = buildElf(elf);
  const { detail } = errorOf(() => openObject(bytes));
  t.like(detail, { code: 'map-definition', member: 'own_note' });
  t.like(openObject(bytes, { relaxedMaps: true }).maps[0], { name: 'm', maxEntries: 3 });
});
