// Equality of types through all that they refer to.
import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { typesEqual } from '../../../src/btf/compatible/equal.ts';
import { appendBtf } from '../../../src/btf/dedup/append.ts';
import { dedupBtfWithIds } from '../../../src/btf/dedup/dedup.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import { permuteBtf } from '../../../src/btf/tools/permute.ts';
import { convertEndianness } from '../../../src/btf/tools/reencode.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { Writer } from '../../../src/bytes/writer.ts';
import { graphs } from '../arbitrary.ts';
import { dataFile, throwsBpfError } from '../support.ts';

function id(number: number): TypeId {
  return number as TypeId;
}

function build(types: readonly NewBtfType[], base?: Btf): Btf {
  const builder = new BtfBuilder({ base });
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { base });
}

const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };

function struct(name: string, ...members: (readonly [string, number])[]): NewBtfType {
  const list = members.map(([member, type], i) => ({
    name: member,
    type: id(type),
    bitOffset: 64 * i,
  }));
  return { kind: 'struct', name, size: 8 * members.length, members: list };
}

const list = [
  int,
  struct('list', ['next', 3], ['value', 1]),
  { kind: 'ptr', target: id(2) },
] as const;

const rows: readonly (readonly [string, readonly NewBtfType[], boolean])[] = [
  ['itself', list, true],
  ['another name', [int, struct('list2', ['next', 3], ['value', 1]), list[2]], false],
  ['a flavour', [int, struct('list___x', ['next', 3], ['value', 1]), list[2]], false],
  ['another member name', [int, struct('list', ['nxt', 3], ['value', 1]), list[2]], false],
  ['another order', [int, struct('list', ['value', 1], ['next', 3]), list[2]], false],
  ['one member less', [int, struct('list', ['next', 3]), list[2]], false],
  ['a difference far away', [{ ...int, signed: false }, list[1], list[2]], false],
  [
    'a const in between',
    [int, struct('list', ['next', 4], ['value', 1]), list[2], { kind: 'const', target: id(3) }],
    false,
  ],
  [
    'a declaration in its place',
    [
      int,
      struct('list', ['next', 3], ['value', 1]),
      { kind: 'ptr', target: id(4) },
      { kind: 'fwd', name: 'list', of: 'struct' },
    ],
    false,
  ],
  [
    'unrolled once',
    [
      int,
      struct('list', ['next', 3], ['value', 1]),
      { kind: 'ptr', target: id(4) },
      struct('list', ['next', 5], ['value', 1]),
      { kind: 'ptr', target: id(2) },
    ],
    true,
  ],
];

for (const [title, types, equal] of rows) {
  test(`a list and ${title}`, (t) => {
    const [a, b] = [build(list), build(types)];
    t.is(typesEqual(a, id(2), b, id(2)), equal);
    t.is(typesEqual(b, id(2), a, id(2)), equal);
  });
}

test('either byte order', (t) => {
  const little = parseBtf(dataFile('shapes.el.btf'));
  const big = parseBtf(convertEndianness(little, false));
  for (let i = 0; i < little.endId; i++) t.true(typesEqual(little, id(i), big, id(i)), `${i}`);
});

test('bases in common, bases alike, and no base', (t) => {
  const base = build([int]);
  const more: NewBtfType[] = [{ kind: 'ptr', target: id(1) }];
  const [a, b] = [build(more, base), build(more, base)];
  t.true(typesEqual(a, id(2), b, id(2)));
  t.true(typesEqual(a, id(2), build(more, build([int])), id(2)));
  t.true(typesEqual(a, id(2), build([int, ...more]), id(2)));
  t.true(typesEqual(a, id(1), build([int]), id(1)));
  t.false(typesEqual(a, id(2), build(more, build([{ ...int, size: 8 }])), id(2)));
  const deep = build([{ kind: 'ptr', target: id(2) }], a);
  t.true(typesEqual(deep, id(3), build([{ kind: 'ptr', target: id(2) }], a), id(3)));
  t.false(typesEqual(deep, id(3), deep, id(2)));
  throwsBpfError(t, () => typesEqual(a, id(3), b, id(2)), 'btf-no-type');
  throwsBpfError(t, () => typesEqual(a, id(2), b, id(3)), 'btf-no-type');
});

