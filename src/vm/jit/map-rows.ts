import { windows } from '../machine.ts';
import { emitSwap } from './arithmetic.ts';
import { emitHelper } from './call-rows.ts';
import type { FastCall } from './fast-calls.ts';
import { type FunctionWriter, mainAddress } from './function-writer.ts';
import { copy, findRoutine, leftToHost, removeRoutine, updateRoutine } from './hash-functions.ts';
import { LOCAL, registerLocal } from './locals.ts';
import type { ElementPlan, RingPlan } from './map-plans.ts';
import { checkPlace, placeOf, pushPlace } from './memory-rows.ts';
import { commitRoutine, reserveRoutine } from './ring-functions.ts';
import { emitClock, emitLoop, emitRandom } from './simple-rows.ts';
import { cpuRecord } from './state.ts';
import { TYPE, W } from './wasm-codes.ts';

type HashPlan = ElementPlan & { readonly kind: 'hash' };
type ArrayPlan = ElementPlan & { readonly kind: 'array' };

/** Writes a helper call that needs no host, or needs it in rare cases only. */
export function emitFastCall(writer: FunctionWriter, row: number, call: FastCall): void {
  switch (call.kind) {
    case 'clock':
      emitClock(writer, call.at);
      return;
    case 'random':
      emitRandom(writer);
      return;
    case 'loop':
      emitLoop(writer, row, call.callback);
      return;
    case 'reserve':
      reserveSample(writer, row, call.ring);
      return;
    case 'submit':
    case 'discard':
      commitSample(writer, row, call.kind === 'discard');
      return;
    case 'cpu':
      pushCpu(writer);
      writer.sink.extend();
      writer.sink.set(registerLocal(0));
      return;
    case 'lookup':
      if (call.map.kind === 'array') lookupInArray(writer, row, call.map);
      else lookupInHash(writer, row, call.map);
      return;
    case 'update':
      if (call.map.kind === 'array') updateArray(writer, row, call.map);
      else if (call.map.perCpu) updatePerCpu(writer, row, call.map);
      else updateHash(writer, row, call.map);
      return;
    case 'delete':
      if (call.map.kind === 'hash') removeFromHash(writer, row, call.map);
  }
}

function pushCpu(writer: FunctionWriter): void {
  writer.sink.indexed(W.globalGet, writer.names.record);
  writer.sink.memory(W.i32Load, cpuRecord.id);
}

/** Leaves the 32-bit address of what an argument points to; a bad pointer ends the run. */
function pushArgument(
  writer: FunctionWriter,
  row: number,
  register: number,
  size: number,
  to: number,
): void {
  const { sink } = writer;
  const place = placeOf(writer, register, 0, size, 'load');
  checkPlace(writer, row, place, size, 'load');
  const offset = pushPlace(writer, place);
  if (offset !== 0) {
    sink.i32(offset);
    sink.op(W.i32Add);
  }
  sink.set(to);
}

/** Leaves the index that the key of an array is, in `LOCAL.word`, and whether it is in the array. */
function pushIndex(writer: FunctionWriter, row: number, map: ArrayPlan): void {
  const { sink } = writer;
  const place = placeOf(writer, 2, 0, 4, 'load');
  checkPlace(writer, row, place, 4, 'load');
  const offset = pushPlace(writer, place);
  if (map.littleEndian) sink.memory(W.i32Load, offset);
  else {
    sink.memory(W.i64Load32U, offset);
    emitSwap(sink, 4);
    sink.op(W.i32WrapI64);
  }
  sink.tee(LOCAL.word);
  sink.i32(map.maxEntries);
  sink.op(W.i32LtU);
}

/** Leaves the 32-bit address of the value at the index in `LOCAL.word`, but for `map.elements`. */
function pushElement(writer: FunctionWriter, map: ArrayPlan): void {
  const { sink } = writer;
  sink.get(LOCAL.word);
  if (map.perCpu) {
    pushCpu(writer);
    sink.i32(map.maxEntries);
    sink.op(W.i32Mul);
    sink.op(W.i32Add);
  }
  sink.i32(map.valueStride);
  sink.op(W.i32Mul);
}

function lookupInArray(writer: FunctionWriter, row: number, map: ArrayPlan): void {
  const { sink } = writer;
  pushIndex(writer, row, map);
  sink.op(W.if);
  sink.byte(TYPE.i64);
  pushElement(writer, map);
  sink.extend();
  sink.i64(mainAddress + BigInt(map.elements));
  sink.op(W.i64Add);
  sink.op(W.else);
  sink.i64(0n);
  sink.op(W.end);
  sink.set(registerLocal(0));
}

function lookupInHash(writer: FunctionWriter, row: number, map: HashPlan): void {
  const { sink } = writer;
  find(writer, row, map);
  // Only a damaged table: the fault handler lets the helper say so.
  writer.at(row);
  sink.get(LOCAL.word);
  sink.i32(leftToHost);
  sink.op(W.i32Eq);
  writer.faultIf();
  sink.get(LOCAL.word);
  sink.op(W.if);
  sink.byte(TYPE.i64);
  sink.get(LOCAL.word);
  pushCpuOffset(writer, map);
  sink.extend();
  sink.i64(mainAddress + BigInt(map.payloadOffset));
  sink.op(W.i64Add);
  sink.op(W.else);
  sink.i64(0n);
  sink.op(W.end);
  sink.set(registerLocal(0));
}

