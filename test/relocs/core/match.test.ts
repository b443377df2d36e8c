// Which candidates match, and why others do not.
import test from 'ava';
import { fieldsCompatible } from '../../../src/btf/compatible/fields.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { CORE_RELO } from '../../../src/object/spec.ts';
import { mismatchWords } from '../../../src/relocs/core/index.ts';
import { insnsOf, mov, planOne, relocation, Types } from './build.ts';

const offset = CORE_RELO.FIELD_BYTE_OFFSET;

/** Where member `access` of the object's only struct is in the target; else the reason. */
function find(define: (local: Types, target: Types) => TypeId, access: string) {
  const local = new Types();
  const target = new Types();
  const root = define(local, target);
  const reloc = relocation(CORE_RELO.FIELD_EXISTS, root, access);
  const targets = [target.parse('vmlinux')];
  const { result } = planOne(local.parse('object'), targets, reloc, insnsOf(mov(1)));
  if (result.error !== undefined) return result.error.code;
  const candidate = result.candidates[0];
  if (candidate?.why !== undefined) return mismatchWords(candidate.why);
  return candidate?.spec?.indices.join(':');
}

test('members are found through members without a name', (t) => {
  const at = find((local, target) => {
    const deep = target.union('', 8, ['u', target.long, 0], ['want', target.int, 32]);
    const outer = target.struct('', 16, ['x', target.int, 0], ['', deep, 64]);
    target.struct('s', 32, ['first', target.int, 0], ['', outer, 64]);
    return local.struct('s', 4, ['want', local.int, 0]);
  }, '0:0');
  t.is(at, '0:1:1:1');
});

test('unnamed members of the object leave no trace', (t) => {
  const at = find((local, target) => {
    target.struct('s', 8, ['x', target.int, 0], ['want', target.int, 32]);
    const inner = local.struct('', 4, ['want', local.int, 0]);
    return local.struct('s', 4, ['', inner, 0]);
  }, '0:0:0');
  t.is(at, '0:1');
});

test('a missing member, with what is similar', (t) => {
  const why = find((local, target) => {
    target.struct('s', 8, ['__state', target.int, 0]);
    return local.struct('s', 4, ['state', local.int, 0]);
  }, '0:0');
  t.is(why, "struct s has no member 'state'");
});

test('a member of another kind', (t) => {
  const why = find((local, target) => {
    target.struct('s', 8, ['m', target.struct('inner', 4, ['i', target.int, 0]), 0]);
    return local.struct('s', 4, ['m', local.int, 0]);
  }, '0:0');
  t.is(why, "member 'm' of type struct inner cannot stand for int");
});

test('arrays: shorter, flexible, empty in the middle, and not an array', (t) => {
  const element = (length: number, last: boolean) =>
    find((local, target) => {
      const more = [['n', target.int, 320]] as const;
      const member = ['a', target.array(target.int, length), 0] as const;
      if (last) target.struct('s', 40, ...more, member);
      else target.struct('s', 44, member, ...more);
      return local.struct('s', 40, ['a', local.array(local.int, 10), 0]);
    }, '0:0:5');
  t.is(element(6, false), '0:0:5');
  t.is(element(5, false), 'the array has 5 elements, so no element 5');
  t.is(element(0, true), '0:1:5');
  t.is(element(0, false), 'the array has 0 elements, so no element 5');
  const flat = find((local, target) => {
    target.struct('s', 8, ['a', target.pointer, 0]);
    return local.struct('s', 40, ['a', local.array(local.int, 10), 0]);
  }, '0:0:5');
  t.is(flat, "member 'a' of type void * cannot stand for int[10]");
});

test('candidates have the kind of the local type: a typedef is no struct', (t) => {
  const none = find((local, target) => {
    const inner = target.struct('', 4, ['m', target.int, 0]);
    target.typedef('s', inner);
    return local.struct('s', 4, ['m', local.int, 0]);
  }, '0:0');
  t.is(none, undefined);
  const typedefs = find((local, target) => {
    target.typedef('s_t', target.struct('', 4, ['m', target.int, 0]));
    return local.typedef('s_t', local.struct('', 4, ['m', local.int, 0]));
  }, '0:0');
  t.is(typedefs, '0:0');
});

test('an anonymous root type fails', (t) => {
  const code = find((local) => local.struct('', 4, ['m', local.int, 0]), '0:0');
  t.is(code, 'core-anonymous');
});

