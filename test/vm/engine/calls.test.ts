import test from 'ava';
import { BpfError, type BpfErrorDetail } from '../../../src/errors.ts';
import type { HelperFunction, Run } from '../../../src/vm/machine.ts';
import {
  addImm,
  aluReg,
  type Code,
  call,
  callHelper,
  callRegister,
  exit,
  functionAddress,
  goto,
  jumpImm,
  load,
  mayGoto,
  movImm,
  movReg,
  store,
  storeImm,
} from './assemble.ts';
import { TestMachine } from './machine.ts';

function detailOf(work: () => unknown): BpfErrorDetail {
  try {
    work();
  } catch (error) {
    if (error instanceof BpfError) return error.detail;
    throw error;
  }
  throw new Error('no error');
}

function trapReason(work: () => unknown): string {
  const detail = detailOf(work);
  return detail.code === 'vm-trap' ? detail.reason : detail.code;
}

test('a subprogram gets r1 to r5 and returns r0', (t) => {
  const machine = new TestMachine();
  const code: Code = [
    movImm(1, 40),
    movImm(2, 2),
    call(1),
    exit(),
    movReg(0, 1),
    aluReg(64, 'add', 0, 2),
    exit(),
  ];
  t.is(machine.result(code), 42n);
});

test('r6 to r9 and the stack of the caller are as before after a call', (t) => {
  const machine = new TestMachine();
  const code: Code = [
    movImm(6, 1),
    movImm(9, 2),
    storeImm(8, 10, 4, -8),
    call(5),
    load(8, 0, 10, -8),
    aluReg(64, 'add', 0, 6),
    aluReg(64, 'add', 0, 9),
    exit(),
    goto(-1),
    movImm(6, 100),
    movImm(9, 100),
    storeImm(8, 10, 100, -8),
    exit(),
  ];
  t.is(machine.result(code), 7n);
});

/** `count` functions, each calling the next one; every one adds 1 to r0. */
function chain(count: number): Code {
  const out: Code[] = [];
  for (let i = 0; i < count - 1; i++) out.push([call(2), addImm(0, 1), exit()]);
  return [...out.flat(), movImm(0, 1), exit()];
}

test('calls may be 8 functions deep; 9 are refused at load, by name', (t) => {
  const machine = new TestMachine();
  t.is(machine.result(chain(8)), 8n);
  const detail = detailOf(() => machine.prepare(chain(9)));
  t.is(detail.code, 'vm-call-depth');
  t.is(detail.code === 'vm-call-depth' && detail.functions.length, 9);
});

test('recursion is refused at load', (t) => {
  const machine = new TestMachine();
  t.is(detailOf(() => machine.prepare([call(-1), exit()])).code, 'vm-call-depth');
});

test('the stack of a chain of calls is at most 512 bytes, each frame rounded to 16', (t) => {
  const machine = new TestMachine();
  const two = (first: number, second: number): Code => [
    storeImm(8, 10, 0, -first),
    call(1),
    exit(),
    storeImm(8, 10, 0, -second),
    exit(),
  ];
  t.notThrows(() => machine.prepare(two(256, 256)));
  t.notThrows(() => machine.prepare(two(250, 250)));
  const detail = detailOf(() => machine.prepare(two(256, 264)));
  t.is(detail.code === 'vm-stack-size' && detail.bytes, 528);
  t.is(detailOf(() => machine.prepare([storeImm(8, 10, 0, -520), exit()])).code, 'vm-stack-size');
  const copied: Code = [movReg(2, 10), addImm(2, -400), storeImm(8, 2, 0, -120), exit()];
  t.is(detailOf(() => machine.prepare(copied)).code, 'vm-stack-size');
});

test('a subprogram that makes tail calls has fewer than 256 bytes above it', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(12, () => undefined);
  const code = (used: number): Code => [
    storeImm(8, 10, 0, -used),
    call(1),
    exit(),
    callHelper(12),
    exit(),
  ];
  t.notThrows(() => machine.prepare(code(240)));
  t.is(detailOf(() => machine.prepare(code(256))).code, 'vm-tail-call-stack');
});

test('call of an address in a register', (t) => {
  const machine = new TestMachine();
  const code: Code = [
    movImm(1, 5),
    functionAddress(2, 2),
    callRegister(2),
    exit(),
    movReg(0, 1),
    addImm(0, 1),
    exit(),
  ];
  t.is(machine.result(code), 6n);
  const wild: Code = [movImm(2, 64), callRegister(2), exit()];
  t.is(
    trapReason(() => machine.result(wild)),
    'function-address',
  );
});

test('an address inside of a function is none to call', (t) => {
  const machine = new TestMachine();
  const code: Code = [
    functionAddress(2, 3),
    addImm(2, 8),
    callRegister(2),
    exit(),
    movImm(0, 1),
    movImm(0, 2),
    exit(),
  ];
  t.is(
    trapReason(() => machine.result(code)),
    'function-address',
  );
});