/** Adds the distance of this CPU's value to the offset on the stack. */
function pushCpuOffset(writer: FunctionWriter, map: HashPlan): void {
  if (!map.perCpu) return;
  pushCpu(writer);
  writer.sink.i32(map.valueStride);
  writer.sink.op(W.i32Mul);
  writer.sink.op(W.i32Add);
}

/** Sets `LOCAL.word` to the element with the key that r2 points to. */
function find(writer: FunctionWriter, row: number, map: HashPlan): void {
  const { sink, names, source } = writer;
  const routine = names.routines.index(map, 'find', () => findRoutine(map, source.storeLow));
  pushArgument(writer, row, 2, map.keySize, LOCAL.offset);
  sink.get(LOCAL.offset);
  sink.i32(0);
  sink.indexed(W.call, routine);
  sink.set(LOCAL.word);
}

function updateArray(writer: FunctionWriter, row: number, map: ArrayPlan): void {
  const { sink } = writer;
  pushArgument(writer, row, 3, map.valueSize, LOCAL.offset);
  pushIndex(writer, row, map);
  sink.op(W.if);
  sink.byte(TYPE.empty);
  pushElement(writer, map);
  sink.set(LOCAL.word);
  copy(sink, LOCAL.word, map.elements, LOCAL.offset, map.valueSize);
  giveZero(writer);
  hostOtherwise(writer, row);
}

function updatePerCpu(writer: FunctionWriter, row: number, map: HashPlan): void {
  const { sink } = writer;
  find(writer, row, map);
  pushArgument(writer, row, 3, map.valueSize, LOCAL.offset);
  sink.get(LOCAL.word);
  sink.i32(leftToHost);
  sink.op(W.i32GtU);
  sink.op(W.if);
  sink.byte(TYPE.empty);
  sink.get(LOCAL.word);
  pushCpuOffset(writer, map);
  sink.set(LOCAL.word);
  copy(sink, LOCAL.word, map.payloadOffset, LOCAL.offset, map.valueSize);
  giveZero(writer);
  hostOtherwise(writer, row);
}

function updateHash(writer: FunctionWriter, row: number, map: HashPlan): void {
  const { sink, names, source } = writer;
  const routine = names.routines.index(map, 'update', () => updateRoutine(map, source.storeLow));
  pushArgument(writer, row, 2, map.keySize, LOCAL.offset);
  pushArgument(writer, row, 3, map.valueSize, LOCAL.word);
  sink.get(LOCAL.offset);
  sink.get(LOCAL.word);
  sink.indexed(W.call, routine);
  giveZeroOrHost(writer, row);
}

function removeFromHash(writer: FunctionWriter, row: number, map: HashPlan): void {
  const { sink, names, source } = writer;
  const routine = names.routines.index(map, 'remove', () => removeRoutine(map, source.storeLow));
  pushArgument(writer, row, 2, map.keySize, LOCAL.offset);
  sink.get(LOCAL.offset);
  sink.i32(0);
  sink.indexed(W.call, routine);
  giveZeroOrHost(writer, row);
}

/** r0 = 0 where a routine gave 0, else what the host's helper says. */
function giveZeroOrHost(writer: FunctionWriter, row: number): void {
  const { sink } = writer;
  sink.op(W.i32Eqz);
  sink.op(W.if);
  sink.byte(TYPE.empty);
  giveZero(writer);
  hostOtherwise(writer, row);
}

function giveZero(writer: FunctionWriter): void {
  writer.sink.i64(0n);
  writer.sink.set(registerLocal(0));
}

/** The other arm of an `if`: the helper itself. */
function hostOtherwise(writer: FunctionWriter, row: number): void {
  writer.sink.op(W.else);
  emitHelper(writer, row);
  writer.sink.op(W.end);
}

/** Largest sample whose size the routine works with. */
const largestSample = 0x3fff_ffffn;

function reserveSample(writer: FunctionWriter, row: number, ring: RingPlan): void {
  const { sink, names } = writer;
  const routine = names.routines.index(ring, 'reserve', () => reserveRoutine(ring));
  sink.get(registerLocal(2));
  sink.i64(largestSample);
  sink.op(W.i64LeU);
  sink.op(W.if);
  sink.byte(TYPE.empty);
  sink.low(registerLocal(2));
  sink.indexed(W.call, routine);
  sink.tee(LOCAL.word);
  sink.op(W.if);
  sink.byte(TYPE.i64);
  sink.get(LOCAL.word);
  sink.extend();
  sink.i64(mainAddress);
  sink.op(W.i64Or);
  sink.op(W.else);
  sink.i64(0n);
  sink.op(W.end);
  sink.set(registerLocal(0));
  hostOtherwise(writer, row);
}

function commitSample(writer: FunctionWriter, row: number, discard: boolean): void {
  const { sink, names, source } = writer;
  const rings = [...new Set(source.maps.values())].filter((map) => map.kind === 'ring');
  const name = discard ? 'discard' : 'submit';
  const routine = names.routines.index(source, name, () => commitRoutine(rings, discard));
  // A pointer to elsewhere is no sample of any ring: the upper half must be main memory's.
  sink.get(registerLocal(1));
  sink.i64(32n);
  sink.op(W.i64ShrU);
  sink.op(W.i32WrapI64);
  sink.i32(windows.main);
  sink.op(W.i32Eq);
  sink.op(W.if);
  sink.byte(TYPE.i32);
  sink.low(registerLocal(1));
  sink.low(registerLocal(2));
  sink.indexed(W.call, routine);
  sink.op(W.else);
  sink.i32(leftToHost);
  sink.op(W.end);
  giveZeroOrHost(writer, row);
}
