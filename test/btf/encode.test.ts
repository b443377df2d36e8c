import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfType } from '../../src/btf/encode.ts';
import { alignOf, essentialName, resolveType, sizeOf, typeToString } from '../../src/btf/graph.ts';
import { writeBtf } from '../../src/btf/tools/reencode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { graphs } from './arbitrary.ts';
import { dataFile, runs, throwsBpfError } from './support.ts';

function encode(
  types: readonly NewBtfType[],
  options: { littleEndian?: boolean; base?: Btf },
): Uint8Array {
  const builder = new BtfBuilder(options);
  for (const type of types) builder.add(type);
  return builder.finish();
}

/** All types of this level, without their ids and without what is a default. */
function typesOf(btf: Btf): readonly unknown[] {
  const types: unknown[] = [];
  for (let id = btf.firstId; id < btf.endId; id++) types.push(bare(btf.type(id as TypeId)));
  return types;
}

function bare(type: object): object {
  const kept = Object.entries(type).filter(
    ([key, value]) => key !== 'id' && value !== '' && value !== false,
  );
  return Object.fromEntries(kept);
}

test('what was built is what is read, in both byte orders', (t) => {
  fc.assert(
    fc.property(graphs(), fc.boolean(), (types, littleEndian) => {
      const bytes = encode(types, { littleEndian });
      const btf = parseBtf(bytes);
      t.is(btf.littleEndian, littleEndian);
      t.deepEqual(typesOf(btf), types.map(bare));
    }),
    runs(100),
  );
});

test('building again from what was read gives the same bytes', (t) => {
  fc.assert(
    fc.property(graphs(), fc.boolean(), (types, littleEndian) => {
      const bytes = encode(types, { littleEndian });
      t.deepEqual(rebuild(parseBtf(bytes)), bytes);
    }),
    runs(100),
  );
});

function rebuild(btf: Btf): Uint8Array {
  const builder = new BtfBuilder({ littleEndian: btf.littleEndian, base: btf.base });
  for (let id = btf.firstId; id < btf.endId; id++) {
    const type = btf.type(id as TypeId);
    if (type.kind !== 'void' && type.kind !== 'unknown') builder.add(type);
  }
  return builder.finish();
}

test('the types of a clang object survive building', (t) => {
  for (const order of ['el', 'eb']) {
    const btf = parseBtf(dataFile(`shapes.${order}.btf`));
    t.deepEqual(typesOf(parseBtf(rebuild(btf))), typesOf(btf));
  }
});

test('split BTF of several levels survives, strings shared', (t) => {
  const base = parseBtf(dataFile('shapes.el.btf'));
  fc.assert(
    fc.property(graphs(base.endId), (types) => {
      const middle = parseBtf(encode(types, { base }), { base });
      t.deepEqual(typesOf(middle), types.map(bare));
      const top = parseBtf(encode(types, { base: middle }), { base: middle });
      t.deepEqual(typesOf(top), types.map(bare));
      t.is(top.strings.bytes.length, 0);
    }),
    { numRuns: 30 },
  );
});

test('lookups find what a search through all types finds', (t) => {
  fc.assert(
    fc.property(graphs(), graphs(41), (lower, upper) => {
      const padded = [...lower, ...Array.from({ length: 40 - lower.length }, () => filler)];
      const base = parseBtf(encode(padded, {}));
      const btf = parseBtf(encode(upper, { base }), { base });
      const all = Array.from({ length: btf.endId - 1 }, (_, i) => (i + 1) as TypeId);
      for (const name of new Set(all.map((id) => btf.nameOf(id)))) {
        if (name === '') continue;
        const same = all.filter((id) => btf.nameOf(id) === name);
        t.deepEqual(btf.findAll(name), same);
        t.is(btf.find(name), same[0]);
        for (const id of same) {
          const kind = btf.kindOf(id);
          const ofKind = same.filter((other) => btf.kindOf(other) === kind);
          t.deepEqual(btf.findAll(name, kind), ofKind);
          t.is(btf.find(name, kind), ofKind[0]);
        }
        const essential = essentialName(name);
        const candidates = all.filter((id) => essentialName(btf.nameOf(id)) === essential);
        t.deepEqual(btf.findEssential(essential), candidates);
      }
    }),
    { numRuns: 60 },
  );
});

const filler: NewBtfType = { kind: 'ptr', target: 0 as TypeId };

test('questions about any graph end in a value or a BpfError', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const btf = parseBtf(encode(types, {}));
      for (let id = 0; id < btf.endId; id++) {
        for (const ask of [sizeOf, alignOf, resolveType, typeToString]) {
          try {
            ask(btf, id as TypeId);
          } catch (error) {
            t.true(error instanceof BpfError, String(error));
          }
        }
      }
    }),
  );
  t.pass();
});

