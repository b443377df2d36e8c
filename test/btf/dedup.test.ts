import { existsSync, readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf, dedupBtfWithIds } from '../../src/btf/dedup/dedup.ts';
import { BtfBuilder, type NewBtfType } from '../../src/btf/encode.ts';
import { parseBtfExt } from '../../src/btf/ext.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { Writer } from '../../src/bytes/writer.ts';
import { graphs } from './arbitrary.ts';
import { missingType } from './dedup-check.ts';
import { runs, throwsBpfError, withWord } from './support.ts';

const vmlinux = '/sys/kernel/btf/vmlinux';
const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };

function id(number: number): TypeId {
  return number as TypeId;
}

function build(types: readonly NewBtfType[], base?: Btf): Btf {
  const builder = new BtfBuilder({ base });
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { base });
}

function struct(name: string, ...members: number[]): NewBtfType {
  const of = members.map((type, i) => ({ name: `m${i}`, type: id(type), bitOffset: 64 * i }));
  return { kind: 'struct', name, size: 8 * members.length, members: of };
}

function ptr(target: number): NewBtfType {
  return { kind: 'ptr', target: id(target) };
}

function fwd(name: string, of: 'struct' | 'union' = 'struct'): NewBtfType {
  return { kind: 'fwd', name, of };
}

/** Kinds and names of a BTF's own types. */
function list(btf: Btf): readonly string[] {
  const out: string[] = [];
  for (let at = btf.firstId; at < btf.endId; at++) {
    const type = btf.type(id(at));
    out.push(`${type.kind} ${'name' in type ? type.name : ''}`.trim());
  }
  return out;
}

interface Case {
  readonly title: string;
  readonly types: readonly NewBtfType[];
  /** New id of each type. */
  readonly ids: readonly number[];
}

const cases: readonly Case[] = [
  {
    title: 'a struct that points to itself, twice',
    types: [struct('node', 2), ptr(1), struct('node', 4), ptr(3)],
    ids: [1, 2, 1, 2],
  },
  {
    title: 'structs of one shape that lead to different types',
    types: [int, { ...int, name: 'other' }, struct('', 1), struct('', 2), struct('', 1)],
    ids: [1, 2, 3, 4, 3],
  },
  {
    title: 'a declaration that meets its definition in another copy of a struct',
    types: [fwd('s'), ptr(1), struct('user', 2), int, struct('s', 4), ptr(5), struct('user', 6)],
    ids: [4, 1, 2, 3, 4, 1, 2],
  },
  {
    title: 'a definition that meets a declaration afterwards',
    types: [int, struct('s', 1), ptr(2), struct('user', 3), fwd('s'), ptr(5), struct('user', 6)],
    ids: [1, 2, 3, 4, 2, 3, 4],
  },
  {
    title: 'a declaration that only its name connects',
    types: [int, struct('s', 1), fwd('s'), ptr(3), ptr(2)],
    ids: [1, 2, 2, 3, 3],
  },
  {
    title: 'a declaration of a union does not stand for a struct',
    types: [int, struct('s', 1), fwd('s', 'union')],
    ids: [1, 2, 3],
  },
  {
    title: 'a declaration of two different structs stays',
    types: [int, struct('s', 1), struct('s', 1, 1), fwd('s'), fwd('s')],
    ids: [1, 2, 3, 4, 4],
  },
  {
    title: 'declared enums, before and after, of either width',
    types: [
      { kind: 'enum', name: 'e', values: [] },
      ptr(1),
      { kind: 'enum64', name: 'e', size: 8, values: [{ name: 'A', value: 1n << 40n }] },
      ptr(3),
      { kind: 'enum', name: 'e', values: [] },
    ],
    ids: [2, 1, 2, 1, 2],
  },
  {
    title: 'enums with other values are others',
    types: [
      { kind: 'enum', name: 'e', values: [{ name: 'A', value: 1n }] },
      { kind: 'enum', name: 'e', values: [{ name: 'A', value: 2n }] },
    ],
    ids: [1, 2],
  },
  {
    title: 'a struct for which the compiler wrote an array twice',
    types: [
      int,
      { kind: 'array', element: id(1), index: id(1), length: 2 },
      struct('s', 2, 2),
      { kind: 'array', element: id(1), index: id(1), length: 2 },
      { kind: 'array', element: id(1), index: id(1), length: 2 },
      struct('s', 4, 5),
    ],
    ids: [1, 2, 3, 2, 2, 3],
  },
  {
    title: 'function types of Go that return themselves',
    types: [
      { kind: 'typedef', name: 'F', target: id(2) },
      ptr(3),
      { kind: 'func-proto', returns: id(1), params: [] },
      { kind: 'typedef', name: 'F', target: id(5) },
      ptr(6),
      { kind: 'func-proto', returns: id(4), params: [] },
    ],
    ids: [1, 2, 3, 1, 2, 3],
  },
  {
    title: 'a circle of pointers, which means nothing',
    types: [ptr(2), ptr(1), ptr(3)],
    ids: [1, 2, 3],
  },
  {
    title: 'functions, tags and all references',
    types: [
      int,
      { kind: 'const', target: id(1) },
      { kind: 'func-proto', returns: id(2), params: [{ name: 'a', type: id(1) }] },
      { kind: 'func', name: 'f', proto: id(3), linkage: 'global' },
      { kind: 'decl-tag', name: 't', target: id(4), component: 0 },
      { kind: 'const', target: id(1) },
      { kind: 'func-proto', returns: id(6), params: [{ name: 'a', type: id(1) }] },
      { kind: 'func', name: 'f', proto: id(7), linkage: 'global' },
      { kind: 'decl-tag', name: 't', target: id(8), component: 0 },
      { kind: 'decl-tag', name: 't', target: id(8), component: -1 },
      { kind: 'func', name: 'f', proto: id(7), linkage: 'static' },
    ],
    ids: [1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7],
  },
  {
    title: 'variables and data sections stay',
    types: [
      int,
      { kind: 'var', name: 'v', type: id(1), linkage: 'static' },
      { kind: 'datasec', name: '.data', size: 4, vars: [{ type: id(2), offset: 0, size: 4 }] },
      int,
      { kind: 'var', name: 'v', type: id(4), linkage: 'static' },
      { kind: 'datasec', name: '.data', size: 4, vars: [{ type: id(5), offset: 0, size: 4 }] },
    ],
    ids: [1, 2, 3, 1, 4, 5],
  },
];

