import type { ProgramImage } from '../../object/image.ts';
import type { LoweredProgram } from '../engine/program.ts';
import type { InstructionHook, InterpreterRun } from '../engine/run.ts';

/** An instruction that is about to run. */
export interface Step {
  readonly image: ProgramImage;
  /** Index in the image's instructions. */
  readonly insn: number;
  /** r0 to r10, signed; live, so copy what is to be kept. */
  readonly registers: BigInt64Array;
  /** Functions that are open, 1 for the program's entry. */
  readonly depth: number;
}

/**
 * Sees programs run, instruction by instruction. An observed program runs in the interpreter,
 * some ten times slower than otherwise; others pay nothing.
 */
export interface Observer {
  /** Called before each row of the lowered form; `row` is in `program.code`. */
  onRow(program: LoweredProgram, row: number, run: InterpreterRun): void;
  /** Called when a run has ended, also by a trap. */
  onEnd?(): void;
}

/** One hook that serves all observers; undefined where there are none. */
export function hookFor(observers: readonly Observer[]): InstructionHook | undefined {
  const [only] = observers;
  if (only === undefined) return undefined;
  if (observers.length === 1) return (run, row) => only.onRow(run.program, row, run);
  return (run, row) => {
    for (const observer of observers) observer.onRow(run.program, row, run);
  };
}

/** What an observer of instructions gets of a row. */
export function stepOf(program: LoweredProgram, row: number, run: InterpreterRun): Step {
  return {
    image: program.image,
    insn: program.code.source[row] as number,
    registers: run.cpu.regs,
    depth: run.frames.depth - run.bottom + 1,
  };
}

/**
 * Calls back before every instruction of every run, whatever runs it: breakpoints, checks of
 * one's own, tracing in one's own form. An instruction that takes several rows of the lowered
 * form is told once.
 *
 * @example
 * ```ts
 * using _ = vm.observe(onInstruction(({ image, insn }) => console.log(image.name, insn)));
 * ```
 */
export function onInstruction(callback: (step: Step) => void): Observer {
  const isFirst = instructionStarts();
  return {
    onRow: (program, row, run) => {
      if (isFirst.at(program, row)) callback(stepOf(program, row, run));
    },
    onEnd: isFirst.end,
  };
}

/**
 * Tells rows that begin an instruction from those that go on with one: some instructions take
 * several rows of the lowered form, which run upwards.
 */
export function instructionStarts(): {
  readonly at: (program: LoweredProgram, row: number) => boolean;
  readonly end: () => void;
} {
  let before: LoweredProgram | undefined;
  let last = -1;
  return {
    at: (program, row) => {
      const { source } = program.code;
      const goesOn = program === before && row > last && source[last] === source[row];
      before = program;
      last = row;
      return !goesOn;
    },
    end: () => {
      before = undefined;
    },
  };
}
