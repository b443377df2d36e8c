// Candidates, ambiguity, modules, and what a plan says.
import test from 'ava';
import { Insns } from '../../../src/asm/insns.ts';
import { CORE_RELO } from '../../../src/object/spec.ts';
import {
  describePlan,
  planCore,
  plansByFunction,
  poisonReason,
} from '../../../src/relocs/core/index.ts';
import { functionOf, insnsOf, load, mov, planOne, relocation, Types } from './build.ts';

const { FIELD_BYTE_OFFSET, FIELD_EXISTS, FIELD_BYTE_SIZE, TYPE_SIZE, TYPE_ID_TARGET } = CORE_RELO;

function twins() {
  const local = new Types();
  const struct = local.struct('s___mine', 8, ['same', local.int, 0], ['other', local.int, 32]);
  const target = new Types();
  target.struct('s', 8, ['same', target.int, 0], ['other', target.int, 32]);
  target.struct('s___2', 12, ['same', target.int, 0], ['other', target.int, 64]);
  target.union('s', 4, ['same', target.int, 0]);
  target.struct('s_', 4, ['same', target.int, 0]);
  return { local: local.parse('object'), struct, target: target.parse('vmlinux') };
}

test('flavours on both sides are left out of account, kinds are not', (t) => {
  const { local, struct, target } = twins();
  const reloc = relocation(FIELD_BYTE_OFFSET, struct, '0:0');
  const { result } = planOne(local, [target], reloc, insnsOf(load(4, 0)));
  t.deepEqual(
    result.candidates.map((candidate) => candidate.type),
    ['struct s', 'struct s___2'],
  );
  t.is(result.chosen, 0);
});

test('candidates that disagree are an error that lists them', (t) => {
  const { local, struct, target } = twins();
  const offset = relocation(FIELD_BYTE_OFFSET, struct, '0:1');
  const plan = planOne(local, [target], offset, insnsOf(load(4, 4)));
  t.is(plan.verdict, 'fail');
  t.like(plan.result.error, {
    code: 'core-ambiguous',
    candidates: [
      { btf: 'vmlinux', name: 'struct s', bitOffset: 32, value: 4n },
      { btf: 'vmlinux', name: 'struct s___2', bitOffset: 64, value: 8n },
    ],
  });
  t.regex(
    describePlan(plan),
    /fail: candidates for struct s___mine disagree: struct s .6. of 'vmlinux' gives 4 at bit 32, /,
  );
});

for (const [title, kind, access] of [
  ['existence, because the offsets differ', FIELD_EXISTS, '0:1'],
  ['size of a type', TYPE_SIZE, '0'],
  ['id of a type', TYPE_ID_TARGET, '0'],
] as const) {
  test(`ambiguous: ${title}`, (t) => {
    const { local, struct, target } = twins();
    const plan = planOne(local, [target], relocation(kind, struct, access), insnsOf(mov(1)));
    t.is(plan.result.error?.code, 'core-ambiguous');
  });
}

test('a candidate that lacks what others have is not looked at again', (t) => {
  const local = new Types();
  const struct = local.struct('s', 8, ['both', local.int, 0], ['one', local.int, 32]);
  const target = new Types();
  target.struct('s', 12, ['both', target.int, 32], ['one', target.int, 64]);
  target.struct('s___2', 4, ['both', target.int, 0]);
  const both = relocation(FIELD_BYTE_OFFSET, struct, '0:0', 0);
  const one = relocation(FIELD_BYTE_OFFSET, struct, '0:1', 1);
  const insns = insnsOf(load(4, 0), load(4, 4), load(4, 0));
  const functions = [functionOf(insns, both, one, { ...both, insn: 2 as never })];
  const plans = planCore({
    local: local.parse('object'),
    targets: [target.parse('vmlinux')],
    functions,
  });
  t.deepEqual(
    plans.map((plan) => plan.verdict),
    ['fail', 'patch', 'patch'],
  );
  t.deepEqual(
    plans[2]?.result.candidates.map((candidate) => [candidate.type, candidate.verdict]),
    [
      ['struct s___2', 'mismatch'],
      ['struct s', 'match'],
    ],
  );
});

test('where no candidate matches, all stay', (t) => {
  const { local, target } = twins();
  const other = new Types();
  const struct = other.struct('s', 8, ['gone', other.int, 0], ['same', other.int, 32]);
  const gone = relocation(FIELD_EXISTS, struct, '0:0', 0);
  const same = relocation(FIELD_BYTE_OFFSET, struct, '0:1', 1);
  const functions = [functionOf(insnsOf(mov(1), load(4, 4)), gone, same)];
  const plans = planCore({ local: other.parse('object'), targets: [target], functions });
  t.is(plans[1]?.result.candidates.length, 2);
  t.is(plans[1]?.verdict, 'patch');
  t.truthy(local);
});

test('modules are asked only about what the kernel does not have, and only for their own', (t) => {
  const kernel = new Types();
  kernel.struct('in_kernel', 8, ['m', kernel.int, 32]);
  const vmlinux = kernel.parse('vmlinux');
  const module = (name: string, offset: number) => {
    const types = new Types({ base: vmlinux });
    types.struct('in_kernel', 16, ['m', types.int, 64]);
    types.struct('in_module', 16, ['m', types.int, offset]);
    return types.parse(name, vmlinux);
  };
  const targets = [vmlinux, module('first', 96), module('second', 96)];
  const local = new Types();
  const a = local.struct('in_kernel', 4, ['m', local.int, 0]);
  const b = local.struct('in_module', 4, ['m', local.int, 0]);
  const object = local.parse('object');
  const plan = (type: typeof a, btfs = targets) =>
    planOne(object, btfs, relocation(FIELD_BYTE_OFFSET, type, '0:0'), insnsOf(mov(0))).result;
  t.deepEqual(
    plan(a).candidates.map((candidate) => candidate.btf),
    ['vmlinux'],
  );
  t.is(plan(a).value?.target, 4n);
  t.deepEqual(
    plan(b).candidates.map((candidate) => candidate.btf),
    ['first', 'second'],
  );
  t.is(plan(b).value?.target, 12n);
  t.is(plan(b, [vmlinux, module('x', 96), module('y', 64)]).error?.code, 'core-ambiguous');
});

