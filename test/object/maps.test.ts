import test from 'ava';
import type { BpfErrorDetail } from '../../src/errors.ts';
import { openObject } from '../../src/object/open.ts';
import { buildElf } from '../elf/elf-builder.ts';
import type { BtfBuilder, BuildMember } from './btf-builder.ts';
import { type BuildMap, errorOf, objectWithMaps } from './support.ts';

type Members = (btf: BtfBuilder) => readonly BuildMember[];

function define(members: Members): BuildMap['define'] {
  return (btf) => {
    const list = members(btf);
    return btf.struct('', list.length * 8, list);
  };
}

function open(...maps: readonly BuildMap[]) {
  return openObject(buildElf(objectWithMaps(maps)));
}

function openOne(members: Members, name = 'm') {
  return open({ name, define: define(members) }).maps[0];
}

test('every member of a definition', (t) => {
  const map = openOne((btf) => [
    ['type', btf.uint(1), 0],
    ['max_entries', btf.uint(100), 8],
    ['map_flags', btf.uint(5), 16],
    ['numa_node', btf.uint(2), 24],
    ['key_size', btf.uint(4), 32],
    ['key', btf.ptr(1), 40],
    ['value', btf.ptr(btf.array(1, 5)), 48],
    ['pinning', btf.uint(1), 56],
    ['map_extra', btf.enum64([1n << 44n]), 64],
  ]);
  t.like(map, {
    name: 'm',
    kernelName: 'm',
    type: 1,
    maxEntries: 100,
    flags: 5,
    numaNode: 2,
    keySize: 4,
    valueSize: 20,
    keyType: 1,
    pinning: 'by-name',
    extra: 1n << 44n,
    inner: undefined,
    values: [],
    data: undefined,
  });
  t.is(typeof map?.valueType, 'number');
});

test('__ulong stands for any number', (t) => {
  const map = openOne((btf) => [
    ['type', btf.enumeration([2n]), 0],
    ['max_entries', btf.enum64([7n]), 8],
    ['map_extra', btf.enumeration([0xffffffffn]), 16],
  ]);
  t.like(map, { type: 2, maxEntries: 7 });
});

test('max_entries may be left to the host', (t) => {
  t.like(
    openOne((btf) => [['type', btf.uint(7), 0]]),
    { type: 7, maxEntries: 0, keySize: 0, valueSize: 0 },
  );
});

test('a map of maps has a template', (t) => {
  const map = openOne((btf) => {
    const inner = btf.struct('', 16, [
      ['type', btf.uint(2), 0],
      ['max_entries', btf.uint(3), 8],
    ]);
    return [
      ['type', btf.uint(12), 0],
      ['key_size', btf.uint(4), 8],
      ['values', btf.array(btf.ptr(inner), 0), 16],
    ];
  }, 'a_rather_long_outer_name');
  t.is(map?.valueSize, 4);
  t.is(map?.kernelName, 'a_rather_long_o');
  t.like(map?.inner, { name: 'a_rather_long_outer_name.inner', type: 2, maxEntries: 3 });
});

test('a prog array takes functions', (t) => {
  const map = openOne((btf) => [
    ['type', btf.uint(3), 0],
    ['values', btf.array(btf.ptr(btf.funcProto(1)), 0), 8],
  ]);
  t.like(map, { type: 3, valueSize: 4, inner: undefined });
});

test('maps come in the order of their places, taken from the symbols', (t) => {
  const define = (btf: BtfBuilder) => btf.struct('', 8, [['type', btf.uint(1), 0]]);
  const elf = objectWithMaps([
    { name: 'first', define },
    { name: 'second', define },
  ]);
  const [first, second] = elf.symbols ?? [];
  if (first === undefined || second === undefined) throw new Error('no symbols');
  const symbols = [
    { ...first, value: 128n },
    { ...second, value: 0n },
  ];
  const spec = openObject(buildElf({ ...elf, symbols }));
  t.deepEqual(
    spec.maps.map((map) => map.name),
    ['second', 'first'],
  );
});

type Fault = Extract<BpfErrorDetail, { code: 'map-definition' }>['fault']['kind'];

