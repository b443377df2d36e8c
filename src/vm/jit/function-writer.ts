import { OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { LoweredCode } from '../engine/program.ts';
import { maxStack } from '../engine/stack.ts';
import { windows } from '../machine.ts';
import { engineArea } from '../memory.ts';
import { CodeSink } from './code-sink.ts';
import type { Covered } from './covered.ts';
import { writtenBy } from './effects.ts';
import type { FactFlow, Facts, RegisterSet } from './facts.ts';
import { LOCAL, registerLocal } from './locals.ts';
import type { FunctionPlan, Source } from './plan.ts';
import type { Routines } from './routines.ts';
import { cpuRecord } from './state.ts';
import { W } from './wasm-codes.ts';

/** Indices of what a module imports and of its own functions. */
export interface ModuleNames {
  /** Immutable globals: addresses of the CPU's register file and record, and of its frame rows. */
  readonly registers: number;
  readonly record: number;
  readonly frameRows: number;
  /** Imported functions; all take a row. `fault` does not come back. */
  readonly fault: number;
  readonly load: number;
  readonly store: number;
  /** Legacy packet load: whether the program goes on. */
  readonly packet: number;
  /** Place in the table of the function that `callReg` calls. */
  readonly functionOf: number;
  /** `bpf_tail_call`: whether another program has run in this one's place. */
  readonly tailCall: number;
  /** Imported helpers, by their index in `code.helpers`. */
  readonly helpers: readonly number[];
  /** Function for each function of the program, by its first row. */
  readonly functions: ReadonlyMap<number, number>;
  /** Functions for maps and the like, made when they are needed. */
  readonly routines: Routines;
  /** Type of the program's functions. */
  readonly functionType: number;
}

/** What translation finds out about a program. */
export interface Findings {
  /** Its code takes the packet's bounds from the context's cells. */
  readsPacket: boolean;
}

/** What all functions of a program share. */
export interface ProgramContext {
  readonly source: Source;
  readonly flow: FactFlow;
  readonly names: ModuleNames;
  readonly findings: Findings;
}

/** Address of main memory's offset 0. */
export const mainAddress = BigInt.asIntN(64, BigInt(windows.main >>> 0) << 32n);

/** The pieces that all kinds of rows are written with: one function's code and what is known at this row. */
export class FunctionWriter {
  readonly sink = new CodeSink(4096);
  readonly code: LoweredCode;
  readonly source: Source;
  readonly names: ModuleNames;
  readonly plan: FunctionPlan;
  readonly findings: Findings;
  readonly #flow: FactFlow;
  /** At the row that is being written. */
  facts: Facts;
  /** One past the last row of the block that is being written. */
  blockEnd = 0;
  /** What was checked around the values of registers, as long as they stay. */
  readonly covered = new Map<number, Covered>();
  /** Blocks and loops that are open. The outermost is the way to a fault. */
  height = 0;

  constructor(context: ProgramContext, plan: FunctionPlan) {
    this.source = context.source;
    this.code = context.source.code;
    this.names = context.names;
    this.findings = context.findings;
    this.#flow = context.flow;
    this.plan = plan;
    this.facts = plan.facts[0] as Facts;
  }

  /** Starts a block: what was checked before is not known to hold. */
  startBlock(end: number): void {
    this.blockEnd = end;
    this.covered.clear();
  }

  /** Goes on to the facts after a row. */
  step(row: number): void {
    this.#forgetCovered(row);
    this.#flow.step(this.facts, row);
  }

  #forgetCovered(row: number): void {
    const op = this.op(row);
    const written = writtenBy[op];
    if (written === 'dst') this.covered.delete(this.dst(row));
    else if (written === 'src') this.covered.delete(this.src(row));
    else if (written === 'r0') this.covered.delete(0);
    // Calls may give memory back.
    if (op >= OP.loadPacket && op <= OP.callReg) this.covered.clear();
  }

  op(row: number): number {
    return wordOp(this.code.words[row] as number);
  }

  dst(row: number): number {
    return wordDst(this.code.words[row] as number);
  }

  src(row: number): number {
    return wordSrc(this.code.words[row] as number);
  }

  /** Opens a block or loop without results. */
  open(code: typeof W.block | typeof W.loop | typeof W.if): void {
    this.sink.op(code);
    this.sink.byte(0x40);
    this.height++;
  }

  close(): void {
    this.sink.op(W.end);
    this.height--;
  }

  /** Notes where the run is, for what can go wrong next. */
  at(row: number): void {
    this.sink.i32(row);
    this.sink.set(LOCAL.row);
  }

  /** Ends the run where the `i32` on the stack is not 0. */
  faultIf(): void {
    this.sink.indexed(W.brIf, this.height - 1);
  }

  fault(): void {
    this.sink.indexed(W.br, this.height - 1);
  }

  /** Writes registers to the CPU's register file. */
  spill(registers: RegisterSet): void {
    const { sink } = this;
    const wanted = registers & this.plan.touched;
    for (let register = 0; register <= 10; register++) {
      if ((wanted & (1 << register)) === 0) continue;
      sink.indexed(W.globalGet, this.names.registers);
      sink.get(registerLocal(register));
      sink.memory(W.i64Store, 8 * register);
    }
  }

  /** Reads a register from the register file. */
  reload(register: number): void {
    this.fromFile(register);
    this.sink.set(registerLocal(register));
  }

  /** Leaves a register of the register file on the stack. */
  fromFile(register: number): void {
    this.sink.indexed(W.globalGet, this.names.registers);
    this.sink.memory(W.i64Load, 8 * register);
  }

  storeFuel(): void {
    const { sink } = this;
    sink.indexed(W.globalGet, this.names.record);
    sink.get(LOCAL.fuel);
    sink.memory(W.i64Store, cpuRecord.fuel);
  }

  loadFuel(): void {
    const { sink } = this;
    sink.indexed(W.globalGet, this.names.record);
    sink.memory(W.i64Load, cpuRecord.fuel);
    sink.set(LOCAL.fuel);
  }

  /** Reads the bounds of main memory, which helpers move. */
  loadBounds(): void {
    const { sink } = this;
    const { loadSizes, storeSizes } = this.plan;
    if (loadSizes !== 0) {
      sink.i32(0);
      sink.memory(W.i64Load, engineArea.mainLow);
      sink.set(LOCAL.mainLow);
    }
    this.#loadSpans(loadSizes, engineArea.loadSpan, LOCAL.loadSpan);
    this.#loadSpans(storeSizes, engineArea.storeSpan, LOCAL.storeSpan);
  }

  #loadSpans(sizes: number, at: number, first: number): void {
    const { sink } = this;
    for (let i = 0; i < 4; i++) {
      if ((sizes & (1 << i)) === 0) continue;
      sink.i32(0);
      sink.memory(W.i64Load, at);
      if (i > 0) {
        sink.i64(BigInt(2 ** i - 1));
        sink.op(W.i64Sub);
      }
      sink.set(first + i);
    }
  }

  /** Takes instructions off the budget. */
  charge(rows: number): void {
    const { sink } = this;
    sink.get(LOCAL.fuel);
    sink.i64(BigInt(rows));
    sink.op(W.i64Sub);
    sink.set(LOCAL.fuel);
  }

  /** Ends the run where the budget is used up; such rows are told apart by their complement. */
  checkFuel(row: number): void {
    const { sink } = this;
    this.at(~row);
    sink.get(LOCAL.fuel);
    sink.i64(0n);
    sink.op(W.i64LtS);
    this.faultIf();
  }

  /** Start of the function: r10, budget and bounds. */
  prologue(): void {
    const { sink } = this;
    sink.get(LOCAL.frame);
    sink.i32(maxStack);
    sink.op(W.i32Add);
    sink.extend();
    sink.i64(mainAddress);
    sink.op(W.i64Or);
    sink.set(registerLocal(10));
    this.loadFuel();
    this.loadBounds();
    if (!this.plan.hasMayGoto) return;
    sink.i32(mayGotoLoops);
    sink.set(LOCAL.loops);
  }

  /** What all faults of the function jump to: leaves the registers where the report reads them. */
  epilogue(): void {
    const { sink } = this;
    this.spill(this.plan.touched);
    this.storeFuel();
    sink.get(LOCAL.row);
    sink.indexed(W.call, this.names.fault);
    sink.op(W.unreachable);
  }
}

/** Passes through the `may_goto` instructions of one function call (`BPF_MAX_LOOPS`). */
const mayGotoLoops = 8 * 1024 * 1024;

/** True for rows that end a block with a choice of two ways. */
export function isBranch(op: number): boolean {
  return op > OP.goto && op <= OP.loadPacket;
}