test('a target nested deeper than 64 levels fails, 63 levels of unnamed structs do not', (t) => {
  const nested = (levels: number) =>
    find((local, target) => {
      let inner = target.struct('', 4, ['want', target.int, 0]);
      for (let i = 2; i < levels; i++) inner = target.struct('', 4, ['', inner, 0]);
      target.struct('s', 4, ['', inner, 0]);
      return local.struct('s', 4, ['want', local.int, 0]);
    }, '0:0');
  t.is(nested(63), Array.from({ length: 64 }, () => '0').join(':'));
  t.is(nested(64), 'core-too-deep');
});

test('unnamed structs that hold each other many times over are searched once', (t) => {
  const why = find((local, target) => {
    let inner = target.struct('', 4, ['x', target.int, 0]);
    for (let i = 0; i < 60; i++) {
      inner = target.struct('', 4, ['', inner, 0], ['', inner, 0], ['', inner, 0]);
    }
    target.struct('s', 4, ['', inner, 0]);
    return local.struct('s', 4, ['want', local.int, 0]);
  }, '0:0');
  t.is(why, "struct s has no member 'want'");
});

test('fields are compatible as libbpf has it', (t) => {
  const types = new Types();
  const { int, long, pointer, char } = types;
  const ids = {
    int,
    long,
    char,
    pointer,
    oddInt: types.builder.add({ kind: 'int', name: 'odd', size: 4, bits: 3, bitOffset: 2 }),
    float: types.builder.add({ kind: 'float', name: 'double', size: 8 }),
    half: types.builder.add({ kind: 'float', name: 'half', size: 2 }),
    struct: types.struct('a', 4, ['m', int, 0]),
    union: types.union('b', 4, ['m', int, 0]),
    ints: types.array(int, 3),
    longs: types.array(long, 9),
    pointers: types.array(pointer, 3),
    matrix: types.array(types.array(int, 3), 3),
    color: types.enum('color', { RED: 0n }),
    color2: types.enum64('color___2', { BLUE: 0n }),
    shape: types.enum('shape', { ROUND: 0n }),
    unnamed: types.enum('', { EDGY: 0n }),
    later: types.builder.add({ kind: 'fwd', name: 'later', of: 'struct' }),
    later2: types.builder.add({ kind: 'fwd', name: 'later___x', of: 'union' }),
    other: types.builder.add({ kind: 'fwd', name: 'other', of: 'struct' }),
    proto: types.proto(int),
    typedef: types.typedef('t', types.builder.add({ kind: 'volatile', target: long })),
    void: 0 as TypeId,
  };
  const btf = types.parse('object');
  const rows: readonly [a: keyof typeof ids, b: keyof typeof ids, compatible: boolean][] = [
    ['int', 'long', true],
    ['int', 'char', true],
    ['int', 'typedef', true],
    ['int', 'oddInt', false],
    ['int', 'pointer', false],
    ['int', 'color', false],
    ['pointer', 'pointer', true],
    ['float', 'half', true],
    ['float', 'int', false],
    ['struct', 'union', true],
    ['struct', 'int', false],
    ['ints', 'longs', true],
    ['ints', 'pointers', false],
    ['ints', 'matrix', false],
    ['matrix', 'matrix', true],
    ['color', 'color2', true],
    ['color', 'shape', false],
    ['color', 'unnamed', true],
    ['later', 'later2', true],
    ['later', 'other', false],
    ['later', 'struct', false],
    ['proto', 'proto', false],
    ['void', 'void', false],
  ];
  for (const [a, b, compatible] of rows) {
    t.is(fieldsCompatible(btf, ids[a], btf, ids[b]), compatible, `${a} ${b}`);
    t.is(fieldsCompatible(btf, ids[b], btf, ids[a]), compatible, `${b} ${a}`);
  }
});

test('arrays in a circle end', (t) => {
  const types = new Types();
  const id = types.builder.nextId;
  types.array(id, 1);
  const btf = types.parse('object');
  t.throws(() => fieldsCompatible(btf, id, btf, id), { code: 'btf-nesting' });
  const reloc = relocation(offset, id, '0:0:0');
  t.is(planOne(btf, [btf], reloc, insnsOf(mov(0))).verdict, 'fail');
});
