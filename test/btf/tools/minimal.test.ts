import test from 'ava';
import fc from 'fast-check';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { dumpRaw } from '../../../src/btf/dump/raw.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import { type CoreUse, minimalBtf, minimalBtfWithBases } from '../../../src/btf/tools/minimal.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';
import { graphs } from '../arbitrary.ts';

const id = (number: number): TypeId => number as TypeId;

function btfOf(types: readonly NewBtfType[], base?: Btf): Btf {
  const builder = new BtfBuilder({ base });
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { base });
}

const member = (name: string, type: number, bitOffset: number, bitSize = 0) => ({
  name,
  type: id(type),
  bitOffset,
  bitSize,
});

/** `struct task { int pid; struct task *parent; struct { name_t name; }; struct mm mm[2]; }`. */
const task: readonly NewBtfType[] = [
  { kind: 'int', name: 'int', size: 4, signed: true },
  {
    kind: 'struct',
    name: 'task',
    size: 48,
    members: [
      member('pid', 1, 0),
      member('parent', 3, 64),
      member('', 4, 128),
      member('mm', 8, 256),
    ],
  },
  { kind: 'ptr', target: id(2) },
  { kind: 'struct', size: 16, members: [member('name', 5, 0)] },
  { kind: 'typedef', name: 'name_t', target: id(6) },
  { kind: 'array', element: id(1), index: id(1), length: 4 },
  { kind: 'struct', name: 'mm', size: 8, members: [member('a', 1, 0), member('b', 1, 32, 3)] },
  { kind: 'array', element: id(7), index: id(1), length: 2 },
  { kind: 'func-proto', returns: id(1), params: [{ name: 'task', type: id(3) }] },
  { kind: 'typedef', name: 'call_t', target: id(11) },
  { kind: 'ptr', target: id(9) },
];

/** What is kept, as bpftool prints it. */
function kept(...uses: readonly CoreUse[]): readonly string[] {
  const target = btfOf(task);
  return dumpRaw(minimalBtf(target, uses)).trimEnd().split('\n');
}

test('a field keeps the members on its way', (t) => {
  t.deepEqual(kept({ kind: 'field', root: id(2), indices: [0, 2, 0, 1] }), [
    "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
    "[2] STRUCT 'task' size=48 vlen=1",
    "\t'(anon)' type_id=3 bits_offset=128",
    "[3] STRUCT '(anon)' size=16 vlen=1",
    "\t'name' type_id=4 bits_offset=0",
    "[4] TYPEDEF 'name_t' type_id=5",
    "[5] ARRAY '(anon)' type_id=1 index_type_id=1 nr_elems=4",
  ]);
});

test('through an array of structs, with a bit field', (t) => {
  t.deepEqual(kept({ kind: 'field', root: id(2), indices: [0, 3, 1, 1] }), [
    "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
    "[2] STRUCT 'task' size=48 vlen=1",
    "\t'mm' type_id=4 bits_offset=256",
    "[3] STRUCT 'mm' size=8 vlen=1",
    "\t'b' type_id=1 bits_offset=32 bitfield_size=3",
    "[4] ARRAY '(anon)' type_id=3 index_type_id=1 nr_elems=2",
  ]);
});

test('a pointer that ends a field leads to void where its target is not kept', (t) => {
  t.deepEqual(kept({ kind: 'enumerator', root: id(3) }), ["[1] PTR '(anon)' type_id=0"]);
  t.deepEqual(kept({ kind: 'field', root: id(2), indices: [0, 1] }), [
    "[1] STRUCT 'task' size=48 vlen=1",
    "\t'parent' type_id=2 bits_offset=64",
    "[2] PTR '(anon)' type_id=1",
  ]);
});

