import test from 'ava';
import type { InsnIndex } from '../../../src/asm/insns.ts';
import { BpfError } from '../../../src/errors.ts';
import { prepareProgram } from '../../../src/vm/engine/engine.ts';
import {
  type ContextFields,
  MemoryFault,
  type RunContext,
  windows,
} from '../../../src/vm/machine.ts';
import {
  addImm,
  assemble,
  atomic,
  type Code,
  call,
  callHelper,
  exit,
  imageOf,
  load,
  loadPacketImm,
  loadPacketReg,
  loadSigned,
  movImm,
  movReg,
  type Size,
  store,
  storeImm,
  wide,
} from './assemble.ts';
import { TestMachine } from './machine.ts';

const machine = new TestMachine();
const main = BigInt(windows.main >>> 0) << 32n;
const sizes: readonly Size[] = [1, 2, 4, 8];

type Access = { kind: string; size: number; address: bigint } | undefined;

function accessOf(code: Code): Access {
  try {
    machine.result(code);
  } catch (error) {
    if (!(error instanceof BpfError) || error.detail.code !== 'vm-trap') throw error;
    const { access } = error.detail;
    return access && { kind: access.kind, size: access.size, address: access.address };
  }
  return undefined;
}

/** Addresses that no program may use, whatever the size. */
const wild: readonly bigint[] = [
  0n,
  8n,
  0xffffn,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_ffffn,
  main,
  main + 0xffffn,
  main + 0xffff_ffffn,
  main - 1n,
  main + 0x1_0000_0000n,
  main + BigInt(machine.memory.mainEnd),
  main + BigInt(machine.memory.mainLow) - 8n,
  BigInt(windows.code >>> 0) << 32n,
  BigInt(windows.context >>> 0) << 32n,
  BigInt(machine.buffer),
  (main & 0x0fff_ffff_0000_0000n) + BigInt(machine.buffer),
];

test('wild pointers trap at every size, and the report has the address', (t) => {
  for (const address of wild) {
    for (const size of sizes) {
      const found = accessOf([wide(1, address), load(size, 0, 1, 0), exit()]);
      t.deepEqual(found, { kind: 'load', size, address });
      const stored = accessOf([wide(1, address), storeImm(size, 1, 0, 0), exit()]);
      t.deepEqual(stored, { kind: 'store', size, address });
      const register = accessOf([wide(1, address), store(size, 1, 2, 0), exit()]);
      t.deepEqual(register, { kind: 'store', size, address });
    }
  }
});

test('signed loads, atomics and ordered accesses are checked as well', (t) => {
  for (const address of wild) {
    t.is(accessOf([wide(1, address), loadSigned(4, 0, 1, 0), exit()])?.address, address);
    t.is(accessOf([wide(1, address), atomic(8, 0x01, 1, 2, 0), exit()])?.address, address);
    t.is(accessOf([wide(1, address), atomic(4, 0xf1, 1, 2, 0), exit()])?.address, address);
    t.is(accessOf([wide(1, address), atomic(8, 0x100, 0, 1, 0), exit()])?.address, address);
    t.is(accessOf([wide(1, address), atomic(8, 0x110, 1, 2, 0), exit()])?.address, address);
  }
});

test('the offset is added in 64 bits: a carry leaves the window', (t) => {
  const up = main + 0xffff_ff00n;
  t.is(accessOf([wide(1, up), load(8, 0, 1, 0x7fff), exit()])?.address, up + 0x7fffn);
  t.is(accessOf([wide(1, main), load(8, 0, 1, -0x8000), exit()])?.address, main - 0x8000n);
  const below = main - 1n;
  t.is(accessOf([wide(1, below), load(8, 0, 1, 0x7fff), exit()])?.address, main + 0x7ffen);
  const end = 0xffff_ffff_ffff_fff8n;
  t.is(accessOf([wide(1, end), load(8, 0, 1, 16), exit()])?.address, 8n);
});

test('accesses that straddle an end of the window trap, those that touch it do not', (t) => {
  const { mainLow, mainEnd, storeLow } = machine.memory;
  for (const size of sizes) {
    const last = machine.address(mainEnd - size);
    t.is(accessOf([wide(1, last), load(size, 0, 1, 0), exit()]), undefined);
    t.is(accessOf([wide(1, last), load(size, 0, 1, 1), exit()])?.address, last + 1n);
    const first = machine.address(mainLow);
    t.is(accessOf([wide(1, first), load(size, 0, 1, 0), exit()]), undefined);
    t.is(accessOf([wide(1, first), load(size, 0, 1, -1), exit()])?.address, first - 1n);
    const firstStore = machine.address(storeLow);
    t.is(
      accessOf([wide(1, firstStore), storeImm(size, 1, 0, -1), exit()])?.address,
      firstStore - 1n,
    );
  }
});

test('what helpers allocate can be used in the same run, what they free no longer', (t) => {
  const own = new TestMachine();
  let at = 0;
  own.helpers.set(1, ({ cpu }) => {
    at = own.memory.allocate(1 << 20, { label: 'late' });
    cpu.regs[0] = own.address(at + (1 << 20) - 8);
  });
  own.helpers.set(2, () => own.memory.free(at));
  const use: Code = [callHelper(1), movReg(6, 0), storeImm(8, 6, 5, 0), load(8, 0, 6, 0)];
  t.is(own.result([...use, exit()]), 5n);
  const late: Code = [...use, callHelper(2), load(8, 0, 6, 0), exit()];
  const error = t.throws(() => own.result(late), { instanceOf: BpfError });
  t.is(error?.code, 'vm-trap');
});

