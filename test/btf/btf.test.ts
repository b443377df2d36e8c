import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { BTF_KIND, type TypeId, voidId } from '../../src/btf/types.ts';
import { Writer } from '../../src/bytes/writer.ts';
import { bpftoolJson, splitBpftoolJson } from './bpftool-json.ts';
import { dataFile, throwsBpfError } from './support.ts';

const golden = splitBpftoolJson(
  readFileSync(join(projectRoot, 'test/btf/data/shapes.golden'), 'utf8'),
);

for (const order of ['el', 'eb']) {
  test(`every type of a clang object is read as bpftool reads it: ${order}`, (t) => {
    const btf = parseBtf(dataFile(`shapes.${order}.btf`));
    t.is(btf.littleEndian, order === 'el');
    t.deepEqual(bpftoolJson(btf), golden);
  });
}

test('misaligned bytes and a Node Buffer give the same types', (t) => {
  for (const order of ['el', 'eb']) {
    const bytes = dataFile(`shapes.${order}.btf`);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    t.deepEqual(bpftoolJson(parseBtf(shifted.subarray(1))), golden);
    t.deepEqual(bpftoolJson(parseBtf(Buffer.from(bytes))), golden);
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
    shared.set(bytes);
    t.deepEqual(bpftoolJson(parseBtf(shared)), golden);
  }
});

test('columns answer without making types', (t) => {
  const btf = parseBtf(dataFile('shapes.el.btf'), { name: 'shapes' });
  t.is(btf.name, 'shapes');
  t.is(btf.firstId, 1);
  const bits = btf.find('bits') as TypeId;
  t.is(btf.kindOf(bits), BTF_KIND.STRUCT);
  t.is(btf.vlenOf(bits), 5);
  t.true(btf.kindFlagOf(bits));
  t.is(btf.sizeOrTypeOf(bits), 16);
  t.is(btf.string(btf.nameOffsetOf(bits)), 'bits');
  t.is(btf.nameOf(bits), 'bits');
  t.is(btf.type(bits), btf.type(bits));
  t.is(btf.kindOf(voidId), BTF_KIND.VOID);
  t.deepEqual(btf.type(voidId), { kind: 'void', id: voidId });
  t.is(btf.nameOf(voidId), '');
});

test('ids outside are errors', (t) => {
  const btf = parseBtf(dataFile('shapes.el.btf'));
  for (const id of [-1, 0.5, Number.NaN, btf.endId, 2 ** 32]) {
    t.false(btf.has(id));
    throwsBpfError(t, () => btf.type(id as TypeId), 'btf-no-type');
    throwsBpfError(t, () => btf.kindOf(id as TypeId), 'btf-no-type');
  }
  t.true(btf.has(0));
  t.true(btf.has(btf.endId - 1));
  for (const offset of [-1, 0.5, btf.strings.end]) {
    throwsBpfError(t, () => btf.string(offset), 'btf-no-string');
  }
});

test('a split BTF goes on where its base ends, over several levels', (t) => {
  const first = new BtfBuilder();
  const int = first.add({ kind: 'int', name: 'int', size: 4, signed: true });
  first.add({ kind: 'struct', name: 'shared', size: 0, members: [] });
  const base = parseBtf(first.finish(), { name: 'vmlinux' });

  const second = new BtfBuilder({ base });
  const pointer = second.add({ kind: 'ptr', target: int });
  second.add({
    kind: 'struct',
    name: 'shared',
    size: 8,
    members: [{ type: pointer, bitOffset: 0 }],
  });
  const middle = parseBtf(second.finish(), { base, name: 'module' });

  const third = new BtfBuilder({ base: middle });
  third.add({ kind: 'typedef', name: 'mine', target: pointer });
  third.add({ kind: 'typedef', name: 'int', target: int });
  const top = parseBtf(third.finish(), { base: middle });

  t.deepEqual([base.endId, middle.firstId, middle.endId, top.firstId], [3, 3, 5, 5]);
  t.deepEqual(top.findAll('shared'), [2, 4] as TypeId[]);
  t.deepEqual(top.findEssential('shared'), [2, 4] as TypeId[]);
  t.is(top.find('int'), int);
  t.is(top.find('int', BTF_KIND.TYPEDEF), 6 as TypeId);
  t.is(top.find('mine'), 5 as TypeId);
  t.is(middle.find('mine'), undefined);
  t.is(top.nameOf(int), 'int');
  t.is(top.type(pointer), middle.type(pointer));
  // The strings of all levels are one table; the base's are used again.
  t.is(top.nameOffsetOf(6 as TypeId), base.nameOffsetOf(int));
  t.true(top.nameOffsetOf(5 as TypeId) >= middle.strings.end);
  throwsBpfError(t, () => parseBtf(second.finish()), 'btf-section');
});

test('the size of long decides the size of pointers, unless it is given', (t) => {
  const withLong = (name: string, size: number): Uint8Array => {
    const builder = new BtfBuilder();
    builder.add({ kind: 'typedef', name: 'long', target: builder.nextId });
    builder.add({ kind: 'int', name, size });
    return builder.finish();
  };
  t.is(parseBtf(withLong('long', 4)).pointerSize, 4);
  t.is(parseBtf(withLong('unsigned long int', 4)).pointerSize, 4);
  t.is(parseBtf(withLong('long', 8)).pointerSize, 8);
  t.is(parseBtf(withLong('long', 2)).pointerSize, 8);
  t.is(parseBtf(withLong('int', 4)).pointerSize, 8);
  t.is(parseBtf(withLong('long', 4), { pointerSize: 8 }).pointerSize, 8);
  const base = parseBtf(withLong('long', 4));
  t.is(parseBtf(new BtfBuilder({ base }).finish(), { base }).pointerSize, 4);
});

