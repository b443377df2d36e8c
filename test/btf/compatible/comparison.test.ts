// The rules of type_exists (compatible) and type_matches (matching).
import test from 'ava';
import { TypeComparison, type TypeDifference } from '../../../src/btf/compatible/comparison.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';
import { Types } from '../../relocs/core/build.ts';

type Rule = 'compatible' | 'matching';
type Define = (types: Types) => TypeId;

function compare(rule: Rule, local: Define, target: Define): TypeDifference | undefined {
  const [a, b] = [new Types(), new Types()];
  const [localId, targetId] = [local(a), target(b)];
  const [object, vmlinux] = [a.parse('object'), b.parse('vmlinux')];
  return new TypeComparison(object, vmlinux)[rule](localId, targetId);
}

const int: Define = (t) => t.int;
const struct =
  (...members: Parameters<Types['struct']>[2][]): Define =>
  (t) =>
    t.struct('s', 64, ...members);
const withMember =
  (name: string, type: Define, before: Define = int): Define =>
  (t) =>
    t.struct('s', 64, ['pad', before(t), 0], [name, type(t), 64]);
const only =
  (name: string, type: Define): Define =>
  (t) =>
    t.struct('s', 64, [name, type(t), 0]);
const pointer =
  (to: Define): Define =>
  (t) =>
    t.to(to(t));
const array =
  (length: number, of: Define = int): Define =>
  (t) =>
    t.array(of(t), length);
const enumOf =
  (name: string, ...names: string[]): Define =>
  (t) =>
    t.enum(name, Object.fromEntries(names.map((key, at) => [key, BigInt(at)])));
const enum64Of =
  (name: string, ...names: string[]): Define =>
  (t) =>
    t.enum64(name, Object.fromEntries(names.map((key, at) => [key, BigInt(at)])));
const proto =
  (returns: Define, ...params: Define[]): Define =>
  (t) =>
    t.proto(returns(t), ...params.map((param) => param(t)));
const forward =
  (name: string, of: 'struct' | 'union' = 'struct'): Define =>
  (t) =>
    t.builder.add({ kind: 'fwd', name, of });
const integer =
  (name: string, size: number, signed: boolean): Define =>
  (t) =>
    t.number(name, size, signed);
const typedef =
  (name: string, of: Define): Define =>
  (t) =>
    t.typedef(name, of(t));
const union: Define = (t) => t.union('s', 8, ['m', t.int, 0]);
const float: Define = (t) => t.builder.add({ kind: 'float', name: 'double', size: 8 });
const nothing: Define = () => 0 as TypeId;
const konst =
  (of: Define): Define =>
  (t) =>
    t.builder.add({ kind: 'const', target: of(t) });

type Row = readonly [title: string, local: Define, target: Define, why?: TypeDifference['why']];

const compatible: readonly Row[] = [
  ['integers of other size and sign', int, integer('u8', 1, false)],
  ['structs with nothing in common', struct(), withMember('m', int)],
  ['struct and union', struct(), union, 'kind'],
  ['enums of both widths', enumOf('e', 'A'), enum64Of('e', 'B')],
  ['typedefs of integers', typedef('t', int), typedef('t', integer('u8', 1, false))],
  ['typedef and what it names, at the root', typedef('t', int), int, 'kind'],
  ['typedefs of different kinds', typedef('t', int), typedef('t', pointer(int)), 'kind'],
  ['pointers to compatible types', pointer(int), pointer(integer('x', 8, false))],
  ['pointers to others', pointer(int), pointer(struct()), 'kind'],
  ['pointers to void', pointer(nothing), pointer(nothing)],
  ['arrays of other length', array(2), array(9)],
  ['arrays of others', array(2), array(2, struct()), 'kind'],
  ['functions', proto(int, pointer(int)), proto(int, pointer(int))],
  ['functions by typedef', proto(int, typedef('x', int)), proto(int, int)],
  ['functions with another number of parameters', proto(int, int), proto(int), 'parameters'],
  ['functions with other parameters', proto(int, int), proto(int, struct()), 'kind'],
  ['functions with another result', proto(int), proto(struct()), 'kind'],
  ['forward declarations', forward('a'), forward('a', 'union')],
  ['floats', float, float, 'unsupported'],
];

