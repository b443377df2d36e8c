// What relocations do to instructions.
import test from 'ava';
import type { Insns } from '../../../src/asm/insns.ts';
import type { Btf } from '../../../src/btf/btf.ts';
import { BpfError } from '../../../src/errors.ts';
import { CORE_RELO, type CoreRelocation } from '../../../src/object/spec.ts';
import {
  applyCore,
  type CorePlan,
  corePoisonHelper,
  planCore,
} from '../../../src/relocs/core/index.ts';
import {
  exit,
  functionOf,
  insnsOf,
  load,
  mov,
  planOne,
  relocated,
  relocation,
  type Slot,
  slotAt,
  storeImmediate,
  storeRegister,
  Types,
  wide,
} from './build.ts';

const poisoned: Slot = [0x85, 0, 0, 0, 195896080];

/** A member `m` at byte 8 of the object's struct, at `offset` of the target's. */
function moved(offset: number): { local: Btf; target: Btf; reloc: CoreRelocation } {
  const local = new Types();
  const struct = local.struct('s', 16, ['m', local.unsigned, 64]);
  const target = new Types();
  target.struct('s', offset + 4, ['m', target.unsigned, offset * 8]);
  const reloc = relocation(CORE_RELO.FIELD_BYTE_OFFSET, struct, '0:0');
  return { local: local.parse('object'), target: target.parse('vmlinux'), reloc };
}

/** A member `gone` that the target does not have. */
function missing(): { local: Btf; target: Btf; reloc: CoreRelocation } {
  const { target } = moved(0);
  const local = new Types();
  const struct = local.struct('s', 16, ['gone', local.unsigned, 64]);
  const reloc = relocation(CORE_RELO.FIELD_BYTE_OFFSET, struct, '0:0');
  return { local: local.parse('object'), target, reloc };
}

const addImmediate: Slot = [0x07, 3, 0, 0, 8];
const addImmediate32: Slot = [0x04, 3, 0, 0, 8];
const signExtendingLoad: Slot = [0x81, 1, 2, 8, 0];

const patched: readonly [title: string, before: Slot, after: Slot][] = [
  ['mov', mov(8), mov(40)],
  ['64-bit add', addImmediate, [0x07, 3, 0, 0, 40]],
  ['32-bit add', addImmediate32, [0x04, 3, 0, 0, 40]],
  ['load', load(4, 8), load(4, 40)],
  ['sign-extending load', signExtendingLoad, [0x81, 1, 2, 40, 0]],
  ['store of a register', storeRegister(8), storeRegister(40)],
  ['store of an immediate', storeImmediate(8, 77), storeImmediate(40, 77)],
];

for (const [title, before, after] of patched) {
  test(`patches: ${title}`, (t) => {
    const { local, target, reloc } = moved(40);
    const out = relocated(local, [target], reloc, insnsOf(before, exit));
    t.deepEqual(slotAt(out, 0), after);
    t.deepEqual(slotAt(out, 1), exit);
  });
}

test('patches a 64-bit immediate, both halves', (t) => {
  const local = new Types();
  const e = local.enum64('e', { A: 0x1_0000_0002n });
  const target = new Types();
  target.enum64('e', { A: -2n }, true);
  const reloc = relocation(CORE_RELO.ENUMVAL_VALUE, e, '0');
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  const out = relocated(object, [vmlinux], reloc, insnsOf(...wide(0x1_0000_0002n), exit));
  t.is(out.imm64(0), 0xffff_ffff_ffff_fffen);
});

test('cuts a 64-bit value for a 32-bit immediate, as libbpf does', (t) => {
  const local = new Types();
  const e = local.enum('e', { A: 1n });
  const target = new Types();
  target.enum64('e', { A: 0x5_8000_0001n });
  const reloc = relocation(CORE_RELO.ENUMVAL_VALUE, e, '0');
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  const out = relocated(object, [vmlinux], reloc, insnsOf(mov(1)));
  t.is(out.imm[0], -0x7fff_ffff);
});

test('poisons one instruction, or both halves of a 64-bit immediate', (t) => {
  const { local, target, reloc } = missing();
  const one = relocated(local, [target], reloc, insnsOf(load(4, 8), exit));
  t.deepEqual([slotAt(one, 0), slotAt(one, 1)], [poisoned, exit]);
  const two = relocated(local, [target], reloc, insnsOf(...wide(8n), exit));
  t.deepEqual([slotAt(two, 0), slotAt(two, 1), slotAt(two, 2)], [poisoned, poisoned, exit]);
  const jump: Slot = [0x05, 0, 0, 1, 0];
  const other = relocated(local, [target], reloc, insnsOf(jump, exit));
  t.deepEqual(slotAt(other, 0), poisoned, 'of any class');
  t.is(corePoisonHelper, 0xbad2310);
});

function failure(world: ReturnType<typeof moved>, insns: Insns): string | undefined {
  const plan = planOne(world.local, [world.target], world.reloc, insns);
  return plan.effect.verdict === 'fail' ? plan.effect.error.code : undefined;
}

