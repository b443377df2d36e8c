import { isConditionalJump, OP } from '../engine/operations.ts';
import { arithmeticEmitters, divideBy } from './arithmetic.ts';
import { emitCall, emitExit, emitHelper, emitTailCall, pushPacketLoad } from './call-rows.ts';
import { emitCondition } from './conditions.ts';
import { isAtomic } from './effects.ts';
import { fastCall } from './fast-calls.ts';
import { type FunctionWriter, isBranch } from './function-writer.ts';
import { LOCAL, registerLocal } from './locals.ts';
import type { LoopCounter } from './loop-charges.ts';
import { emitFastCall } from './map-rows.ts';
import { loadForms, storeForms } from './memory-forms.ts';
import { emitAtomic, emitLoad, emitStore } from './memory-rows.ts';
import { W } from './wasm-codes.ts';

function operands(writer: FunctionWriter, row: number) {
  return {
    dst: registerLocal(writer.dst(row)),
    src: registerLocal(writer.src(row)),
    imm: writer.code.imm[row] as number,
    imm64: writer.code.imm64[row] as bigint,
  };
}

/** Writes a row, up to the choice of ways at the end of a block, which {@link pushTaken} leaves. */
function emitRow(writer: FunctionWriter, row: number): void {
  const op = writer.op(row);
  const arithmetic = arithmeticEmitters[op];
  const load = loadForms.get(op);
  const store = storeForms.get(op);
  if (arithmetic !== undefined) arithmetic(writer.sink, operands(writer, row));
  else if (load !== undefined) emitLoad(writer, row, load);
  else if (store !== undefined) emitStore(writer, row, store);
  else if (isAtomic(op)) emitAtomic(writer, row);
  else if (op === OP.helper) emitHelperRow(writer, row);
  else if (op === OP.tailCall) emitTailCall(writer, row);
  else if (op === OP.call || op === OP.callReg) emitCall(writer, row);
  else if (op === OP.exit) emitExit(writer, row);
  else if (op === OP.trap) {
    writer.at(row);
    writer.fault();
  } else if (op !== OP.goto) throw new Error(`operation ${op} has no translation`);
}

function emitHelperRow(writer: FunctionWriter, row: number): void {
  const fast = fastCall(writer.code, row, writer.facts.values);
  if (fast === undefined) emitHelper(writer, row);
  else emitFastCall(writer, row, fast);
}

/** Writes the rows of a block, without the way that it takes at its end. */
export function emitBlock(writer: FunctionWriter, block: number): void {
  const { graph } = writer.plan;
  const start = graph.start[block] as number;
  const end = graph.end[block] as number;
  writer.startBlock(end);
  const loop = writer.plan.charges.get(block);
  if (loop === undefined) writer.charge(end - start);
  else if (loop.head === block && loop.counter === undefined) writer.charge(loop.weight);
  const counted = loop?.counter !== undefined;
  if ((graph.backward[block] as number) > 0 && !counted) writer.checkFuel(start);
  for (let row = start; row < end; row++) {
    if (isBranch(writer.op(row))) return;
    emitRow(writer, row);
    writer.step(row);
  }
}

/** Whether the way from a block to another one has something to charge. */
export function hasEdgeCharge(writer: FunctionWriter, from: number, to: number): boolean {
  const loop = writer.plan.charges.get(from);
  if (loop === undefined || loop.body.has(to)) return false;
  return loop.counter !== undefined || from !== loop.latch;
}

/** Settles what a loop has cost on the way out of it. */
export function emitEdgeCharge(writer: FunctionWriter, from: number): void {
  const { sink } = writer;
  const loop = writer.plan.charges.get(from);
  if (loop === undefined) return;
  const ran = loop.upTo.get(from) as number;
  if (loop.counter === undefined) {
    writer.charge(ran - loop.weight);
    return;
  }
  // What of this turn has run, less a turn where its step is already in the counter.
  const stepped = (loop.upTo.get(loop.counter.block) as number) <= ran;
  sink.get(LOCAL.fuel);
  pushSteps(writer, loop.counter);
  sink.i64(BigInt(loop.weight));
  sink.op(W.i64Mul);
  sink.op(W.i64Sub);
  sink.i64(BigInt(stepped ? ran - loop.weight : ran));
  sink.op(W.i64Sub);
  sink.set(LOCAL.fuel);
}

/** Leaves how often a loop's counter has stepped. */
function pushSteps({ sink }: FunctionWriter, { register, first, step }: LoopCounter): void {
  const start = (): void => sink.i64(BigInt(first));
  if (step < 0) start();
  sink.get(registerLocal(register));
  if (step > 0) start();
  sink.op(W.i64Sub);
  divideBy(sink, Math.abs(step));
}

/** Leaves an `i32` that is not 0 where the jump at the end of a block is taken. */
export function pushTaken(writer: FunctionWriter, row: number): void {
  const op = writer.op(row);
  if (isConditionalJump(op)) emitCondition(writer.sink, op, operands(writer, row));
  else if (op === OP.loadPacket) pushPacketLoad(writer, row);
  else pushLoopsUsedUp(writer);
}

/** `may_goto`: taken once the call has no loops left, which are counted down before that. */
function pushLoopsUsedUp(writer: FunctionWriter): void {
  const { sink } = writer;
  sink.get(LOCAL.loops);
  sink.op(W.i32Eqz);
  sink.get(LOCAL.loops);
  sink.get(LOCAL.loops);
  sink.i32(0);
  sink.op(W.i32Ne);
  sink.op(W.i32Sub);
  sink.set(LOCAL.loops);
}
