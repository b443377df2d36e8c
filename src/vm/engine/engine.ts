import { addContext, BpfError } from '../../errors.ts';
import type { ProgramImage } from '../../object/image.ts';
import { type Cpu, MemoryFault, type ProgramEnvironment, type RunContext } from '../machine.ts';
import { lowerProgram } from './lower.ts';
import { LoweredProgram, sourceText } from './program.ts';
import { type InstructionHook, InterpreterRun } from './run.ts';
import { RunStop } from './stop.ts';
import { trapError } from './trap.ts';

/** Options of {@link prepareProgram}. */
export interface PrepareOptions {
  /** See `LoadedProgram.probeLoads`; false by default. */
  readonly probeLoads?: boolean | undefined;
}

/** Options of {@link runProgram}. */
export interface RunOptions {
  /** Instructions that may run, callbacks and tail-called programs included; {@link defaultBudget} by default. */
  readonly budget?: number | undefined;
  /** Called before each instruction; such a run is several times slower. */
  readonly hook?: InstructionHook | undefined;
}

/** About half a second in the interpreter. The kernel's verifier gives up after a million. */
export const defaultBudget = 100_000_000;

/**
 * Checks and lowers a program for the engines of one VM. Throws a `BpfError` for what no run
 * could do: see `lowerProgram`. Give the program back with {@link releaseProgram}.
 */
export function prepareProgram(
  image: ProgramImage,
  environment: ProgramEnvironment,
  options: PrepareOptions = {},
): LoweredProgram {
  const code = lowerProgram(image, environment);
  const program = new LoweredProgram(image, code, {
    memory: environment.memory,
    codeSpace: environment.code,
    probeLoads: options.probeLoads ?? false,
  });
  if (code.codeBase !== 0) {
    environment.code.add({ base: code.codeBase, length: image.insns.length, program });
  }
  return program;
}

/** Forgets the addresses of a program's functions; calls of them trap from then on. */
export function releaseProgram(program: LoweredProgram): void {
  if (program.code.codeBase !== 0) program.codeSpace.remove(program);
}

/**
 * Runs a program from its entry with r1 = the context and leaves its result in r0 of the CPU.
 * All other registers start as 0; r6 to r10 are as before afterwards. Inside of another run
 * on the same CPU (a helper that starts a program) it takes the stack below that run's.
 * Throws a `BpfError` with code `vm-trap` where the program does what it may not.
 */
export function runProgram(
  program: LoweredProgram,
  cpu: Cpu,
  context: RunContext,
  options: RunOptions = {},
): void {
  const { budget = defaultBudget, hook } = options;
  const outer = cpu.run;
  const active = outer instanceof InterpreterRun ? outer.active : undefined;
  if (outer instanceof InterpreterRun) outer.settle();
  const run = new InterpreterRun(program, cpu, context, { budget, hook });
  const { nesting } = run.frames;
  cpu.run = run;
  try {
    run.start();
    program.accelerator?.spent(budget - run.budget);
  } catch (error) {
    run.settle();
    throw runError(run, error);
  } finally {
    cpu.run = outer;
    run.frames.nesting = nesting;
    run.unwind();
    if (outer instanceof InterpreterRun) active?.resume(outer);
  }
}

/** Faults become trap reports; errors of helpers say which instruction called them. */
function runError(run: InterpreterRun, error: unknown): unknown {
  if (error instanceof MemoryFault || error instanceof RunStop) return trapError(run, error);
  if (!(error instanceof BpfError)) return error;
  const { image, code } = run.program;
  const insn = code.source[run.row] as number;
  const located = addContext(error, { insn, source: sourceText(image, insn) });
  return addContext(located, { program: image.name });
}
