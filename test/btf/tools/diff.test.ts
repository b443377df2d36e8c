import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import { type BtfDetail, diffBtf } from '../../../src/btf/tools/diff.ts';
import { permuteBtf } from '../../../src/btf/tools/permute.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { graphs } from '../arbitrary.ts';
import { dataFile } from '../support.ts';

const id = (number: number): TypeId => number as TypeId;
const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };
const long: NewBtfType = { kind: 'int', name: 'long', size: 8, signed: true };

/** A BTF of `int` (1), `long` (2) and what is given from 3 on. */
function btfOf(...types: readonly NewBtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of [int, long, ...types]) builder.add(type);
  return parseBtf(builder.finish());
}

const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({
  name,
  type: id(type),
  bitOffset,
  bitSize,
});

function struct(name: string, size: number, members: ReturnType<typeof member>[]): NewBtfType {
  return { kind: 'struct', name, size, members };
}

/** The details of the only changed type, in a short form. */
function details(a: Btf, b: Btf): readonly string[] {
  const { added, removed, changed } = diffBtf(a, b);
  if (added.length + removed.length > 0 || changed.length > 1) return ['more'];
  return (changed[0]?.details ?? []).map(short);
}

function short(detail: BtfDetail): string {
  switch (detail.what) {
    case 'member-added':
    case 'member-removed':
      return `${detail.what} ${detail.member.name}: ${detail.member.type} @${detail.member.bitOffset}`;
    case 'member-changed': {
      const how = [
        detail.moved ? `moved ${detail.old.bitOffset} ${detail.new.bitOffset}` : '',
        detail.retyped ? `retyped ${detail.old.type}, ${detail.new.type}` : '',
        detail.resized ? `resized ${detail.old.size} ${detail.new.size}` : '',
      ];
      return `${detail.new.name} ${how.filter((word) => word !== '').join('; ')}`;
    }
    case 'param-added':
    case 'param-removed':
      return `${detail.what} ${detail.index} ${detail.param.name} ${detail.param.type}`;
    case 'param-changed':
      return `param ${detail.index} ${detail.old.name} ${detail.old.type}, ${detail.new.name} ${detail.new.type}`;
    case 'enumerator-added':
    case 'enumerator-removed':
      return `${detail.what} ${detail.name} ${detail.value}`;
    default:
      return `${detail.what} ${detail.old} ${detail.new}`;
  }
}

test('members added, removed, moved, retyped', (t) => {
  const a = btfOf(struct('s', 16, [member('a', 1, 0), member('b', 1, 32), member('c', 1, 64)]));
  const b = btfOf(struct('s', 24, [member('b', 1, 0), member('c', 2, 64), member('d', 1, 128)]));
  t.deepEqual(details(a, b), [
    'size 16 24',
    'member-removed a: int @0',
    'b moved 32 0',
    'c retyped int, long; resized 4 8',
    'member-added d: int @128',
  ]);
});

test('a member whose struct grew is resized, a pointer to it is not', (t) => {
  const of = (size: number): Btf =>
    btfOf(
      struct('inner', size, []),
      { kind: 'ptr', target: id(3) },
      struct('outer', 64, [member('i', 3, 0), member('p', 4, 256)]),
    );
  const { changed } = diffBtf(of(8), of(16));
  t.deepEqual(
    changed.map((change) => [change.name, ...change.details.map(short)]),
    [
      ['inner', 'size 8 16'],
      ['outer', 'i resized 8 16'],
    ],
  );
});

test('bit fields: their width is their size', (t) => {
  const a = btfOf(struct('s', 4, [member('f', 1, 0, 3)]));
  const b = btfOf(struct('s', 4, [member('f', 1, 1, 4)]));
  t.deepEqual(details(a, b), ['f moved 0 1; resized 4 4']);
});

