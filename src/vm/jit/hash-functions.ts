import { poolState } from '../maps/element-pool.ts';
import { hashFactors, tableState } from '../maps/hash-table.ts';
import { engineArea } from '../memory.ts';
import type { CodeSink } from './code-sink.ts';
import type { ElementPlan } from './map-plans.ts';
import type { Routine } from './routines.ts';
import { TYPE, W } from './wasm-codes.ts';

type HashPlan = ElementPlan & { readonly kind: 'hash' };

/** What a routine gives where only the host can do what is asked; no element is at such an offset. */
export const leftToHost = 1;

/** Locals of all routines. */
const key = 0;
const value = 1;
const hash = 2;
const link = 3;
const element = 4;
const left = 5;
const old = 6;
const oldLink = 7;
const fresh = 8;
const locals = [[7, TYPE.i32]] as const;

/** Offsets in an element. */
const hashAt = 4;
const keyAt = 8;

/**
 * `find(key, 0)`: the element with the key at an address, 0 where there is none, or
 * `leftToHost` where the table's memory is damaged (which the host then says).
 */
export function findRoutine(plan: HashPlan, storeLow: number): Routine {
  return routine((sink) => {
    pushHash(sink, plan);
    sink.set(hash);
    startWalk(sink, plan);
    sink.set(element);
    loop(sink, () => {
      sink.get(element);
      sink.op(W.i32Eqz);
      returnIf(sink, 0);
      checkElement(sink, plan, storeLow, element);
      sink.get(element);
      sink.memory(W.i32Load, hashAt);
      sink.get(hash);
      sink.op(W.i32Eq);
      sink.op(W.if);
      sink.byte(TYPE.empty);
      pushSameKey(sink, plan, element);
      sink.op(W.if);
      sink.byte(TYPE.empty);
      sink.get(element);
      sink.op(W.return);
      sink.op(W.end);
      sink.op(W.end);
      sink.get(element);
      sink.memory(W.i32Load, 0);
      sink.set(element);
    });
  });
}

/**
 * `update(key, value)` with flags 0, as `HashMap.elementUpdate`: a new element goes in front
 * of others with its hash, then the old one comes out. 0, or `leftToHost` before anything is
 * changed: the map is full, its memory must grow, it is being walked.
 */
export function updateRoutine(plan: HashPlan, storeLow: number): Routine {
  return routine((sink) => {
    refuseDuringWalks(sink, plan);
    pushHash(sink, plan);
    sink.set(hash);
    findPlace(sink, plan, storeLow);
    refuseGrowth(sink, plan);
    takeElement(sink, plan, storeLow);
    sink.get(fresh);
    sink.get(hash);
    sink.memory(W.i32Store, hashAt);
    copy(sink, fresh, keyAt, key, plan.keySize);
    copy(sink, fresh, plan.payloadOffset, value, plan.valueSize);
    sink.get(fresh);
    sink.get(link);
    sink.memory(W.i32Load, 0);
    sink.memory(W.i32Store, 0);
    sink.get(link);
    sink.get(fresh);
    sink.memory(W.i32Store, 0);
    sink.get(old);
    sink.op(W.if);
    sink.byte(TYPE.empty);
    // What came before the old one is the new one now, if nothing else was between.
    sink.get(fresh);
    sink.get(oldLink);
    sink.get(oldLink);
    sink.get(link);
    sink.op(W.i32Eq);
    sink.op(W.select);
    sink.set(oldLink);
    unlink(sink, plan);
    sink.op(W.else);
    addToCount(sink, plan, 1);
    sink.op(W.end);
    sink.i32(0);
    sink.op(W.return);
  });
}

/** `remove(key, 0)`: 1 where there was no such key (`leftToHost` says the same error), else 0. */
export function removeRoutine(plan: HashPlan, storeLow: number): Routine {
  return routine((sink) => {
    refuseDuringWalks(sink, plan);
    pushHash(sink, plan);
    sink.set(hash);
    findPlace(sink, plan, storeLow);
    sink.get(old);
    sink.op(W.i32Eqz);
    returnIf(sink, leftToHost);
    unlink(sink, plan);
    addToCount(sink, plan, -1);
    sink.i32(0);
    sink.op(W.return);
  });
}

function routine(write: (sink: CodeSink) => void): Routine {
  return {
    params: [TYPE.i32, TYPE.i32],
    results: [TYPE.i32],
    locals,
    write: (sink) => {
      write(sink);
      sink.op(W.unreachable);
    },
  };
}

function loop(sink: CodeSink, body: () => void): void {
  sink.op(W.loop);
  sink.byte(TYPE.empty);
  body();
  sink.indexed(W.br, 0);
  sink.op(W.end);
}

function returnIf(sink: CodeSink, result: number): void {
  sink.op(W.if);
  sink.byte(TYPE.empty);
  sink.i32(result);
  sink.op(W.return);
  sink.op(W.end);
}