test('void, missing and unusual names', (t) => {
  const btf = parseBtf(dataFile('shapes.el.btf'));
  t.is(btf.find('void'), voidId);
  t.is(btf.find('void', BTF_KIND.STRUCT), undefined);
  for (const name of ['', 'nod', 'nodes', 'no\0de', 'node\0', '\ud800', '__proto__']) {
    t.is(btf.find(name), undefined, name);
    t.deepEqual(btf.findAll(name), []);
    t.deepEqual(btf.findEssential(name), []);
  }
  t.is(btf.find('subprogram'), 33 as TypeId);
  t.is(btf.find('subprogram', BTF_KIND.FUNC), 33 as TypeId);
  t.is(btf.find('node', BTF_KIND.UNION), undefined);
  t.deepEqual(btf.findEssential('task'), [38] as TypeId[]);
  t.deepEqual(btf.findEssential('task___old'), []);
  t.is(btf.find('task___old'), 38 as TypeId);
});

test('names that are not UTF-8 are found by what they decode to', (t) => {
  const names = ['\udcff', '\ufffd', 'größe', 'größe___v1'];
  const builder = new BtfBuilder();
  for (const name of names) builder.add({ kind: 'fwd', name, of: 'struct' });
  const btf = parseBtf(builder.finish());
  for (const [index, name] of names.entries()) {
    t.is(btf.nameOf((index + 1) as TypeId), name);
    t.is(btf.find(name), (index + 1) as TypeId);
  }
  t.deepEqual(btf.findEssential('größe'), [3, 4] as TypeId[]);
});

/** A BTF with one struct whose header is given, as words after magic, version and flags. */
function withHeader(words: readonly number[], body: Uint8Array): Uint8Array {
  const out = new Writer({ littleEndian: true }).u16(0xeb9f).u8(1).u8(0);
  for (const word of words) out.u32(word);
  return out.bytes(body).finish();
}

test('a layout section lets unknown kinds pass, their sizes as it says', (t) => {
  const layout = new Uint8Array(4 * 101);
  layout.set([8, 12], 4 * 100);
  const types = new Writer({ littleEndian: true });
  // Kind 100 with two elements: 3 words, 8 bytes once, 12 bytes each.
  types
    .u32(1)
    .u32((100 << 24) | 2)
    .u32(0xffffffff);
  types.bytes(new Uint8Array(8 + 24).fill(0xff));
  types
    .u32(1)
    .u32(BTF_KIND.FWD << 24)
    .u32(0);
  const strings = Uint8Array.of(0, 0x78, 0);
  const body = new Writer({ littleEndian: true })
    .bytes(types.finish())
    .bytes(layout)
    .bytes(strings)
    .finish();
  const { length } = types;
  const stringsAt = length + layout.length;
  const head = [32, 0, length, stringsAt, strings.length, length, layout.length];
  const btf = parseBtf(withHeader(head, body));
  t.deepEqual(btf.type(1 as TypeId), { kind: 'unknown', id: 1 as TypeId, name: 'x', number: 100 });
  t.is(btf.kindOf(1 as TypeId), 100 as never);
  t.is(btf.type(2 as TypeId).kind, 'fwd');
  // Without the layout, or with sizes that break alignment, the kind is refused by number.
  const short = parseBtfWithout(head, body);
  const error = throwsBpfError(t, short, 'btf-unknown-kind');
  t.regex(error?.message ?? '', /type 1 at offset 0 is of the unknown kind 100/);
  layout.set([7, 12], 4 * 100);
  body.set(layout, length);
  throwsBpfError(t, () => parseBtf(withHeader(head, body)), 'btf-unknown-kind');
});

function parseBtfWithout(head: readonly number[], body: Uint8Array): () => unknown {
  return () => parseBtf(withHeader([...head.slice(0, 5), 0, 0], body));
}

test('a vlen of 24 bits and a kind of 7 are read as such', (t) => {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4 });
  const values = Array.from({ length: 70_000 }, (_, i) => ({ name: 'V', value: BigInt(i) }));
  const id = builder.add({ kind: 'enum', name: 'large', values });
  builder.add({ kind: 'ptr', target: int });
  const btf = parseBtf(builder.finish());
  t.is(btf.vlenOf(id), 70_000);
  t.is(btf.endId, 4);
});

test('a longer header is accepted where the rest is zero', (t) => {
  const bytes = dataFile('shapes.el.btf');
  for (const length of [28, 32, 40]) {
    const longer = new Uint8Array(bytes.length + length - 24);
    longer.set(bytes.subarray(0, 24));
    longer.set(bytes.subarray(24), length);
    new DataView(longer.buffer).setUint32(4, length, true);
    t.deepEqual(bpftoolJson(parseBtf(longer)), golden);
    longer[length - 1] = 1;
    t.throws(() => parseBtf(longer), { name: 'BpfError' });
  }
});

test('sections may stand in any order', (t) => {
  const bytes = dataFile('shapes.el.btf');
  const view = new DataView(bytes.buffer);
  const types = bytes.slice(24, 24 + view.getUint32(12, true));
  const strings = bytes.slice(24 + view.getUint32(16, true));
  const padding = -strings.length & 3;
  const body = new Writer({ littleEndian: true })
    .bytes(strings)
    .bytes(new Uint8Array(padding))
    .bytes(types)
    .finish();
  const head = [24, strings.length + padding, types.length, 0, strings.length];
  t.deepEqual(bpftoolJson(parseBtf(withHeader(head, body))), golden);
});