for (const { title, types, ids } of cases) {
  test(`dedup: ${title}`, (t) => {
    const btf = build(types);
    const result = dedupBtfWithIds(btf);
    t.deepEqual([...result.ids], [0, ...ids]);
    t.is(missingType(btf, result), undefined);
    t.is(dedupBtf(result.btf).endId, result.btf.endId);
  });
}

test('dedup: the types of a base are not repeated', (t) => {
  const base = build([int, struct('s', 1), ptr(2), { kind: 'typedef', name: 't', target: id(3) }]);
  const more: NewBtfType[] = [
    int,
    struct('s', 5),
    ptr(6),
    { kind: 'typedef', name: 't', target: id(7) },
    struct('new', 8),
  ];
  const split = build(more, base);
  const { btf, ids } = dedupBtfWithIds(split);
  t.deepEqual([...ids], [0, 1, 2, 3, 4, 1, 2, 3, 4, 5]);
  t.deepEqual(list(btf), ['struct new']);
  t.is(btf.base, base);
  t.is(missingType(split, { btf, ids, ext: undefined }), undefined);
});

test('dedup: a base that only declares a struct is not changed', (t) => {
  const base = build([fwd('s'), ptr(1), struct('user', 2)]);
  const split = build([int, struct('s', 4), ptr(5), struct('user', 6), fwd('s'), ptr(8)], base);
  const { btf, ids } = dedupBtfWithIds(split);
  t.deepEqual(list(btf), ['int int', 'struct s', 'ptr', 'struct user']);
  t.deepEqual([...ids.subarray(4)], [4, 5, 6, 7, 5, 6]);
});

test('dedup: strings are there once, in the order of types', (t) => {
  const one = build([int, struct('s', 1)]);
  const twice = dedupBtf(appendBtf(one, one));
  t.is(Buffer.from(twice.strings.bytes).toString(), '\0int\0s\0m0\0');
});

test('appendBtf: ids and names move, none is merged', (t) => {
  const one = build([int, ptr(1)]);
  const both = appendBtf(one, build([struct('s', 2), int]));
  t.deepEqual(list(both), ['int int', 'ptr', 'struct s', 'int int']);
  t.deepEqual(both.type(id(3)), {
    kind: 'struct',
    id: id(3),
    name: 's',
    size: 8,
    members: [{ name: 'm0', type: id(4), bitOffset: 0, bitSize: 0 }],
  });
  throwsBpfError(t, () => appendBtf(one, build([int], one)), 'btf-build');
});

test('dedup: byte order is kept', (t) => {
  const builder = new BtfBuilder({ littleEndian: false });
  for (const type of [int, int, ptr(2)]) builder.add(type);
  const btf = dedupBtf(parseBtf(builder.finish()));
  t.false(btf.littleEndian);
  t.deepEqual(list(btf), ['int int', 'ptr']);
  t.like(btf.type(id(2)), { target: 1 });
});

/** A `.BTF.ext` with one record of each kind: a function, a line, a CO-RE relocation. */
function extOf(type: number, offset: (text: string) => number): Uint8Array {
  const writer = new Writer({ littleEndian: true });
  writer.u16(0xeb9f).u8(1).u8(0).u32(32);
  writer.u32(0).u32(20).u32(20).u32(28).u32(48).u32(28);
  writer.u32(8).u32(offset('text')).u32(1).u32(0).u32(type);
  writer.u32(16).u32(offset('text')).u32(1).u32(0).u32(offset('a.c')).u32(offset('line')).u32(1);
  writer.u32(16).u32(offset('text')).u32(1).u32(8).u32(type).u32(offset('0:1')).u32(0);
  return writer.finish();
}

