import {
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  BPF_RINGBUF_BUSY_BIT,
  BPF_RINGBUF_DISCARD_BIT,
  BPF_RINGBUF_HDR_SZ,
} from '../../abi/bpf.ts';
import type { CodeSink } from './code-sink.ts';
import { leftToHost } from './hash-functions.ts';
import type { RingPlan } from './map-plans.ts';
import type { Routine } from './routines.ts';
import { TYPE, W } from './wasm-codes.ts';

const busy = BPF_RINGBUF_BUSY_BIT | 0;
const discarded = BPF_RINGBUF_DISCARD_BIT | 0;

/** Locals of `reserve`. */
const size = 0;
const header = 1;
const word = 2;
const producer = 3;
const pending = 4;

/**
 * `reserve(size)`: offset of a new sample, 0 where it does not fit, as
 * `RingBufferMap.reserve`. Sizes have 30 bits at most; larger ones are the host's.
 */
export function reserveRoutine(ring: RingPlan): Routine {
  return {
    params: [TYPE.i32],
    results: [TYPE.i32],
    locals: [
      [2, TYPE.i32],
      [2, TYPE.i64],
    ],
    write: (sink) => writeReserve(sink, ring),
  };
}

function writeReserve(sink: CodeSink, ring: RingPlan): void {
  pushRecordLength(sink, size);
  sink.op(W.i32WrapI64);
  sink.i32(ring.maxEntries);
  sink.op(W.i32GtU);
  returnIf(sink, 0);
  pushPosition(sink, ring, 2 * ring.pageSize);
  sink.set(producer);
  pushPosition(sink, ring, 2 * ring.pageSize + 8);
  sink.set(pending);
  advancePending(sink, ring);
  for (const behind of ['consumer', 'pending'] as const) {
    sink.get(producer);
    pushRecordLength(sink, size);
    sink.op(W.i64Add);
    if (behind === 'pending') sink.get(pending);
    else pushPosition(sink, ring, ring.pageSize);
    sink.op(W.i64Sub);
    sink.i64(BigInt(ring.maxEntries));
    sink.op(W.i64GeU);
    returnIf(sink, 0);
  }
  pushRecord(sink, ring, producer);
  sink.tee(header);
  sink.get(size);
  sink.i32(busy);
  sink.op(W.i32Or);
  sink.memory(W.i32Store, 0);
  sink.get(header);
  sink.get(header);
  sink.i32(ring.base);
  sink.op(W.i32Sub);
  sink.i32(Math.log2(ring.pageSize));
  sink.op(W.i32ShrU);
  sink.memory(W.i32Store, 4);
  sink.i32(0);
  sink.get(producer);
  pushRecordLength(sink, size);
  sink.op(W.i64Add);
  sink.memory(W.i64Store, ring.base + 2 * ring.pageSize);
  sink.get(header);
  sink.i32(BPF_RINGBUF_HDR_SZ);
  sink.op(W.i32Add);
}

/** Moves the pending position over records that are no longer busy. */
function advancePending(sink: CodeSink, ring: RingPlan): void {
  sink.op(W.block);
  sink.byte(TYPE.empty);
  // Positions that a program has written over must not make this loop run for ever.
  sink.get(producer);
  sink.get(pending);
  sink.op(W.i64Sub);
  sink.i64(BigInt(ring.maxEntries));
  sink.op(W.i64GtU);
  sink.indexed(W.brIf, 0);
  sink.op(W.loop);
  sink.byte(TYPE.empty);
  sink.get(pending);
  sink.get(producer);
  sink.op(W.i64GeU);
  sink.indexed(W.brIf, 1);
  pushRecord(sink, ring, pending);
  sink.memory(W.i32Load, 0);
  sink.tee(word);
  sink.i32(busy);
  sink.op(W.i32And);
  sink.indexed(W.brIf, 1);
  sink.get(word);
  sink.i32(~discarded);
  sink.op(W.i32And);
  sink.set(word);
  sink.get(pending);
  pushRecordLength(sink, word);
  sink.op(W.i64Add);
  sink.set(pending);
  sink.indexed(W.br, 0);
  sink.op(W.end);
  sink.op(W.end);
  sink.i32(0);
  sink.get(pending);
  sink.memory(W.i64Store, ring.base + 2 * ring.pageSize + 8);
}

