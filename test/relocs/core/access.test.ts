import test from 'ava';
import fc from 'fast-check';
import { TypeView } from '../../../src/btf/compatible/view.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';
import { CORE_RELO, type CoreReloKind } from '../../../src/object/spec.ts';
import { accessPath, parseAccess } from '../../../src/relocs/core/index.ts';
import { relocation, Types } from './build.ts';

function sample() {
  const t = new Types();
  const inner = t.struct('', 36, ['y', t.int, 0], ['a', t.array(t.int, 7), 32]);
  const matrix = t.array(t.array(t.int, 3), 2);
  const flexible = t.array(t.int, 0);
  const root = t.struct(
    'sample',
    72,
    ['x', t.int, 0],
    ['', inner, 32],
    ['m', matrix, 320],
    ['bits', t.unsigned, 515, 3],
    ['none', t.array(t.int, 0), 544],
    ['tail', flexible, 576],
  );
  const konst = t.builder.add({ kind: 'const', target: t.typedef('sample_t', root) });
  const state = t.enum('state', { OFF: 0n, ON: 5n });
  const pointer = t.to(root);
  const forward = t.builder.add({ kind: 'fwd', name: 'later', of: 'struct' });
  return { types: TypeView.of(t.parse('object')), root, konst, state, pointer, forward };
}

const offset = CORE_RELO.FIELD_BYTE_OFFSET;

const good: readonly [access: string, path: string, bitOffset: number][] = [
  ['0', '', 0],
  ['3', '[3]', 3 * 72 * 8],
  ['0:0', '.x', 0],
  ['0:1', '', 32],
  ['0:1:0', '.y', 32],
  ['0:1:1:3', '.a[3]', 64 + 96],
  ['2:1:1:3', '[2].a[3]', 2 * 72 * 8 + 160],
  ['0:2:1:2', '.m[1][2]', 320 + 5 * 32],
  ['0:3', '.bits', 515],
  ['0:5:100', '.tail[100]', 576 + 3200],
  // What scanf reads as numbers, libbpf reads as indices.
  ['0: 1:+1', '.a', 64],
  ['0 0', '.x', 0],
  ['4294967295:0', '[-1].x', 2 ** 32 - 72 * 8],
];

for (const [access, path, bitOffset] of good) {
  test(`access string ${JSON.stringify(access)} is ${path || 'the root'}`, (t) => {
    const { types, root, konst } = sample();
    for (const type of [root, konst]) {
      const spec = parseAccess(types, relocation(offset, type, access));
      t.is(accessPath(spec), path);
      t.is(spec.bitOffset, bitOffset);
      t.is(spec.root, type);
    }
  });
}

const bad: readonly [access: string, why: string][] = [
  ['', 'empty'],
  [':0', 'begins with a colon'],
  ['0:', 'ends with a colon'],
  ['0::0', 'two colons'],
  ['x', 'no number'],
  ['0:0x1', 'hexadecimal'],
  ['0 ', 'ends with a space'],
  ['0:6', 'no such member'],
  ['0:-1', 'member below zero'],
  ['0:0:0', 'a member of an int'],
  ['0:1:1:7', 'past the array'],
  ['0:1:1:-1', 'before the array'],
  ['0:4:0', 'an empty array that is not the last member'],
  [Array.from({ length: 65 }, () => '0').join(':'), '65 levels'],
];

for (const [access, why] of bad) {
  test(`malformed access string: ${why}`, (t) => {
    const { types, root } = sample();
    const error = t.throws(() => parseAccess(types, relocation(offset, root, access)), {
      instanceOf: BpfError,
    });
    t.true(error.code === 'core-access' || error.code === 'core-too-deep', error.message);
  });
}

test('a type is accessed by 0 only, and leaves no steps', (t) => {
  const { types, root } = sample();
  const spec = parseAccess(types, relocation(CORE_RELO.TYPE_SIZE, root, '0'));
  t.deepEqual(spec, {
    kind: CORE_RELO.TYPE_SIZE,
    root,
    indices: [],
    steps: [],
    bitOffset: 0,
  });
  for (const access of ['1', '0:0', '00', '']) {
    t.throws(() => parseAccess(types, relocation(CORE_RELO.TYPE_SIZE, root, access)), {
      instanceOf: BpfError,
    });
  }
});

test('an enumerator is one index into an enum', (t) => {
  const { types, root, state } = sample();
  const kind = CORE_RELO.ENUMVAL_VALUE;
  t.is(parseAccess(types, relocation(kind, state, '1')).steps[0]?.name, 'ON');
  for (const [type, access] of [
    [state, '2'],
    [state, '-1'],
    [state, '0:0'],
    [root, '0'],
  ] as const) {
    t.throws(() => parseAccess(types, relocation(kind, type, access)), { instanceOf: BpfError });
  }
});

test('types without members or size, and kinds that do not exist, are errors', (t) => {
  const { types, root, pointer, forward } = sample();
  const attempts = [
    relocation(offset, pointer, '0:0'),
    relocation(offset, forward, '0'),
    relocation(offset, 0 as TypeId, '0'),
    relocation(99 as CoreReloKind, root, '0'),
  ];
  for (const attempt of attempts) {
    t.throws(() => parseAccess(types, attempt), { instanceOf: BpfError });
  }
});

test('typedefs in a circle end', (t) => {
  const types = new Types();
  const id = types.builder.nextId;
  types.typedef('a', (id + 1) as TypeId);
  types.typedef('b', id);
  const view = TypeView.of(types.parse('object'));
  t.throws(() => parseAccess(view, relocation(offset, id, '0:1')), {
    instanceOf: BpfError,
  });
});

test('any access string gives a spec or a BpfError', (t) => {
  const { types, root, state } = sample();
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom('0', '1', '2', '5', ':', '-', '+', ' ', '9') }),
    fc.array(fc.integer(), { maxLength: 70 }).map((indices) => indices.join(':')),
  );
  const kind = fc.constantFrom(...Object.values(CORE_RELO));
  fc.assert(
    fc.property(text, kind, fc.constantFrom(root, state), (access, reloKind, type) => {
      try {
        parseAccess(types, relocation(reloKind, type, access));
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
  t.pass();
});
