// Types that no compiler writes, given to everything that takes types: each ends soon, with
// a value or a BpfError, and overflows no stack.
import test from 'ava';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { decodeValue } from '../../src/btf/decode.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf } from '../../src/btf/dedup/dedup.ts';
import { dumpC, dumpTypeC, emitTypeDecl } from '../../src/btf/dump/c.ts';
import { dumpTypeData } from '../../src/btf/dump/data.ts';
import { dumpJson } from '../../src/btf/dump/json.ts';
import { mergeBtfs } from '../../src/btf/dump/merge.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { BtfBuilder, type NewBtfType } from '../../src/btf/encode.ts';
import { alignOf, resolveType, sizeOf, skipModifiers, typeToString } from '../../src/btf/graph.ts';
import { diffBtf } from '../../src/btf/tools/diff.ts';
import { minimalBtf } from '../../src/btf/tools/minimal.ts';
import { findSorted, permuteBtf, sortBtf } from '../../src/btf/tools/permute.ts';
import { convertEndianness, encodeBtf } from '../../src/btf/tools/reencode.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { runs } from './support.ts';

/** In milliseconds, for one call on a busy machine. */
const patience = 30_000;

const one = 1 as TypeId;

/** Everything that takes a BTF, asked for its first type where it is about one. */
const calls: Readonly<Record<string, (btf: Btf) => unknown>> = {
  sizeOf: (btf) => sizeOf(btf, one),
  alignOf: (btf) => alignOf(btf, one),
  resolveType: (btf) => resolveType(btf, one),
  skipModifiers: (btf) => skipModifiers(btf, one),
  typeToString: (btf) => typeToString(btf, one),
  find: (btf) => btf.find('no such name'),
  findEssential: (btf) => btf.findEssential('no such name'),
  decodeValue: (btf) => decodeValue(btf, one, new Uint8Array(64)),
  dumpTypeData: (btf) => dumpTypeData(btf, one, new Uint8Array(64)),
  dumpC: (btf) => dumpC(btf),
  'dumpC unsorted': (btf) => dumpC(btf, { unsorted: true }),
  'dumpC of one': (btf) => dumpC(btf, { roots: [one] }),
  dumpTypeC: (btf) => dumpTypeC(btf, one),
  emitTypeDecl: (btf) => emitTypeDecl(btf, one, { name: 'x' }),
  dumpRaw: (btf) => dumpRaw(btf),
  dumpJson: (btf) => dumpJson(btf),
  dedupBtf: (btf) => dedupBtf(btf),
  'dedupBtf of two': (btf) => dedupBtf(appendBtf(btf, btf)),
  mergeBtfs: (btf) => mergeBtfs([onTop(btf), onTop(btf)]),
  encodeBtf: (btf) => encodeBtf(btf),
  convertEndianness: (btf) => convertEndianness(btf, false),
  diffBtf: (btf) => diffBtf(btf, btf),
  'diffBtf with little': (btf) => diffBtf(btf, little),
  'minimalBtf for a type': (btf) => minimalBtf(btf, [{ kind: 'type', root: one }]),
  'minimalBtf for a match': (btf) => minimalBtf(btf, [{ kind: 'match', root: one }]),
  'minimalBtf for a field': (btf) =>
    minimalBtf(btf, [{ kind: 'field', root: one, indices: [0, 0, 0] }]),
  permuteBtf: (btf) =>
    permuteBtf(
      btf,
      Uint32Array.from({ length: btf.endId - 1 }, (_, i) => btf.endId - 1 - i),
    ),
  sortBtf: (btf) => findSorted(sortBtf(btf), one, 'no such name'),
};

/** A struct on a base. */
function onTop(base: Btf): Btf {
  const builder = new BtfBuilder({ base });
  builder.add(around(1, 'top'));
  return parseBtf(builder.finish(), { base });
}

function id(number: number): TypeId {
  return number as TypeId;
}

const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };

function around(type: number, name: string, size = 8): NewBtfType {
  return { kind: 'struct', name, size, members: [{ name: 'm', type: id(type), bitOffset: 0 }] };
}

function build(types: readonly NewBtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish());
}

const little = build([int, around(1, 's', 4)]);