const matching: readonly Row[] = [
  ['the same integer', int, int],
  ['integer of another name', int, integer('s32', 4, true), 'name'],
  ['integer of another size', int, integer('int', 8, true), 'size'],
  ['integer of another sign', int, integer('int', 4, false), 'sign'],
  ['flavours', int, integer('int___x', 4, true)],
  ['typedefs and qualifiers', typedef('t', konst(int)), int],
  ['a subset of members, in another order', only('m', int), withMember('m', int)],
  ['flavoured members', only('m___old', int), withMember('m', int)],
  ['a missing member', only('gone', int), withMember('m', int), 'member'],
  ['more members than the target', withMember('m', int), only('m', int), 'length'],
  ['a member of another type', only('m', int), withMember('m', pointer(int)), 'name'],
  ['a member of another kind', only('m', pointer(int)), withMember('m', array(1)), 'kind'],
  ['struct and union', struct(), union, 'kind'],
  ['behind a pointer, structs by name only', pointer(only('a', int)), pointer(struct())],
  ['behind a pointer, a forward declaration', pointer(struct()), pointer(forward('s'))],
  ['behind a pointer, one of a union', pointer(struct()), pointer(forward('s', 'union')), 'kind'],
  ['a forward declaration of the object', pointer(forward('s')), pointer(struct())],
  ['a forward declaration of a union', pointer(forward('s', 'union')), pointer(union)],
  ['a forward declaration not behind a pointer', forward('s'), struct(), 'kind'],
  ['forward declarations as such', forward('s'), forward('s')],
  ['forward declarations of others', forward('s'), forward('s', 'union'), 'kind'],
  ['another name behind a pointer', pointer(struct()), pointer(forward('t')), 'name'],
  ['enumerators by name, whatever their values', enumOf('e', 'A'), enumOf('e', 'B', 'A')],
  ['flavoured enumerators', enumOf('e', 'A___x'), enumOf('e', 'A')],
  ['a missing enumerator', enumOf('e', 'C'), enumOf('e', 'B', 'A'), 'enumerator'],
  ['more enumerators', enumOf('e', 'A', 'B'), enumOf('e', 'A'), 'length'],
  ['enums of both widths', enumOf('e', 'A'), enum64Of('e', 'A'), 'size'],
  ['arrays', array(3), array(3)],
  ['arrays of another length', array(3), array(4), 'length'],
  ['pointers to void', pointer(nothing), pointer(nothing)],
  ['void and not void', pointer(nothing), pointer(struct()), 'name'],
  ['functions', proto(int, pointer(int), int), proto(int, pointer(int), int)],
  ['functions with other parameters', proto(int, int), proto(int, (t) => t.long), 'name'],
  ['functions with another number', proto(int), proto(int, int), 'parameters'],
  ['functions with another result', proto(int), proto((t) => t.long), 'name'],
  ['pointers to functions', pointer(proto(int, int)), pointer(proto(int, int))],
  ['floats', float, float, 'unsupported'],
];

for (const [rule, rows] of [
  ['compatible', compatible],
  ['matching', matching],
] as const) {
  for (const [title, local, target, why] of rows) {
    test(`${rule}: ${title}`, (t) => {
      t.is(compare(rule, local, target)?.why, why);
    });
  }
}