test('members of structs without a name belong to what is around them', (t) => {
  const of = (offset: number, name: string): Btf =>
    btfOf(
      struct('', 16, [member('x', 1, 0), member(name, 1, offset)]),
      { kind: 'array', element: id(3), index: id(1), length: 2 },
      struct('s', 64, [member('', 3, 64), member('n', 3, 192), member('l', 4, 320)]),
    );
  t.deepEqual(details(of(32, 'y'), of(64, 'y')), [
    'y moved 96 128',
    'n.y moved 224 256',
    'l[].y moved 352 384',
  ]);
  t.deepEqual(details(of(32, 'y'), of(32, 'z')).slice(0, 3), [
    'member-removed y: int @96',
    'member-removed n.y: int @224',
    'member-removed l[].y: int @352',
  ]);
});

test('a typedef of a struct without a name is that struct', (t) => {
  const of = (name: string): Btf =>
    btfOf(struct('', 4, [member(name, 1, 0)]), { kind: 'typedef', name: 't', target: id(3) });
  t.deepEqual(details(of('a'), of('b')), ['member-removed a: int @0', 'member-added b: int @0']);
  const plain = btfOf({ kind: 'typedef', name: 't', target: id(1) });
  t.deepEqual(details(of('a'), plain), ['type struct {…} int']);
});

test('enumerators, and enums that become 64 bits wide', (t) => {
  const a = btfOf({
    kind: 'enum',
    name: 'e',
    values: [
      { name: 'A', value: 0n },
      { name: 'B', value: 1n },
      { name: 'C', value: 2n },
    ],
  });
  const b = btfOf({
    kind: 'enum64',
    name: 'e',
    values: [
      { name: 'A', value: 0n },
      { name: 'C', value: 3n },
      { name: 'D', value: -1n },
    ],
  });
  t.deepEqual(details(a, b), [
    'size 4 8',
    'encoding unsigned signed',
    'enumerator-removed B 1',
    'enumerator-changed 2 3',
    'enumerator-added D -1',
  ]);
});

test('prototypes of functions', (t) => {
  const of = (returns: number, ...params: readonly (readonly [string, number])[]): Btf =>
    btfOf(
      {
        kind: 'func-proto',
        returns: id(returns),
        params: params.map(([name, type]) => ({ name, type: id(type) })),
      },
      { kind: 'func', name: 'f', proto: id(3), linkage: 'static' },
    );
  const old = of(1, ['a', 1], ['b', 2], ['c', 1]);
  t.deepEqual(details(old, of(2, ['a', 1], ['b', 2], ['c', 1])), ['returns int long']);
  t.deepEqual(details(old, of(1, ['a', 1], ['x', 1], ['b', 2], ['c', 1])), ['param-added 1 x int']);
  t.deepEqual(details(old, of(1, ['a', 1], ['c', 1])), ['param-removed 1 b long']);
  t.deepEqual(details(old, of(1, ['a', 1], ['b', 1], ['d', 1])), [
    'param 1 b long, b int',
    'param 2 c int, d int',
  ]);
  t.deepEqual(details(old, of(1, ['a', 1], ['b', 2], ['c', 1], ['', 0])), ['param-added 3  ...']);
});

test('names of parameters do not make a pointer to a function another one', (t) => {
  const of = (name: string): Btf =>
    btfOf(
      { kind: 'func-proto', returns: id(0), params: [{ name, type: id(1) }] },
      { kind: 'ptr', target: id(3) },
      struct('s', 8, [member('call', 4, 0)]),
    );
  t.deepEqual(details(of('a'), of('b')), []);
});

