import test from 'ava';
import { Insns } from '../../../src/asm/insns.ts';
import { opcodeRows } from '../../../src/asm/opcodes.ts';
import { BpfError } from '../../../src/errors.ts';
import { prepareProgram, type RunOptions, runProgram } from '../../../src/vm/engine/engine.ts';
import type { LoweredProgram } from '../../../src/vm/engine/program.ts';
import { cpuStackSize } from '../../../src/vm/machine.ts';
import { imageOf } from './assemble.ts';
import { TestMachine } from './machine.ts';

/** A small generator of pseudo-random numbers (mulberry32), for runs that can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const runnable = opcodeRows.filter(({ operation: { kind } }) => kind !== 'goto-register');

/** Mostly valid instructions with small jumps, so that many programs run for a while. */
function randomProgram(next: (below: number) => number, length: number): Insns {
  const insns = new Insns(length);
  for (let i = 0; i < length; i++) {
    const row = runnable[next(runnable.length)];
    if (row === undefined) continue;
    const { kind } = row.operation;
    const used = (field: 'dst' | 'src' | 'off' | 'imm'): boolean => row.uses.includes(field);
    insns.code[i] = row.code;
    insns.dst[i] = used('dst') ? next(next(20) === 0 ? 11 : 10) : 0;
    insns.src[i] = row.src ?? (used('src') ? next(11) : 0);
    insns.off[i] = row.off ?? (used('off') ? next(12) - 5 : 0);
    insns.imm[i] =
      row.imm ?? (used('imm') ? (next(4) === 0 ? next(2 ** 32) | 0 : next(12) - 4) : 0);
    if (kind === 'ld-imm64') {
      insns.src[i] = next(6) === 0 ? 4 : 0;
      if (i + 1 < length) insns.imm[++i] = next(4) === 0 ? next(2 ** 32) | 0 : 0;
    }
    if (kind === 'load' || kind === 'store' || kind === 'atomic') {
      const base = kind === 'load' ? insns.src : insns.dst;
      base[i] = next(5) === 0 ? next(11) : 10;
      insns.off[i] = -8 * (1 + next(8)) + next(2);
    }
  }
  insns.code[length - 1] = 0x95;
  for (const field of ['dst', 'src', 'off', 'imm'] as const) insns[field][length - 1] = 0;
  return insns;
}

/** FNV-1a over what programs must not change. */
function digest(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash;
}

const outcomes = new Map<string, number>();

/** What a run comes to, and r0 where it comes to an end. */
function outcome(machine: TestMachine, program: LoweredProgram, options: RunOptions): string {
  const { cpu, memory } = machine;
  // What earlier runs left, in stack frames and wherever pointers led, must not matter.
  memory.bytes.fill(0, memory.mainLow, memory.mainEnd);
  try {
    runProgram(program, cpu, machine.context, { budget: 5000, ...options });
    return `ok ${cpu.regs[0]}`;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const { detail } = error;
    return detail.code === 'vm-trap' ? `${detail.reason} ${detail.calls[0]?.insn}` : error.code;
  }
}

/** The outcome, after making sure that it is the same without fused operations. */
function attempt(machine: TestMachine, insns: Insns): string {
  try {
    const program = prepareProgram(imageOf(insns), machine.environment);
    const result = outcome(machine, program, {});
    const stepped = outcome(machine, program, { hook: () => undefined });
    return result === stepped ? result : `differs: ${result}, ${stepped} with a hook`;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return error.code;
  }
}

test('random programs end with a value or a BpfError and stay in their memory', (t) => {
  const next = random(20_240_601);
  const machine = new TestMachine(64);
  const { memory, cpu } = machine;
  for (const [number, run] of [
    [0, (): unknown => undefined],
    [1, (): unknown => cpu.regs.fill(machine.address(machine.buffer), 0, 1)],
    [2, (): unknown => cpu.run?.callFunction(cpu.half[2] as number)],
  ] as const) {
    machine.helpers.set(number, run);
  }
  const outside = (): number =>
    digest(memory.bytes.subarray(0, memory.mainLow)) ^
    digest(memory.bytes.subarray(memory.mainEnd));
  const before = outside();
  for (let i = 0; i < 20_000; i++) {
    const result = attempt(machine, randomProgram(next, 2 + next(24)));
    const kind = result.split(' ', 1)[0] ?? '';
    if (kind === 'differs:') t.fail(`program ${i} ${result}`);
    outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
    if (cpu.run !== undefined || cpu.stackPointer !== cpu.stackLow + cpuStackSize) {
      t.fail(`program ${i} left the CPU in a run`);
    }
  }
  t.is(outside(), before, 'memory outside of the window has changed');
  for (const kind of ['ok', 'access', 'budget']) {
    t.true((outcomes.get(kind) ?? 0) > 100, `too few programs end with ${kind}`);
  }
});

test('random bytes as instructions give a value or a BpfError', (t) => {
  const next = random(7);
  const machine = new TestMachine(64);
  for (let i = 0; i < 20_000; i++) {
    const insns = new Insns(1 + next(4));
    for (let at = 0; at < insns.length; at++) {
      insns.code[at] = next(256);
      insns.dst[at] = next(16);
      insns.src[at] = next(16);
      insns.off[at] = next(65_536);
      insns.imm[at] = next(2 ** 32) | 0;
    }
    attempt(machine, insns);
  }
  t.pass();
});
