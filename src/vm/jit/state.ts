import { maxStack } from '../engine/stack.ts';
import { type Cpu, cpuStackSize } from '../machine.ts';
import { engineArea, type VmMemory } from '../memory.ts';

/**
 * Record of a CPU in the engine area, which compiled code and the runner share. No program
 * can reach it.
 *
 * ```
 *      0  i32 × 513  row to return to, for each frame; the frame at `stackLow + 512 * i` has entry i
 *   2056  i64        instructions that the run may still take
 *   2064  i32        lowest top of a frame that calls from here may get to (`call-depth`)
 *   2068  i32        offset of the context's cells, 0 for none (`RunContext.cells`)
 *   2072  i32        number of the CPU
 * ```
 */
export const cpuRecord = { rows: 0, fuel: 2056, limit: 2064, cells: 2068, id: 2072 } as const;

/** Address of a CPU's record. */
export function cpuRecordAt(id: number): number {
  return engineArea.cpus + id * engineArea.cpuSize;
}

/** The highest frame's top: frame at depth d has its top `d * 512` below. */
export function stackTop(cpu: Cpu): number {
  return cpu.stackLow + cpuStackSize;
}

/** Depth of the frame with a top. */
export function depthOf(cpu: Cpu, top: number): number {
  return (stackTop(cpu) - top) / maxStack;
}

/** Top of the frame at a depth. */
export function topOf(cpu: Cpu, depth: number): number {
  return stackTop(cpu) - depth * maxStack;
}

/** What the runner reads and writes in a CPU's record. */
export class CpuState {
  readonly record: number;
  readonly #words: Uint32Array;
  readonly #cpu: Cpu;

  constructor(memory: VmMemory, cpu: Cpu) {
    this.record = cpuRecordAt(cpu.id);
    this.#words = memory.words;
    this.#cpu = cpu;
    memory.words[(this.record + cpuRecord.id) >>> 2] = cpu.id;
  }

  get fuel(): number {
    const at = (this.record + cpuRecord.fuel) >>> 2;
    const high = (this.#words[at + 1] as number) | 0;
    return high * 0x1_0000_0000 + (this.#words[at] as number);
  }

  set fuel(value: number) {
    const at = (this.record + cpuRecord.fuel) >>> 2;
    this.#words[at] = value % 0x1_0000_0000;
    this.#words[at + 1] = Math.floor(value / 0x1_0000_0000);
  }

  /** Depth that calls may get to. */
  set limit(depth: number) {
    this.#words[(this.record + cpuRecord.limit) >>> 2] = topOf(this.#cpu, depth);
  }

  /** Offset of the context's cells. */
  set cells(offset: number) {
    this.#words[(this.record + cpuRecord.cells) >>> 2] = offset;
  }

  /** Row that the frame at a depth returns to. */
  returnRow(depth: number): number {
    const entry = (topOf(this.#cpu, depth) - this.#cpu.stackLow) / maxStack;
    return this.#words[((this.record + cpuRecord.rows) >>> 2) + entry] as number;
  }
}
