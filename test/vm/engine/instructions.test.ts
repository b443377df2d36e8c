import test from 'ava';
import { type OpcodeRow, type Operation, opcodeRows } from '../../../src/asm/opcodes.ts';
import {
  aluImm,
  aluReg,
  atomic,
  type Code,
  exit,
  goto,
  gotoLong,
  load,
  loadSigned,
  movImm,
  movReg,
  type Slot,
  store,
  storeImm,
  swap,
  wide,
} from './assemble.ts';
import { TestMachine } from './machine.ts';
import { arithmetic, comparison, edgeImmediates, edges } from './reference.ts';

const machine = new TestMachine();

/** Fields that select a row, with free registers. */
function slotOf(row: OpcodeRow, fields: Partial<Slot>): Slot {
  return { code: row.code, src: row.src ?? 0, off: row.off ?? 0, imm: row.imm ?? 0, ...fields };
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Runs `slot` with r1 = a and r2 = b and returns r1. */
function binary(slot: Slot, a: bigint, b: bigint): bigint {
  return machine.result([wide(1, a), wide(2, b), slot, movReg(0, 1), exit()]);
}

for (const row of opcodeRows) {
  const { operation } = row;
  if (operation.kind === 'alu') {
    const { op, width, operand } = operation;
    test(`${op}${width} ${operand}: every pair of edge values as RFC 9669 says`, (t) => {
      const others = operand === 'imm' ? edgeImmediates.map(BigInt) : edges;
      for (const a of edges) {
        for (const b of others) {
          const slot = slotOf(
            row,
            operand === 'imm' ? { dst: 1, imm: Number(b) } : { dst: 1, src: 2 },
          );
          const value = binary(slot, a, b);
          if (value !== arithmetic(op, width, a, b)) {
            t.fail(`${hex(a)} ${op} ${hex(b)} = ${hex(value)}`);
          }
        }
      }
      t.pass();
    });
  }
  if (operation.kind === 'jump-if') {
    const { comparison: op, width, operand } = operation;
    test(`j${op}${width} ${operand}: every pair of edge values as RFC 9669 says`, (t) => {
      const others = operand === 'imm' ? edgeImmediates.map(BigInt) : edges;
      for (const a of edges) {
        for (const b of others) {
          const fields = operand === 'imm' ? { imm: Number(b) } : { src: 2 };
          const jump = slotOf(row, { dst: 1, off: 1, ...fields });
          const code = [movImm(0, 1), wide(1, a), wide(2, b), jump, movImm(0, 0), exit()];
          const taken = machine.result(code) === 1n;
          if (taken !== comparison(op, width, a, b)) t.fail(`${hex(a)} ${op} ${hex(b)}: ${taken}`);
        }
      }
      t.pass();
    });
  }
}

test('an operation on one register takes it as both operands', (t) => {
  t.is(machine.result([movImm(0, 21), aluReg(64, 'add', 0, 0), exit()]), 42n);
  t.is(machine.result([movImm(0, 21), aluReg(64, 'xor', 0, 0), exit()]), 0n);
  t.is(machine.result([movImm(0, 3), aluReg(64, 'lsh', 0, 0), exit()]), 24n);
});

const minus1 = 0xffff_ffff_ffff_ffffn;
const minimum = 0x8000_0000_0000_0000n;

/** Literal results, worked out by hand from RFC 9669. r1 = 0x0123456789abcdef at the start. */
const vectors: readonly { name: string; code: Code; result: bigint }[] = [
  { name: 'mov64 sign-extends its immediate', code: [movImm(0, -1)], result: minus1 },
  {
    name: 'mov32 zero-extends its immediate',
    code: [aluImm(32, 'mov', 0, -1)],
    result: 0xffff_ffffn,
  },
  {
    name: 'mov32 of a register drops the upper half',
    code: [aluReg(32, 'mov', 0, 1)],
    result: 0x89ab_cdefn,
  },
  {
    name: 'add32 wraps and zero-extends',
    code: [movImm(0, -1), aluImm(32, 'add', 0, 2)],
    result: 1n,
  },
  {
    name: 'and32 zero-extends',
    code: [movReg(0, 1), aluImm(32, 'and', 0, -1)],
    result: 0x89ab_cdefn,
  },
  {
    name: 'and64 sign-extends its immediate',
    code: [movReg(0, 1), aluImm(64, 'and', 0, -16)],
    result: 0x0123_4567_89ab_cde0n,
  },
  {
    name: 'sub64 of the lowest immediate',
    code: [movImm(0, 0), aluImm(64, 'sub', 0, -0x8000_0000)],
    result: 0x8000_0000n,
  },
  { name: 'div64 by zero is 0', code: [movImm(0, 5), aluImm(64, 'div', 0, 0)], result: 0n },
  {
    name: 'mod64 by zero leaves the destination',
    code: [movReg(0, 1), aluImm(64, 'mod', 0, 0)],
    result: 0x0123_4567_89ab_cdefn,
  },
  {
    name: 'mod32 by zero zero-extends the destination',
    code: [movReg(0, 1), aluImm(32, 'mod', 0, 0)],
    result: 0x89ab_cdefn,
  },
  {
    name: 'div64 sign-extends its immediate, then divides unsigned',
    code: [movImm(0, -1), aluImm(64, 'div', 0, -1)],
    result: 1n,
  },
  {
    name: 'sdiv64 truncates towards zero',
    code: [movImm(0, -7), aluImm(64, 'div', 0, 2, 1)],
    result: minus1 - 2n,
  },
  {
    name: 'smod64 has the sign of the dividend',
    code: [movImm(0, -7), aluImm(64, 'mod', 0, 2, 1)],
    result: minus1,
  },
  {
    name: 'sdiv64 of the lowest number by -1 wraps',
    code: [wide(0, minimum), aluImm(64, 'div', 0, -1, 1)],
    result: minimum,
  },
  {
    name: 'smod64 of the lowest number by -1 is 0',
    code: [wide(0, minimum), aluImm(64, 'mod', 0, -1, 1)],
    result: 0n,
  },
  {
    name: 'sdiv32 of the lowest number by -1 wraps',
    code: [wide(0, 0x8000_0000n), aluImm(32, 'div', 0, -1, 1)],
    result: 0x8000_0000n,
  },
  {
    name: 'smod32 of the lowest number by -1 is 0',
    code: [wide(0, 0x8000_0000n), aluImm(32, 'mod', 0, -1, 1)],
    result: 0n,
  },
  {
    name: 'shift amounts are masked to 63',
    code: [movImm(0, 1), aluImm(64, 'lsh', 0, 65)],
    result: 2n,
  },
  {
    name: 'shift amounts are masked to 31',
    code: [movImm(0, 1), aluImm(32, 'lsh', 0, 33)],
    result: 2n,
  },
  { name: 'lsh64 by 63', code: [movImm(0, 3), aluImm(64, 'lsh', 0, 63)], result: minimum },
  {
    name: 'arsh64 by 63 spreads the sign',
    code: [movImm(0, -2), aluImm(64, 'arsh', 0, 63)],
    result: minus1,
  },
  {
    name: 'arsh32 spreads bit 31 and zero-extends',
    code: [wide(0, 0x8000_0000n), aluImm(32, 'arsh', 0, 31)],
    result: 0xffff_ffffn,
  },
  {
    name: 'neg64 of the lowest number',
    code: [wide(0, minimum), { code: 0x87, dst: 0 }],
    result: minimum,
  },
  { name: 'neg64', code: [movImm(0, 1), { code: 0x87, dst: 0 }], result: minus1 },
  {
    name: 'neg32 zero-extends',
    code: [movImm(0, 1), { code: 0x84, dst: 0 }],
    result: 0xffff_ffffn,
  },
  {
    name: 'movsx 8 to 64',
    code: [wide(2, 0x1280n), aluReg(64, 'mov', 0, 2, 8)],
    result: 0xffff_ffff_ffff_ff80n,
  },
  {
    name: 'movsx 16 to 64',
    code: [wide(2, 0x18000n), aluReg(64, 'mov', 0, 2, 16)],
    result: 0xffff_ffff_ffff_8000n,
  },
  { name: 'movsx 32 to 64', code: [aluReg(64, 'mov', 0, 1, 32)], result: 0xffff_ffff_89ab_cdefn },
  {
    name: 'movsx 8 to 32',
    code: [wide(2, 0x80n), aluReg(32, 'mov', 0, 2, 8)],
    result: 0xffff_ff80n,
  },
  {
    name: 'movsx 16 to 32',
    code: [wide(2, 0x1_7fffn), aluReg(32, 'mov', 0, 2, 16)],
    result: 0x7fffn,
  },
  { name: 'bswap16', code: [movReg(0, 1), swap('swapped', 16, 0)], result: 0xefcdn },
  { name: 'bswap32', code: [movReg(0, 1), swap('swapped', 32, 0)], result: 0xefcd_ab89n },
  { name: 'bswap64', code: [movReg(0, 1), swap('swapped', 64, 0)], result: 0xefcd_ab89_6745_2301n },
  { name: 'be16', code: [movReg(0, 1), swap('be', 16, 0)], result: 0xefcdn },
  { name: 'be32', code: [movReg(0, 1), swap('be', 32, 0)], result: 0xefcd_ab89n },
  { name: 'be64', code: [movReg(0, 1), swap('be', 64, 0)], result: 0xefcd_ab89_6745_2301n },
  { name: 'le16 cuts', code: [movReg(0, 1), swap('le', 16, 0)], result: 0xcdefn },
  { name: 'le32 cuts', code: [movReg(0, 1), swap('le', 32, 0)], result: 0x89ab_cdefn },
  {
    name: 'le64 changes nothing',
    code: [movReg(0, 1), swap('le', 64, 0)],
    result: 0x0123_4567_89ab_cdefn,
  },
  { name: 'ld_imm64', code: [wide(0, 0xfedc_ba98_7654_3210n)], result: 0xfedc_ba98_7654_3210n },
  { name: 'goto', code: [movImm(0, 1), goto(1), movImm(0, 2)], result: 1n },
  { name: 'gotol', code: [movImm(0, 1), gotoLong(1), movImm(0, 2)], result: 1n },
  { name: 'goto backwards', code: [goto(2), movImm(0, 9), exit(), goto(-3)], result: 9n },
];

for (const { name, code, result } of vectors) {
  test(name, (t) => {
    t.is(machine.result([wide(1, 0x0123_4567_89ab_cdefn), ...code, exit()]), result);
  });
}

/** Writes r1's 8 bytes 88 99 aa bb cc dd ee ff to the stack and reads them back. */
const memoryVectors: readonly { name: string; code: Code; result: bigint }[] = [
  { name: 'load 1', code: [load(1, 0, 10, -8)], result: 0x88n },
  { name: 'load 2', code: [load(2, 0, 10, -8)], result: 0x9988n },
  { name: 'load 4', code: [load(4, 0, 10, -8)], result: 0xbbaa_9988n },
  { name: 'load 8', code: [load(8, 0, 10, -8)], result: 0xffee_ddcc_bbaa_9988n },
  { name: 'load signed 1', code: [loadSigned(1, 0, 10, -8)], result: 0xffff_ffff_ffff_ff88n },
  { name: 'load signed 2', code: [loadSigned(2, 0, 10, -8)], result: 0xffff_ffff_ffff_9988n },
  { name: 'load signed 4', code: [loadSigned(4, 0, 10, -8)], result: 0xffff_ffff_bbaa_9988n },
  { name: 'load 2, misaligned', code: [load(2, 0, 10, -7)], result: 0xaa99n },
  { name: 'load 4, misaligned', code: [load(4, 0, 10, -7)], result: 0xccbb_aa99n },
  { name: 'load 8, misaligned', code: [load(8, 0, 10, -11)], result: 0xccbb_aa99_8800_0000n },
  {
    name: 'store 1',
    code: [storeImm(1, 10, -1, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_bbaa_99ffn,
  },
  {
    name: 'store 2',
    code: [storeImm(2, 10, -2, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_bbaa_fffen,
  },
  {
    name: 'store 4',
    code: [storeImm(4, 10, -2, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_ffff_fffen,
  },
  {
    name: 'store 8 sign-extends',
    code: [storeImm(8, 10, -2, -8), load(8, 0, 10, -8)],
    result: minus1 - 1n,
  },
  {
    name: 'store 8 immediate, misaligned',
    code: [storeImm(8, 10, -2, -9), load(8, 0, 10, -9)],
    result: minus1 - 1n,
  },
  {
    name: 'store 1 of a register',
    code: [store(1, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_bbaa_9921n,
  },
  {
    name: 'store 2 of a register',
    code: [store(2, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_bbaa_4321n,
  },
  {
    name: 'store 4 of a register',
    code: [store(4, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_8765_4321n,
  },
  {
    name: 'store 8 of a register, misaligned',
    code: [store(8, 10, 3, -13), load(8, 0, 10, -13)],
    result: 0xfedc_ba98_8765_4321n,
  },
  { name: 'load-acquire 1', code: [atomic(1, 0x100, 0, 10, -8)], result: 0x88n },
  { name: 'load-acquire 2', code: [atomic(2, 0x100, 0, 10, -8)], result: 0x9988n },
  { name: 'load-acquire 4', code: [atomic(4, 0x100, 0, 10, -8)], result: 0xbbaa_9988n },
  { name: 'load-acquire 8', code: [atomic(8, 0x100, 0, 10, -8)], result: 0xffee_ddcc_bbaa_9988n },
  {
    name: 'store-release 2',
    code: [atomic(2, 0x110, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_bbaa_4321n,
  },
  {
    name: 'store-release 1',
    code: [atomic(1, 0x110, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_bbaa_9921n,
  },
  {
    name: 'store-release 4',
    code: [atomic(4, 0x110, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xffee_ddcc_8765_4321n,
  },
  {
    name: 'store-release 8',
    code: [atomic(8, 0x110, 10, 3, -8), load(8, 0, 10, -8)],
    result: 0xfedc_ba98_8765_4321n,
  },
];

for (const { name, code, result } of memoryVectors) {
  test(`memory: ${name}`, (t) => {
    const prefix: Code = [
      storeImm(8, 10, 0, -16),
      storeImm(8, 10, 0, -24),
      wide(1, 0xffee_ddcc_bbaa_9988n),
      store(8, 10, 1, -8),
      wide(3, 0xfedc_ba98_8765_4321n),
    ];
    t.is(machine.result([...prefix, ...code, exit()]), result);
  });
}

const a = 0xf0f0_0f0f_1234_5678n;
const b = 0xffff_ffff_ffff_fff1n;

/** Old value in memory `a`, r2 = `b`: what memory, r2 and r0 hold afterwards. */
const atomicVectors = [
  { name: 'add', op: 0x00, memory: 0xf0f0_0f0f_1234_5669n, r2: b },
  { name: 'or', op: 0x40, memory: 0xffff_ffff_ffff_fff9n, r2: b },
  { name: 'and', op: 0x50, memory: 0xf0f0_0f0f_1234_5670n, r2: b },
  { name: 'xor', op: 0xa0, memory: 0x0f0f_f0f0_edcb_a989n, r2: b },
  { name: 'fetch add', op: 0x01, memory: 0xf0f0_0f0f_1234_5669n, r2: a },
  { name: 'fetch or', op: 0x41, memory: 0xffff_ffff_ffff_fff9n, r2: a },
  { name: 'fetch and', op: 0x51, memory: 0xf0f0_0f0f_1234_5670n, r2: a },
  { name: 'fetch xor', op: 0xa1, memory: 0x0f0f_f0f0_edcb_a989n, r2: a },
  { name: 'exchange', op: 0xe1, memory: b, r2: a },
] as const;

for (const { name, op, memory, r2 } of atomicVectors) {
  test(`atomic ${name}, 64 bits`, (t) => {
    const code: Code = [wide(3, a), store(8, 10, 3, -8), wide(2, b), atomic(8, op, 10, 2, -8)];
    t.is(machine.result([...code, load(8, 0, 10, -8), exit()]), memory);
    t.is(machine.result([...code, movReg(0, 2), exit()]), r2);
  });
  test(`atomic ${name}, 32 bits: the neighbouring bytes stay, what is fetched is zero-extended`, (t) => {
    const code: Code = [wide(3, a), store(8, 10, 3, -8), wide(2, b), atomic(4, op, 10, 2, -8)];
    const upper = a & 0xffff_ffff_0000_0000n;
    t.is(machine.result([...code, load(8, 0, 10, -8), exit()]), upper | (memory & 0xffff_ffffn));
    t.is(machine.result([...code, movReg(0, 2), exit()]), r2 === b ? b : r2 & 0xffff_ffffn);
  });
}

for (const { size, compare, equal } of [
  { size: 8, compare: a, equal: true },
  { size: 8, compare: a + 1n, equal: false },
  { size: 4, compare: a & 0xffff_ffffn, equal: true },
  { size: 4, compare: 0xdead_0000_1234_5678n, equal: true },
  { size: 4, compare: 1n, equal: false },
] as const) {
  test(`atomic compare-exchange, ${size} bytes, r0 = ${hex(compare)}`, (t) => {
    const start: Code = [wide(3, a), store(8, 10, 3, -8), wide(2, b), wide(0, compare)];
    const code: Code = [...start, atomic(size, 0xf1, 10, 2, -8)];
    const mask = size === 8 ? minus1 : 0xffff_ffffn;
    const written = (a & ~mask) | (b & mask);
    t.is(machine.result([...code, exit()]), a & mask);
    t.is(machine.result([...code, load(8, 0, 10, -8), exit()]), equal ? written : a);
    t.is(machine.result([...code, movReg(0, 2), exit()]), b);
  });
}

test('atomics work at misaligned addresses, as on x86', (t) => {
  const code: Code = [
    storeImm(8, 10, 0, -16),
    storeImm(8, 10, 0, -8),
    movImm(2, 5),
    atomic(8, 0x00, 10, 2, -13),
    load(8, 0, 10, -13),
  ];
  t.is(machine.result([...code, exit()]), 5n);
});

test('a big-endian program: memory is big-endian, conversions change sides', (t) => {
  const run = (...code: Code): bigint =>
    machine.run(machine.prepare([...code, exit()], { littleEndian: false }));
  const bytes: Code = [wide(1, 0x0102_0304_0506_0788n), store(8, 10, 1, -8)];
  t.is(run(...bytes, load(8, 0, 10, -8)), 0x0102_0304_0506_0788n);
  t.is(run(...bytes, load(4, 0, 10, -8)), 0x0102_0304n);
  t.is(run(...bytes, load(2, 0, 10, -8)), 0x0102n);
  t.is(run(...bytes, load(1, 0, 10, -8)), 0x01n);
  t.is(run(...bytes, loadSigned(2, 0, 10, -2)), 0x0788n);
  t.is(
    run(...bytes, loadSigned(4, 0, 10, -3), movImm(0, 0), loadSigned(1, 0, 10, -1)),
    minus1 - 0x77n,
  );
  t.is(run(storeImm(4, 10, 0x11223344, -4), load(1, 0, 10, -4)), 0x11n);
  t.is(run(storeImm(2, 10, 0x1122, -4), load(1, 0, 10, -3)), 0x22n);
  t.is(run(storeImm(8, 10, -2, -8), load(1, 0, 10, -1)), 0xfen);
  t.is(run(...bytes, movImm(2, 1), atomic(4, 0x01, 10, 2, -4), load(1, 0, 10, -1)), 0x89n);
  t.is(run(...bytes, store(2, 10, 1, -8), load(1, 0, 10, -7)), 0x88n);
  t.is(run(...bytes, store(4, 10, 1, -8), load(1, 0, 10, -8)), 0x05n);
  t.is(run(wide(0, 0x0123_4567n), swap('be', 16, 0)), 0x4567n);
  t.is(run(wide(0, 0x0123_4567n), swap('le', 32, 0)), 0x6745_2301n);
  t.is(run(wide(0, 0x0123_4567n), swap('swapped', 32, 0)), 0x6745_2301n);
});

/** Tested where there is what they need: tables, functions, packets, kernel functions, arenas. */
const elsewhere: readonly Operation['kind'][] = [
  'may-goto',
  'call-register',
  'goto-register',
  'call',
  'load-packet',
  'addr-space-cast',
];

test('every encoding of the table has a vector', (t) => {
  const missing = opcodeRows.filter(
    (row) => !TestMachine.seen.has(row) && !elsewhere.includes(row.operation.kind),
  );
  t.deepEqual(missing, []);
});
