import test from 'ava';
import { opcodeRows, rowsOfCode } from '../../../src/asm/opcodes.ts';
import { BpfError } from '../../../src/errors.ts';
import { prepareProgram } from '../../../src/vm/engine/engine.ts';
import {
  aluReg,
  assemble,
  type Code,
  call,
  callHelper,
  callRegister,
  exit,
  functionAddress,
  goto,
  gotoLong,
  imageOf,
  jumpImm,
  load,
  loadPacketReg,
  movImm,
  type Slot,
  store,
  wide,
} from './assemble.ts';
import { TestMachine } from './machine.ts';

const machine = new TestMachine();
machine.helpers.set(0, () => undefined);
machine.helpers.set(1, () => undefined);

/** The error's code and problem, or 'ok'. */
function verdict(code: Code): string {
  try {
    machine.prepare(code);
    return 'ok';
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const { detail } = error;
    return detail.code === 'vm-bad-instruction' ? detail.problem : detail.code;
  }
}

const refused: readonly { name: string; code: Code; problem: string }[] = [
  { name: 'no instruction at all', code: [], problem: 'vm-no-instructions' },
  { name: 'no exit', code: [movImm(0, 0)], problem: 'falls-off' },
  {
    name: 'a conditional jump last',
    code: [exit(), jumpImm(64, 'eq', 0, 0, -2)],
    problem: 'falls-off',
  },
  { name: 'a wide load last', code: [wide(0, 0n)], problem: 'falls-off' },
  { name: 'a wide load cut in half', code: [exit(), { code: 0x18 }], problem: 'incomplete-wide' },
  {
    name: 'a wide load with another second half',
    code: [{ code: 0x18 }, exit()],
    problem: 'incomplete-wide',
  },
  { name: 'a lone second half', code: [{ code: 0 }, exit()], problem: 'unknown-opcode' },
  { name: 'a wide load from nowhere', code: [wide(0, 0n, 7), exit()], problem: 'bad-pseudo' },
  { name: 'a map without a slot', code: [wide(0, 0n, 1), exit()], problem: 'no-slot' },
  {
    name: 'a kernel variable',
    code: [wide(0, 0n, 3), exit()],
    problem: 'vm-unsupported-instruction',
  },
  { name: 'r11 written', code: [movImm(11, 0), exit()], problem: 'bad-register' },
  { name: 'r15 read', code: [load(8, 0, 15, 0), exit()], problem: 'bad-register' },
  { name: 'r10 written', code: [movImm(10, 0), exit()], problem: 'frame-pointer-written' },
  { name: 'r10 loaded', code: [load(8, 10, 1, 0), exit()], problem: 'frame-pointer-written' },
  {
    name: 'r10 fetched into',
    code: [{ code: 0xdb, dst: 1, src: 10, imm: 1 }, exit()],
    problem: 'frame-pointer-written',
  },
  { name: 'exit with a register', code: [{ code: 0x95, dst: 1 }], problem: 'reserved-field' },
  { name: 'exit with an immediate', code: [{ code: 0x95, imm: 1 }], problem: 'unknown-opcode' },
  {
    name: 'goto with an immediate',
    code: [{ code: 0x05, imm: 1 }, exit()],
    problem: 'reserved-field',
  },
  {
    name: 'mov with an offset',
    code: [{ code: 0xbf, dst: 1, off: 3 }, exit()],
    problem: 'unknown-opcode',
  },
  {
    name: 'add with an offset',
    code: [{ code: 0x07, dst: 1, off: 1 }, exit()],
    problem: 'unknown-opcode',
  },
  {
    name: 'register form with an immediate',
    code: [{ ...aluReg(64, 'add', 0, 1), imm: 1 }, exit()],
    problem: 'reserved-field',
  },
  {
    name: 'immediate form with a register',
    code: [{ ...movImm(0, 1), src: 1 }, exit()],
    problem: 'reserved-field',
  },
  {
    name: 'an atomic of 2 bytes',
    code: [{ code: 0xcb, dst: 10, src: 1, off: -8 }, exit()],
    problem: 'unknown-opcode',
  },
  {
    name: 'an unknown atomic',
    code: [{ code: 0xdb, dst: 10, src: 1, off: -8, imm: 0x20 }, exit()],
    problem: 'unknown-opcode',
  },
  { name: 'a swap of 8 bits', code: [{ code: 0xd4, imm: 8 }, exit()], problem: 'unknown-opcode' },
  { name: 'a jump before the start', code: [goto(-2), exit()], problem: 'jump-outside' },
  { name: 'a jump past the end', code: [goto(1), exit()], problem: 'jump-outside' },
  {
    name: 'a jump into a wide load',
    code: [goto(1), wide(0, 0n), exit()],
    problem: 'jump-into-wide',
  },
  { name: 'a long jump outside', code: [gotoLong(0x7fff_ffff), exit()], problem: 'jump-outside' },
  {
    name: 'a jump into another function',
    code: [call(2), goto(2), exit(), movImm(0, 0), exit()],
    problem: 'jump-outside',
  },
  { name: 'a call outside', code: [call(5), exit()], problem: 'call-outside' },
  { name: 'a call far outside', code: [call(-0x8000_0000), exit()], problem: 'call-outside' },
  {
    name: 'a call into a wide load',
    code: [call(2), exit(), wide(0, 0n), exit()],
    problem: 'jump-into-wide',
  },
  { name: 'an address outside', code: [functionAddress(1, 100), exit()], problem: 'call-outside' },
  { name: 'a missing helper', code: [callHelper(2), exit()], problem: 'vm-missing-functions' },
  {
    name: 'a kernel function',
    code: [{ code: 0x85, src: 2, imm: 5 }, exit()],
    problem: 'vm-missing-functions',
  },
  {
    name: 'an unknown kind of call',
    code: [{ code: 0x85, src: 3 }, exit()],
    problem: 'unknown-opcode',
  },
  {
    name: 'a call with 32-bit class',
    code: [{ code: 0x86, imm: 1 }, exit()],
    problem: 'unknown-opcode',
  },
  {
    name: 'an indirect jump',
    code: [{ code: 0x0d, dst: 1 }, exit()],
    problem: 'vm-unsupported-instruction',
  },
  {
    name: 'an address space conversion',
    code: [{ code: 0xbf, dst: 1, src: 2, off: 1, imm: 1 }, exit()],
    problem: 'vm-unsupported-instruction',
  },
];