test('read-only memory can be read, not written; the report says so', (t) => {
  const own = new TestMachine();
  const at = own.memory.allocate(64, { label: 'map .rodata', readOnly: true });
  const start: Code = [wide(1, own.address(at))];
  t.is(own.result([...start, load(8, 0, 1, 0), exit()]), 0n);
  for (const bad of [storeImm(4, 1, 1, 0), atomic(8, 0, 1, 2, 0)]) {
    const error = t.throws(() => own.result([...start, bad, exit()]), { instanceOf: BpfError });
    t.regex(error?.message ?? '', /store of . bytes at .*map \.rodata.*read-only/);
  }
});

test('programs with probe loads read 0 from unmapped addresses; their stores trap', (t) => {
  const image = (code: Code) => imageOf(assemble(code));
  const options = { probeLoads: true };
  const read = prepareProgram(
    image([movImm(1, 0), movImm(0, 5), load(8, 0, 1, 16), exit()]),
    machine.environment,
    options,
  );
  t.is(machine.run(read), 0n);
  const write = prepareProgram(
    image([movImm(1, 0), storeImm(8, 1, 0, 16), exit()]),
    machine.environment,
    options,
  );
  t.throws(() => machine.run(write), { instanceOf: BpfError });
});

const fields: ContextFields = {
  load(offset, size, half, dst) {
    if (offset !== 4 || size !== 4) {
      throw new MemoryFault(offset, windows.context, size, 'load', 'no such field');
    }
    half[2 * dst] = 0x8000_0001 | 0;
    half[2 * dst + 1] = 0;
  },
  store(offset, size, low) {
    throw new MemoryFault(offset, windows.context, size, 'store', `field takes no ${low}`);
  },
};

const context: RunContext = { addressLow: 0x1000, addressHigh: windows.context, fields };

test('accesses to the context go to its fields', (t) => {
  t.is(machine.result([load(4, 0, 1, 4), exit()], { context }), 0x8000_0001n);
  t.is(machine.result([loadSigned(4, 0, 1, 4), exit()], { context }), 0xffff_ffff_8000_0001n);
  t.is(machine.result([addImm(1, 100), load(4, 0, 1, -96), exit()], { context }), 0x8000_0001n);
  t.throws(() => machine.result([load(4, 0, 1, 8), exit()], { context }), {
    message: /no such field/,
  });
  t.throws(() => machine.result([storeImm(4, 1, 7, 4), exit()], { context }), {
    message: /field takes no 7/,
  });
  t.throws(() => machine.result([atomic(4, 0, 1, 1, 4), exit()], { context }));
});

test('legacy packet loads: big-endian from the packet, an early exit with 0 past its end', (t) => {
  const bytes = [0x11, 0x22, 0x33, 0x44, 0x55];
  const packet = (offset: number, size: number): number | undefined => {
    if (offset < 0 || offset + size > bytes.length) return undefined;
    return bytes.slice(offset, offset + size).reduce((sum, byte) => sum * 256 + byte, 0);
  };
  const run = (...code: Code): bigint =>
    machine.result([...code, exit()], { context: { ...machine.context, packet } });
  t.is(run(loadPacketImm(1, 4)), 0x55n);
  t.is(run(loadPacketImm(2, 0)), 0x1122n);
  t.is(run(movImm(7, 1), loadPacketReg(4, 7, 0)), 0x2233_4455n);
  t.is(run(movImm(7, 3), loadPacketReg(1, 7, -2)), 0x22n);
  t.is(run(loadPacketImm(4, 2), movImm(0, 7)), 0n);
  t.is(run(loadPacketImm(4, 1), addImm(0, 1)), 0x2233_4456n);
  t.throws(() => machine.result([loadPacketImm(1, 0), exit()]), { message: /has no packet/ });
});

test('a fault in a helper is a trap at its call, with the whole call stack', (t) => {
  const own = new TestMachine();
  own.helpers.set(3, ({ cpu }) => {
    own.memory.resolve(cpu.half[2] as number, cpu.half[3] as number, 16, 'store');
  });
  const code: Code = [call(1), exit(), movImm(1, 32), movImm(6, -1), callHelper(3), exit()];
  const image = imageOf(assemble(code), {
    name: 'count\u0007packets',
    functions: [
      { name: 'count\u0007packets', start: 0 as InsnIndex, end: 2 as InsnIndex },
      { name: 'helping', start: 2 as InsnIndex, end: 6 as InsnIndex },
    ],
  });
  const program = prepareProgram(image, own.environment);
  const error = t.throws(() => own.run(program), { instanceOf: BpfError });
  const detail = error?.detail;
  if (detail?.code !== 'vm-trap') return t.fail();
  t.is(detail.reason, 'access');
  t.deepEqual(
    detail.calls.map((frame) => [frame.function, frame.insn]),
    [
      ['helping', 4],
      ['count\u0007packets', 0],
    ],
  );
  t.is(detail.registers[6], 0xffff_ffff_ffff_ffffn);
  t.is(
    error?.message,
    "program 'count\\x07packets': trap in 'helping' at instruction 4: store of 16 bytes at 0x0000000000000020, a null pointer",
  );
});

test('other errors of helpers say which instruction called', (t) => {
  const own = new TestMachine();
  own.helpers.set(3, () => {
    throw new BpfError({ code: 'truncated', section: 'x', offset: 0, need: 1, have: 0 });
  });
  t.throws(() => own.result([movImm(1, 1), callHelper(3), exit()]), {
    message: /^program 'test': instruction 1: 'x' ends too early/,
  });
});