const refused: readonly (readonly [string, Fault, string, Members])[] = [
  ['no type', 'no-type', '', (b) => [['max_entries', b.uint(1), 0]]],
  ['unknown member', 'unknown-member', 'colour', (b) => [['colour', b.uint(1), 0]]],
  ['__proto__', 'unknown-member', '__proto__', (b) => [['__proto__', b.uint(1), 0]]],
  [
    'a member twice',
    'duplicate-member',
    'type',
    (b) => [
      ['type', b.uint(1), 0],
      ['type', b.uint(1), 8],
    ],
  ],
  ['int as number', 'not-a-number', 'type', () => [['type', 1, 0]]],
  ['pointer to int', 'not-a-number', 'type', (b) => [['type', b.ptr(1), 0]]],
  ['two enumerators', 'not-one-enumerator', 'type', (b) => [['type', b.enumeration([1n, 2n]), 0]]],
  ['33 bits', 'number-too-large', 'type', (b) => [['type', b.enum64([1n << 32n]), 0]]],
  [
    'key sizes',
    'conflicting-size',
    'key',
    (b) => [
      ['key_size', b.uint(8), 0],
      ['key', b.ptr(1), 8],
    ],
  ],
  [
    'value sizes',
    'conflicting-size',
    'value_size',
    (b) => [
      ['value', b.ptr(1), 0],
      ['value_size', b.uint(8), 8],
    ],
  ],
  ['key is no pointer', 'not-a-pointer', 'key', () => [['key', 1, 0]]],
  ['void key', 'no-size', 'key', (b) => [['key', b.ptr(0), 0]]],
  ['forward value', 'no-size', 'value', (b) => [['value', b.ptr(b.forward('x')), 0]]],
  ['values of a hash', 'values-map-type', 'values', (b) => [['type', b.uint(1), 0], values(b)]],
  ['values before type', 'values-map-type', 'values', (b) => [values(b)]],
  [
    'values not last',
    'values-not-last',
    'values',
    (b) => [['type', b.uint(12), 0], values(b), ['max_entries', b.uint(1), 16]],
  ],
  ['fixed values', 'values-shape', 'values', (b) => [['type', b.uint(12), 0], values(b, 3)]],
  [
    'values of ints',
    'values-shape',
    'values',
    (b) => [
      ['type', b.uint(12), 0],
      ['values', b.array(1, 0), 8],
    ],
  ],
  ['values of pointers', 'values-element', 'values', (b) => [['type', b.uint(12), 0], values(b)]],
  ['programs of ints', 'values-element', 'values', (b) => [['type', b.uint(3), 0], values(b)]],
  ['pinning 2', 'pinning', 'pinning', (b) => [['pinning', b.uint(2), 0]]],
  ['pinned template', 'inner-pinned', 'pinning', (b) => nested(b, [['pinning', b.uint(1), 0]])],
  [
    'three levels',
    'values-nested',
    'values',
    (b) => nested(b, [['type', b.uint(12), 0], values(b)]),
  ],
];

/** Flexible array, unless a length is given, of pointers to int. */
function values(btf: BtfBuilder, length = 0): BuildMember {
  return ['values', btf.array(btf.ptr(1), length), 8];
}

function nested(btf: BtfBuilder, members: readonly BuildMember[]): readonly BuildMember[] {
  const inner = btf.struct('', members.length * 8, members);
  return [
    ['type', btf.uint(13), 0],
    ['values', btf.array(btf.ptr(inner), 0), 8],
  ];
}

for (const [title, kind, member, members] of refused) {
  test(`refused: ${title}`, (t) => {
    const { detail, message } = errorOf(() => openOne(members));
    t.is(detail.code, 'map-definition');
    if (detail.code !== 'map-definition') return;
    t.is(detail.fault.kind, kind);
    t.is(detail.member, member);
    t.regex(message, /map 'm(\.inner)?'/);
  });
}

const struct: BuildMap['define'] = (btf) => btf.struct('', 8, [['type', btf.uint(1), 0]]);

const refusedVariables: readonly (readonly [string, Fault, readonly BuildMap[]])[] = [
  ['static', 'linkage', [{ name: 'm', define: struct, linkage: 0 }]],
  ['no name', 'no-name', [{ name: '', define: struct }]],
  ['an int', 'not-a-struct', [{ name: 'm', define: () => 1 }]],
  ['cut off', 'cut-off', [{ name: 'm', define: struct, size: 4 }]],
  [
    'too many members',
    'too-many-members',
    [
      {
        name: 'm',
        define: (btf) => {
          const type = btf.uint(1);
          return btf.struct(
            '',
            8,
            Array.from({ length: 33 }, () => ['type', type, 0]),
          );
        },
      },
    ],
  ],
];

for (const [title, kind, maps] of refusedVariables) {
  test(`refused variable: ${title}`, (t) => {
    const { detail } = errorOf(() => open(...maps));
    if (detail.code !== 'map-definition') return t.fail(detail.code);
    return t.is(detail.fault.kind, kind);
  });
}

test('many maps at the ends of long chains of references', (t) => {
  let shared: number | undefined;
  const chain = (btf: BtfBuilder, target: number): number => {
    let at = target;
    for (let i = 0; i < 250; i++) at = btf.typedef('t', at);
    return at;
  };
  const share = (btf: BtfBuilder): number => {
    shared ??= chain(
      btf,
      btf.struct('', 1, [
        ['type', chain(btf, btf.uint(1)), 0],
        ['max_entries', chain(btf, btf.uint(3)), 0],
        ['key', btf.ptr(chain(btf, 1)), 0],
        ['value', btf.ptr(chain(btf, btf.array(1, 5))), 0],
      ]),
    );
    return shared;
  };
  const names = Array.from({ length: 10_000 }, (_, i) => `m${i}`);
  const spec = open(...names.map((name) => ({ name, define: share, size: 1 })));
  t.deepEqual(
    spec.maps.map((map) => map.name),
    names,
  );
  t.true(
    spec.maps.every(
      ({ type, maxEntries, keySize, valueSize }) =>
        type === 1 && maxEntries === 3 && keySize === 4 && valueSize === 20,
    ),
  );
});

test('hostile names', (t) => {
  for (const name of ['__proto__', 'constructor', 'a\nb', '\u001b[2J', 'x'.repeat(100_000)]) {
    const [map] = open({ name, define: struct }).maps;
    t.is(map?.name, name);
    t.true(new TextEncoder().encode(map?.kernelName).length <= 15);
    const message = errorOf(() => open({ name, define: () => 1 })).message;
    t.true(message.length < 1000);
    t.false(message.includes('\n') || message.includes('\u001b'));
  }
});

test('maps without types are refused', (t) => {
  const sections = [{ name: '.maps', data: new Uint8Array(8) }];
  t.is(errorOf(() => openObject(buildElf({ sections }))).code, 'maps-without-types');
});