for (const { name, code, problem } of refused) {
  test(`refused: ${name}`, (t) => {
    t.is(verdict(code), problem);
  });
}

test('what looks odd and is valid', (t) => {
  t.is(verdict([movImm(0, 0), goto(-2)]), 'ok');
  t.is(verdict([exit(), movImm(0, 1), exit()]), 'ok');
  t.is(verdict([load(8, 0, 10, -8), store(8, 10, 10, -8), exit()]), 'ok');
  t.is(verdict([callRegister(1), exit()]), 'ok');
  t.is(verdict([loadPacketReg(4, 9, -5), exit()]), 'ok');
});

test('the error names instruction and program', (t) => {
  const code: Code = [movImm(0, 0), { code: 0xff }, exit()];
  t.throws(() => machine.prepare(code), {
    message: "program 'test': instruction 1: opcode 0xff: no instruction has this encoding",
  });
});

const interesting: readonly Omit<Slot, 'code'>[] = [0, 1, 2, 3, 4, 9, 10, 11, 15].flatMap((dst) =>
  [0, 1, 2, 3, 4, 5, 6, 10, 11].flatMap((src) =>
    [0, 1, -1, 8, 16, 32, -8, 0x7fff].flatMap((off) =>
      [0, 1, -1, 16, 32, 64, 0xe1, 0xf1, 0x100, 0x110, 0x7fff_ffff].map((imm) => ({
        dst,
        src,
        off,
        imm,
      })),
    ),
  ),
);

test('every opcode byte with many fields gives a program or a BpfError', (t) => {
  const sample = interesting.filter((_, i) => i % 37 === 0);
  const accepted = new Set<number>();
  for (let code = 0; code < 256; code++) {
    const fields = [
      {},
      ...(rowsOfCode(code).length > 0 ? interesting.filter((_, i) => i % 7 === 0) : sample),
    ];
    for (const more of fields) {
      if (verdict([movImm(0, 0), { code, ...more }, exit(), exit()]) === 'ok') accepted.add(code);
      if (code === 0x18) verdict([{ code, ...more }, { code: 0, ...more }, exit()]);
    }
  }
  const known = new Set(opcodeRows.map((row) => row.code));
  // A lone 0x18 and an indirect jump are known, and refused.
  known.delete(0x18);
  known.delete(0x0d);
  t.deepEqual(
    [...accepted].sort((x, y) => x - y),
    [...known].sort((x, y) => x - y),
  );
});

test('lowering takes time linear in the size of a program', (t) => {
  const long = (count: number): Code =>
    Array.from({ length: count }, (_, i) =>
      i % 3 === 0 ? jumpImm(64, 'eq', 1, i, i % 2 === 0 ? 1 : 0) : aluReg(64, 'add', 0, 1),
    );
  const image = imageOf(assemble([...long(200_000), exit(), exit()]));
  const start = performance.now();
  t.is(prepareProgram(image, machine.environment).code.length, 200_002);
  t.true(performance.now() - start < 2000);
});
