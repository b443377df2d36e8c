import { isConditionalJump, OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { LoweredCode } from '../engine/program.ts';
import { divideBy } from './arithmetic.ts';
import type { CodeSink } from './code-sink.ts';
import { writtenBy } from './effects.ts';
import type { FlowGraph } from './flow-graph.ts';
import { LOCAL, registerLocal } from './locals.ts';
import type { LoopCharge, LoopCounter } from './loop-charges.ts';
import { W } from './wasm-codes.ts';

/**
 * The sum of some registers as they are before a loop, a constant, and a multiple of the
 * turns that are behind: what a register holds at some place of the loop, modulo 2^64.
 */
export interface Linear {
  readonly registers: readonly number[];
  readonly constant: bigint;
  /** What each turn adds; not negative. */
  readonly slope: number;
}

/** A comparison in each turn that leaves the loop where a growing number has passed a fixed one. */
export interface Guard {
  readonly grows: Linear;
  readonly bound: Linear;
  /** It stays in the loop at the bound itself. */
  readonly inclusive: boolean;
}

/**
 * How often a loop goes round before anything leaves it can be worked out before its first
 * turn. Such turns run in a copy of the loop that counts them and asks nothing else; the
 * loop itself does the rest. One comparison instead of two or three in a tight loop, and a
 * loop with one way out, which V8 unrolls: 0.7 × the time of a loop over a packet's bytes.
 */
export interface ClearTurns {
  /** All blocks of the loop, in the order in which each turn goes through them. */
  readonly blocks: readonly number[];
  readonly counter: { readonly register: number; readonly step: number };
  /** Turns before the last one by the loop's counter. */
  readonly most: number;
  readonly guards: readonly Guard[];
  /** Turns that are written one after another: 1, 2 or 4. */
  readonly together: number;
}

/** Rows of the largest loop that is copied. */
const mostRows = 256;

/** Rows up to which several turns are written together; with 64, V8 gains nothing more. */
const mostTogether = 32;

/** Most registers in the sum of one number. */
const mostTerms = 3;

/** The copy of a loop that is worth making, undefined where there is none. */
export function clearTurns(
  code: LoweredCode,
  graph: FlowGraph,
  charge: LoopCharge,
): ClearTurns | undefined {
  const { body, upTo, counter, latch } = charge;
  if (counter === undefined || counter.exactTurns === undefined) return undefined;
  const blocks = [...upTo.keys()];
  if (blocks.length !== body.size || charge.weight > mostRows) {
    return undefined;
  }
  const values = startOf(code, graph, blocks, counter);
  const guards: Guard[] = [];
  for (const block of blocks) {
    if (!walk(code, graph, block, values, counter.register)) return undefined;
    const branches = (graph.next[block] as number) >= 0 && (graph.jump[block] as number) >= 0;
    if (!branches || block === latch) continue;
    const guard = guardAt(code, graph, block, { body, values });
    if (guard === undefined) return undefined;
    guards.push(guard);
  }
  const { register, step, exactTurns } = counter;
  const fits = Math.floor(mostTogether / charge.weight);
  const together = fits >= 4 ? 4 : fits >= 2 ? 2 : 1;
  if (guards.length === 0 && together === 1) return undefined;
  return { blocks, counter: { register, step }, most: exactTurns - 1, guards, together };
}

type Values = (Linear | undefined)[];

/** What registers hold at the start of each turn: what the loop does not write, and counters. */
function startOf(
  code: LoweredCode,
  graph: FlowGraph,
  blocks: readonly number[],
  counter: LoopCounter,
): Values {
  const written = new Set<number>();
  for (const block of blocks) {
    for (let row = graph.start[block] as number; row < (graph.end[block] as number); row++) {
      const register = writtenRegister(code.words[row] as number);
      if (register !== undefined) written.add(register);
    }
  }
  return Array.from({ length: 11 }, (_, register) => {
    if (!written.has(register)) return { registers: [register], constant: 0n, slope: 0 };
    const slope = register === counter.register ? counter.step : counter.steps[register];
    return slope === undefined || slope <= 0
      ? undefined
      : { registers: [register], constant: 0n, slope };
  });
}

function writtenRegister(word: number): number | undefined {
  switch (writtenBy[wordOp(word)]) {
    case 'dst':
      return wordDst(word);
    case 'src':
      return wordSrc(word);
    case 'r0':
      return 0;
    default:
      return undefined;
  }
}

/** Goes over the rows of a block; false where one may do more than write its register. */
function walk(
  code: LoweredCode,
  graph: FlowGraph,
  block: number,
  values: Values,
  counter: number,
): boolean {
  for (let row = graph.start[block] as number; row < (graph.end[block] as number); row++) {
    const word = code.words[row] as number;
    const op = wordOp(word);
    const calls = op >= OP.loadPacket && op <= OP.callReg;
    if (calls || op === OP.mayGoto || op === OP.exit || op === OP.trap) return false;
    const register = writtenRegister(word);
    if (register !== undefined) values[register] = resultOf(code, row, values, counter);
  }
  return true;
}

function resultOf(
  code: LoweredCode,
  row: number,
  values: Values,
  counter: number,
): Linear | undefined {
  const word = code.words[row] as number;
  const [dst, src] = [values[wordDst(word)], values[wordSrc(word)]];
  const constant = code.imm64[row] as bigint;
  switch (wordOp(word)) {
    case OP.mov64Imm:
      return { registers: [], constant, slope: 0 };
    case OP.mov64Reg:
      return src;
    case OP.add64Imm:
      return dst && plus(dst, constant);
    case OP.add32Imm:
      // The counter's own: it stays a number of 32 bits up to its end.
      return dst && wordDst(word) === counter ? plus(dst, constant) : undefined;
    case OP.add64Reg:
      return dst && src && sum(dst, src);
    default:
      return undefined;
  }
}

function plus(a: Linear, constant: bigint): Linear {
  return { ...a, constant: a.constant + constant };
}

function sum(a: Linear, b: Linear): Linear | undefined {
  const registers = [...a.registers, ...b.registers];
  if (registers.length > mostTerms) return undefined;
  return { registers, constant: a.constant + b.constant, slope: a.slope + b.slope };
}

/** Comparisons of a row: 64 bits, with an immediate or a register. */
const orders: ReadonlyMap<number, 'gt' | 'ge' | 'lt' | 'le'> = new Map([
  [OP.jgt64Imm, 'gt'],
  [OP.jgt64Reg, 'gt'],
  [OP.jge64Imm, 'ge'],
  [OP.jge64Reg, 'ge'],
  [OP.jlt64Imm, 'lt'],
  [OP.jlt64Reg, 'lt'],
  [OP.jle64Imm, 'le'],
  [OP.jle64Reg, 'le'],
]);

const opposite = { gt: 'le', ge: 'lt', lt: 'ge', le: 'gt' } as const;

interface Place {
  readonly body: ReadonlySet<number>;
  readonly values: Values;
}

/** The comparison at the end of a block, where it leaves the loop for a number that has grown. */
function guardAt(
  code: LoweredCode,
  graph: FlowGraph,
  block: number,
  { body, values }: Place,
): Guard | undefined {
  const row = (graph.end[block] as number) - 1;
  const word = code.words[row] as number;
  const op = wordOp(word);
  const taken = isConditionalJump(op) ? orders.get(op) : undefined;
  const left = values[wordDst(word)];
  const withRegister = ((op - OP.jeq64Imm) & 3) === 1;
  const right = withRegister
    ? values[wordSrc(word)]
    : { registers: [], constant: code.imm64[row] as bigint, slope: 0 };
  if (taken === undefined || left === undefined || right === undefined) return undefined;
  const leaves = body.has(graph.jump[block] as number) ? opposite[taken] : taken;
  // Where the left side has to be the smaller one to leave, the right side is what grows.
  const [grows, bound] = leaves === 'gt' || leaves === 'ge' ? [left, right] : [right, left];
  if (grows.slope <= 0 || bound.slope !== 0) return undefined;
  return { grows, bound, inclusive: leaves === 'gt' || leaves === 'lt' };
}

/** Leaves the number of a loop's clear turns, also in `LOCAL.stop`. */
export function pushClearTurns(sink: CodeSink, { most, guards, together }: ClearTurns): void {
  sink.i64(BigInt(most));
  sink.set(LOCAL.stop);
  for (const { grows, bound, inclusive } of guards) {
    pushStart(sink, grows);
    sink.set(LOCAL.address);
    pushStart(sink, bound);
    sink.set(LOCAL.value);
    sink.i64(0n);
    sink.get(LOCAL.value);
    sink.get(LOCAL.address);
    sink.op(W.i64Sub);
    if (!inclusive) {
      sink.i64(1n);
      sink.op(W.i64Sub);
    }
    divideBy(sink, grows.slope);
    sink.i64(1n);
    sink.op(W.i64Add);
    sink.get(LOCAL.address);
    sink.get(LOCAL.value);
    sink.op(inclusive ? W.i64GtU : W.i64GeU);
    sink.op(W.select);
    sink.tee(LOCAL.value);
    sink.get(LOCAL.stop);
    sink.get(LOCAL.value);
    sink.get(LOCAL.stop);
    sink.op(W.i64LtU);
    sink.op(W.select);
    sink.set(LOCAL.stop);
  }
  sink.get(LOCAL.stop);
  if (together > 1) {
    sink.i64(BigInt(-together));
    sink.op(W.i64And);
    sink.tee(LOCAL.stop);
  }
}

/** Sets `LOCAL.stop` to the counter after as many turns as it says. */
export function setStop(sink: CodeSink, { counter }: ClearTurns): void {
  sink.get(LOCAL.stop);
  sink.i64(BigInt(counter.step));
  sink.op(W.i64Mul);
  sink.get(registerLocal(counter.register));
  sink.op(W.i64Add);
  sink.set(LOCAL.stop);
}

/** Leaves what a number is before the first turn. */
function pushStart(sink: CodeSink, { registers, constant }: Linear): void {
  sink.i64(BigInt.asIntN(64, constant));
  for (const register of registers) {
    sink.get(registerLocal(register));
    sink.op(W.i64Add);
  }
}
