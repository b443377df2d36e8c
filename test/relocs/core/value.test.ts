// The value of each of the 13 kinds, found in a target that differs from the object.
import test from 'ava';
import { CORE_RELO, type CoreReloKind } from '../../../src/object/spec.ts';
import {
  exit,
  insnsOf,
  load,
  type Member,
  mov,
  planOne,
  relocated,
  relocation,
  slotAt,
  Types,
  wide,
} from './build.ts';

const {
  FIELD_BYTE_OFFSET,
  FIELD_BYTE_SIZE,
  FIELD_EXISTS,
  FIELD_SIGNED,
  FIELD_LSHIFT_U64,
  FIELD_RSHIFT_U64,
  TYPE_ID_LOCAL,
  TYPE_ID_TARGET,
  TYPE_EXISTS,
  TYPE_SIZE,
  TYPE_MATCHES,
  ENUMVAL_EXISTS,
  ENUMVAL_VALUE,
} = CORE_RELO;

/**
 * The object's `struct s` and the target's: members elsewhere, one renamed, one signed, and bit
 * fields at other bits.
 */
function pair(littleEndian: boolean) {
  const local = new Types({ littleEndian });
  const localStruct = local.struct(
    's___local',
    24,
    ['count', local.unsigned, 0],
    ['gone', local.int, 32],
    ['low', local.unsigned, 64, 3],
    ['high', local.int, 67, 5],
    ['plain', local.int, 96],
    ['list', local.array(local.int, 2), 128],
  );
  const localEnum = local.enum('e', { A: 1n, B: 2n, C: 3n });
  const target = new Types({ littleEndian });
  target.number('filler', 2, false);
  const members: readonly Member[] = [
    ['list', target.array(target.int, 4), 0],
    ['count', target.unsigned, 128],
    ['plain', target.unsigned, 160],
    ['low', target.unsigned, 217, 3],
    // Crosses a 32-bit boundary, so a 64-bit load is needed.
    ['high', target.int, 220, 8],
  ];
  const targetStruct = target.struct('s', 40, ...members);
  target.enum('e', { Z: 0n, A: 7n, B: 0xffff_fff0n });
  return {
    local: local.parse('object'),
    localStruct,
    localEnum,
    target: target.parse('vmlinux'),
    targetStruct,
  };
}

type Case = readonly [
  title: string,
  kind: CoreReloKind,
  access: string,
  original: bigint,
  target: bigint | undefined,
];

const fields: readonly Case[] = [
  ['offset of a member', FIELD_BYTE_OFFSET, '0:0', 0n, 16n],
  ['offset of an element', FIELD_BYTE_OFFSET, '0:5:1', 20n, 4n],
  ['offset of a member of the third struct', FIELD_BYTE_OFFSET, '2:0', 48n, 96n],
  ['offset of a bit field', FIELD_BYTE_OFFSET, '0:2', 8n, 24n],
  ['offset of a bit field that needs a larger load', FIELD_BYTE_OFFSET, '0:3', 8n, 24n],
  ['offset of what is gone', FIELD_BYTE_OFFSET, '0:1', 4n, undefined],
  ['size of a member', FIELD_BYTE_SIZE, '0:0', 4n, 4n],
  ['size of an array', FIELD_BYTE_SIZE, '0:5', 8n, 16n],
  ['size of an element', FIELD_BYTE_SIZE, '0:5:0', 4n, 4n],
  ['size of what is gone', FIELD_BYTE_SIZE, '0:1', 4n, undefined],
  ['existence of a member', FIELD_EXISTS, '0:0', 1n, 1n],
  ['existence of what is gone', FIELD_EXISTS, '0:1', 1n, 0n],
  ['signedness', FIELD_SIGNED, '0:4', 1n, 0n],
  ['right shift of a member', FIELD_RSHIFT_U64, '0:0', 32n, 32n],
  ['right shift of a bit field', FIELD_RSHIFT_U64, '0:3', 59n, 56n],
];

const littleShifts: readonly Case[] = [
  ['left shift of a member', FIELD_LSHIFT_U64, '0:0', 32n, 32n],
  ['left shift of a bit field', FIELD_LSHIFT_U64, '0:2', 61n, 36n],
  ['left shift of a bit field at a boundary', FIELD_LSHIFT_U64, '0:3', 56n, 28n],
];

const bigShifts: readonly Case[] = [
  ['left shift of a member', FIELD_LSHIFT_U64, '0:0', 32n, 32n],
  ['left shift of a bit field', FIELD_LSHIFT_U64, '0:2', 32n, 57n],
  ['left shift of a bit field at a boundary', FIELD_LSHIFT_U64, '0:3', 35n, 28n],
];

function valueTest(prefix: string, littleEndian: boolean, row: Case): void {
  const [title, kind, access, original, target] = row;
  test(`${prefix}: ${title}`, (t) => {
    const { local, localStruct, target: vmlinux } = pair(littleEndian);
    const reloc = relocation(kind, localStruct, access);
    const plan = planOne(local, [vmlinux], reloc, insnsOf(mov(Number(original)), exit));
    t.is(plan.result.value?.original, original);
    t.is(plan.result.value?.target, target);
    const same = original === target ? 'unchanged' : 'patch';
    t.is(plan.verdict, target === undefined ? 'poison' : same);
  });
}

for (const row of [...fields, ...littleShifts]) valueTest('little-endian', true, row);
for (const row of [...fields.slice(0, 3), ...bigShifts]) valueTest('big-endian', false, row);

