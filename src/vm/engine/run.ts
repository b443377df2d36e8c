import {
  type Cpu,
  cpuStackSize,
  type LoadedProgram,
  type Run,
  type RunContext,
  windows,
} from '../machine.ts';
import type { CompiledCode } from './accelerator.ts';
import { interpret } from './interpreter.ts';
import { LoweredProgram } from './program.ts';
import { maxFrames, maxStack } from './stack.ts';
import { RunStop } from './stop.ts';

/** Tail calls in one chain (`MAX_TAIL_CALL_CNT`). */
export const maxTailCalls = 33;

/** Passes through the `may_goto` instructions of one function call (`BPF_MAX_LOOPS`). */
const mayGotoLoops = 8 * 1024 * 1024;

/**
 * Interpreters on top of each other on the host's stack: callbacks, and runs that helpers
 * start. The kernel's 8 frames keep callbacks far below; the limit is for programs that tail
 * call from callbacks.
 */
const maxNesting = 64;

const stackFrames = cpuStackSize / maxStack;
const savedRegisters = 5;

/**
 * Function frames of a CPU, those of nested runs above those of the runs around them.
 * Columns by depth, because a call costs less than making an object for it.
 */
export class Frames {
  /** Registers unsigned, the same bytes as `cpu.regs`. */
  readonly unsigned: BigUint64Array;
  /** Depth of the function that runs; -1 where none does. */
  depth = -1;
  /** Interpreters that run, see {@link maxNesting}. */
  nesting = 0;
  /** Program that each function belongs to. */
  readonly programs: LoweredProgram[] = [];
  /** Row of the caller to go on at. */
  readonly returnTo = new Int32Array(stackFrames);
  /** Greatest depth that calls from here may get to. */
  readonly limit = new Int32Array(stackFrames);
  /** What is left of {@link mayGotoLoops}. */
  readonly loops = new Int32Array(stackFrames);
  /** r6 to r10 of the caller. */
  readonly saved = new BigInt64Array(stackFrames * savedRegisters);

  constructor(cpu: Cpu) {
    this.unsigned = new BigUint64Array(cpu.regs.buffer, cpu.regs.byteOffset, cpu.regs.length);
  }
}

const framesByCpu = new WeakMap<Cpu, Frames>();

function framesOf(cpu: Cpu): Frames {
  let frames = framesByCpu.get(cpu);
  if (frames === undefined) {
    frames = new Frames(cpu);
    framesByCpu.set(cpu, frames);
  }
  return frames;
}

/** Called before each instruction: `row` is about to run in `run.program`. */
export type InstructionHook = (run: InterpreterRun, row: number) => void;

/** A run in the interpreter. */
export class InterpreterRun implements Run {
  readonly cpu: Cpu;
  readonly context: RunContext;
  readonly frames: Frames;
  readonly hook: InstructionHook | undefined;
  program: LoweredProgram;
  tailCalls = 0;
  budget: number;
  /** Row that runs, as of the last thing that can trap. */
  row = 0;
  /** Depth of the entry function of this run. */
  readonly bottom: number;
  /** Depth whose exit ends the innermost interpreter: that of this run or of a callback. */
  base: number;
  /** Compiled code that runs; undefined while the interpreter does. */
  active: CompiledCode | undefined;
  /** Depth of the frame that it was started in. */
  activeDepth = 0;
  #tailCall: LoweredProgram | undefined;

  constructor(
    program: LoweredProgram,
    cpu: Cpu,
    context: RunContext,
    options: { readonly budget: number; readonly hook: InstructionHook | undefined },
  ) {
    this.program = program;
    this.cpu = cpu;
    this.context = context;
    this.budget = options.budget;
    this.hook = options.hook;
    this.frames = framesOf(cpu);
    this.bottom = this.frames.depth + 1;
    this.base = this.bottom;
  }

  /** Runs the program from its entry to its exit. */
  start(): void {
    this.#push(this.bottom, 0, this.bottom + maxFrames - 1);
    const { half, regs } = this.cpu;
    regs.fill(0n, 0, 10);
    half[2] = this.context.addressLow;
    half[3] = this.context.addressHigh;
    if (this.context.second !== undefined) regs[2] = BigInt(this.context.second);
    this.#execute(0);
    this.leave();
  }

  /** Opens the frame of a function of the running program that goes back to row `returnTo`. */
  enter(returnTo: number): void {
    const { depth, limit } = this.frames;
    const allowed = limit[depth] as number;
    if (depth >= allowed) throw new RunStop('call-depth');
    this.#push(depth + 1, returnTo, allowed);
  }

  /** Closes the innermost frame; returns the row to go on at in `program`, which it sets. */
  leave(): number {
    const { frames, cpu } = this;
    const depth = frames.depth;
    const saved = depth * savedRegisters;
    for (let i = 0; i < savedRegisters; i++) cpu.regs[6 + i] = frames.saved[saved + i] as bigint;
    cpu.stackPointer += maxStack;
    frames.depth = depth - 1;
    if (depth > this.bottom) this.program = frames.programs[depth - 1] as LoweredProgram;
    return frames.returnTo[depth] as number;
  }

