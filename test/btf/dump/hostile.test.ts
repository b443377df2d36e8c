// Types that C cannot express, or that would make a dump endless.
import test from 'ava';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { dumpC, dumpTypeC, emitTypeDecl } from '../../../src/btf/dump/c.ts';
import { DataDump, dumpTypeData } from '../../../src/btf/dump/data.ts';
import { dumpJson } from '../../../src/btf/dump/json.ts';
import { dumpRaw } from '../../../src/btf/dump/raw.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { throwsBpfError } from '../support.ts';

const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };

/** A BTF of `int` and then these types, from id 2 on. */
function types(...more: readonly NewBtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of [int, ...more]) builder.add(type);
  return parseBtf(builder.finish());
}

function id(value: number): TypeId {
  return value as TypeId;
}

/** A struct of one member. */
function around(type: number, size: number, name = ''): NewBtfType {
  const members = [{ name: 'inner', type: id(type), bitOffset: 0 }];
  return { kind: 'struct', name, size, members };
}

test('structs that contain themselves', (t) => {
  throwsBpfError(t, () => dumpC(types(around(2, 8, 'a'))), 'btf-contains-itself');
  const two = types(around(3, 8, 'a'), around(2, 8, 'b'));
  throwsBpfError(t, () => dumpC(two, { unsorted: true }), 'btf-contains-itself');
  const anonymous = types({ kind: 'ptr', target: id(3) }, around(2, 8));
  throwsBpfError(t, () => dumpC(anonymous, { unsorted: true }), 'btf-contains-itself');
});

test('circles of references', (t) => {
  const typedefs = types(
    { kind: 'typedef', name: 'a', target: id(3) },
    { kind: 'typedef', name: 'b', target: id(2) },
  );
  throwsBpfError(t, () => dumpC(typedefs), 'btf-reference-chain');
  throwsBpfError(t, () => dumpTypeC(typedefs, id(2)), 'btf-contains-itself');
  const modifiers = types({ kind: 'const', target: id(3) }, { kind: 'volatile', target: id(2) });
  throwsBpfError(t, () => dumpTypeC(modifiers, id(2)), 'btf-dump-limit');
  throwsBpfError(t, () => emitTypeDecl(modifiers, id(2)), 'btf-dump-limit');
  const pointers = types({ kind: 'ptr', target: id(2) });
  throwsBpfError(t, () => dumpTypeC(pointers, id(2)), 'btf-contains-itself');
});

/** `count` types of one kind, each of which refers to the next, and the last to `int`. */
function chain(count: number, kind: 'const' | 'ptr' | 'typedef'): Btf {
  const builder = new BtfBuilder();
  for (let i = 1; i <= count; i++) {
    const target = id(i + 1);
    builder.add(kind === 'typedef' ? { kind, name: 't', target } : { kind, target });
  }
  builder.add(int);
  return parseBtf(builder.finish());
}

test('chains of a hundred thousand references', (t) => {
  for (const kind of ['const', 'ptr', 'typedef'] as const) {
    const btf = chain(100_000, kind);
    const count = kind === 'typedef' ? 100_000 : 0;
    t.is(dumpC(btf).match(/^typedef /gm)?.length ?? 0, count);
    t.is(dumpC(btf, { unsorted: true }).match(/^typedef /gm)?.length ?? 0, count);
  }
  const pointers = chain(100_000, 'ptr');
  t.is(emitTypeDecl(pointers, id(1), { name: 'x' }), `int ${'*'.repeat(100_000)}x`);
});

test('structs nested a hundred thousand deep by name', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i <= 100_000; i++) builder.add(around(i, 4, 's'));
  const btf = parseBtf(builder.finish());
  t.true(dumpTypeC(btf, id(100_001)).endsWith('struct s___99999 inner;\n};\n\n'));
});

test('structs nested deep without a name', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i <= 10_000; i++) builder.add(around(i, 4));
  builder.add(around(10_001, 4, 'outer'));
  const btf = parseBtf(builder.finish());
  throwsBpfError(t, () => dumpC(btf), 'btf-dump-limit');
  throwsBpfError(t, () => dumpTypeData(btf, id(10_002), new Uint8Array(4)), 'btf-dump-limit');
});