test('defaults', (t) => {
  const builder = new BtfBuilder();
  t.is(builder.nextId, 1 as TypeId);
  builder.add({ kind: 'int', name: 'int', size: 4 });
  builder.add({ kind: 'enum', values: [{ name: 'A', value: -1n }] });
  builder.add({ kind: 'enum64', values: [{ name: 'B', value: 2n ** 63n }] });
  builder.add({ kind: 'decl-tag', name: 'tag', target: 1 as TypeId });
  builder.add({ kind: 'struct', size: 4, members: [{ type: 1 as TypeId, bitOffset: 0 }] });
  const btf = parseBtf(builder.finish());
  t.like(btf.type(1 as TypeId), { bits: 32, bitOffset: 0, signed: false });
  t.like(btf.type(2 as TypeId), { name: '', size: 4, signed: true });
  t.like(btf.type(3 as TypeId), { size: 8, signed: false });
  t.like(btf.type(4 as TypeId), { component: -1, attribute: false });
  t.false(btf.kindFlagOf(5 as TypeId));
});

test('equal strings are stored once', (t) => {
  const builder = new BtfBuilder();
  t.is(builder.addString(''), 0);
  t.is(builder.addString('abc'), 1);
  t.is(builder.addString('x'), 5);
  t.is(builder.addString('abc'), 1);
});

const one = 1 as TypeId;
const unencodable: readonly (readonly [string, NewBtfType])[] = [
  ['zero character', { kind: 'fwd', name: 'a\0b', of: 'struct' }],
  ['reference to nothing', { kind: 'ptr', target: 2 as TypeId }],
  ['negative id', { kind: 'ptr', target: -1 as TypeId }],
  ['size', { kind: 'struct', size: 2 ** 32, members: [] }],
  [
    'bit field offset',
    { kind: 'struct', size: 4, members: [{ type: one, bitOffset: 2 ** 24, bitSize: 1 }] },
  ],
  [
    'bit field width',
    { kind: 'struct', size: 4, members: [{ type: one, bitOffset: 0, bitSize: 256 }] },
  ],
  ['enumerator', { kind: 'enum', values: [{ name: 'A', value: 2n ** 32n }] }],
  [
    'mixed enumerators',
    {
      kind: 'enum64',
      values: [
        { name: 'A', value: -1n },
        { name: 'B', value: 2n ** 63n },
      ],
    },
  ],
  ['integer bits', { kind: 'int', name: 'int', size: 32 }],
  ['component', { kind: 'decl-tag', name: '', target: one, component: -2 }],
  ['length', { kind: 'array', element: one, index: one, length: 1.5 }],
];

for (const [title, type] of unencodable) {
  test(`cannot be encoded: ${title}`, (t) => {
    throwsBpfError(t, () => encode([type], {}), 'btf-build');
  });
}

test('types copied from another BTF are the same, on a base or not', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const source = parseBtf(encode(types, {}));
      const base = parseBtf(encode([{ kind: 'int', name: 'first', size: 4 }], {}));
      for (const below of [undefined, base]) {
        const builder = new BtfBuilder({ base: below });
        const shift = builder.nextId - 1;
        for (let id = 1 as TypeId; id < source.endId; id++) {
          t.is(
            Number(builder.copy(source, id, (old) => (old === 0 ? 0 : old + shift))),
            id + shift,
          );
        }
        const copy = parseBtf(builder.finish(), { base: below });
        const names = (btf: Btf): readonly string[] =>
          Array.from({ length: source.endId - 1 }, (_, i) =>
            btf.nameOf((btf.firstId + i) as TypeId),
          );
        t.deepEqual(names(copy), names(source));
        if (below === undefined) t.deepEqual(typesOf(copy), typesOf(source));
      }
    }),
    runs(50),
  );
});

test('what cannot be copied: void, unknown kinds, names that overlap without end', (t) => {
  const layout = parseBtf(dataFile('layouts.btf'));
  throwsBpfError(t, () => new BtfBuilder().copy(layout, 0 as TypeId), 'btf-build');
  const strings = new TextEncoder().encode(`\0${'x'.repeat(50_000)}\0`);
  const words = Array.from({ length: 50_000 }, (_, i) => [i + 1, 0x0700_0000, 0]).flat();
  const overlapping = parseBtf(
    writeBtf({ littleEndian: true, words: Uint32Array.from(words), strings }),
  );
  const builder = new BtfBuilder();
  throwsBpfError(
    t,
    () => {
      for (let id = 1 as TypeId; id < overlapping.endId; id++) builder.copy(overlapping, id);
    },
    'btf-build',
  );
});