test('a type as such keeps no members, but what pointers lead to', (t) => {
  t.deepEqual(kept({ kind: 'type', root: id(2) }), ["[1] STRUCT 'task' size=48 vlen=0"]);
  t.deepEqual(kept({ kind: 'type', root: id(10) }), [
    "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
    "[2] STRUCT 'task' size=48 vlen=0",
    "[3] PTR '(anon)' type_id=2",
    "[4] FUNC_PROTO '(anon)' ret_type_id=1 vlen=1",
    "\t'task' type_id=3",
    "[5] TYPEDEF 'call_t' type_id=6",
    "[6] PTR '(anon)' type_id=4",
  ]);
});

test('for a match all members are kept, of structs behind pointers none', (t) => {
  const all = kept({ kind: 'match', root: id(2) });
  t.is(all.filter((line) => line.startsWith('\t')).length, 4 + 1 + 2);
  const behind = kept({ kind: 'match', root: id(3) });
  t.deepEqual(behind, ["[1] STRUCT 'task' size=48 vlen=0", "[2] PTR '(anon)' type_id=1"]);
});

test('nothing used, nothing kept', (t) => {
  t.is(minimalBtf(btfOf(task), []).endId, 1);
});

test('split BTF: its own level shrinks, the base stays', (t) => {
  const base = btfOf(task);
  const next = base.endId;
  const split = btfOf(
    [
      { kind: 'ptr', target: id(1) },
      {
        kind: 'struct',
        name: 'mod',
        size: 56,
        members: [member('unused', next, 0), member('task', 2, 64)],
      },
    ],
    base,
  );
  const small = minimalBtf(split, [{ kind: 'field', root: id(next + 1), indices: [0, 1, 0] }]);
  t.is(small.base, base);
  t.is(small.endId, next + 1);
  t.like(small.type(id(next)), { name: 'mod', members: [{ name: 'task', type: 2 }] });
});

/** Undefined where a chain of references goes in a circle. */
function attempt(work: () => Btf): Btf | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof BpfError && error.code === 'btf-reference-chain') return undefined;
    throw error;
  }
}

test('any uses of any graph give BTF with the kept names and sizes', (t) => {
  fc.assert(
    fc.property(graphs(), fc.array(fc.tuple(fc.nat(40), fc.nat(3), fc.nat(3))), (types, some) => {
      const btf = btfOf(types);
      const uses = some
        .filter(([root]) => root < btf.endId)
        .map(([root, kind, index]): CoreUse => {
          if (kind === 0) return { kind: 'field', root: id(root), indices: [0, index] };
          return {
            kind: (['type', 'match', 'enumerator'] as const)[kind - 1] ?? 'type',
            root: id(root),
          };
        });
      const small = attempt(() => minimalBtf(btf, uses));
      if (small === undefined) return;
      for (const { root } of uses) {
        if (root === 0) continue;
        const name = btf.nameOf(root);
        const kind = btf.kindOf(root);
        t.true(name === '' || small.find(name, kind) !== undefined);
      }
    }),
    { numRuns: 200 },
  );
});

test('with its bases, split BTF stands on no more than it needs', (t) => {
  const base = btfOf(task);
  const target = btfOf(
    [
      {
        kind: 'struct',
        name: 'job',
        size: 16,
        members: [member('owner', 3, 0), member('n', 1, 64)],
      },
      { kind: 'ptr', target: id(12) },
    ],
    base,
  );
  const small = minimalBtfWithBases(target, [
    { kind: 'field', root: id(12), indices: [0, 0] },
    { kind: 'field', root: id(2), indices: [0, 2, 0, 1] },
  ]);
  t.deepEqual(dumpRaw(small).trimEnd().split('\n'), [
    "[7] STRUCT 'job' size=16 vlen=1",
    "\t'owner' type_id=3 bits_offset=0",
  ]);
  t.is(small.nameOf(id(2)), 'task');
  const pointer = small.type(id(3));
  t.is(pointer.kind === 'ptr' ? pointer.target : undefined, id(2));
  t.is(small.base?.endId, 7);
  const alone = minimalBtfWithBases(base, [{ kind: 'type', root: id(3) }]);
  t.is(dumpRaw(alone), dumpRaw(minimalBtf(base, [{ kind: 'type', root: id(3) }])));
});
