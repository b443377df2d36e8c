import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { BtfBuilder, type NewBtfType } from '../../src/btf/encode.ts';
import { distillBase } from '../../src/btf/relocate/distill.ts';
import { relocateBtf, relocateBtfWithIds } from '../../src/btf/relocate/relocate.ts';
import { permuteBtf } from '../../src/btf/tools/permute.ts';
import { convertEndianness } from '../../src/btf/tools/reencode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { graphs } from './arbitrary.ts';
import { runs, throwsBpfError } from './support.ts';

const id = (number: number): TypeId => number as TypeId;

function btfOf(types: readonly NewBtfType[], base?: Btf, name = 'types'): Btf {
  const builder = new BtfBuilder({ base });
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { base, name });
}

const member = (name: string, type: number, bitOffset: number) => ({
  name,
  type: id(type),
  bitOffset,
});

const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };
const struct = (name: string, size: number): NewBtfType => ({
  kind: 'struct',
  name,
  size,
  members: [],
});

/** A kernel: what modules refer to, and more. */
const kernelTypes: readonly NewBtfType[] = [
  { kind: 'int', name: 'unused', size: 8 }, // 1
  int, // 2
  { kind: 'struct', name: 'list', size: 16, members: [member('next', 4, 0), member('p', 4, 64)] },
  { kind: 'ptr', target: id(3) }, // 4
  { kind: 'typedef', name: 'count_t', target: id(2) }, // 5
  { kind: 'enum64', name: 'wide', size: 8, values: [{ name: 'W', value: 1n }] }, // 6
  { kind: 'union', size: 8, members: [member('i', 2, 0), member('l', 4, 0)] }, // 7, no name
  { kind: 'fwd', name: 'hidden', of: 'struct' }, // 8
  { kind: 'ptr', target: id(8) }, // 9
  { kind: 'func-proto', returns: id(0), params: [{ name: 'n', type: id(5) }] }, // 10
  { kind: 'func', name: 'printk', proto: id(10), linkage: 'static' }, // 11
  { kind: 'float', name: 'double', size: 8 }, // 12
];

const kernel = btfOf(kernelTypes, undefined, 'kernel');

/** A module on it, whose first id is 13. */
const module = btfOf(
  [
    {
      kind: 'struct',
      name: 'state',
      size: 48,
      members: [
        member('list', 3, 0),
        member('mode', 6, 128),
        member('either', 7, 192),
        member('hidden', 9, 256),
        member('count', 5, 320),
      ],
    },
    { kind: 'ptr', target: id(13) },
    { kind: 'typedef', name: 'list', target: id(14) },
  ],
  kernel,
  'module',
);

test('the base keeps names and sizes, the rest moves into the split', (t) => {
  const { base, split } = distillBase(module);
  t.deepEqual(dumpRaw(base).trimEnd().split('\n'), [
    "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
    "[2] STRUCT 'list' size=16 vlen=0",
    "[3] ENUM 'wide' encoding=UNSIGNED size=8 vlen=0",
    "[4] FWD 'hidden' fwd_kind=struct",
  ]);
  t.deepEqual(dumpRaw(split).trimEnd().split('\n'), [
    "[5] STRUCT 'state' size=48 vlen=5",
    "\t'list' type_id=2 bits_offset=0",
    "\t'mode' type_id=3 bits_offset=128",
    "\t'either' type_id=10 bits_offset=192",
    "\t'hidden' type_id=11 bits_offset=256",
    "\t'count' type_id=9 bits_offset=320",
    "[6] PTR '(anon)' type_id=5",
    "[7] TYPEDEF 'list' type_id=6",
    "[8] PTR '(anon)' type_id=2",
    "[9] TYPEDEF 'count_t' type_id=1",
    "[10] UNION '(anon)' size=8 vlen=2",
    "\t'i' type_id=1 bits_offset=0",
    "\t'l' type_id=8 bits_offset=0",
    "[11] PTR '(anon)' type_id=4",
  ]);
});

