// Random types for properties, as fast-check arbitraries.
import fc from 'fast-check';
import type { NewBtfType } from '../../src/btf/encode.ts';
import type { TypeId } from '../../src/btf/types.ts';

const u32 = fc.oneof(fc.nat(64), fc.constantFrom(0xff, 0xffff, 0xffffff, 0xffffffff));

/** Names: short, so that they repeat; some with flavours, some that no compiler writes. */
export const names = fc.oneof(
  fc.constantFrom(
    'a',
    'ab',
    'abc',
    'abcd',
    'abcde',
    'x___1',
    'x___2',
    'x',
    'a___b___c',
    '__proto__',
  ),
  fc.string({ unit: fc.constantFrom('a', '_', 'b', '__', '___'), minLength: 1, maxLength: 12 }),
  fc.string({ unit: fc.constantFrom('é', '\udc80', '😀', ' ', '\n'), minLength: 1, maxLength: 5 }),
);

const name = fc.oneof(fc.constant(''), names);
const linkage = fc.constantFrom('static' as const, 'global' as const, 'extern' as const);

function plainMembers(id: fc.Arbitrary<TypeId>): fc.Arbitrary<NewBtfType> {
  const member = fc.record({ name, type: id, bitOffset: u32, bitSize: fc.constant(0) });
  return composite(fc.array(member, { maxLength: 4 }));
}

function bitFields(id: fc.Arbitrary<TypeId>): fc.Arbitrary<NewBtfType> {
  const member = fc.record({ name, type: id, bitOffset: fc.nat(0xffffff), bitSize: fc.nat(255) });
  return composite(fc.array(member, { maxLength: 4 }));
}

function composite<M>(members: fc.Arbitrary<M[]>): fc.Arbitrary<NewBtfType> {
  const kind = fc.constantFrom('struct' as const, 'union' as const);
  return fc.record({ kind, name, size: u32, members }) as fc.Arbitrary<NewBtfType>;
}

const int = fc
  .record({
    kind: fc.constant('int' as const),
    name,
    size: fc.constantFrom(1, 2, 4, 8, 16),
    signed: fc.boolean(),
    char: fc.boolean(),
    bool: fc.boolean(),
  })
  .map((type) => ({ ...type, bits: type.size * 7, bitOffset: type.size }));

function enums(bits: 32 | 64): fc.Arbitrary<NewBtfType> {
  const kind = fc.constant(bits === 32 ? ('enum' as const) : ('enum64' as const));
  const of = (signed: boolean): fc.Arbitrary<NewBtfType> =>
    fc.record({
      kind,
      name,
      size: fc.constantFrom(1, 2, 4, 8),
      signed: fc.constant(signed),
      values: fc.array(
        fc.record({
          name,
          value: signed
            ? fc.bigInt({ min: -(2n ** BigInt(bits - 1)), max: 2n ** BigInt(bits - 1) - 1n })
            : fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n }),
        }),
        { maxLength: 4 },
      ),
    });
  return fc.oneof(of(true), of(false));
}

/** A type of any kind whose references are among the ids. */
function anyType(id: fc.Arbitrary<TypeId>): fc.Arbitrary<NewBtfType> {
  const is = <K extends string>(...kinds: K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds);
  return fc.oneof(
    int,
    fc.record({ kind: is('ptr', 'const', 'volatile', 'restrict'), target: id }),
    fc.record({ kind: is('typedef'), name, target: id }),
    fc.record({ kind: is('type-tag'), name, target: id, attribute: fc.boolean() }),
    fc.record({ kind: is('array'), element: id, index: id, length: u32 }),
    plainMembers(id),
    bitFields(id),
    enums(32),
    enums(64),
    fc.record({ kind: is('fwd'), name, of: is('struct', 'union') }),
    fc.record({
      kind: is('func-proto'),
      returns: id,
      params: fc.array(fc.record({ name, type: id }), { maxLength: 4 }),
    }),
    fc.record({ kind: is('func'), name, proto: id, linkage }),
    fc.record({ kind: is('var'), name, type: id, linkage }),
    fc.record({
      kind: is('datasec'),
      name,
      size: u32,
      vars: fc.array(fc.record({ type: id, offset: u32, size: u32 }), { maxLength: 4 }),
    }),
    fc.record({ kind: is('float'), name, size: fc.constantFrom(2, 4, 8, 12, 16) }),
    fc.record({
      kind: is('decl-tag'),
      name,
      target: id,
      component: fc.integer({ min: -1, max: 9 }),
      attribute: fc.boolean(),
    }),
  );
}

/** Up to 40 types that refer to one another in any direction; the first gets id `firstId`. */
export function graphs(firstId = 1): fc.Arbitrary<NewBtfType[]> {
  return fc.nat(40).chain((count) => {
    const id = fc.nat(firstId + count - 1).map((number) => number as TypeId);
    return fc.array(anyType(id), { minLength: count, maxLength: count });
  });
}
