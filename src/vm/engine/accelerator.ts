import type { InterpreterRun } from './run.ts';

/**
 * A second engine behind a program. The interpreter asks it whenever a function is about to
 * start; what it does not take, the interpreter runs. Imports point from that engine here.
 */
export interface Accelerator {
  /** The program's compiled code, where it is there and can take part in a run. */
  codeFor(run: InterpreterRun): CompiledCode | undefined;
  /** Told after a run in the interpreter how many instructions it took. */
  spent(instructions: number): void;
}

/** Compiled code of one program. */
export interface CompiledCode {
  /**
   * Runs the function that starts at `row` in the innermost frame, which is set up, up to its
   * end. Arguments are in the register file, and so is r0 afterwards.
   */
  run(run: InterpreterRun, row: number): void;
  /**
   * Makes frames, budget and stack pointer of the run true, which compiled code keeps to
   * itself: before anything but compiled code looks at them.
   */
  suspend(run: InterpreterRun): void;
  /** Goes back into the code after `suspend`. */
  resume(run: InterpreterRun): void;
}