function pushState(sink: CodeSink, plan: HashPlan, at: number): void {
  sink.i32(0);
  sink.memory(W.i32Load, plan.state + at);
}

/** The hash of the key, as `HashTable.hash`. */
function pushHash(sink: CodeSink, { keySize, seed }: HashPlan): void {
  sink.i32(seed);
  let at = 0;
  for (; at + 4 <= keySize; at += 4) {
    mix(sink, () => {
      sink.get(key);
      sink.memory(W.i32Load, at);
    });
  }
  if (at < keySize) {
    mix(sink, () => {
      sink.i32(0);
      for (; at < keySize; at++) {
        sink.i32(8);
        sink.op(W.i32Shl);
        sink.get(key);
        sink.memory(W.i32Load8U, at);
        sink.op(W.i32Or);
      }
    });
  }
  sink.tee(hash);
  sink.get(hash);
  sink.i32(15);
  sink.op(W.i32ShrU);
  sink.op(W.i32Xor);
  sink.i32(hashFactors[1]);
  sink.op(W.i32Mul);
}

function mix(sink: CodeSink, pushWord: () => void): void {
  sink.i32(5);
  sink.op(W.i32Rotl);
  pushWord();
  sink.op(W.i32Xor);
  sink.i32(hashFactors[0]);
  sink.op(W.i32Mul);
}

/** Sets `link` to the word of the bucket for `hash` and leaves what it holds; no more elements than there are follow. */
function startWalk(sink: CodeSink, plan: HashPlan): void {
  pushState(sink, plan, tableState.count);
  sink.set(left);
  pushState(sink, plan, tableState.buckets);
  sink.get(hash);
  sink.i32(1);
  sink.op(W.i32ShrU);
  pushState(sink, plan, tableState.shift);
  sink.op(W.i32ShrU);
  sink.i32(2);
  sink.op(W.i32Shl);
  sink.op(W.i32Add);
  sink.tee(link);
  sink.memory(W.i32Load, 0);
}

/** Leaves the walk to the host where an element cannot be one, or comes after the last. */
function checkElement(sink: CodeSink, plan: HashPlan, storeLow: number, local: number): void {
  sink.get(left);
  sink.op(W.i32Eqz);
  pushNoElement(sink, plan, storeLow, local);
  sink.op(W.i32Or);
  returnIf(sink, leftToHost);
  sink.get(left);
  sink.i32(1);
  sink.op(W.i32Sub);
  sink.set(left);
}

/** Leaves not 0 where no element can start at an offset: it is not aligned, or not in memory. */
function pushNoElement(sink: CodeSink, plan: HashPlan, storeLow: number, local: number): void {
  sink.get(local);
  sink.i32(7);
  sink.op(W.i32And);
  sink.get(local);
  sink.i32(storeLow);
  sink.op(W.i32Sub);
  sink.i32(0);
  sink.memory(W.i32Load, engineArea.storeSpan);
  sink.i32(plan.stride);
  sink.op(W.i32Sub);
  sink.op(W.i32GtU);
  sink.op(W.i32Or);
}

/** Leaves 1 where the element has the key. */
function pushSameKey(sink: CodeSink, { keySize }: HashPlan, local: number): void {
  const parts = chunks(keySize);
  parts.forEach(({ at, load, equal }, i) => {
    sink.get(local);
    sink.memory(load, keyAt + at);
    sink.get(key);
    sink.memory(load, at);
    sink.op(equal);
    if (i > 0) sink.op(W.i32And);
  });
}

interface Chunk {
  readonly at: number;
  readonly load: number;
  readonly store: number;
  readonly equal: number;
}

const widths = [
  [8, W.i64Load, W.i64Store, W.i64Eq],
  [4, W.i32Load, W.i32Store, W.i32Eq],
  [2, W.i32Load16U, W.i32Store16, W.i32Eq],
  [1, W.i32Load8U, W.i32Store8, W.i32Eq],
] as const;

/** A number of bytes as the widest accesses that fit. */
function chunks(size: number): readonly Chunk[] {
  const out: Chunk[] = [];
  let at = 0;
  for (const [width, load, store, equal] of widths) {
    for (; at + width <= size; at += width) out.push({ at, load, store, equal });
  }
  return out;
}

/** Copies bytes that a local points to. */
export function copy(
  sink: CodeSink,
  to: number,
  toOffset: number,
  from: number,
  size: number,
): void {
  for (const { at, load, store } of chunks(size)) {
    sink.get(to);
    sink.get(from);
    sink.memory(load, at);
    sink.memory(store, toOffset + at);
  }
}

/** While a walk goes on, elements that come out must keep their links: the host knows how. */
function refuseDuringWalks(sink: CodeSink, plan: HashPlan): void {
  pushState(sink, plan, tableState.walks);
  returnIf(sink, leftToHost);
}

