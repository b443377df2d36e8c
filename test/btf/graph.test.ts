import test from 'ava';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfType } from '../../src/btf/encode.ts';
import {
  alignOf,
  chainLimit,
  childIds,
  essentialName,
  resolveType,
  sizeOf,
  skipModifiers,
  typeToString,
} from '../../src/btf/graph.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { Writer } from '../../src/bytes/writer.ts';
import { dataFile, throwsBpfError } from './support.ts';

const shapes = parseBtf(dataFile('shapes.el.btf'), { name: 'shapes' });

/** A BTF of these types, with ids from 1 on. */
function btfOf(...types: readonly NewBtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { name: 'made' });
}

const id = (number: number): TypeId => number as TypeId;
const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };

test('essential names, as libbpf cuts them', (t) => {
  const rows = [
    ['task_struct', 'task_struct'],
    ['task_struct___old', 'task_struct'],
    ['a___b___c', 'a___b'],
    ['a___b____c', 'a'],
    ['a____b', 'a____b'],
    ['___a', '___a'],
    ['a___', 'a___'],
    ['a___b___', 'a'],
    ['a_____b', 'a_____b'],
    ['a___\nb', 'a'],
    ['', ''],
  ] as const;
  for (const [name, essential] of rows) t.is(essentialName(name), essential, name);
});

test('candidates are found by the same rule as essentialName', (t) => {
  const names = ['x', 'x___1', 'x___2', 'x____3', 'x___1___2', 'y___x', '___x', 'x___', 'ax___1'];
  const btf = btfOf(...names.map((name) => ({ kind: 'fwd', name, of: 'struct' }) as const));
  for (const wanted of [...names, 'y', 'ax', 'x___1']) {
    const expected = names.flatMap((n, i) => (essentialName(n) === wanted ? [id(i + 1)] : []));
    t.deepEqual(btf.findEssential(wanted), expected, wanted);
  }
});

test('names that share their ends in one string have each its own essential name', (t) => {
  // One run "ab___cd___e": type names begin at several places of it.
  const text = '\0ab___cd___e\0zz___9\0';
  const types = new Writer({ littleEndian: true });
  const starts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15];
  for (const start of starts)
    types
      .u32(start)
      .u32(7 << 24)
      .u32(0);
  const out = new Writer({ littleEndian: true }).u16(0xeb9f).u8(1).u8(0).u32(24);
  out.u32(0).u32(types.length).u32(types.length).u32(text.length);
  out.bytes(types.finish()).bytes(new TextEncoder().encode(text));
  const btf = parseBtf(out.finish());
  const names = starts.map((start) => text.slice(start, text.indexOf('\0', start)));
  for (const [index, name] of names.entries()) {
    t.is(btf.nameOf(id(index + 1)), name);
    t.is(btf.find(name), id(index + 1));
    t.true(btf.findEssential(essentialName(name)).includes(id(index + 1)), name);
  }
});

test('resolveType and skipModifiers', (t) => {
  const btf = btfOf(
    int,
    { kind: 'typedef', name: 'number', target: id(1) },
    { kind: 'const', target: id(2) },
    { kind: 'type-tag', name: 'user', target: id(3) },
    { kind: 'typedef', name: 'outer', target: id(4) },
    { kind: 'volatile', target: id(5) },
    { kind: 'restrict', target: id(6) },
    { kind: 'ptr', target: id(7) },
    { kind: 'const', target: id(0) },
  );
  t.is(resolveType(btf, id(7)), id(1));
  t.is(skipModifiers(btf, id(7)), id(5));
  t.is(skipModifiers(btf, id(4)), id(2));
  t.is(resolveType(btf, id(8)), id(8));
  t.is(resolveType(btf, id(9)), id(0));
});

test('sizes', (t) => {
  const sizes = new Map<string, number>();
  for (const name of [
    'node',
    'bits',
    'squeezed',
    'tagged_t',
    'wide_t',
    'color',
    'some_bits',
    '.bss',
  ]) {
    sizes.set(name, sizeOf(shapes, shapes.find(name) as TypeId));
  }
  t.deepEqual([...sizes.values()], [128, 16, 9, 16, 16, 4, 16, 0]);
  t.is(sizeOf(shapes, id(16)), 48); // pointers[3][2]
  t.is(sizeOf(shapes, id(29)), 0); // char tail[]
  t.is(sizeOf(shapes, id(17)), 8);
  t.is(sizeOf(shapes, id(64)), 16); // a tag on a struct
  for (const none of [0, 18, 20, 22, 33])
    throwsBpfError(t, () => sizeOf(shapes, id(none)), 'btf-no-size');
});

test('alignments', (t) => {
  const rows = [
    ['node', 8],
    ['bits', 8],
    ['squeezed', 1],
    ['tagged_t', 8],
    ['wide_t', 8],
    ['color', 4],
  ] as const;
  for (const [name, alignment] of rows)
    t.is(alignOf(shapes, shapes.find(name) as TypeId), alignment, name);
  t.is(alignOf(shapes, id(5)), 1);
  t.is(alignOf(shapes, id(3)), 4);
  t.is(alignOf(shapes, id(16)), 8);
  for (const none of [0, 18, 22, 33, 47])
    throwsBpfError(t, () => alignOf(shapes, id(none)), 'btf-no-size');
});

test('a product of more than 32 bits is refused', (t) => {
  const array = (element: number): NewBtfType => ({
    kind: 'array',
    element: id(element),
    index: id(1),
    length: 0x10000,
  });
  const btf = btfOf(int, array(1), array(2));
  t.is(sizeOf(btf, id(2)), 0x40000);
  throwsBpfError(t, () => sizeOf(btf, id(3)), 'btf-too-large');
});