test('an equivalence: reflexive, symmetric, transitive, and blind to ids', (t) => {
  fc.assert(
    fc.property(graphs(), fc.integer(), (types, seed) => {
      const btf = build(types);
      const order = shuffled(btf.endId - 1, seed);
      const other = permuteBtf(btf, order);
      const classes: TypeId[] = [];
      for (let i = 1; i < btf.endId; i++) {
        const moved = id(order[i - 1] as number);
        t.true(typesEqual(btf, id(i), btf, id(i)));
        t.true(typesEqual(btf, id(i), other, moved));
        t.true(typesEqual(other, moved, btf, id(i)));
        const found = classes.filter((each) => typesEqual(btf, each, btf, id(i)));
        t.true(found.length <= 1);
        if (found.length === 0) classes.push(id(i));
        for (const each of found) t.true(typesEqual(other, moved, btf, each));
      }
    }),
    { numRuns: 150 },
  );
});

/** New ids, from 1, in an order that the seed decides. */
function shuffled(count: number, seed: number): Uint32Array {
  const ids = Uint32Array.from({ length: count }, (_, i) => i + 1);
  let state = seed >>> 0;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    [ids[i], ids[j]] = [ids[j] as number, ids[i] as number];
  }
  return ids;
}

test('what deduplication takes for one is equal, where nothing is only declared', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const plain = types.filter(({ kind }) => kind !== 'fwd');
      if (plain.length !== types.length) return;
      if (
        types.some(
          (each) => (each.kind === 'enum' || each.kind === 'enum64') && each.values.length === 0,
        )
      )
        return;
      const twice = appendBtf(build(types), build(types));
      const { ids } = dedupBtfWithIds(twice);
      const first = new Map<number, number>();
      for (let i = 1; i < twice.endId; i++) {
        const to = ids[i] as number;
        const before = first.get(to);
        if (before === undefined) first.set(to, i);
        else t.true(typesEqual(twice, id(before), twice, id(i)), `${before} ${i}`);
      }
    }),
    { numRuns: 100 },
  );
});

test('a million references, in a line and in a circle', (t) => {
  const line = (count: number, circle: boolean): Btf => {
    const builder = new BtfBuilder();
    builder.add(circle ? { kind: 'ptr', target: id(count) } : int);
    for (let i = 1; i < count; i++) builder.add({ kind: 'ptr', target: id(i) });
    return parseBtf(builder.finish());
  };
  const million = 1_000_000;
  const straight = line(million, false);
  t.true(typesEqual(straight, id(million), parseBtf(straight.bytes), id(million)));
  const count = 100_000;
  const round = line(count, true);
  t.false(typesEqual(straight, id(count), straight, id(count - 1)));
  t.true(typesEqual(round, id(count), round, id(5)));
  t.false(typesEqual(straight, id(count), round, id(count)));
});

test('a type that is shared many times is compared once', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i < 1000; i++) builder.add(struct('s', ['a', i], ['b', i]));
  const bytes = builder.finish();
  t.true(typesEqual(parseBtf(bytes), id(1000), parseBtf(bytes), id(1000)));
});

test('names that overlap in one long string end in an error', (t) => {
  const length = 1 << 16;
  const text = new Uint8Array(length + 2).fill(0x61, 1, length + 1);
  const count = 20_000;
  const types = new Writer({ littleEndian: true });
  // One struct whose members have names that begin at different places of the string.
  types
    .u32(0)
    .u32(((4 << 24) | count) >>> 0)
    .u32(0);
  for (let i = 0; i < count; i++)
    types
      .u32(1 + i)
      .u32(0)
      .u32(0);
  const out = new Writer({ littleEndian: true }).u16(0xeb9f).u8(1).u8(0).u32(24);
  out.u32(0).u32(types.length).u32(types.length).u32(text.length);
  const bytes = out.bytes(types.finish()).bytes(text).finish();
  throwsBpfError(
    t,
    () => typesEqual(parseBtf(bytes), id(1), parseBtf(bytes.slice()), id(1)),
    'btf-compare-limit',
  );
});

const vmlinux = '/sys/kernel/btf/vmlinux';
(existsSync(vmlinux) ? test : test.skip)('all that task_struct reaches in vmlinux', (t) => {
  const bytes = new Uint8Array(readFileSync(vmlinux));
  const [a, b] = [parseBtf(bytes), parseBtf(bytes.slice())];
  const task = a.find('task_struct') ?? t.fail();
  t.true(typesEqual(a, task, b, task));
  t.false(typesEqual(a, task, b, b.find('file') ?? t.fail()));
});