const failing: readonly [title: string, insns: Insns, target: number, code: string][] = [
  ['immediate is not what the types say', insnsOf(mov(9)), 40, 'core-mismatch'],
  ['offset is not what the types say', insnsOf(load(4, 9)), 40, 'core-mismatch'],
  ['64-bit immediate is not what the types say', insnsOf(...wide(9n)), 40, 'core-mismatch'],
  ['64-bit immediate beyond 32 bits', insnsOf(...wide(0x1_0000_0008n)), 40, 'core-mismatch'],
  ['operand is a register', insnsOf([0xbf, 1, 2, 0, 8]), 40, 'core-insn'],
  ['a jump', insnsOf([0x05, 0, 0, 8, 8]), 40, 'core-insn'],
  ['a call', insnsOf([0x85, 0, 0, 8, 8]), 40, 'core-insn'],
  ['a packet load', insnsOf([0x20, 0, 0, 0, 8]), 40, 'core-insn'],
  ['half of a 64-bit immediate', insnsOf([0x18, 1, 0, 0, 8]), 40, 'core-insn'],
  ['a map address', insnsOf([0x18, 1, 1, 0, 8], [0, 0, 0, 0, 0]), 40, 'core-insn'],
  ['odd second half', insnsOf([0x18, 1, 0, 0, 8], [0, 1, 0, 0, 0]), 40, 'core-insn'],
  ['offset beyond 32767', insnsOf(load(4, 8)), 32768, 'core-offset-range'],
];

for (const [title, insns, target, code] of failing) {
  test(`fails: ${title}`, (t) => {
    t.is(failure(moved(target), insns), code);
  });
}

test('an offset of 32767 fits, and constants may be larger', (t) => {
  t.is(failure(moved(32767), insnsOf(load(4, 8))), undefined);
  t.is(failure(moved(1 << 20), insnsOf(mov(8))), undefined);
});

test('an instruction outside of the function fails', (t) => {
  const { local, target, reloc } = moved(40);
  for (const insn of [1, 7, -1]) {
    const plan = planOne(local, [target], { ...reloc, insn: insn as never }, insnsOf(mov(8)));
    t.is(plan.verdict, 'fail');
    t.throws(() => applyCore(insnsOf(mov(8)), [plan]), { code: 'core-no-insn' });
  }
});

/** A load of `bytes` of a member whose type differs; the names are of the builder's types. */
function resized(
  from: 'int' | 'unsigned' | 'char' | 'long' | 'pointer',
  to: 'int' | 'unsigned' | 'char' | 'long' | 'pointer' | 'odd',
  access: Slot,
  longSize = 8,
): CorePlan {
  const local = new Types();
  const struct = local.struct('s', 8, ['m', local[from], 0]);
  const target = new Types({ longSize });
  const odd = target.number('unsigned __int128', 16, false);
  target.struct('s', 24, ['m', to === 'odd' ? odd : target[to], 64]);
  const reloc = relocation(CORE_RELO.FIELD_BYTE_OFFSET, struct, '0:0');
  return planOne(local.parse('object'), [target.parse('vmlinux')], reloc, insnsOf(access));
}

test('unsigned integers are read with the size that they have in the target', (t) => {
  const insns = insnsOf(load(4, 0));
  applyCore(insns, [resized('unsigned', 'long', load(4, 0))]);
  t.deepEqual(slotAt(insns, 0), load(8, 8));
  const store = insnsOf(storeImmediate(0, 5));
  applyCore(store, [resized('unsigned', 'long', storeImmediate(0, 5))]);
  t.deepEqual(slotAt(store, 0), [0x7a, 1, 0, 8, 5]);
});

test('pointers of a 32-bit kernel are read with 32 bits', (t) => {
  const insns = insnsOf(load(8, 0));
  applyCore(insns, [resized('pointer', 'pointer', load(8, 0), 4)]);
  t.deepEqual(slotAt(insns, 0), load(4, 8));
});

test('a size that would read a wrong value poisons the load', (t) => {
  const plan = resized('int', 'long', load(4, 0));
  t.deepEqual(plan.effect, { verdict: 'poison', because: 'memory-size' });
  t.is(resized('unsigned', 'char', load(4, 0)).verdict, 'poison');
  t.is(resized('long', 'pointer', load(8, 0)).verdict, 'poison', 'int to pointer is no match');
  t.is(resized('int', 'unsigned', load(4, 0)).verdict, 'patch', 'the size is the same');
  t.is(resized('int', 'long', mov(0)).verdict, 'patch', 'constants do not care');
});

test('sizes that no load has, and loads that are not of the size of the field, fail', (t) => {
  t.is(resized('unsigned', 'odd', load(4, 0)).verdict, 'fail');
  t.is(resized('unsigned', 'long', load(2, 0)).verdict, 'fail');
  t.is(resized('unsigned', 'unsigned', load(2, 0)).verdict, 'patch', 'without a change, any');
});

test('the old value is compared again before writing, and nothing is half written', (t) => {
  const { local, target, reloc } = moved(40);
  const original = insnsOf(mov(8), mov(8));
  const second = { ...reloc, insn: 1 as never };
  const functions = [functionOf(original, reloc, second)];
  const plans = planCore({ local, targets: [target], functions });
  const changed = original.slice();
  changed.imm[1] = 9;
  const error = t.throws(() => applyCore(changed, plans), { instanceOf: BpfError });
  t.is(error.code, 'core-mismatch');
  t.regex(error.message, /program 'prog': instruction 1: .*holds 9,.* 8, to become 40/);
  t.is(changed.imm[0], 8);
});

test('plans are applied where a function was put', (t) => {
  const { local, target, reloc } = moved(40);
  const plans = planCore({
    local,
    targets: [target],
    functions: [functionOf(insnsOf(mov(8)), reloc)],
  });
  const image = insnsOf(exit, exit, mov(8));
  applyCore(image, plans, 2);
  t.deepEqual(slotAt(image, 2), mov(40));
});