/** Bytes of a record with a sample of the size in a local: header included, rounded up to 8. */
function pushRecordLength(sink: CodeSink, local: number): void {
  sink.get(local);
  sink.extend();
  sink.i64(BigInt(BPF_RINGBUF_HDR_SZ + 7));
  sink.op(W.i64Add);
  sink.i64(-8n);
  sink.op(W.i64And);
}

function pushPosition(sink: CodeSink, ring: RingPlan, at: number): void {
  sink.i32(0);
  sink.memory(W.i64Load, ring.base + at);
}

/** Offset of the record at the position in a local. */
function pushRecord(sink: CodeSink, ring: RingPlan, position: number): void {
  sink.get(position);
  sink.op(W.i32WrapI64);
  pushInData(sink, ring);
}

function pushInData(sink: CodeSink, ring: RingPlan): void {
  sink.i32(ring.maxEntries - 1);
  sink.op(W.i32And);
  sink.i32(ring.data);
  sink.op(W.i32Add);
}

/** Locals of `commit`. */
const sample = 0;
const flags = 1;

/**
 * `commit(sample, flags)`: ends a reservation in one of the program's ring buffers; 0, or
 * `leftToHost` before anything is changed: a sample of another buffer or of none, or somebody
 * is to be woken.
 */
export function commitRoutine(rings: readonly RingPlan[], discard: boolean): Routine {
  return {
    params: [TYPE.i32, TYPE.i32],
    results: [TYPE.i32],
    locals: [],
    write: (sink) => {
      for (const ring of rings) {
        pushIsReserved(sink, ring);
        sink.op(W.if);
        sink.byte(TYPE.empty);
        writeCommit(sink, ring, discard);
        sink.op(W.end);
      }
      sink.i32(leftToHost);
    },
  };
}

/** Leaves whether `sample` is one of the ring's: aligned, in its data, with its distance to page 0, busy. */
function pushIsReserved(sink: CodeSink, ring: RingPlan): void {
  sink.get(sample);
  sink.i32(7);
  sink.op(W.i32And);
  sink.op(W.i32Eqz);
  sink.get(sample);
  sink.i32(ring.data + BPF_RINGBUF_HDR_SZ);
  sink.op(W.i32Sub);
  sink.i32(ring.maxEntries);
  sink.op(W.i32LtU);
  sink.op(W.i32And);
  sink.op(W.if);
  sink.byte(TYPE.i32);
  pushHeader(sink);
  sink.memory(W.i32Load, 4);
  pushHeader(sink);
  sink.i32(ring.base);
  sink.op(W.i32Sub);
  sink.i32(Math.log2(ring.pageSize));
  sink.op(W.i32ShrU);
  sink.op(W.i32Eq);
  pushHeader(sink);
  sink.memory(W.i32Load, 0);
  sink.i32(31);
  sink.op(W.i32ShrU);
  sink.op(W.i32And);
  sink.op(W.else);
  sink.i32(0);
  sink.op(W.end);
}

function pushHeader(sink: CodeSink): void {
  sink.get(sample);
  sink.i32(BPF_RINGBUF_HDR_SZ);
  sink.op(W.i32Sub);
}

function writeCommit(sink: CodeSink, ring: RingPlan, discard: boolean): void {
  sink.get(flags);
  sink.i32(BPF_RB_FORCE_WAKEUP);
  sink.op(W.i32And);
  returnIf(sink, leftToHost);
  sink.get(flags);
  sink.i32(BPF_RB_NO_WAKEUP);
  sink.op(W.i32And);
  sink.op(W.i32Eqz);
  sink.i32(0);
  sink.memory(W.i32Load, ring.base + ring.pageSize);
  pushInData(sink, ring);
  pushHeader(sink);
  sink.op(W.i32Eq);
  sink.op(W.i32And);
  returnIf(sink, leftToHost);
  pushHeader(sink);
  pushHeader(sink);
  sink.memory(W.i32Load, 0);
  sink.i32(~busy);
  sink.op(W.i32And);
  if (discard) {
    sink.i32(discarded);
    sink.op(W.i32Or);
  }
  sink.memory(W.i32Store, 0);
  sink.i32(0);
  sink.op(W.return);
}

function returnIf(sink: CodeSink, result: number): void {
  sink.op(W.if);
  sink.byte(TYPE.empty);
  sink.i32(result);
  sink.op(W.return);
  sink.op(W.end);
}