test('structs without a name that double at each level', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i <= 60; i++) {
    const member = { type: id(i), bitOffset: 0 };
    const members = [
      { ...member, name: 'a' },
      { ...member, name: 'b' },
    ];
    builder.add({ kind: 'union', name: '', size: 4, members });
  }
  builder.add(around(61, 4, 'outer'));
  const btf = parseBtf(builder.finish());
  throwsBpfError(t, () => dumpC(btf), 'btf-dump-limit');
  const data = dumpTypeData.bind(undefined, btf, id(62), Uint8Array.of(1, 1, 1, 1));
  throwsBpfError(t, () => data(), 'btf-dump-limit');
});

test('prototypes that double at each level', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i <= 60; i++) {
    const params = [
      { name: '', type: id(i) },
      { name: '', type: id(i) },
    ];
    builder.add({ kind: 'func-proto', returns: id(i), params });
  }
  const btf = parseBtf(builder.finish());
  throwsBpfError(t, () => dumpTypeC(btf, id(61)), 'btf-dump-limit');
});

test('a struct that is nearly all padding', (t) => {
  const btf = types({ kind: 'struct', name: 'a', size: 0x0fff_ffff, members: [] });
  throwsBpfError(t, () => dumpC(btf), 'btf-dump-limit');
});

test('a long name that many types have', (t) => {
  const builder = new BtfBuilder();
  const name = 'n'.repeat(100_000);
  for (let i = 0; i < 2000; i++) builder.add({ kind: 'struct', name, size: 0, members: [] });
  const btf = parseBtf(builder.finish());
  throwsBpfError(t, () => dumpRaw(btf), 'btf-dump-limit');
  throwsBpfError(t, () => dumpC(btf), 'btf-dump-limit');
  throwsBpfError(t, () => dumpJson(btf), 'btf-dump-limit');
});

test('arrays of arrays, a hundred thousand deep', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i <= 100_000; i++) {
    builder.add({ kind: 'array', element: id(i), index: id(1), length: 1 });
  }
  builder.add(around(100_001, 4, 'inner'));
  builder.add(around(100_002, 4, 'outer'));
  const btf = parseBtf(builder.finish());
  throwsBpfError(t, () => dumpC(btf), 'btf-dump-limit');
  throwsBpfError(t, () => dumpTypeData(btf, id(100_003), new Uint8Array(4)), 'btf-dump-limit');
});

test('a dump that is used very often does not tire', (t) => {
  const consts = Array.from(
    { length: 30 },
    (_, i): NewBtfType => ({ kind: 'const', target: id(i + 1) }),
  );
  const btf = types(...consts, around(31, 4, 'a'));
  const dump = new DataDump(btf);
  const bytes = Uint8Array.of(1, 0, 0, 0);
  for (let i = 0; i < 15_000; i++) dump.print(id(32), bytes, { compact: true });
  t.is(dump.print(id(32), bytes, { compact: true }).text, '(struct a){.inner = (int)1,}');
});

test('a value of a million bytes', (t) => {
  const array: NewBtfType = { kind: 'array', element: id(2), index: id(1), length: 1_000_000 };
  const btf = types({ kind: 'int', name: 'u8', size: 1 }, array);
  const { text } = dumpTypeData(btf, id(3), new Uint8Array(1_000_000).fill(200));
  t.is(text.length, '(u8[1000000])[\n]'.length + 6 * 1_000_000);
});

test('arrays of four thousand million elements', (t) => {
  const length = 0xffff_ffff;
  const btf = types(
    { kind: 'array', element: id(1), index: id(1), length },
    { kind: 'struct', name: 'none', size: 0, members: [] },
    { kind: 'array', element: id(3), index: id(1), length },
    { kind: 'struct', name: 'one', size: 1, members: [] },
    { kind: 'array', element: id(5), index: id(1), length: length >>> 1 },
  );
  t.is(dumpTypeData(btf, id(2), new Uint8Array(8)).problem, 'invalid');
  t.is(dumpTypeData(btf, id(4), new Uint8Array(8)).problem, 'invalid');
  t.is(dumpTypeData(btf, id(6), new Uint8Array(8)).problem, 'invalid');
  const many = types(
    { kind: 'struct', name: 'one', size: 1, members: [] },
    { kind: 'array', element: id(2), index: id(1), length: 0x7000_0000 },
  );
  throwsBpfError(t, () => dumpTypeData(many, id(3), new Uint8Array(8)), 'btf-dump-limit');
});