test('on the base that it came from, everything is found again', (t) => {
  const { btf, ids } = relocateBtfWithIds(distillBase(module).split, kernel);
  t.is(btf.base, kernel);
  t.deepEqual([...ids].slice(0, 6), [0, 2, 3, 6, 8, 13]);
  const [first] = dumpRaw(btf).split('\n[14]');
  const [before] = dumpRaw(module).split('\n[14]');
  const moved = (text = ''): string =>
    text.replace(/'either' type_id=\d+|'hidden' type_id=\d+|'count' type_id=\d+/g, '');
  t.is(moved(first), moved(before));
});

test('the order of the new base does not matter, nor byte order', (t) => {
  const reversed = Array.from({ length: kernel.endId - 1 }, (_, i) => kernel.endId - 1 - i);
  const other = permuteBtf(kernel, reversed);
  const { base, split } = distillBase(module);
  const { ids } = relocateBtfWithIds(split, other);
  t.deepEqual([...ids].slice(0, 5), [0, 11, 10, 7, 5]);
  const big = parseBtf(convertEndianness(split, false), {
    base: parseBtf(convertEndianness(base, false)),
  });
  t.deepEqual(relocateBtf(big, other).words, relocateBtf(split, other).words);
  t.false(relocateBtf(big, other).littleEndian);
});

test('two levels of bases are distilled into one', (t) => {
  const upper = btfOf([{ kind: 'ptr', target: id(13) }, int], module);
  const { base, split } = distillBase(upper);
  t.is(base.base, undefined);
  t.regex(dumpRaw(base), /^\[1\] STRUCT 'state' size=48 vlen=0\n$/);
  t.is(split.endId - split.firstId, 2);
});

/** The result of putting one struct, with a pointer to `s` or with `s` in it, on `target`. */
function find(embedded: boolean, of: NewBtfType, target: readonly NewBtfType[]): string {
  const base = btfOf([of]);
  const types: NewBtfType[] = [
    { kind: 'ptr', target: id(1) },
    { kind: 'const', target: id(1) },
    { kind: 'array', element: id(3), index: id(1), length: 2 },
    { kind: 'struct', name: 'm', size: 8, members: [member('s', embedded ? 4 : 2, 0)] },
  ];
  try {
    const found = relocateBtfWithIds(btfOf(types, base), btfOf(target));
    return String(found.ids[1]);
  } catch (error) {
    if (error instanceof BpfError && error.detail.code === 'btf-relocate') {
      return error.detail.fault.kind;
    }
    throw error;
  }
}

const s8 = struct('s', 8);
const s4 = struct('s', 4);
const fwd: NewBtfType = { kind: 'fwd', name: 's', of: 'struct' };
const bits: NewBtfType = {
  kind: 'struct',
  name: 's',
  size: 8,
  members: [{ ...member('b', 2, 0), bitSize: 3 }],
};
const named = (size: number, more: object = {}): NewBtfType => ({
  kind: 'int',
  name: 's',
  size,
  ...more,
});
const sized = (kind: 'enum' | 'enum64', size: number): NewBtfType => ({
  kind,
  name: 's',
  size,
  values: [],
});

const rows: readonly (readonly [string, boolean, NewBtfType, readonly NewBtfType[], string])[] = [
  ['a struct behind a pointer may have another size', false, s8, [int, s4], '2'],
  ['a struct by value may not', true, s8, [int, s4], 'missing'],
  ['of two structs, that of the same size', false, s8, [s4, s8], '2'],
  ['two of the same size', false, s8, [s8, s8], 'ambiguous'],
  ['two of another size', false, s8, [s4, s4], 'missing'],
  ['a struct that is only declared there', false, s8, [fwd], '1'],
  ['by value, that is not enough', true, s8, [fwd], 'missing'],
  ['declared and defined', false, s8, [s8, fwd], 'ambiguous'],
  ['declared and defined, by value', true, s8, [s8, fwd], '1'],
  ['a union is no struct', false, s8, [{ ...s8, kind: 'union' } as NewBtfType], 'other-kind'],
  ['nor is an enum', false, s8, [sized('enum', 8)], 'other-kind'],
  ['a declaration is found as one', false, fwd, [fwd], '1'],
  ['or defined', false, fwd, [s8], '1'],
  ['but not with bit fields', false, fwd, [bits, int], 'missing'],
  ['nor as a union', false, fwd, [{ ...fwd, of: 'union' } as NewBtfType], 'missing'],
  ['an integer needs its size', false, named(4), [named(8)], 'missing'],
  ['and its sign', false, named(4), [named(4, { signed: true })], 'missing'],
  ['both are there', false, named(4), [named(8), named(4)], '2'],
  ['an enum may have become a wide one', false, sized('enum', 8), [sized('enum64', 8)], '1'],
  ['of the same size', false, sized('enum', 4), [sized('enum64', 8)], 'missing'],
  [
    'a typedef of the name does not count',
    false,
    s8,
    [s8, { kind: 'typedef', name: 's', target: id(1) }],
    '1',
  ],
];