  /** Makes everything true that compiled code keeps to itself, after an error or before another run. */
  settle(): void {
    this.active?.suspend(this);
  }

  /** Closes what frames are open after an error, so that a run around this one can go on. */
  unwind(): void {
    while (this.frames.depth >= this.bottom) this.leave();
  }

  callFunction(addressLow: number): void {
    const { row, base, active, program: caller } = this;
    active?.suspend(this);
    const { program, target } = this.#function(addressLow);
    // Not gone back to, but the trap report finds the calling instruction before it.
    this.enter(row + 1);
    this.base = this.frames.depth;
    this.frames.programs[this.base] = program;
    this.program = program;
    this.#execute(target);
    this.leave();
    this.program = caller;
    this.base = base;
    this.row = row;
    active?.resume(this);
  }

  /**
   * Runs the program of the innermost frame, which a tail call has just put there, to its end
   * on top of the host's stack: for compiled code, whose own frame stays until then.
   */
  continueTailCall(): void {
    const { base } = this;
    this.base = this.frames.depth;
    let row = 0;
    do row = this.#next(row, row === 0);
    while (row >= 0);
    this.base = base;
  }

  tailCallTo(target: LoadedProgram): boolean {
    if (this.tailCalls >= maxTailCalls) return false;
    if (!(target instanceof LoweredProgram)) throw new Error('tail call to a foreign program');
    this.tailCalls += 1;
    this.#tailCall = target;
    return true;
  }

  /** Whether a helper has asked for a tail call that is still to be made. */
  get hasTailCall(): boolean {
    return this.#tailCall !== undefined;
  }

  /**
   * After `bpf_tail_call`: makes the target the program of the innermost frame, which may
   * then go 8 functions deep again. False where the helper asked for no tail call.
   */
  takeTailCall(): boolean {
    const target = this.#tailCall;
    if (target === undefined) return false;
    this.#tailCall = undefined;
    const { frames } = this;
    this.program = target;
    frames.programs[frames.depth] = target;
    frames.limit[frames.depth] = Math.min(frames.depth + maxFrames, stackFrames) - 1;
    frames.loops[frames.depth] = mayGotoLoops;
    return true;
  }

  /** What is thrown when the block at `row` is more than the budget has left. */
  outOfBudget(row: number): RunStop {
    this.row = row;
    this.budget = 0;
    return new RunStop('budget');
  }

  /** Counts a pass through a `may_goto`; false once the function call has used up its allowance. */
  countLoop(): boolean {
    const { loops, depth } = this.frames;
    const left = loops[depth] as number;
    if (left === 0) return false;
    loops[depth] = left - 1;
    return true;
  }

  /** Row of the function of the running program at an address. */
  functionRow(low: number, high: number): number {
    const found = high === windows.code ? this.#function(low) : undefined;
    if (found?.program !== this.program) throw new RunStop('function-address');
    return found.target;
  }

  /** Writes a frame and what a function finds when it starts. */
  #push(depth: number, returnTo: number, limit: number): void {
    const { frames, cpu } = this;
    const top = cpu.stackPointer;
    if (top - maxStack < cpu.stackLow || depth >= stackFrames) throw new RunStop('stack');
    const saved = depth * savedRegisters;
    for (let i = 0; i < savedRegisters; i++) frames.saved[saved + i] = cpu.regs[6 + i] as bigint;
    frames.programs[depth] = this.program;
    frames.returnTo[depth] = returnTo;
    frames.limit[depth] = limit;
    frames.loops[depth] = mayGotoLoops;
    frames.depth = depth;
    cpu.stackPointer = top - maxStack;
    cpu.half[20] = top;
    cpu.half[21] = windows.main;
  }

  #execute(start: number): void {
    const { frames } = this;
    if (frames.nesting >= maxNesting) throw new RunStop('stack');
    frames.nesting += 1;
    let row = this.#next(start, true);
    // A tail call goes on at a program's first row; any other row is in the middle of a function.
    while (row >= 0) row = this.#next(row, row === 0);
    frames.nesting -= 1;
  }

  /** Runs up to the next change of program: the row to go on at in it, or -1 at the end. */
  #next(row: number, starts: boolean): number {
    const compiled =
      starts && this.hook === undefined ? this.program.accelerator?.codeFor(this) : undefined;
    if (compiled === undefined) return interpret(this, row);
    compiled.run(this, row);
    return this.frames.depth === this.base ? -1 : this.leave();
  }

  #function(low: number): { readonly program: LoweredProgram; readonly target: number } {
    const found = this.program.codeSpace.find(low);
    const program = found?.program;
    if (found !== undefined && program instanceof LoweredProgram) {
      const target = program.code.addressTaken.get(found.insn);
      if (target !== undefined) return { program, target };
    }
    throw new RunStop('function-address');
  }
}