test('matching: the first of several unnamed members that matches', (t) => {
  const inner =
    (name: string): Define =>
    (types) =>
      types.struct('', 4, [name, types.int, 0]);
  const local: Define = (types) => types.struct('s', 8, ['', inner('b')(types), 0]);
  const target: Define = (types) => {
    const members = [inner('a')(types), inner('b')(types)];
    return types.struct('s', 8, ['', members[0] as TypeId, 0], ['', members[1] as TypeId, 32]);
  };
  t.is(compare('matching', local, target), undefined);
  const other: Define = (types) => types.struct('s', 8, ['', inner('c')(types), 0]);
  t.like(compare('matching', other, target), {
    why: 'member',
    path: ['<anonymous>'],
    missing: 'c',
  });
});

/** `struct s0 { struct s1 { … } }`, `depth` of them. */
const nested =
  (depth: number): Define =>
  (types) => {
    let inner = types.int;
    for (let i = depth; i > 0; i--) inner = types.struct(`s${i}`, 4, ['m', inner, 0]);
    return inner;
  };

const pointers =
  (depth: number): Define =>
  (types) => {
    let at = types.int;
    for (let i = 0; i < depth; i++) at = types.to(at);
    return at;
  };

test('nesting up to what libbpf follows', (t) => {
  t.is(compare('matching', nested(31), nested(31)), undefined);
  t.throws(() => compare('matching', nested(32), nested(32)), { code: 'btf-nesting' });
  for (const rule of ['matching', 'compatible'] as const) {
    t.is(compare(rule, pointers(31), pointers(31)), undefined);
    t.throws(() => compare(rule, pointers(32), pointers(32)), { code: 'btf-nesting' });
  }
});

test('a kept result does not hide that nesting is too deep', (t) => {
  const [a, b] = [new Types(), new Types()];
  const define = (types: Types): readonly [TypeId, TypeId] => {
    const inner = nested(20)(types);
    let outer = types.struct('o', 4, ['m', inner, 0]);
    for (let i = 0; i < 20; i++) outer = types.struct(`o${i}`, 4, ['m', outer, 0]);
    return [inner, outer];
  };
  const [inner, outer] = define(a);
  define(b);
  const comparison = new TypeComparison(a.parse('a'), b.parse('b'));
  t.is(comparison.matching(inner, inner), undefined);
  t.throws(() => comparison.matching(outer, outer), { code: 'btf-nesting' });
  t.is(comparison.matching(inner, inner), undefined);
});

test('types in circles end', (t) => {
  const circles: readonly Define[] = [
    (types) => types.to(types.builder.nextId),
    (types) => types.array(types.builder.nextId, 1),
    (types) => types.struct('s', 4, ['m', types.builder.nextId, 0]),
    (types) => types.proto(types.int, types.builder.nextId),
    (types) => types.proto(types.builder.nextId),
  ];
  for (const circle of circles) {
    t.throws(() => compare('matching', circle, circle), { instanceOf: BpfError });
  }
  for (const circle of circles.filter((_, at) => at !== 2)) {
    t.throws(() => compare('compatible', circle, circle), { instanceOf: BpfError });
  }
});

test('functions that use each other many times over are compared once', (t) => {
  const doubling: Define = (types) => {
    let at = types.proto(types.int);
    for (let i = 0; i < 25; i++) at = types.proto(types.int, at, at, at);
    return at;
  };
  t.is(compare('matching', doubling, doubling), undefined);
  t.is(compare('compatible', doubling, doubling), undefined);
});

test('structs made to be slow are refused', (t) => {
  const count = 1500;
  const inner = (types: Types, name: string) => types.struct('', 4, [name, types.int, 0]);
  // Every unnamed member of the object matches only the last one of the target.
  const local: Define = (types) => {
    const last = inner(types, `m${count - 1}`);
    return types.struct('s', 4, ...Array.from({ length: count }, () => ['', last, 0] as const));
  };
  const target: Define = (types) => {
    const ids = Array.from({ length: count }, (_, at) => inner(types, `m${at}`));
    return types.struct('s', 4, ...ids.map((id) => ['', id, 0] as const));
  };
  t.throws(() => compare('matching', local, target), { code: 'btf-compare-limit' });
});