test('circles end in an error, everywhere', (t) => {
  const circles: readonly (readonly NewBtfType[])[] = [
    [{ kind: 'typedef', name: 'self', target: id(1) }],
    [
      { kind: 'const', target: id(2) },
      { kind: 'typedef', name: 'b', target: id(1) },
    ],
    [{ kind: 'array', element: id(1), index: id(1), length: 1 }],
    [
      { kind: 'array', element: id(2), index: id(1), length: 1 },
      { kind: 'typedef', name: 'row', target: id(1) },
    ],
  ];
  for (const types of circles) {
    const btf = btfOf(...types);
    throwsBpfError(t, () => sizeOf(btf, id(1)), 'btf-reference-chain');
    throwsBpfError(t, () => alignOf(btf, id(1)), 'btf-reference-chain');
    t.true(typeToString(btf, id(1)).length < 1000);
  }
  throwsBpfError(t, () => resolveType(btfOf(...(circles[1] ?? [])), id(1)), 'btf-reference-chain');
  const through = btfOf(
    { kind: 'struct', name: 'outer', size: 8, members: [{ type: id(2), bitOffset: 0 }] },
    { kind: 'array', element: id(3), index: id(4), length: 2 },
    { kind: 'union', name: 'inner', size: 8, members: [{ type: id(1), bitOffset: 0 }] },
    int,
  );
  t.is(sizeOf(through, id(1)), 8);
  const error = throwsBpfError(t, () => alignOf(through, id(1)), 'btf-contains-itself');
  t.is(error?.message, "BTF 'made': type 1 ('outer') contains itself");
});

test('a chain of a million references overflows no stack', (t) => {
  const builder = new BtfBuilder();
  const count = 1_000_000;
  for (let i = 0; i < count; i++) builder.add({ kind: 'ptr', target: id(i) });
  const pointers = parseBtf(builder.finish());
  t.is(sizeOf(pointers, id(count)), 8);
  t.true(typeToString(pointers, id(count)).length < 100);
  const consts = new BtfBuilder();
  consts.add(int);
  for (let i = 1; i < count; i++) consts.add({ kind: 'const', target: id(i) });
  const chain = parseBtf(consts.finish());
  t.is(resolveType(chain, id(chainLimit + 1)), id(1));
  for (const ask of [resolveType, sizeOf, alignOf]) {
    throwsBpfError(t, () => ask(chain, id(count)), 'btf-reference-chain');
  }
});

test('deep nesting and shared members cost no more than their number', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i < 100_000; i++) {
    const member = { type: id(i), bitOffset: 0 };
    builder.add({ kind: 'union', name: '', size: 4, members: [member, member] });
  }
  const btf = parseBtf(builder.finish());
  t.is(alignOf(btf, id(100_000)), 4);
});

test('spelling', (t) => {
  const rows: readonly (readonly [number, string])[] = [
    [0, 'void'],
    [1, 'struct node *'],
    [2, 'struct node'],
    [3, 'union {…}'],
    [10, 'const char[16]'],
    [12, 'volatile int *restrict'],
    [16, 'volatile int *restrict[3][2]'],
    [17, 'int (*)(struct node *, const void *, ...)'],
    [18, 'int (struct node *, const void *, ...)'],
    [22, 'struct forward'],
    [23, 'union forward_union *'],
    [29, 'char[]'],
    [30, 'u64'],
    [33, 'func subprogram'],
    [46, 'enum color'],
    [53, 'const volatile u64'],
    [47, 'struct bits some_bits'],
    [65, 'struct tagged'],
    [67, 'int *'],
    [72, 'datasec .bss'],
  ];
  for (const [type, text] of rows) t.is(typeToString(shapes, id(type)), text);
  const more = btfOf(
    int,
    { kind: 'array', element: id(1), index: id(1), length: 4 },
    { kind: 'ptr', target: id(2) },
    { kind: 'const', target: id(3) },
    { kind: 'ptr', target: id(4) },
    { kind: 'func-proto', returns: id(0), params: [] },
    { kind: 'ptr', target: id(6) },
    { kind: 'func-proto', returns: id(7), params: [{ name: 'f', type: id(7) }] },
    { kind: 'array', element: id(7), index: id(1), length: 2 },
  );
  t.is(typeToString(more, id(3)), 'int (*)[4]');
  t.is(typeToString(more, id(4)), 'int (*const)[4]');
  t.is(typeToString(more, id(5)), 'int (*const *)[4]');
  t.is(typeToString(more, id(7)), 'void (*)(void)');
  t.is(typeToString(more, id(8)), 'void (*(void (*)(…)))(void)');
  t.is(typeToString(more, id(9)), 'void (*[2])(void)');
});

test('childIds gives every reference in stored order', (t) => {
  const children = (type: number): readonly number[] => childIds(shapes.type(id(type)));
  t.deepEqual(children(0), []);
  t.deepEqual(children(1), [2]);
  t.deepEqual(children(3), [4, 5]);
  t.deepEqual(children(10), [8, 11]);
  t.deepEqual(children(18), [4, 1, 19, 0]);
  t.deepEqual(children(33), [32]);
  t.deepEqual(children(34), [33]);
  t.deepEqual(children(47), [43]);
  t.deepEqual(children(72), [52, 59, 68, 71]);
  t.deepEqual(children(46), []);
});