test('the byte order of each side decides about its own shift', (t) => {
  const little = pair(true);
  const big = pair(false);
  const reloc = relocation(FIELD_LSHIFT_U64, little.localStruct, '0:2');
  const plan = planOne(little.local, [big.target], reloc, insnsOf(mov(61), exit));
  t.is(plan.result.value?.original, 61n);
  t.is(plan.result.value?.target, 57n);
});

test('kinds of types', (t) => {
  const { local, localStruct, target, targetStruct } = pair(true);
  const value = (kind: CoreReloKind, targets = [target]) =>
    planOne(local, targets, relocation(kind, localStruct, '0'), insnsOf(...wide(24n))).result.value;
  t.is(value(TYPE_ID_LOCAL)?.target, BigInt(localStruct));
  t.false(value(TYPE_ID_LOCAL)?.validate);
  t.is(value(TYPE_ID_TARGET)?.target, BigInt(targetStruct));
  t.false(value(TYPE_ID_TARGET)?.validate);
  t.is(value(TYPE_EXISTS)?.target, 1n);
  t.is(value(TYPE_SIZE)?.original, 24n);
  t.is(value(TYPE_SIZE)?.target, 40n);
  // `gone` is missing, so the types do not match.
  t.is(value(TYPE_MATCHES)?.target, 0n);
  for (const kind of [TYPE_ID_TARGET, TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES]) {
    t.is(value(kind, [])?.target, 0n, 'nothing found is 0, not poison');
  }
  t.is(value(TYPE_ID_LOCAL, [])?.target, BigInt(localStruct));
});

test('kinds of enumerators', (t) => {
  const { local, localEnum, target } = pair(true);
  const value = (kind: CoreReloKind, access: string) =>
    planOne(local, [target], relocation(kind, localEnum, access), insnsOf(...wide(1n))).result
      .value;
  t.is(value(ENUMVAL_EXISTS, '0')?.target, 1n);
  t.is(value(ENUMVAL_EXISTS, '2')?.target, 0n);
  t.is(value(ENUMVAL_VALUE, '0')?.target, 7n);
  t.is(value(ENUMVAL_VALUE, '1')?.target, 0xffff_ffff_ffff_fff0n, 'sign-extended, as in libbpf');
  t.is(value(ENUMVAL_VALUE, '2')?.target, undefined);
});

test('enumerators of 64 bits, also where the object has an enum of 32', (t) => {
  const local = new Types();
  const small = local.enum('e', { A___mine: 1n, B: 2n });
  const target = new Types();
  target.enum64('e', { B: 1n << 40n, A: 0xffff_ffff_0000_0001n });
  const vmlinux = target.parse('vmlinux');
  const insns = insnsOf(...wide(1n), exit);
  const out = relocated(
    local.parse('object'),
    [vmlinux],
    relocation(ENUMVAL_VALUE, small, '0'),
    insns,
  );
  t.is(out.imm64(0), 0xffff_ffff_0000_0001n);
});

test('a bit field that no load covers fails, also where a larger load would begin elsewhere', (t) => {
  const local = new Types();
  const struct = local.struct('s', 16, ['wide', local.long, 0, 60]);
  const target = new Types();
  // 60 bits that begin at bit 32 reach over the end of the aligned 8 bytes.
  target.struct('s', 16, ['wide', target.long, 32, 60]);
  const reloc = relocation(FIELD_BYTE_SIZE, struct, '0:0');
  const plan = planOne(local.parse('object'), [target.parse('vmlinux')], reloc, insnsOf(mov(8)));
  t.is(plan.verdict, 'fail');
  t.is(plan.result.error?.code, 'core-bit-field');
});

test('signedness and shifts of array elements fail', (t) => {
  const { local, localStruct, target } = pair(true);
  for (const kind of [FIELD_SIGNED, FIELD_LSHIFT_U64, FIELD_RSHIFT_U64]) {
    const plan = planOne(local, [target], relocation(kind, localStruct, '0:5:0'), insnsOf(mov(0)));
    t.is(plan.result.error?.code, 'core-array-element');
  }
});

test('the value of a bit field in the instruction is not checked, except its sign', (t) => {
  const { local, localStruct, target } = pair(true);
  const at = (kind: CoreReloKind, imm: number) =>
    planOne(local, [target], relocation(kind, localStruct, '0:2'), insnsOf(mov(imm))).verdict;
  t.is(at(FIELD_BYTE_OFFSET, 99), 'patch');
  t.is(at(FIELD_BYTE_SIZE, 99), 'patch');
  t.is(at(FIELD_LSHIFT_U64, 99), 'patch');
  t.is(at(FIELD_RSHIFT_U64, 99), 'fail');
  t.is(at(FIELD_SIGNED, 99), 'fail');
});

test('a member that is a bit field on one side only poisons loads, not constants', (t) => {
  const local = new Types();
  const struct = local.struct('s', 4, ['flag', local.unsigned, 0]);
  const target = new Types();
  target.struct('s', 8, ['flag', target.unsigned, 32, 4]);
  const reloc = relocation(FIELD_BYTE_OFFSET, struct, '0:0');
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  t.is(planOne(object, [vmlinux], reloc, insnsOf(load(4, 0))).verdict, 'poison');
  const moved = relocated(object, [vmlinux], reloc, insnsOf(mov(0)));
  t.deepEqual(slotAt(moved, 0), mov(4));
});
