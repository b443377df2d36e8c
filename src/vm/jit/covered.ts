import { OP } from '../engine/operations.ts';
import { writtenBy } from './effects.ts';
import type { FunctionWriter } from './function-writer.ts';
import { accessAt } from './memory-forms.ts';

/** Bytes around what a register points to that one check covers: from `low` up to `high`. */
export interface Covered {
  readonly low: number;
  readonly high: number;
  readonly access: 'load' | 'store';
}

/** Largest distance between accesses that are checked as one. */
const widest = 4096;

/**
 * What a check at a row can cover besides its own access: all later accesses of the block
 * through the same register, as long as nothing changes the register or the memory's bounds.
 * They will be reached unless something before them traps, and memory is one window, so that
 * their hull is outside exactly where one of them is.
 *
 * Loads and stores have different bounds. Loads join stores only where stores reach as far.
 */
export function coverFrom(writer: FunctionWriter, row: number, end: number): Covered {
  const own = accessAt(writer.code, row);
  if (own === undefined) throw new Error(`row ${row} is no memory access`);
  const hull = {
    load: span(own.access === 'load' ? own : undefined),
    store: span(own.access === 'store' ? own : undefined),
  };
  for (let at = row; at < end; at++) {
    const later = accessAt(writer.code, at);
    if (later !== undefined && later.register === own.register) grow(hull[later.access], later);
    if (changes(writer, at, own.register)) break;
  }
  const { load, store } = hull;
  const asStore =
    store.low <= store.high &&
    (own.access === 'store' || (load.low >= store.low && load.high <= store.high));
  const chosen = asStore ? store : load;
  return { low: chosen.low, high: chosen.high, access: asStore ? 'store' : 'load' };
}

interface Span {
  low: number;
  high: number;
}

interface Reach {
  readonly offset: number;
  readonly size: number;
}

function span(first: Reach | undefined): Span {
  if (first === undefined) return { low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY };
  return { low: first.offset, high: first.offset + first.size };
}

function grow(to: Span, { offset, size }: Reach): void {
  const low = Math.min(to.low, offset);
  const high = Math.max(to.high, offset + size);
  if (high - low > widest) return;
  to.low = low;
  to.high = high;
}

/** Whether a row ends what a check covers: another value in the register, or code elsewhere. */
function changes(writer: FunctionWriter, row: number, register: number): boolean {
  const op = writer.op(row);
  if (op >= OP.goto && op <= OP.exit) return true;
  if (op === OP.trap) return true;
  const written = writtenBy[op];
  if (written === 'dst') return writer.dst(row) === register;
  if (written === 'src') return writer.src(row) === register;
  return written === 'r0' && register === 0;
}
