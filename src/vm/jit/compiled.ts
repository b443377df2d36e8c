import type { CompiledCode } from '../engine/accelerator.ts';
import type { LoweredProgram } from '../engine/program.ts';
import type { InterpreterRun } from '../engine/run.ts';
import { maxStack } from '../engine/stack.ts';
import { type Cpu, windows } from '../machine.ts';
import { instantiate, type WasmExports, type WasmModule } from '../webassembly.ts';
import { hostFunctions } from './host.ts';
import { CpuState, cpuRecord, depthOf, topOf } from './state.ts';

/** A module put together for one CPU. */
interface Linked {
  readonly cpu: Cpu;
  readonly state: CpuState;
  readonly starts: ReadonlyMap<number, () => void>;
}

/**
 * Compiled code of a program. While it runs, budget, depth and stack pointer are in the CPU's
 * record and in locals; `suspend` brings them back to where the rest of the VM looks.
 */
export class CompiledProgram implements CompiledCode {
  readonly #program: LoweredProgram;
  readonly #module: WasmModule;
  readonly #rows: readonly number[];
  readonly #linked: (Linked | undefined)[] = [];

  constructor(program: LoweredProgram, module: WasmModule, rows: readonly number[]) {
    this.#program = program;
    this.#module = module;
    this.#rows = rows;
  }

  run(run: InterpreterRun, row: number): void {
    const { cpu, frames, program, activeDepth } = run;
    const { state, starts } = this.#link(cpu);
    const depth = frames.depth;
    const top = topOf(cpu, depth);
    cpu.half[20] = top;
    cpu.half[21] = windows.main;
    run.activeDepth = depth;
    this.resume(run);
    (starts.get(row) as () => void)();
    run.budget = state.fuel;
    run.active = undefined;
    run.activeDepth = activeDepth;
    run.program = program;
    frames.depth = depth;
    cpu.stackPointer = top - maxStack;
  }

  suspend(run: InterpreterRun): void {
    const { cpu, frames, activeDepth } = run;
    const { state } = this.#link(cpu);
    const top = (cpu.half[20] as number) >>> 0;
    const depth = depthOf(cpu, top);
    for (let at = activeDepth + 1; at <= depth; at++) {
      frames.programs[at] = run.program;
      frames.returnTo[at] = state.returnRow(at);
      frames.limit[at] = frames.limit[activeDepth] as number;
    }
    frames.depth = depth;
    cpu.stackPointer = top - maxStack;
    run.budget += state.fuel;
    run.active = undefined;
  }

  resume(run: InterpreterRun): void {
    const { state } = this.#link(run.cpu);
    state.fuel = run.budget;
    state.limit = run.frames.limit[run.activeDepth] as number;
    state.cells = run.context.cells ?? 0;
    run.budget = 0;
    run.active = this;
  }

  #link(cpu: Cpu): Linked {
    const known = this.#linked[cpu.id];
    if (known?.cpu === cpu) return known;
    const linked = link(this.#program, this.#module, this.#rows, cpu);
    this.#linked[cpu.id] = linked;
    return linked;
  }
}

function link(
  program: LoweredProgram,
  module: WasmModule,
  rows: readonly number[],
  cpu: Cpu,
): Linked {
  const state = new CpuState(program.memory, cpu);
  const exports: WasmExports = instantiate(module, {
    ...hostFunctions(program, cpu, state),
    memory: program.memory.wasm,
    registers: cpu.regs.byteOffset,
    record: state.record,
    // The entry of a frame with its top at `stackLow + 512 * i` is 4 * i after `rows`.
    frameRows: state.record + cpuRecord.rows - (cpu.stackLow >>> 7),
  });
  const starts = new Map(rows.map((row) => [row, exports[`start${row}`] as () => void]));
  return { cpu, state, starts };
}
