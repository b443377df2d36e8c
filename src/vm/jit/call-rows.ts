import { OP } from '../engine/operations.ts';
import { maxStack } from '../engine/stack.ts';
import type { FunctionWriter } from './function-writer.ts';
import { LOCAL, registerLocal } from './locals.ts';
import { cpuRecord } from './state.ts';
import { TYPE, W } from './wasm-codes.ts';

/** Writes a call of a helper: arguments go through the register file. */
export function emitHelper(writer: FunctionWriter, row: number): void {
  const { sink, code, names } = writer;
  prepareHostCall(writer);
  sink.i32(row);
  sink.indexed(W.call, names.helpers[code.target[row] as number] as number);
  writer.reload(0);
  writer.loadFuel();
  writer.loadBounds();
}

/** Writes `bpf_tail_call`: where it works, the function is over with the other program's result. */
export function emitTailCall(writer: FunctionWriter, row: number): void {
  const { sink, names } = writer;
  prepareHostCall(writer);
  sink.i32(row);
  sink.indexed(W.call, names.tailCall);
  sink.op(W.if);
  sink.byte(TYPE.empty);
  writer.fromFile(0);
  sink.op(W.return);
  sink.op(W.end);
  writer.reload(0);
  writer.loadFuel();
  writer.loadBounds();
}

function prepareHostCall(writer: FunctionWriter): void {
  writer.spill(writer.facts.stale);
  writer.storeFuel();
}

/** Writes a call of a function of the program, by number or through the table. */
export function emitCall(writer: FunctionWriter, row: number): void {
  const { sink, code, names } = writer;
  const indirect = writer.op(row) === OP.callReg;
  if (indirect) {
    writer.spill(writer.facts.stale);
    sink.i32(row);
    sink.indexed(W.call, names.functionOf);
    sink.set(LOCAL.word);
  }
  enterFrame(writer, row);
  writer.storeFuel();
  pushCallee(writer);
  for (let register = 1; register <= 5; register++) sink.get(registerLocal(register));
  if (indirect) {
    sink.get(LOCAL.word);
    sink.indexed(W.callIndirect, names.functionType);
    sink.byte(0x00);
  } else sink.indexed(W.call, names.functions.get(code.target[row] as number) as number);
  sink.set(registerLocal(0));
  writer.loadFuel();
  writer.loadBounds();
}

/** Leaves the lowest byte of the next stack frame: a function's first parameter. */
export function pushCallee({ sink }: FunctionWriter): void {
  sink.get(LOCAL.frame);
  sink.i32(maxStack);
  sink.op(W.i32Sub);
}

/** Checks the depth of calls and notes for trap reports where this function goes on. */
export function enterFrame(writer: FunctionWriter, row: number): void {
  const { sink, names } = writer;
  writer.at(row);
  sink.get(LOCAL.frame);
  sink.indexed(W.globalGet, names.record);
  sink.memory(W.i32Load, cpuRecord.limit);
  sink.op(W.i32LtU);
  writer.faultIf();
  sink.indexed(W.globalGet, names.frameRows);
  sink.get(LOCAL.frame);
  sink.i32(rowShift);
  sink.op(W.i32ShrU);
  sink.op(W.i32Add);
  sink.i32(row + 1);
  sink.memory(W.i32Store, cpuRecord.rows);
}

/** Frames are 512 bytes apart, their entries in the table of rows 4. */
const rowShift = 7;

/** Writes the end of the function: a last look at the budget, then r0. */
export function emitExit(writer: FunctionWriter, row: number): void {
  writer.checkFuel(row);
  writer.storeFuel();
  writer.sink.get(registerLocal(0));
  writer.sink.op(W.return);
}

/** Writes a legacy packet load; leaves whether the packet was long enough. */
export function pushPacketLoad(writer: FunctionWriter, row: number): void {
  const { sink, names } = writer;
  writer.spill(writer.facts.stale);
  sink.i32(row);
  sink.indexed(W.call, names.packet);
  writer.reload(0);
}