test('dedup: .BTF.ext is taken along', (t) => {
  const builder = new BtfBuilder();
  for (const type of [int, int, struct('s', 2)]) builder.add(type);
  const raw = parseBtf(builder.finish());
  const extra = new BtfBuilder();
  const words = ['unused', 'text', 'a.c', 'line', '0:1'];
  for (const name of words) extra.add({ kind: 'fwd', name, of: 'struct' });
  const btf = appendBtf(raw, parseBtf(extra.finish()));
  const old = btf.strings.offsets();
  const ext = extOf(3, (text) => old.get(text) ?? 0);
  const result = dedupBtfWithIds(btf, { ext });
  const parsed = parseBtfExt(result.ext ?? new Uint8Array(), { btf: result.btf, name: 'ext' });
  t.like(parsed.funcInfo.get('text'), [{ insnOffset: 0, type: 2 }]);
  t.like(parsed.coreRelocations.get('text'), [{ insnOffset: 8, type: 2, access: '0:1', kind: 0 }]);
  const line = parsed.lineInfo.get('text')?.[0];
  t.is(result.btf.string(line?.fileNameOffset ?? 0), 'a.c');
  t.is(result.btf.string(line?.lineOffset ?? 0), 'line');
});

test('dedup: a damaged .BTF.ext is an error', (t) => {
  const btf = build([int]);
  const ext = withWord(
    extOf(1, () => 0),
    32 + 16,
    99,
  );
  throwsBpfError(t, () => dedupBtfWithIds(btf, { ext }), 'btf-ext');
});

test('dedup: a long chain of references does not overflow the stack', (t) => {
  const count = 200_000;
  const types = Array.from({ length: count }, (_, i) => ptr(i + 2));
  const chain = build([...types, int]);
  t.is(dedupBtf(appendBtf(chain, chain)).endId, chain.endId);
  const structs = Array.from({ length: 50_000 }, (_, i) => struct(`s${i}`, i + 2));
  const nested = build([...structs, int]);
  t.is(dedupBtf(appendBtf(nested, nested)).endId, nested.endId);
});

test('dedup: many structs that look alike do not keep it busy without end', (t) => {
  const types = Array.from({ length: 20_000 }, (_, i) => struct('s', i + 2));
  throwsBpfError(t, () => dedupBtf(build([...types, int])), 'btf-dedup-limit');
});

test('dedup: names that overlap are not spread without limit', (t) => {
  const text = 'x'.repeat(20_000);
  const builder = new BtfBuilder();
  builder.add({ kind: 'fwd', name: text, of: 'struct' });
  for (let i = 1; i < 2000; i++) builder.add({ kind: 'fwd', name: text, of: 'struct' });
  const bytes = builder.finish();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let i = 0; i < 2000; i++) view.setUint32(24 + 12 * i, 1 + i, true);
  throwsBpfError(t, () => dedupBtf(parseBtf(bytes)), 'btf-dedup-limit');
});

test('dedup: a BTF and itself give what it gives alone', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const btf = appendBtf(build(types), build(types));
      const result = dedupBtfWithIds(btf);
      t.is(missingType(btf, result), undefined);
      // Only the order of strings may change: those of dropped types came first.
      t.is(dedupBtf(result.btf).endId, result.btf.endId);
    }),
    runs(300),
  );
});

test('dedup: on a base, every type is found again', (t) => {
  const pairs = graphs().chain((lower) =>
    graphs(lower.length + 1).map((upper) => [lower, upper] as const),
  );
  fc.assert(
    fc.property(pairs, ([lower, upper]) => {
      const base = dedupBtf(build(lower));
      // Where the base became shorter, the ids would be others.
      if (base.endId !== lower.length + 1) return;
      const btf = build(upper, base);
      t.is(missingType(btf, dedupBtfWithIds(btf)), undefined);
    }),
    runs(300),
  );
});

const kernelTest = existsSync(vmlinux) ? test : test.skip;

kernelTest('dedup: two copies of vmlinux are one', (t) => {
  const btf = parseBtf(new Uint8Array(readFileSync(vmlinux)));
  // Some kernels have a few prototypes twice.
  const once = dedupBtfWithIds(btf);
  const { btf: result, ids } = dedupBtfWithIds(appendBtf(btf, btf));
  let places = 0;
  let wrong = 0;
  for (let at = id(1); at < btf.endId; at++) {
    const kind = btf.kindOf(at);
    if (kind === BTF_KIND.VAR || kind === BTF_KIND.DATASEC) places++;
    else if (ids[at + btf.endId - 1] !== once.ids[at]) wrong++;
    if (ids[at] !== once.ids[at]) wrong++;
  }
  t.is(wrong, 0);
  t.is(result.endId, once.btf.endId + places);
});
