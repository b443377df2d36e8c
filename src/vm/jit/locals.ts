import { TYPE } from './wasm-codes.ts';

/**
 * Locals of every compiled BPF function. Those that a function does not use cost nothing.
 *
 * ```
 *   0       i32  frame: the lowest byte of the function's stack frame
 *   1…5     i64  r1…r5, the parameters
 *   6…11    i64  r0, r6…r9, r10
 * ```
 */
export const LOCAL = {
  frame: 0,
  /** Instructions that the run may still take. */
  fuel: 12,
  address: 13,
  value: 14,
  /** Lowest address that loads may have. */
  mainLow: 15,
  /**
   * Distances from the lowest address at which accesses of 1, 2, 4 and 8 bytes do not fit any
   * more: four for loads, four for stores.
   */
  loadSpan: 16,
  storeSpan: 20,
  /** What a loop's counter is after its clear turns; their number, while it is worked out. */
  stop: 24,
  /** Row of the next thing that can go wrong. */
  row: 25,
  /** Block to go to, in a dispatch loop. */
  label: 26,
  /** What is left of the loops of `may_goto`. */
  loops: 27,
  offset: 28,
  word: 29,
} as const;

/** Parameters of a compiled function; its result is r0. */
export const parameterTypes = [TYPE.i32, TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i64, TYPE.i64] as const;

/** The other locals, by type in the order of their indices. */
export const localTypes = [
  [19, TYPE.i64],
  [5, TYPE.i32],
] as const;

/** Local of each BPF register. */
export const registerLocals = [6, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11] as const;

/** Local of a BPF register. */
export function registerLocal(register: number): number {
  return registerLocals[register] as number;
}