for (const [title, embedded, of, target, expected] of rows) {
  test(`finding: ${title}`, (t) => t.is(find(embedded, of, target), expected));
}

test('what cannot be done is said', (t) => {
  throwsBpfError(t, () => distillBase(kernel), 'btf-no-base');
  throwsBpfError(t, () => relocateBtf(kernel, kernel), 'btf-no-base');
  const tagged = btfOf([{ kind: 'decl-tag', name: 't', target: id(11) }], kernel, 'module');
  const error = throwsBpfError(t, () => distillBase(tagged), 'btf-distill');
  t.regex(error?.message ?? '', /type 11 \('printk'\) is a func, which a distilled base/);
  const declared = btfOf([{ kind: 'enum', name: 'e', size: 0, values: [] }]);
  const onIt = btfOf([{ kind: 'ptr', target: id(1) }], declared);
  throwsBpfError(t, () => distillBase(onIt), 'btf-distill');
  const fault = (work: () => unknown): unknown => {
    const thrown = throwsBpfError(t, work, 'btf-relocate');
    return thrown?.detail.code === 'btf-relocate' ? thrown.detail.fault.kind : undefined;
  };
  t.is(
    fault(() => relocateBtf(module, kernel)),
    'same-base',
  );
  t.is(
    fault(() => relocateBtf(module, btfOf([int]))),
    'not-distilled',
  );
  const inside = btfOf([struct('longer', 8)]);
  const suffix = btfOf([{ kind: 'typedef', name: 'x', target: id(1) }], inside);
  suffix.words[0] = 3;
  t.is(
    fault(() => relocateBtf(suffix, btfOf([struct('longer', 8)]))),
    'string',
  );
});

test('thousands of types of one name end in time', (t) => {
  const many = (count: number, size: number): NewBtfType[] =>
    Array.from({ length: count }, () => named(size));
  const split = btfOf([], btfOf([named(4), ...many(30_000, 8)]));
  const started = performance.now();
  throwsBpfError(t, () => relocateBtf(split, btfOf(many(30_000, 8))), 'btf-relocate');
  const none = btfOf([], btfOf(many(30_000, 8)));
  throwsBpfError(t, () => relocateBtf(none, btfOf([...many(30_000, 4), named(8)])), 'btf-relocate');
  t.true(performance.now() - started < 5000);
});

test('any graph on any other: a result or an error; distilled, it is the same again', (t) => {
  fc.assert(
    fc.property(graphs(), graphs(), (below, above) => {
      const base = btfOf(below);
      const builder = new BtfBuilder({ base });
      const own = btfOf(above);
      for (let each = 1; each < own.endId; each++) {
        // Some refer to the base, some to each other.
        builder.copy(own, id(each), (old) =>
          old % 2 === 0 ? old % base.endId : old + base.endId - 1,
        );
      }
      const split = parseBtf(builder.finish(), { base });
      try {
        const distilled = distillBase(split);
        const again = distillBase(distilled.split);
        t.is(dumpRaw(again.base), dumpRaw(distilled.base));
        t.is(dumpRaw(again.split), dumpRaw(distilled.split));
        t.is(relocateBtf(distilled.split, base).base, base);
      } catch (error) {
        t.true(error instanceof BpfError, String(error));
      }
    }),
    runs(200),
  );
});
