// Members and compatibility, asked of plain Btf values.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { projectRoot } from '../../../scripts/paths.ts';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { TypeComparison } from '../../../src/btf/compatible/comparison.ts';
import { fieldsCompatible } from '../../../src/btf/compatible/fields.ts';
import {
  findMember,
  matchMember,
  namedMembers,
  typesCompatible,
  typesMatch,
} from '../../../src/btf/compatible/functions.ts';
import { BtfBuilder, type NewBtfType } from '../../../src/btf/encode.ts';
import { alignOf, sizeOf } from '../../../src/btf/graph.ts';
import { BTF_KIND, type BtfComposite, type TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';
import { graphs } from '../arbitrary.ts';
import { dataFile, throwsBpfError } from '../support.ts';

const members = parseBtf(dataFile('members.btf'), { name: 'members' });
const golden = readFileSync(join(projectRoot, 'test/btf/data/members.golden'), 'utf8');

function id(number: number): TypeId {
  return number as TypeId;
}

function build(types: readonly NewBtfType[]): Btf {
  const builder = new BtfBuilder();
  for (const type of types) builder.add(type);
  return parseBtf(builder.finish(), { name: 'made' });
}

function named(name: string): TypeId {
  const kinds = { struct: BTF_KIND.STRUCT, union: BTF_KIND.UNION } as const;
  const [first, second] = name.split(' ');
  const kind = first === 'struct' || first === 'union' ? kinds[first] : BTF_KIND.TYPEDEF;
  const found = members.find(second ?? name, kind);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

const int: NewBtfType = { kind: 'int', name: 'int', size: 4, signed: true };

for (const row of golden.trimEnd().split('\n')) {
  test(`as gcc has it: ${row}`, (t) => {
    const [type = '', rest = ''] = row.split(': ');
    const member = /^(\w+) at (\d+), (\d+) bytes$/.exec(rest);
    if (member === null) {
      t.is(
        `${sizeOf(members, named(type))} bytes, aligned to ${alignOf(members, named(type))}`,
        rest,
      );
      return;
    }
    const found = findMember(members, named(type), member[1] ?? '');
    if (found === undefined) return t.fail();
    t.is(found.bitOffset, 8 * Number(member[2]));
    t.is(sizeOf(members, found.type), Number(member[3]));
    t.is(found.holder.members[found.index]?.name, member[1]);
  });
}

test('the way to a member leads there', (t) => {
  for (const type of ['struct outer', 'union either', 'struct tight']) {
    for (const found of namedMembers(members, named(type))) {
      let at = members.type(named(type)) as BtfComposite;
      let bitOffset = 0;
      for (const [depth, index] of found.indices.entries()) {
        const member = at.members[index];
        if (member === undefined) return t.fail();
        bitOffset += member.bitOffset;
        if (depth === found.indices.length - 1) t.is(at, found.holder);
        else at = behindConst(member.type);
      }
      t.is(bitOffset, found.bitOffset);
      const name = found.holder.members[found.index]?.name ?? '';
      t.deepEqual(findMember(members, named(type), name), found);
    }
  }
});

function behindConst(type: TypeId): BtfComposite {
  const found = members.type(type);
  return found.kind === 'const' ? behindConst(found.target) : (found as BtfComposite);
}

test('what is not there, or cannot be asked for', (t) => {
  const outer = named('struct outer');
  for (const name of ['c', 'l', '', 'constructor', 'Deepest', 'by_typedef']) {
    t.is(findMember(members, outer, name), undefined, name);
  }
  t.is(findMember(members, id(0), 'first'), undefined);
  t.deepEqual(namedMembers(members, id(0)), []);
  throwsBpfError(t, () => findMember(members, id(9999), 'first'), 'btf-no-type');
  t.is(findMember(members, named('hidden_t'), 'by_typedef')?.bitOffset, 0);
});

const members2 = build([
  int,
  { kind: 'ptr', target: id(1) },
  {
    kind: 'struct',
    name: 'outer___new',
    size: 64,
    members: [{ name: '', type: id(4), bitOffset: 64 }],
  },
  {
    kind: 'union',
    name: '',
    size: 16,
    members: [
      { name: 'deepest', type: id(1), bitOffset: 32 },
      { name: 'first', type: id(2), bitOffset: 0 },
    ],
  },
]);

test('matchMember finds a member that moved, and refuses one of another type', (t) => {
  const outer = members.type(named('struct outer')) as BtfComposite;
  const local = findMember(members, outer.id, 'deepest');
  const first = outer.members.findIndex((member) => member.name === 'first');
  if (local === undefined) return t.fail();
  const place = matchMember(members, local.holder.id, local.index, members2, id(3));
  t.is(place?.bitOffset, 96);
  t.deepEqual(place?.indices, [0, 0]);
  t.is(matchMember(members, outer.id, first, members2, id(3)), undefined);
  t.is(matchMember(members, outer.id, 1, members2, id(3)), undefined); // without a name
  t.is(matchMember(members, outer.id, 99, members2, id(3)), undefined);
  t.is(matchMember(members, outer.id, first, members2, id(1)), undefined);
});

/** Whether a comparison answers; `undefined` where it meets a limit. */
function answer<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

test('compatibility is symmetric, and what it finds of a type and itself is itself', (t) => {
  fc.assert(
    fc.property(graphs(), graphs(), (a, b) => {
      const [left, right] = [build(a), build(b)];
      for (let i = 0; i < left.endId; i++) {
        const j = id((i * 7) % right.endId);
        for (const ask of [typesCompatible, fieldsCompatible]) {
          const there = answer(() => ask(left, id(i), right, j));
          const back = answer(() => ask(right, j, left, id(i)));
          t.is(there, back, `${i} ${j}`);
        }
        const kind = left.type(id(i)).kind;
        if (kind !== 'struct' && kind !== 'union' && kind !== 'enum' && kind !== 'fwd') continue;
        t.true(typesCompatible(left, id(i), left, id(i)));
        t.true(fieldsCompatible(left, id(i), left, id(i)));
      }
    }),
    { numRuns: 150 },
  );
});

/** Kinds that libbpf matches with nothing, not even themselves. */
const unmatched: ReadonlySet<string> = new Set(['float', 'func', 'var', 'datasec', 'decl-tag']);

test('matching is reflexive but for what libbpf matches with nothing', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const all = build(types);
      const btf = build(types.map((type) => (unmatched.has(type.kind) ? int : type)));
      for (let i = 0; i < btf.endId; i++) {
        t.not(
          answer(() => typesMatch(btf, id(i), btf, id(i))),
          false,
        );
        if (!unmatched.has(all.type(id(i)).kind)) continue;
        t.is(new TypeComparison(all, all).matching(id(i), id(i))?.why, 'unsupported');
      }
    }),
    { numRuns: 150 },
  );
});