test('recursion through addresses stops 8 functions deep', (t) => {
  const machine = new TestMachine();
  const code: Code = [functionAddress(2, 2), callRegister(2), exit(), callRegister(2), exit()];
  t.is(
    trapReason(() => machine.result(code)),
    'call-depth',
  );
});

/** Calls the function at r2 as often as r1 says, with the count in r1 and r3 in r2. */
const loopHelper: HelperFunction = (run: Run) => {
  const { regs, half } = run.cpu;
  const times = half[2] as number;
  const address = half[4] as number;
  const argument = regs[3] as bigint;
  for (let i = 0; i < times; i++) {
    regs[1] = BigInt(i);
    regs[2] = argument;
    run.callFunction(address);
  }
  regs[0] = BigInt(times);
};

test('callbacks run in frames of their own and share memory with their caller', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(181, loopHelper);
  const code: Code = [
    movImm(6, 3),
    storeImm(8, 10, 0, -8),
    movImm(1, 10),
    functionAddress(2, 9),
    movReg(3, 10),
    addImm(3, -8),
    callHelper(181),
    load(8, 0, 10, -8),
    aluReg(64, 'add', 0, 6),
    exit(),
    movImm(0, 0),
    exit(),
    load(8, 4, 2, 0),
    aluReg(64, 'add', 4, 1),
    store(8, 2, 4, 0),
    movImm(6, 77),
    storeImm(8, 10, 77, -8),
    movImm(0, 0),
    exit(),
  ];
  const fixed = code.map((slot, i) => (i === 3 ? functionAddress(2, 8) : slot));
  t.is(machine.result(fixed), 48n);
});

test('recursion through callbacks stops 8 functions deep, not with the host stack', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(181, loopHelper);
  const body: Code = [movImm(1, 1), functionAddress(2, -3), callHelper(181), exit()];
  const code: Code = [movImm(1, 1), functionAddress(2, 2), callHelper(181), exit(), ...body];
  const detail = detailOf(() => machine.result(code));
  t.is(detail.code === 'vm-trap' && detail.reason, 'call-depth');
  const calls = detail.code === 'vm-trap' ? detail.calls.map((frame) => frame.insn) : [];
  t.deepEqual(calls, [8, 8, 8, 8, 8, 8, 8, 3]);
  t.is(machine.result([movImm(0, 7), exit()]), 7n, 'the machine is as before afterwards');
});

test('a callback may be called from a program that was tail-called', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(181, loopHelper);
  const target = machine.prepare([
    movImm(1, 4),
    functionAddress(2, 3),
    movReg(3, 10),
    callHelper(181),
    exit(),
    movImm(0, 0),
    exit(),
  ]);
  machine.helpers.set(12, (run) => void run.tailCallTo(target));
  t.is(machine.result([callHelper(12), movImm(0, 9), exit()]), 4n);
});

test('tail calls: 33 in a chain, then the call falls through', (t) => {
  const machine = new TestMachine();
  let calls = 0;
  const program = (): Code => [callHelper(12), movImm(0, 5), exit()];
  const loaded = machine.prepare([movImm(0, 0), exit()]);
  t.truthy(loaded);
  machine.helpers.set(12, (run) => {
    if (run.tailCallTo(self)) calls += 1;
  });
  const self = machine.prepare(program());
  t.is(machine.run(self), 5n);
  t.is(calls, 33);
});

test('a tail call from a subprogram returns to the caller of that subprogram', (t) => {
  const machine = new TestMachine();
  const target = machine.prepare([movImm(6, 1000), movImm(0, 20), storeImm(8, 10, -1, -8), exit()]);
  machine.helpers.set(12, (run) => void run.tailCallTo(target));
  const code: Code = [
    movImm(6, 1),
    storeImm(8, 10, 2, -8),
    call(4),
    aluReg(64, 'add', 0, 6),
    load(8, 1, 10, -8),
    aluReg(64, 'add', 0, 1),
    exit(),
    callHelper(12),
    movImm(0, 500),
    exit(),
  ];
  t.is(machine.result(code), 23n);
});

test('a tail-called program may go 8 functions deep again', (t) => {
  const machine = new TestMachine();
  const target = machine.prepare(chain(8));
  machine.helpers.set(12, (run) => void run.tailCallTo(target));
  const code: Code = [call(1), exit(), call(1), exit(), callHelper(12), exit()];
  t.is(machine.result(code), 8n);
});

test('tail calls from subprograms, 33 programs deep, each 8 functions deep', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(12, (run) => void run.tailCallTo(self));
  const deep: Code = [];
  const code: Code = [...deep, ...chain(8).slice(0, -2), callHelper(12), movImm(0, 1), exit()];
  const self = machine.prepare(code);
  t.is(machine.run(self), BigInt(34 * 7 + 1));
});

