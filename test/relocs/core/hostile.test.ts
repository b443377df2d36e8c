// Any relocations against any types give plans, and plans give instructions or a BpfError.
import test from 'ava';
import fc from 'fast-check';
import type { Btf } from '../../../src/btf/btf.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { BpfError } from '../../../src/errors.ts';
import { CORE_RELO, type CoreRelocation, type CoreReloKind } from '../../../src/object/spec.ts';
import { applyCore, describePlan, planCore, poisonReason } from '../../../src/relocs/core/index.ts';
import { functionOf, insnsOf, relocation, type Slot, Types } from './build.ts';

const typeNames = ['', 'a', 'b', 'a___x', '___', '__proto__', 'x\n\u001b[2J'];
const memberNames = ['', '', 'm', 'n', 'm___old', 'constructor', '"\\'];

/** One type that refers to any others, also to itself and to later ones. */
const anyType = fc.record({
  kind: fc.constantFrom(
    'struct',
    'union',
    'enum',
    'enum64',
    'typedef',
    'ptr',
    'const',
    'array',
    'fwd',
    'func-proto',
    'int',
    'float',
    'func',
    'var',
    'decl-tag',
  ),
  name: fc.constantFrom(...typeNames),
  size: fc.constantFrom(0, 1, 3, 4, 8, 16, 0xffffffff),
  refs: fc.array(fc.nat(20), { minLength: 1, maxLength: 6 }),
  names: fc.array(fc.constantFrom(...memberNames), { minLength: 6, maxLength: 6 }),
  bits: fc.array(fc.constantFrom(0, 1, 8, 31, 32, 60, 64, 0xffffff), {
    minLength: 6,
    maxLength: 6,
  }),
  widths: fc.array(fc.constantFrom(0, 0, 1, 7, 33, 64, 255), { minLength: 6, maxLength: 6 }),
  value: fc.constantFrom(0n, 1n, 0x7fff_ffffn),
});
type AnyType = typeof anyType extends fc.Arbitrary<infer T> ? T : never;

const firstAny = 6;
const typeCount = 10;

function add(types: Types, any: AnyType): void {
  const { kind, name, size, value } = any;
  const ref = (at: number) =>
    ((any.refs[at % any.refs.length] as number) % (firstAny + typeCount)) as TypeId;
  const { builder } = types;
  switch (kind) {
    case 'struct':
    case 'union': {
      const members = any.refs.map((_, at) => ({
        name: any.names[at] as string,
        type: ref(at),
        bitOffset: any.bits[at] as number,
        bitSize: any.widths[at] as number,
      }));
      builder.add({ kind, name, size, members });
      break;
    }
    case 'enum':
    case 'enum64':
      builder.add({ kind, name, values: any.names.map((text) => ({ name: text || 'E', value })) });
      break;
    case 'typedef':
      builder.add({ kind, name: name || 't', target: ref(0) });
      break;
    case 'ptr':
    case 'const':
      builder.add({ kind, target: ref(0) });
      break;
    case 'array':
      builder.add({ kind, element: ref(0), index: types.int, length: any.bits[0] as number });
      break;
    case 'fwd':
      builder.add({ kind, name: name || 'f', of: 'struct' });
      break;
    case 'func-proto':
      builder.add({ kind, returns: ref(0), params: any.refs.map((_, at) => ({ type: ref(at) })) });
      break;
    case 'int':
      builder.add({ kind, name: 'odd', size: 4, bits: 5, bitOffset: 3 });
      break;
    case 'float':
      builder.add({ kind, name: 'double', size: 8 });
      break;
    default:
      builder.add({ kind: 'ptr', target: ref(0) });
  }
}

const anyTypes = fc.array(anyType, { minLength: typeCount, maxLength: typeCount });

/** BTF of any types; undefined where reading it is refused already. */
function build(all: readonly AnyType[], littleEndian: boolean, name: string): Btf | undefined {
  const types = new Types({ littleEndian });
  for (const any of all) add(types, any);
  try {
    return types.parse(name);
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

const anyAccess = fc.oneof(
  fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }).map((indices) => indices.join(':')),
  fc.constant('0'),
  fc.string({ unit: fc.constantFrom('0', '1', ':', '-'), maxLength: 9 }),
);

