import { OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import { maxStack } from '../engine/stack.ts';
import { emitSwap } from './arithmetic.ts';
import { type Covered, coverFrom } from './covered.ts';
import { packetField } from './facts.ts';
import { type FunctionWriter, mainAddress } from './function-writer.ts';
import { LOCAL, registerLocal } from './locals.ts';
import { type MemoryForm, narrowAtomics, type StoreForm } from './memory-forms.ts';
import { cpuRecord } from './state.ts';
import { TYPE, W } from './wasm-codes.ts';

/** Where an access goes: something on the stack and an offset from it. */
export type Place =
  /** In the function's own stack frame. */
  | { readonly kind: 'frame'; readonly offset: number }
  /** A byte of a map's value. */
  | { readonly kind: 'fixed'; readonly offset: number }
  /** Somewhere in such memory, at a register's low half. */
  | { readonly kind: 'inside'; readonly register: number; readonly offset: number }
  /** Anywhere: to be checked. */
  | { readonly kind: 'anywhere'; readonly register: number; readonly offset: number }
  /** Checked, at a distance from `LOCAL.address`. */
  | { readonly kind: 'checked'; readonly distance: number };

/** The place of `size` bytes at `offset` from a register, as far as it is known before the run. */
export function placeOf(
  writer: FunctionWriter,
  register: number,
  offset: number,
  size: number,
  access: 'load' | 'store',
): Place {
  const value = writer.facts.values[register];
  const unknown = { kind: 'anywhere', register, offset } as const;
  if (value?.kind === 'packet') {
    const first = value.offset + offset;
    return first >= 0 && first + size <= value.range
      ? { kind: 'inside', register, offset }
      : unknown;
  }
  if (value?.kind !== 'pointer' || value.nullable === true) return unknown;
  const [low, high] = [value.low + offset, value.high + offset + size];
  const exact = value.low === value.high;
  const inside = { kind: 'inside', register, offset } as const;
  if (value.area === 'stack') {
    if (low < -maxStack || high > 0) return unknown;
    return exact ? { kind: 'frame', offset: low + maxStack } : inside;
  }
  const { start, size: length, readOnly } = value.area;
  if (low < 0 || high > length || (readOnly && access === 'store')) return unknown;
  return exact && start !== undefined ? { kind: 'fixed', offset: start + low } : inside;
}

/** Leaves the 32-bit address of a place; the result is the offset that the access adds to it. */
export function pushPlace(writer: FunctionWriter, place: Place): number {
  const { sink } = writer;
  switch (place.kind) {
    case 'frame':
      sink.get(LOCAL.frame);
      return place.offset;
    case 'fixed':
      sink.i32(0);
      return place.offset;
    case 'inside':
      sink.low(registerLocal(place.register));
      if (place.offset >= 0) return place.offset;
      sink.i32(place.offset);
      sink.op(W.i32Add);
      return 0;
    case 'anywhere':
    case 'checked':
      sink.get(LOCAL.address);
      sink.op(W.i32WrapI64);
      return place.kind === 'checked' ? place.distance : 0;
  }
}

/**
 * Computes the address of an access into `LOCAL.address` and leaves 1 where the access is
 * outside of main memory, else 0: a subtraction and an unsigned comparison.
 */
export function pushOutside(
  writer: FunctionWriter,
  place: Place & { readonly kind: 'anywhere' },
  size: number,
  access: 'load' | 'store',
): void {
  const { sink } = writer;
  sink.get(registerLocal(place.register));
  if (place.offset !== 0) {
    sink.i64(BigInt(place.offset));
    sink.op(W.i64Add);
  }
  sink.tee(LOCAL.address);
  if (access === 'load') sink.get(LOCAL.mainLow);
  else sink.i64(mainAddress + BigInt(writer.source.storeLow));
  sink.op(W.i64Sub);
  const spans = access === 'load' ? LOCAL.loadSpan : LOCAL.storeSpan;
  const sizes = access === 'load' ? writer.plan.loadSizes : writer.plan.storeSizes;
  const own = (sizes & size) === 0 ? -1 : [1, 2, 4, 8].indexOf(size);
  if (own >= 0) sink.get(spans + own);
  else {
    sink.get(spans);
    sink.i64(BigInt(size - 1));
    sink.op(W.i64Sub);
  }
  sink.op(W.i64GeU);
}

/** Ends the run where an argument of a helper is not memory. */
export function checkPlace(
  writer: FunctionWriter,
  row: number,
  place: Place,
  size: number,
  access: 'load' | 'store',
): void {
  if (place.kind !== 'anywhere') return;
  writer.at(row);
  pushOutside(writer, place, size, access);
  writer.faultIf();
}

/**
 * Ends the run where an access is not allowed. One check covers what the block does next
 * through the same register, see `coverFrom`.
 */
function checkAccess(
  writer: FunctionWriter,
  row: number,
  place: Place,
  size: number,
  access: 'load' | 'store',
): Place {
  if (place.kind !== 'anywhere') return place;
  const { register, offset } = place;
  const known = writer.covered.get(register);
  if (known !== undefined && covers(known, offset, size, access)) {
    return { kind: 'inside', register, offset };
  }
  const cover = coverFrom(writer, row, writer.blockEnd);
  writer.covered.set(register, cover);
  writer.at(row);
  const { low, high } = cover;
  const hull = { kind: 'anywhere', register, offset: low } as const;
  pushOutside(writer, hull, high - low, cover.access);
  writer.faultIf();
  return { kind: 'checked', distance: offset - low };
}

function covers(known: Covered, offset: number, size: number, access: 'load' | 'store'): boolean {
  if (access === 'store' && known.access === 'load') return false;
  return offset >= known.low && offset + size <= known.high;
}

function mayBeContext(writer: FunctionWriter, register: number): boolean {
  return (writer.facts.context & (1 << register)) !== 0;
}

/** Writes a load. */
export function emitLoad(writer: FunctionWriter, row: number, form: MemoryForm): void {
  const word = writer.code.words[row] as number;
  const [dst, src, offset] = [wordDst(word), wordSrc(word), word >> 16];
  const field =
    wordOp(word) === OP.load32 ? packetField(writer.facts, word, writer.source.packet) : undefined;
  if (field !== undefined) {
    pushPacketBound(writer, field);
    writer.sink.set(registerLocal(dst));
    return;
  }
  const place = placeOf(writer, src, offset, form.size, 'load');
  const context = mayBeContext(writer, src);
  if (place.kind === 'anywhere' && (context || writer.source.probeLoads)) {
    emitSlowLoad(writer, row, place, form, context);
  } else {
    pushLoaded(writer, checkAccess(writer, row, place, form.size, 'load'), form);
  }
  writer.sink.set(registerLocal(dst));
}

/** The packet's first byte or its end, from the cells that the context keeps. */
function pushPacketBound(writer: FunctionWriter, field: 'data' | 'data-end'): void {
  const { sink } = writer;
  writer.findings.readsPacket = true;
  sink.indexed(W.globalGet, writer.names.record);
  sink.memory(W.i32Load, cpuRecord.cells);
  sink.memory(W.i64Load, field === 'data' ? 0 : 8);
}

function pushLoaded(writer: FunctionWriter, place: Place, form: MemoryForm): void {
  const { sink } = writer;
  const offset = pushPlace(writer, place);
  sink.memory(form.code, offset);
  if (form.swapped !== true) return;
  emitSwap(sink, form.size as 2 | 4 | 8);
  if (form.signed === true) sink.op(form.size === 2 ? W.i64Extend16S : W.i64Extend32S);
}

/**
 * A load that goes on where the address is not in main memory: a field of the context, which
 * the host converts, or 0 in programs with probe loads. Code that comes back from a call
 * here costs the code around it registers, so it is written only where it can be needed.
 */
function emitSlowLoad(
  writer: FunctionWriter,
  row: number,
  place: Place & { readonly kind: 'anywhere' },
  form: MemoryForm,
  context: boolean,
): void {
  const { sink } = writer;
  sink.op(W.block);
  sink.byte(TYPE.i64);
  sink.op(W.block);
  sink.byte(TYPE.empty);
  pushOutside(writer, place, form.size, 'load');
  sink.indexed(W.brIf, 0);
  pushLoaded(writer, place, form);
  sink.indexed(W.br, 1);
  sink.op(W.end);
  if (context) {
    writer.spill(writer.facts.stale);
    sink.i32(row);
    sink.indexed(W.call, writer.names.load);
    writer.fromFile(wordDst(writer.code.words[row] as number));
  } else sink.i64(0n);
  sink.op(W.end);
}

/** Writes a store. */
export function emitStore(writer: FunctionWriter, row: number, form: StoreForm): void {
  const word = writer.code.words[row] as number;
  const [dst, offset] = [wordDst(word), word >> 16];
  const place = placeOf(writer, dst, offset, form.size, 'store');
  if (place.kind !== 'anywhere' || !mayBeContext(writer, dst)) {
    storeValue(writer, row, checkAccess(writer, row, place, form.size, 'store'), form);
    return;
  }
  const { sink } = writer;
  pushOutside(writer, place, form.size, 'store');
  sink.op(W.if);
  sink.byte(TYPE.empty);
  writer.spill(writer.facts.stale);
  sink.i32(row);
  sink.indexed(W.call, writer.names.store);
  sink.op(W.else);
  storeValue(writer, row, place, form);
  sink.op(W.end);
}

function storeValue(writer: FunctionWriter, row: number, place: Place, form: StoreForm): void {
  const { sink, code } = writer;
  const offset = pushPlace(writer, place);
  if (form.from === 'register') {
    sink.get(registerLocal(wordSrc(code.words[row] as number)));
    if (form.swapped === true) emitSwap(sink, form.size as 2 | 4 | 8);
  } else sink.i64(form.size === 8 ? (code.imm64[row] as bigint) : BigInt(code.imm[row] as number));
  sink.memory(form.code, offset);
}

const combinations: readonly (readonly [ops: readonly number[], code: number])[] = [
  [[OP.atomicAdd64, OP.atomicFetchAdd64, OP.atomicAdd32, OP.atomicFetchAdd32], W.i64Add],
  [[OP.atomicOr64, OP.atomicFetchOr64, OP.atomicOr32, OP.atomicFetchOr32], W.i64Or],
  [[OP.atomicAnd64, OP.atomicFetchAnd64, OP.atomicAnd32, OP.atomicFetchAnd32], W.i64And],
  [[OP.atomicXor64, OP.atomicFetchXor64, OP.atomicXor32, OP.atomicFetchXor32], W.i64Xor],
];

/** Operation that combines old value and operand; undefined for exchanges. */
const combining = new Map(combinations.flatMap(([ops, code]) => ops.map((op) => [op, code])));

const fetchless: ReadonlySet<number> = new Set([
  OP.atomicAdd64,
  OP.atomicAdd32,
  OP.atomicOr64,
  OP.atomicOr32,
  OP.atomicAnd64,
  OP.atomicAnd32,
  OP.atomicXor64,
  OP.atomicXor32,
]);

/**
 * Writes an atomic operation as plain loads and stores: runs of one VM do not run at the same
 * time, so nothing can come in between.
 */
export function emitAtomic(writer: FunctionWriter, row: number): void {
  const { sink } = writer;
  const word = writer.code.words[row] as number;
  const op = wordOp(word);
  const size = narrowAtomics.has(op) ? 4 : 8;
  const found = placeOf(writer, wordDst(word), word >> 16, size, 'store');
  const place = checkAccess(writer, row, found, size, 'store');
  const offset = pushPlace(writer, place);
  sink.set(LOCAL.offset);
  sink.get(LOCAL.offset);
  sink.memory(size === 4 ? W.i64Load32U : W.i64Load, offset);
  if (!writer.source.littleEndian) emitSwap(sink, size);
  sink.set(LOCAL.address);
  const exchange = op === OP.atomicCompareExchange32 || op === OP.atomicCompareExchange64;
  if (exchange) {
    pushExpected(writer, size);
    sink.op(W.if);
    sink.byte(TYPE.empty);
  }
  sink.get(LOCAL.offset);
  pushCombined(writer, op, registerLocal(wordSrc(word)));
  if (!writer.source.littleEndian) emitSwap(sink, size);
  sink.memory(size === 4 ? W.i64Store32 : W.i64Store, offset);
  if (exchange) sink.op(W.end);
  if (fetchless.has(op)) return;
  sink.get(LOCAL.address);
  sink.set(registerLocal(exchange ? 0 : wordSrc(word)));
}

/** Leaves whether the old value is that of r0. */
function pushExpected(writer: FunctionWriter, size: 4 | 8): void {
  const { sink } = writer;
  sink.get(LOCAL.address);
  sink.get(registerLocal(0));
  if (size === 4) {
    sink.op(W.i32WrapI64);
    sink.extend();
  }
  sink.op(W.i64Eq);
}

function pushCombined(writer: FunctionWriter, op: number, src: number): void {
  const { sink } = writer;
  const code = combining.get(op);
  if (code !== undefined) sink.get(LOCAL.address);
  sink.get(src);
  if (code !== undefined) sink.op(code);
}
