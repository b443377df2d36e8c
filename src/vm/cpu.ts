import { type Cpu, cpuStackSize } from './machine.ts';
import type { VmMemory } from './memory.ts';

const registers = 11;

/** Makes a CPU: its registers and stack in VM memory. */
export function createCpu(memory: VmMemory, id: number): Cpu {
  const at = memory.allocate(registers * 8, { label: `registers of CPU ${id}` });
  const stackLow = memory.allocate(cpuStackSize, { label: `stack of CPU ${id}`, align: 16 });
  const buffer = memory.bytes.buffer;
  return {
    id,
    regs: new BigInt64Array(buffer, at, registers),
    half: new Int32Array(buffer, at, registers * 2),
    stackLow,
    stackPointer: stackLow + cpuStackSize,
    run: undefined,
  };
}