test('a member is found where a plain walk finds it', (t) => {
  fc.assert(
    fc.property(graphs(), (types) => {
      const btf = build(types);
      for (let i = 1; i < btf.endId; i++) {
        const type = btf.type(id(i));
        if (type.kind !== 'struct' && type.kind !== 'union') continue;
        for (const name of ['a', 'ab', 'abc', 'x', 'x___1']) {
          const found = answer(() => [findMember(btf, id(i), name)?.bitOffset]);
          // Qualifiers in a circle, which the walk takes for the end.
          if (found !== undefined) t.is(found[0], walk(btf, type, name, 0, new Set()), name);
        }
        const found = (answer(() => namedMembers(btf, id(i))) ?? []).map(
          ({ holder, index }) => holder.members[index]?.name,
        );
        t.is(new Set(found).size, found.length);
      }
    }),
    { numRuns: 200 },
  );
});

/** As C looks for a member, written the short way. */
function walk(
  btf: Btf,
  type: BtfComposite,
  name: string,
  at: number,
  seen: Set<TypeId>,
): number | undefined {
  if (seen.has(type.id)) return undefined;
  seen.add(type.id);
  for (const member of type.members) {
    const place = at + member.bitOffset;
    if (member.name === name) return place >>> 0;
    if (member.name !== '') continue;
    let inner = btf.type(member.type);
    const steps = new Set<TypeId>();
    while ('target' in inner && inner.kind !== 'ptr' && inner.kind !== 'decl-tag') {
      if (steps.has(inner.id)) return undefined;
      steps.add(inner.id);
      inner = btf.type(inner.target);
    }
    if (inner.kind !== 'struct' && inner.kind !== 'union') continue;
    const found = walk(btf, inner, name, place, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

const million = 1_000_000;

function chain(link: (target: TypeId) => NewBtfType): Btf {
  const builder = new BtfBuilder();
  builder.add(int);
  for (let i = 1; i < million; i++) builder.add(link(id(i)));
  return parseBtf(builder.finish());
}

test('a million qualifiers are looked through, a million pointers are too many', (t) => {
  const qualifiers = chain((target) => ({ kind: 'const', target }));
  const last = id(million);
  t.true(fieldsCompatible(qualifiers, last, qualifiers, id(1)));
  t.true(typesMatch(qualifiers, last, qualifiers, id(1)));
  t.true(typesCompatible(qualifiers, last, qualifiers, last));
  // From the shortest to the longest: what is known of one is used for the next.
  for (let i = 1; i <= million; i += 10) fieldsCompatible(qualifiers, id(i), qualifiers, id(1));
  const pointers = chain((target) => ({ kind: 'ptr', target }));
  t.true(fieldsCompatible(pointers, last, pointers, last));
  for (const ask of [typesCompatible, typesMatch]) {
    throwsBpfError(t, () => ask(pointers, last, pointers, last), 'btf-nesting');
  }
});

test('members a hundred thousand levels deep', (t) => {
  const builder = new BtfBuilder();
  builder.add(int);
  const depth = 100_000;
  for (let i = 1; i < depth; i++) {
    const name = i === 1 ? 'deep' : '';
    builder.add({ kind: 'struct', size: 4, members: [{ name, type: id(i), bitOffset: 0 }] });
  }
  const btf = parseBtf(builder.finish());
  t.is(findMember(btf, id(depth), 'deep')?.indices.length, depth - 1);
  t.is(findMember(btf, id(depth), 'gone'), undefined);
  throwsBpfError(t, () => namedMembers(btf, id(depth)), 'btf-nesting');
  t.is(namedMembers(btf, id(200)).length, 1);
});
