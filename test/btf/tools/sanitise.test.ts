import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { dumpRaw } from '../../../src/btf/dump/raw.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import { sizeOf } from '../../../src/btf/graph.ts';
import { writeBtf } from '../../../src/btf/tools/reencode.ts';
import { BTF_FEATURES, type BtfFeature, sanitiseBtf } from '../../../src/btf/tools/sanitise.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { graphs } from '../arbitrary.ts';
import { runs } from '../support.ts';

const id = (number: number): TypeId => number as TypeId;

function btfOf(types: readonly NewBtfType[], base?: Btf): Btf {
  const builder = new BtfBuilder({ base });
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { base });
}

const types: readonly NewBtfType[] = [
  { kind: 'int', name: 'int', size: 4, signed: true }, // 1
  { kind: 'func-proto', returns: id(1), params: [{ name: 'x', type: id(1) }, { type: id(1) }] },
  { kind: 'func', name: 'f', proto: id(2), linkage: 'global' }, // 3
  { kind: 'var', name: 'v', type: id(1), linkage: 'global' }, // 4
  { kind: 'datasec', name: '?.d', size: 8, vars: [{ type: id(4), offset: 4, size: 4 }] }, // 5
  { kind: 'float', name: 'double', size: 8 }, // 6
  { kind: 'decl-tag', name: 'tag', target: id(3), component: 0 }, // 7
  { kind: 'type-tag', name: 'user', target: id(1) }, // 8
  { kind: 'enum64', name: 'e', size: 8, values: [{ name: 'A', value: 1n << 40n }] }, // 9
  { kind: 'enum', name: 'n', values: [{ name: 'B', value: -1n }] }, // 10
];

const without = (...features: readonly BtfFeature[]): ReadonlySet<BtfFeature> =>
  new Set(BTF_FEATURES.filter((feature) => !features.includes(feature)));

/** The lines of the dump that are others than before. */
function changes(btf: Btf, features: ReadonlySet<BtfFeature>): readonly string[] {
  const before = new Set(dumpRaw(btf).split('\n'));
  const lines = dumpRaw(sanitiseBtf(btf, features)).split('\n');
  return lines.filter((line) => !before.has(line));
}

const rows: readonly (readonly [BtfFeature, readonly string[]])[] = [
  [
    'func',
    [
      "[2] ENUM '(anon)' encoding=UNSIGNED size=4 vlen=2",
      "\t'x' val=1",
      "\t'argument' val=1",
      "[3] TYPEDEF 'f' type_id=2",
    ],
  ],
  [
    'datasec',
    [
      "[4] INT 'v' size=1 bits_offset=0 nr_bits=8 encoding=(none)",
      "[5] STRUCT '__d' size=8 vlen=1",
      "\t'v' type_id=4 bits_offset=32",
    ],
  ],
  ['global-func', ["[3] FUNC 'f' type_id=2 linkage=static"]],
  ['float', ["[6] STRUCT '(anon)' size=8 vlen=0"]],
  ['decl-tag', ["[7] INT 'tag' size=1 bits_offset=0 nr_bits=8 encoding=(none)"]],
  ['type-tag', ["[8] CONST '(anon)' type_id=1"]],
  [
    'enum64',
    [
      "[9] UNION 'e' size=8 vlen=1",
      "\t'A' type_id=11 bits_offset=0",
      "[10] ENUM 'n' encoding=UNSIGNED size=4 vlen=1",
      "\t'B' val=4294967295",
      "[11] INT 'enum64_placeholder' size=1 bits_offset=0 nr_bits=8 encoding=(none)",
    ],
  ],
  ['qmark-datasec', ["[5] DATASEC '_.d' size=8 vlen=1"]],
  ['layout', []],
];

for (const [feature, expected] of rows) {
  test(`without ${feature}`, (t) => {
    t.deepEqual(changes(btfOf(types), without(feature)), expected);
  });
}

test('nothing to change: the same object', (t) => {
  const btf = btfOf(types.slice(0, 1));
  t.is(sanitiseBtf(btf, new Set()), btf);
  const all = btfOf(types);
  t.is(sanitiseBtf(all, new Set(BTF_FEATURES)), all);
});

test('the layout section goes where it is not known, and stays where it is', (t) => {
  const plain = btfOf(types);
  const { words, strings, littleEndian } = plain;
  const layout = Uint8Array.of(0, 0, 0, 0, 4, 0, 0, 0);
  const btf = parseBtf(writeBtf({ littleEndian, words, strings: strings.bytes, layout }));
  t.deepEqual(sanitiseBtf(btf, without('layout')).bytes, plain.bytes);
  t.deepEqual(sanitiseBtf(btf, without('float')).layout, layout);
});

test('big endian', (t) => {
  const builder = new BtfBuilder({ littleEndian: false });
  for (const type of types) builder.add(type);
  const big = parseBtf(builder.finish());
  t.is(dumpRaw(sanitiseBtf(big, new Set())), dumpRaw(sanitiseBtf(btfOf(types), new Set())));
  t.false(sanitiseBtf(big, new Set()).littleEndian);
});

test('a name of the base is not changed there', (t) => {
  const base = btfOf([{ kind: 'struct', name: '?.d', size: 0, members: [] }]);
  const split = btfOf([{ kind: 'datasec', name: '?.d', size: 0, vars: [] }], base);
  t.is(sanitiseBtf(split, without('qmark-datasec')).nameOf(id(2)), '_.d');
  t.is(sanitiseBtf(split, new Set()).nameOf(id(2)), '__d');
  t.is(base.nameOf(id(1)), '?.d');
});

test('names that overlap take no longer', (t) => {
  const strings = new TextEncoder().encode(`\0${'.'.repeat(100_000)}\0`);
  const words = Array.from({ length: 100_000 }, (_, i) => [i + 1, 0x0f00_0000, 0]).flat();
  const btf = parseBtf(writeBtf({ littleEndian: true, words: Uint32Array.from(words), strings }));
  const started = performance.now();
  t.is(sanitiseBtf(btf, new Set()).nameOf(id(99_999)), '__');
  t.true(performance.now() - started < 2000);
});

test('any types without any features: ids and sizes stay', (t) => {
  fc.assert(
    fc.property(graphs(), fc.subarray([...BTF_FEATURES]), (graph, features) => {
      const btf = btfOf(graph);
      const after = sanitiseBtf(btf, new Set(features));
      t.true(after.endId >= btf.endId);
      for (let each = 1; each < btf.endId; each++) {
        const { kind } = btf.type(id(each));
        if (kind === 'struct' || kind === 'float' || kind === 'enum64') {
          t.is(sizeOf(after, id(each)), sizeOf(btf, id(each)));
        }
      }
    }),
    runs(100),
  );
});