test('the budget counts executed instructions exactly', (t) => {
  const machine = new TestMachine();
  const code: Code = [
    movImm(1, 10),
    addImm(1, -1),
    call(2),
    jumpImm(64, 'ne', 1, 0, -3),
    exit(),
    movImm(0, 1),
    exit(),
  ];
  const program = machine.prepare(code);
  const count = 1 + 10 * 5 + 1;
  t.is(machine.run(program, { budget: count }), 1n);
  t.is(
    trapReason(() => machine.run(program, { budget: count - 1 })),
    'budget',
  );
});

test('an endless loop ends with the budget', (t) => {
  const machine = new TestMachine();
  const loops: Code[] = [
    [goto(-1), exit()],
    [jumpImm(64, 'eq', 0, 0, -1), exit()],
  ];
  for (const code of loops) {
    t.is(
      trapReason(() => machine.result(code, { budget: 10_000 })),
      'budget',
    );
  }
});

test('callbacks and tail calls draw on the same budget', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(181, loopHelper);
  const code: Code = [
    movImm(1, 1_000_000),
    functionAddress(2, 2),
    callHelper(181),
    exit(),
    movImm(0, 0),
    exit(),
  ];
  t.is(
    trapReason(() => machine.result(code, { budget: 1000 })),
    'budget',
  );
});

test('may_goto goes on 8388608 times in a function call, then jumps', (t) => {
  const machine = new TestMachine();
  const code: Code = [movImm(0, 0), mayGoto(2), addImm(0, 1), goto(-3), exit()];
  t.is(machine.result(code), 8_388_608n);
});

test('a helper may run another program on the same CPU', (t) => {
  const machine = new TestMachine();
  const inner = machine.prepare([storeImm(8, 10, 99, -8), movImm(6, 0), movImm(0, 30), exit()]);
  machine.helpers.set(1, () => void machine.run(inner));
  const code: Code = [
    movImm(6, 4),
    storeImm(8, 10, 8, -8),
    callHelper(1),
    aluReg(64, 'add', 0, 6),
    load(8, 1, 10, -8),
    aluReg(64, 'add', 0, 1),
    exit(),
  ];
  t.is(machine.result(code), 42n);
});

test('a helper may go on after a trap in a program that it ran', (t) => {
  const machine = new TestMachine();
  const inner = machine.prepare([
    movImm(6, 0),
    movImm(9, 0),
    call(1),
    exit(),
    load(8, 0, 6, 0),
    exit(),
  ]);
  machine.helpers.set(1, () => {
    t.is(
      trapReason(() => machine.run(inner)),
      'access',
    );
  });
  const code: Code = [
    movImm(6, 4),
    movImm(9, 8),
    storeImm(8, 10, 30, -8),
    callHelper(1),
    load(8, 0, 10, -8),
    aluReg(64, 'add', 0, 6),
    aluReg(64, 'add', 0, 9),
    exit(),
  ];
  t.is(machine.result(code), 42n);
});

test('programs that run each other without end stop before the host stack does', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(1, () => void machine.run(program));
  const program = machine.prepare([callHelper(1), exit()]);
  t.is(
    trapReason(() => machine.run(program)),
    'stack',
  );
  t.is(machine.result([movImm(0, 7), exit()]), 7n);
});

test('all missing helpers are named at once, with the first use of each', (t) => {
  const machine = new TestMachine();
  machine.helpers.set(1, () => undefined);
  const code: Code = [callHelper(1), callHelper(7), callHelper(9), callHelper(7), exit()];
  const error = t.throws(() => machine.prepare(code), { instanceOf: BpfError });
  t.deepEqual(error?.detail, {
    code: 'vm-missing-functions',
    missing: [
      { name: 'helper_7', insn: 1, source: undefined },
      { name: 'helper_9', insn: 2, source: undefined },
    ],
  });
});

test('a missing helper behind a constant guard is no error until it runs', (t) => {
  const machine = new TestMachine();
  const code: Code = [
    movImm(0, 3),
    movImm(1, 0),
    jumpImm(64, 'eq', 1, 0, 1),
    callHelper(7),
    exit(),
  ];
  t.is(machine.result(code), 3n);
});

test('a poisoned instruction traps when it runs, with the reason', (t) => {
  const machine = new TestMachine();
  const code: Code = [movImm(0, 3), jumpImm(64, 'eq', 1, 0, 1), callHelper(195_896_080), exit()];
  const detail = detailOf(() => machine.result(code));
  t.is(detail.code === 'vm-trap' && detail.reason, 'poisoned');
});

test('the hook sees every instruction, and results are the same', (t) => {
  const machine = new TestMachine();
  const seen: number[] = [];
  const code: Code = [
    movImm(1, 2),
    call(3),
    addImm(1, -1),
    jumpImm(64, 'ne', 1, 0, -3),
    exit(),
    movReg(0, 1),
    exit(),
  ];
  const program = machine.prepare(code);
  t.is(machine.run(program, { hook: (_, row) => seen.push(row) }), 1n);
  t.deepEqual(seen, [0, 1, 5, 6, 2, 3, 1, 5, 6, 2, 3, 4]);
  t.is(machine.run(program), 1n);
});