test('integers, typedefs, variables, forward declarations', (t) => {
  const rows: readonly (readonly [NewBtfType, NewBtfType, string])[] = [
    [
      { kind: 'int', name: 'x', size: 4, signed: true },
      { kind: 'int', name: 'x', size: 4, bool: true },
      'encoding signed 32 bits unsigned bool 32 bits',
    ],
    [
      { kind: 'typedef', name: 'x', target: id(1) },
      { kind: 'typedef', name: 'x', target: id(2) },
      'type int long',
    ],
    [
      { kind: 'var', name: 'x', type: id(1), linkage: 'static' },
      { kind: 'var', name: 'x', type: id(1), linkage: 'global' },
      'linkage static global',
    ],
    [
      { kind: 'fwd', name: 'x', of: 'struct' },
      { kind: 'fwd', name: 'x', of: 'union' },
      'type struct union',
    ],
    [{ kind: 'float', name: 'x', size: 4 }, { kind: 'float', name: 'x', size: 8 }, 'size 4 8'],
  ];
  for (const [a, b, expected] of rows) t.deepEqual(details(btfOf(a), btfOf(b)), [expected]);
});

test('types that only one side has, and a choice of names', (t) => {
  const a = btfOf(struct('gone', 4, []), struct('kept', 4, []));
  const b = btfOf(struct('kept', 8, []), { kind: 'typedef', name: 'gone', target: id(1) });
  const diff = diffBtf(a, b);
  t.deepEqual(diff.removed, [{ kind: 'struct', name: 'gone', id: id(3) }]);
  t.deepEqual(diff.added, [{ kind: 'typedef', name: 'gone', id: id(4) }]);
  t.is(diff.changed.length, 1);
  const some = diffBtf(a, b, { only: [{ name: 'gone', kind: 'typedef' }, { name: 'absent' }] });
  t.deepEqual(some, { removed: [], added: diff.added, changed: [] });
  t.deepEqual(diffBtf(a, b, { only: [] }), { removed: [], added: [], changed: [] });
});

test('of several types of one name, the equal ones are set aside', (t) => {
  const [x, y, z] = [4, 8, 12].map((size) => struct('s', size, [])) as [
    NewBtfType,
    NewBtfType,
    NewBtfType,
  ];
  t.deepEqual(details(btfOf(x, y), btfOf(y, z)), ['size 4 12']);
  t.deepEqual(diffBtf(btfOf(x, y), btfOf(y)).removed, [{ kind: 'struct', name: 's', id: id(3) }]);
});

test('byte order and order of types make no difference', (t) => {
  const el = parseBtf(dataFile('shapes.el.btf'));
  const nothing = { removed: [], added: [], changed: [] };
  t.deepEqual(diffBtf(el, el), nothing);
  const reversed = Array.from({ length: el.endId - 1 }, (_, i) => el.endId - 1 - i);
  t.deepEqual(diffBtf(el, permuteBtf(el, reversed)), nothing);
});

test('any two graphs can be compared, one with itself without a difference', (t) => {
  fc.assert(
    fc.property(graphs(), graphs(), (some, others) => {
      const [a, b] = [some, others].map((types) => {
        const builder = new BtfBuilder();
        for (const type of types) builder.add(type);
        return parseBtf(builder.finish());
      }) as [Btf, Btf];
      const { added, removed, changed } = diffBtf(a, b);
      t.true(added.length + removed.length + changed.length >= 0);
      t.deepEqual(diffBtf(a, a), { removed: [], added: [], changed: [] });
    }),
    { numRuns: 200 },
  );
});

test('a long chain of pointers and structs nested without names stay linear', (t) => {
  const chain: NewBtfType[] = Array.from({ length: 100_000 }, (_, i) => ({
    kind: 'ptr',
    target: id(i + 4),
  }));
  const deep = (offset: number): Btf => {
    const nested = Array.from({ length: 40 }, (_, i) =>
      struct(
        '',
        8,
        i === 0 ? [member('x', 1, offset)] : [member('', i + 2, 0), member('', i + 2, 0)],
      ),
    );
    return btfOf(...nested, struct('top', 8, [member('', 42, 0)]));
  };
  const { changed } = diffBtf(btfOf(...chain, int), btfOf(...chain, long));
  t.is(changed.length, 0);
  t.is(diffBtf(deep(0), deep(8)).changed.length, 1);
});