const circles: Readonly<Record<string, readonly NewBtfType[]>> = {
  'a typedef of itself': [{ kind: 'typedef', name: 't', target: id(1) }],
  'typedefs of each other': [
    { kind: 'typedef', name: 'a', target: id(2) },
    { kind: 'typedef', name: 'b', target: id(1) },
  ],
  'qualifiers in a circle': [
    { kind: 'const', target: id(2) },
    { kind: 'volatile', target: id(3) },
    { kind: 'type-tag', name: 'tag', target: id(1) },
  ],
  'a pointer to itself': [{ kind: 'ptr', target: id(1) }],
  'an array of itself': [{ kind: 'array', element: id(1), index: id(1), length: 3 }],
  'a prototype of itself': [
    { kind: 'func-proto', returns: id(1), params: [{ name: 'p', type: id(1) }] },
  ],
  'a struct that contains itself': [around(1, 's')],
  'a struct without a name that contains itself': [around(1, '')],
  'structs that contain each other': [around(2, 'a'), around(1, 'b')],
  'a struct that contains itself through a typedef, an array and a union': [
    around(2, 's'),
    { kind: 'typedef', name: 't', target: id(3) },
    { kind: 'array', element: id(4), index: id(5), length: 2 },
    { kind: 'union', size: 8, members: [{ name: 'u', type: id(1), bitOffset: 0 }] },
    int,
  ],
  'a function of itself, with a tag of itself': [
    { kind: 'func', name: 'f', proto: id(1), linkage: 'global' },
    { kind: 'decl-tag', name: 'tag', target: id(2), component: -1 },
  ],
  'a variable of a section of it': [
    { kind: 'var', name: 'v', type: id(2), linkage: 'global' },
    { kind: 'datasec', name: '.data', size: 8, vars: [{ type: id(1), offset: 0, size: 8 }] },
  ],
};

const most = 0xffff_ffff;

const excesses: Readonly<Record<string, readonly NewBtfType[]>> = {
  'an array of four thousand million structs of that size': [
    { kind: 'array', element: id(2), index: id(3), length: most },
    { kind: 'struct', name: 's', size: most, members: [] },
    int,
  ],
  'a struct of four thousand million bytes': [
    { kind: 'struct', name: 's', size: most, members: [{ name: 'm', type: id(2), bitOffset: 0 }] },
    int,
  ],
  'a member far outside': [
    {
      kind: 'struct',
      name: 's',
      size: 4,
      members: [{ name: 'm', type: id(2), bitOffset: 0x7fff_ff00 }],
    },
    int,
  ],
  'a bit field wider than its type': [
    {
      kind: 'struct',
      name: 's',
      size: 4,
      members: [{ name: 'm', type: id(2), bitOffset: 31, bitSize: 255 }],
    },
    int,
  ],
  'unions that double at every level': Array.from({ length: 60 }, (_, i): NewBtfType => {
    const member = { type: id(i + 2), bitOffset: 0 };
    const members = [
      { ...member, name: 'a' },
      { ...member, name: 'b' },
    ];
    return { kind: 'union', size: 4, members };
  }).concat(int),
  'arrays that multiply at every level': Array.from(
    { length: 40 },
    (_, i): NewBtfType => ({ kind: 'array', element: id(i + 2), index: id(41), length: 1000 }),
  ).concat(int),
};

/** `count` types, each of these words behind an empty name, that refer to the next. */
function chain(count: number, kind: number, vlen: number, words: (next: number) => number[]): Btf {
  const body: Uint32Array = new Uint32Array((2 + words(0).length) * count + 4);
  let at = 0;
  for (let i = 1; i <= count; i++) {
    body[at + 1] = (kind << 24) | vlen;
    body.set(words(i + 1), at + 2);
    at += 2 + words(0).length;
  }
  // The end is an integer that is named like its neighbour's members.
  body.set([1, BTF_KIND.INT << 24, 4, 32], at);
  const strings = Uint8Array.of(0, 0x69, 0);
  const header = Uint32Array.of(0x0001_eb9f, 24, 0, body.byteLength, body.byteLength, 3);
  return parseBtf(
    new Uint8Array(
      Buffer.concat([header, body].map((part) => new Uint8Array(part.buffer)).concat(strings)),
    ),
  );
}

/** What overflows a stack does so with these; TSBPF_MORE_RUNS=20 makes it a million. */
const many = Math.min(1_000_000, runs(50_000).numRuns);

const chains: Readonly<Record<string, () => Btf>> = {
  'a long chain of pointers': () => chain(many, BTF_KIND.PTR, 0, (next) => [next]),
  'a long chain of qualifiers': () => chain(many, BTF_KIND.CONST, 0, (next) => [next]),
  'a long chain of arrays': () => chain(many, BTF_KIND.ARRAY, 0, (next) => [0, next, many + 1, 1]),
  'a long chain of structs': () => chain(many, BTF_KIND.STRUCT, 1, (next) => [4, 1, next, 0]),
  'a long chain of prototypes': () => chain(many, BTF_KIND.FUNC_PROTO, 0, (next) => [next]),
};

/** Says what a call did that it must not do. */
function misbehaviour(call: () => unknown): string | undefined {
  const started = performance.now();
  try {
    call();
  } catch (error) {
    if (!(error instanceof BpfError)) return String(error);
  }
  const time = performance.now() - started;
  return time < patience ? undefined : `took ${Math.round(time)} ms`;
}

function callAll(btf: Btf): readonly string[] {
  return Object.entries(calls).flatMap(([name, call]) => {
    const problem = misbehaviour(() => call(btf));
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
}

for (const [title, types] of Object.entries({ ...circles, ...excesses })) {
  test(`everything ends for ${title}`, (t) => {
    t.deepEqual(callAll(build(types)), []);
  });
}

for (const [title, make] of Object.entries(chains)) {
  test(`everything ends for ${title}`, (t) => {
    t.deepEqual(callAll(make()), []);
  });
}
