// Programs that end in every way, told alike by both engines.
import type { ExecutionContext } from 'ava';
import { BpfError } from '../../../src/errors.ts';
import type { HelperFunction } from '../../../src/vm/machine.ts';
import type { Code } from '../engine/assemble.ts';
import type { TestMachine } from '../engine/machine.ts';
import { machines, runningOn } from './machines.ts';

/** How a run ends: r0, or the trap with place, address and registers that it reports. */
export function outcome(
  machine: TestMachine,
  program: Parameters<TestMachine['run']>[0],
  budget = 100_000,
): string {
  try {
    return `r0 ${machine.run(program, { budget })}`;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const { detail } = error;
    if (detail.code !== 'vm-trap') return error.message;
    if (detail.reason === 'budget') return 'budget';
    const calls = detail.calls.map((frame) => frame.insn).join(' < ');
    const { address, place, size } = detail.access ?? {};
    const registers = calls.includes('<') ? '' : detail.registers.join(' ');
    return [detail.reason, calls, address, size, place, detail.note, registers].join('; ');
  }
}

/** What the engines say about a program, which must be the same; and the engine area is untouched. */
export function agree(
  t: ExecutionContext,
  code: Code,
  options: {
    readonly helpers?: readonly HelperFunction[];
    readonly budget?: number;
    readonly on?: ReturnType<typeof machines>;
  } = {},
): string {
  const seen = (options.on ?? machines()).map(([engine, machine]) => {
    for (const [number, helper] of options.helpers?.entries() ?? []) {
      machine.helpers.set(number, helper);
    }
    const result = outcome(machine, runningOn(engine, machine.prepare(code)), options.budget);
    const { cpu } = machine;
    t.is(cpu.run, undefined);
    t.is(cpu.stackPointer, cpu.stackLow + 0x4_0000, `${engine}: the stack is not given back`);
    return result;
  });
  t.is(seen[1], seen[0]);
  return seen[0] as string;
}