test('without any target, existence is no and accesses are poisoned', (t) => {
  const { local, struct } = twins();
  const exists = planOne(local, [], relocation(FIELD_EXISTS, struct, '0:0'), insnsOf(mov(1)));
  t.is(exists.result.value?.target, 0n);
  const offset = relocation(FIELD_BYTE_OFFSET, struct, '0:0');
  const access = planOne(local, [], offset, insnsOf(load(4, 0)));
  t.is(access.verdict, 'poison');
  t.is(poisonReason(access), 'struct s___mine.same: no target has struct s___mine');
  t.is(poisonReason(exists), undefined);
});

test('equal relocations share one result, and large objects take little time', (t) => {
  const { local, struct, target } = twins();
  const insns = new Insns(35_000);
  insns.code.fill(0xb7);
  const coreRelocations = Array.from({ length: 35_000 }, (_, at) =>
    relocation(FIELD_BYTE_SIZE, struct, at % 2 === 0 ? '0:0' : '0:1:', at),
  );
  insns.imm.fill(4);
  const functions = [{ name: 'large', insns, coreRelocations, lineInfo: [] }];
  const before = performance.now();
  const plans = planCore({ local, targets: [target], functions });
  t.true(performance.now() - before < 10_000);
  t.is(plans[0]?.result, plans[2]?.result);
  t.is(plans[0]?.verdict, 'unchanged');
  t.is(plans[1]?.verdict, 'fail');
});

test('plans know their function', (t) => {
  const { local, struct, target } = twins();
  const reloc = relocation(FIELD_BYTE_SIZE, struct, '0:0');
  const empty = functionOf(insnsOf(mov(4)));
  const full = functionOf(insnsOf(mov(4)), reloc);
  const plans = planCore({ local, targets: [target], functions: [empty, full, full] });
  const groups = plansByFunction(plans);
  t.deepEqual([...groups.keys()], [1, 2]);
  t.is(groups.get(2)?.length, 1);
});

test('a plan in words', (t) => {
  const local = new Types();
  const task = local.struct('task', 8, ['\u001b[31mstat', local.int, 0], ['pid', local.int, 32]);
  const target = new Types();
  target.struct('task', 16, ['state', target.unsigned, 32], ['pid', target.long, 64]);
  target.struct('tasks', 4, ['pid', target.int, 0]);
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  const words = (access: string, insns: Insns) =>
    describePlan(planOne(object, [vmlinux], relocation(FIELD_BYTE_OFFSET, task, access), insns));
  t.is(
    words('0:0', insnsOf(load(4, 0))),
    [
      'prog, instruction 0, byte_off of struct task.\\x1b[31mstat',
      '  access task->\\x1b[31mstat',
      '  object: int, 4 bytes at offset 0',
      "  vmlinux: struct task [6]: struct task has no member '\\x1b[31mstat'",
      "  poison: struct task.\\x1b[31mstat: struct task has no member '\\x1b[31mstat'",
    ].join('\n'),
  );
  t.is(
    words('0:1', insnsOf(load(4, 4))),
    [
      'prog, instruction 0, byte_off of struct task.pid',
      '  access task->pid',
      '  object: int, 4 bytes at offset 4',
      '  vmlinux: struct task [6]: unsigned long, 8 bytes at offset 8',
      '  poison: struct task.pid: a load or store of 4 bytes in the object, 8 bytes in the target; only pointers and unsigned integers can change size',
    ].join('\n'),
  );
  const nowhere = planOne(object, [vmlinux], relocation(TYPE_SIZE, task, '0'), insnsOf(mov(8)));
  t.regex(
    describePlan(nowhere),
    /object: 8 bytes\n {2}vmlinux: .*: 16 bytes\n {2}patch: 8 becomes 16$/,
  );
});

test('similar names are found for members, enumerators and types', (t) => {
  const local = new Types();
  const task = local.struct('task_struct', 4, ['state', local.int, 0]);
  const lost = local.struct('task_strct', 4, ['state', local.int, 0]);
  const color = local.enum('color', { COLOUR_RED: 0n });
  const target = new Types();
  const hidden = target.struct('', 4, ['__state', target.int, 0], ['stat', target.int, 0]);
  target.struct('task_struct', 4, ['zzz', target.int, 0], ['', hidden, 0]);
  target.enum('color', { COLOR_RED: 0n, NOTHING: 1n });
  const [object, vmlinux] = [local.parse('object'), target.parse('vmlinux')];
  const plan = (kind: 2 | 10, type: typeof task, access: string) =>
    planOne(object, [vmlinux], relocation(kind, type, access), insnsOf(mov(1)));
  t.deepEqual(plan(FIELD_EXISTS, task, '0:0').result.candidates[0]?.nearest, ['__state', 'stat']);
  const { ENUMVAL_EXISTS } = CORE_RELO;
  t.deepEqual(plan(ENUMVAL_EXISTS, color, '0').result.candidates[0]?.nearest, ['COLOR_RED']);
  const none = plan(FIELD_EXISTS, lost, '0:0');
  t.deepEqual(none.result.nearestTypes, ['task_struct']);
  t.regex(describePlan(none), /because no target has struct task_strct \(similar: 'task_struct'\)/);
});
