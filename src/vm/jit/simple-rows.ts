import { ERRNO } from '../../abi/errno.ts';
import { engineArea } from '../memory.ts';
import { enterFrame, pushCallee } from './call-rows.ts';
import type { FunctionWriter } from './function-writer.ts';
import { LOCAL, registerLocal } from './locals.ts';
import type { Routine } from './routines.ts';
import { TYPE, W } from './wasm-codes.ts';

/** Most rounds of one `bpf_loop` (`BPF_MAX_LOOPS`). */
const mostRounds = 8 * 1024 * 1024;

/** Writes the reading of a clock. */
export function emitClock(writer: FunctionWriter, at: number): void {
  const { sink } = writer;
  sink.i32(0);
  sink.memory(W.i64Load, at);
  sink.set(registerLocal(0));
}

/** Subject of the one routine that draws a random number. */
const randomSource = {};

/** Writes `bpf_get_prandom_u32`. */
export function emitRandom(writer: FunctionWriter): void {
  const { sink, names } = writer;
  sink.indexed(W.call, names.routines.index(randomSource, 'next', randomRoutine));
  sink.extend();
  sink.set(registerLocal(0));
}

/** The next number of xoshiro128**, as `VmRandom.next`. */
function randomRoutine(): Routine {
  const state = [0, 1, 2, 3].map((i) => engineArea.random + 4 * i);
  const [a, b, c, d, result] = [0, 1, 2, 3, 4] as const;
  return {
    params: [],
    results: [TYPE.i32],
    locals: [[5, TYPE.i32]],
    write: (sink) => {
      const rotate = (by: number): void => {
        sink.i32(by);
        sink.op(W.i32Rotl);
      };
      const times = (by: number): void => {
        sink.i32(by);
        sink.op(W.i32Mul);
      };
      /** `to = x ^ y`. */
      const xor = (to: number, x: number, y: number): void => {
        sink.get(x);
        sink.get(y);
        sink.op(W.i32Xor);
        sink.set(to);
      };
      state.forEach((at, i) => {
        sink.i32(0);
        sink.memory(W.i32Load, at);
        sink.set(i);
      });
      sink.get(b);
      times(5);
      rotate(7);
      times(9);
      sink.set(result);
      // c ^= a; d ^= b; then b takes the new c, a the new d; c also the old b shifted.
      xor(c, c, a);
      xor(d, d, b);
      sink.get(c);
      sink.get(b);
      sink.i32(9);
      sink.op(W.i32Shl);
      xor(b, b, c);
      xor(a, a, d);
      sink.op(W.i32Xor);
      sink.set(c);
      sink.get(d);
      rotate(11);
      sink.set(d);
      state.forEach((at, i) => {
        sink.i32(0);
        sink.get(i);
        sink.memory(W.i32Store, at);
      });
      sink.get(result);
    },
  };
}

/**
 * Writes `bpf_loop` over a function of the program: rounds done; a callback that gives anything
 * but 0 ends it. The verifier replaces the call by a loop of its own, whose error is a 32-bit
 * move: programs see 4294967289 and not -7.
 */
export function emitLoop(writer: FunctionWriter, row: number, callback: number): void {
  const { sink } = writer;
  sink.low(registerLocal(1));
  sink.tee(LOCAL.offset);
  sink.i32(mostRounds);
  sink.op(W.i32GtU);
  sink.op(W.if);
  sink.byte(TYPE.i64);
  sink.i64(BigInt(-ERRNO.E2BIG >>> 0));
  sink.op(W.else);
  sink.get(LOCAL.offset);
  sink.op(W.if);
  sink.byte(TYPE.i64);
  writer.height += 2;
  writeRounds(writer, row, callback);
  writer.height -= 2;
  sink.op(W.else);
  sink.i64(0n);
  sink.op(W.end);
  sink.op(W.end);
  sink.set(registerLocal(0));
}

/** Calls the callback as often as `LOCAL.offset` says, at least once; leaves how often. */
function writeRounds(writer: FunctionWriter, row: number, callback: number): void {
  const { sink } = writer;
  enterFrame(writer, row);
  writer.storeFuel();
  sink.i32(0);
  sink.set(LOCAL.word);
  sink.op(W.loop);
  sink.byte(TYPE.empty);
  pushCallee(writer);
  sink.get(LOCAL.word);
  sink.extend();
  sink.get(registerLocal(3));
  for (const register of [3, 4, 5]) sink.get(registerLocal(register));
  sink.indexed(W.call, writer.names.functions.get(callback) as number);
  sink.set(LOCAL.value);
  sink.get(LOCAL.word);
  sink.i32(1);
  sink.op(W.i32Add);
  sink.tee(LOCAL.word);
  sink.get(LOCAL.offset);
  sink.op(W.i32LtU);
  sink.get(LOCAL.value);
  sink.op(W.i64Eqz);
  sink.op(W.i32And);
  sink.indexed(W.brIf, 0);
  sink.op(W.end);
  writer.loadFuel();
  writer.loadBounds();
  sink.get(LOCAL.word);
  sink.extend();
}