const anyRelocation = fc
  .tuple(
    fc.constantFrom(...Object.values(CORE_RELO), 99 as CoreReloKind),
    fc.integer({ min: 0, max: firstAny + typeCount + 1 }),
    anyAccess,
    fc.integer({ min: -1, max: 4 }),
  )
  .map(([kind, type, access, insn]) => relocation(kind, type as TypeId, access, insn));

const anySlot: fc.Arbitrary<Slot> = fc.tuple(
  fc.constantFrom(0xb7, 0x07, 0xbf, 0x61, 0x79, 0x81, 0x62, 0x7b, 0x18, 0, 0x85, 0x05, 0xff),
  fc.constantFrom(0, 1),
  fc.constantFrom(0, 1),
  fc.constantFrom(0, 4, 8, -1),
  fc.constantFrom(0, 1, 4, 8, 32, -1),
);

function run(
  local: Btf,
  targets: readonly Btf[],
  relocations: readonly CoreRelocation[],
  slots: readonly Slot[],
): void {
  const insns = insnsOf(...slots);
  const functions = [functionOf(insns, ...relocations)];
  for (const explain of [false, true]) {
    const plans = planCore({ local, targets, functions, explain });
    for (const plan of plans) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not get out
      if (/[\u0000-\u0009\u000b-\u001f]/.test(describePlan(plan))) throw new Error('not escaped');
      poisonReason(plan);
      try {
        applyCore(insns.slice(), [plan]);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
      }
    }
  }
}

test('any relocation against any types', (t) => {
  fc.assert(
    fc.property(
      anyTypes,
      anyTypes,
      fc.boolean(),
      fc.array(anyRelocation, { minLength: 1, maxLength: 12 }),
      fc.array(anySlot, { minLength: 3, maxLength: 3 }),
      (ours, theirs, littleEndian, relocations, slots) => {
        const local = build(ours, littleEndian, 'object');
        const target = build(theirs, true, 'vmlinux');
        if (local === undefined || target === undefined) return;
        run(local, [target], relocations, slots);
        run(local, [local, target], relocations, slots);
      },
    ),
    { numRuns: 300, seed: 20251120 },
  );
  t.pass();
});

test('35,000 different accesses to a struct of 60,000 members', (t) => {
  const count = 60_000;
  const define = (types: Types, shift: number) =>
    types.struct(
      'large',
      count * 4,
      ...Array.from(
        { length: count },
        (_, at) => [`m${at}`, types.int, (at + shift) * 32] as const,
      ),
    );
  const [local, target] = [new Types(), new Types()];
  const root = define(local, 0);
  define(target, 1);
  const relocations = Array.from({ length: 35_000 }, (_, at) =>
    relocation(CORE_RELO.FIELD_BYTE_OFFSET, root, `0:${at}`),
  );
  const functions = [functionOf(insnsOf([0xb7, 1, 0, 0, 0]), ...relocations)];
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  const before = performance.now();
  const plans = planCore({ local: object, targets: [vmlinux], functions });
  t.true(performance.now() - before < 10_000);
  t.is(plans[34_999]?.result.value?.target, 140_000n);
});

test('thousands of candidates for thousands of accesses are refused in time', (t) => {
  const count = 1500;
  const [local, target] = [new Types(), new Types()];
  const members = Array.from({ length: count }, (_, at) => [`m${at}`, local.int, at * 32] as const);
  const root = local.struct('s', count * 4, ...members);
  for (let at = 0; at < count; at++) target.struct('s', 4, ['other', target.int, 0]);
  const relocations = members.map((_, at) => relocation(CORE_RELO.FIELD_EXISTS, root, `0:${at}`));
  const functions = [functionOf(insnsOf([0xb7, 1, 0, 0, 1]), ...relocations)];
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  for (const explain of [false, true]) {
    const before = performance.now();
    const plans = planCore({ local: object, targets: [vmlinux], functions, explain });
    t.true(performance.now() - before < 10_000);
    t.is(plans[0]?.verdict, 'patch');
    t.is(plans.at(-1)?.result.error?.code, 'core-too-complex');
  }
});