/**
 * Sets `link` to where a new element with `hash` goes in, `old` to the element with the key
 * (0 for none) and `oldLink` to what points to that.
 */
function findPlace(sink: CodeSink, plan: HashPlan, storeLow: number): void {
  startWalk(sink, plan);
  sink.set(element);
  walkWhile(sink, plan, storeLow, W.i32LtU, link);
  sink.get(link);
  sink.set(oldLink);
  sink.i32(0);
  sink.set(old);
  sink.op(W.block);
  sink.byte(TYPE.empty);
  loop(sink, () => {
    leaveUnless(sink, W.i32Eq);
    checkElement(sink, plan, storeLow, element);
    pushSameKey(sink, plan, element);
    sink.op(W.if);
    sink.byte(TYPE.empty);
    sink.get(element);
    sink.set(old);
    sink.indexed(W.br, 2);
    sink.op(W.end);
    advance(sink, oldLink);
  });
  sink.op(W.end);
}

/** Goes along the bucket while the elements' hashes compare so with `hash`. */
function walkWhile(
  sink: CodeSink,
  plan: HashPlan,
  storeLow: number,
  compare: number,
  before: number,
): void {
  sink.op(W.block);
  sink.byte(TYPE.empty);
  loop(sink, () => {
    leaveUnless(sink, compare);
    checkElement(sink, plan, storeLow, element);
    advance(sink, before);
  });
  sink.op(W.end);
}

/** Leaves the block around a loop at the end of the bucket, or where the hash no longer compares. */
function leaveUnless(sink: CodeSink, compare: number): void {
  sink.get(element);
  sink.op(W.i32Eqz);
  sink.indexed(W.brIf, 1);
  sink.get(element);
  sink.memory(W.i32Load, hashAt);
  sink.get(hash);
  sink.op(compare);
  sink.op(W.i32Eqz);
  sink.indexed(W.brIf, 1);
}

function advance(sink: CodeSink, before: number): void {
  sink.get(element);
  sink.set(before);
  sink.get(element);
  sink.memory(W.i32Load, 0);
  sink.set(element);
}

/** A full map, or one whose bucket array is to double, is the host's. */
function refuseGrowth(sink: CodeSink, plan: HashPlan): void {
  sink.get(old);
  sink.op(W.i32Eqz);
  pushState(sink, plan, tableState.count);
  sink.i32(plan.maxEntries);
  sink.op(W.i32GeU);
  sink.op(W.i32And);
  returnIf(sink, leftToHost);
  if (!plan.grows) return;
  pushState(sink, plan, tableState.count);
  sink.i32(1);
  sink.i32(31);
  pushState(sink, plan, tableState.shift);
  sink.op(W.i32Sub);
  sink.op(W.i32Shl);
  sink.op(W.i32GeU);
  returnIf(sink, leftToHost);
}

/** Sets `fresh` to an element from the pool, or leaves it to the host where there is none. */
function takeElement(sink: CodeSink, plan: HashPlan, storeLow: number): void {
  const state = plan.state + tableState.pool;
  sink.i32(0);
  sink.memory(W.i32Load, state + poolState.free);
  sink.tee(fresh);
  sink.op(W.if);
  sink.byte(TYPE.empty);
  pushNoElement(sink, plan, storeLow, fresh);
  returnIf(sink, leftToHost);
  sink.i32(0);
  sink.get(fresh);
  sink.memory(W.i32Load, 0);
  sink.memory(W.i32Store, state + poolState.free);
  sink.op(W.else);
  sink.i32(0);
  sink.memory(W.i32Load, state + poolState.next);
  sink.tee(fresh);
  sink.i32(0);
  sink.memory(W.i32Load, state + poolState.end);
  sink.op(W.i32Eq);
  returnIf(sink, leftToHost);
  sink.i32(0);
  sink.get(fresh);
  sink.i32(plan.stride);
  sink.op(W.i32Add);
  sink.memory(W.i32Store, state + poolState.next);
  sink.op(W.end);
}

/** Takes `old` out of its bucket and gives it back to the pool. */
function unlink(sink: CodeSink, plan: HashPlan): void {
  const state = plan.state + tableState.pool;
  sink.get(oldLink);
  sink.get(old);
  sink.memory(W.i32Load, 0);
  sink.memory(W.i32Store, 0);
  sink.get(old);
  sink.i32(0);
  sink.memory(W.i32Load, state + poolState.free);
  sink.memory(W.i32Store, 0);
  sink.i32(0);
  sink.get(old);
  sink.memory(W.i32Store, state + poolState.free);
}

function addToCount(sink: CodeSink, plan: HashPlan, by: number): void {
  sink.i32(0);
  pushState(sink, plan, tableState.count);
  sink.i32(by);
  sink.op(W.i32Add);
  sink.memory(W.i32Store, plan.state + tableState.count);
}
