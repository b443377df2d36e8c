import type { Columns } from './columns.ts';
import type { Work } from './work.ts';

/** Runs shorter than this are sorted by comparing names. */
const shortRun = 12;

/** Bytes of a name in one key; what is left of the 53 bits of a number is for the number of its item. */
const keyBytes = 3;
const itemRange = 2 ** 29;

/** As C's `strcmp`: bytes as unsigned numbers, a shorter name first. */
export function compareNames(columns: Columns, work: Work, a: number, b: number): number {
  if (a === b) return 0;
  const { strings } = columns;
  for (let i = 0; ; i++) {
    const left = strings[a + i] as number;
    const right = strings[b + i] as number;
    if (left === right && left !== 0) continue;
    work.charge(1 + (i >>> 6));
    return left - right;
  }
}

/** A part of {@link NameSorter.order}. */
export interface Run {
  readonly start: number;
  /** One past the last. */
  readonly end: number;
}

/** Names that are equal in their first `depth` bytes. */
interface DeepRun extends Run {
  readonly depth: number;
}

/**
 * Sorts items by several keys, one after the other: each step sorts runs of items that are
 * equal so far, and gives those that still are.
 *
 * Three bytes of a name and the number of its item make one number, so that the engine's
 * sort of numbers does the work; runs with the same three bytes are sorted by the next ones.
 * 5 ms for the 19,000 types of vmlinux that are sorted by name, where a sort of strings
 * takes 30 ms.
 */
export class NameSorter {
  /** Numbers of items, in order as far as they are sorted; {@link splitBy} comes first. */
  readonly order: Uint32Array;
  readonly #columns: Columns;
  readonly #work: Work;

  constructor(columns: Columns, work: Work, count: number) {
    this.#columns = columns;
    this.#work = work;
    this.order = new Uint32Array(count);
  }

  /** Puts all items in the order of keys, which are below a small `limit`. */
  splitBy(keys: readonly number[], limit: number): readonly Run[] {
    const order = this.order;
    const runs: Run[] = [];
    let at = 0;
    for (let key = 0; key < limit; key++) {
      const start = at;
      for (let item = 0; item < keys.length; item++) if (keys[item] === key) order[at++] = item;
      runs.push({ start, end: at });
    }
    return runs;
  }

  /** Sorts a run by the names of its items; runs with the same name. */
  sort({ start, end }: Run, names: readonly number[]): readonly Run[] {
    const equal: Run[] = [];
    const todo: DeepRun[] = [{ start, end, depth: 0 }];
    for (let run = todo.pop(); run !== undefined; run = todo.pop()) {
      if (run.end - run.start < shortRun) this.#sortShort(run, names, equal);
      else this.#sortLong(run, names, todo, equal);
    }
    return equal;
  }

  #sortLong(run: DeepRun, names: readonly number[], todo: DeepRun[], equal: Run[]): void {
    const { start, end, depth } = run;
    const { strings } = this.#columns;
    const order = this.order;
    this.#work.charge(end - start);
    const keys = new Float64Array(end - start);
    for (let i = start; i < end; i++) {
      const item = order[i] as number;
      keys[i - start] = keyAt(strings, (names[item] as number) + depth) * itemRange + item;
    }
    keys.sort();
    let runStart = start;
    let previous = -1;
    for (let i = start; i <= end; i++) {
      const key = i < end ? (keys[i - start] as number) : -1;
      const bytes = Math.floor(key / itemRange);
      if (i < end) order[i] = key - bytes * itemRange;
      if (bytes === previous) continue;
      if (i - runStart > 1) {
        // A zero in the key is the end of the name.
        if ((previous & 0xff) === 0) equal.push({ start: runStart, end: i });
        else todo.push({ start: runStart, end: i, depth: depth + keyBytes });
      }
      runStart = i;
      previous = bytes;
    }
  }

  /** Insertion sort. */
  #sortShort({ start, end, depth }: DeepRun, names: readonly number[], equal: Run[]): void {
    const order = this.order;
    const compare = (a: number, b: number): number => {
      const left = (names[a] as number) + depth;
      const right = (names[b] as number) + depth;
      return compareNames(this.#columns, this.#work, left, right);
    };
    for (let i = start + 1; i < end; i++) {
      const moving = order[i] as number;
      let at = i;
      for (; at > start && compare(order[at - 1] as number, moving) > 0; at--) {
        order[at] = order[at - 1] as number;
      }
      order[at] = moving;
    }
    let runStart = start;
    for (let i = start + 1; i <= end; i++) {
      if (i < end && compare(order[i - 1] as number, order[i] as number) === 0) continue;
      if (i - runStart > 1) equal.push({ start: runStart, end: i });
      runStart = i;
    }
  }
}

/** The next bytes of a name, most significant first, zeros from its end on. */
function keyAt(strings: Uint8Array, at: number): number {
  const first = strings[at] as number;
  if (first === 0) return 0;
  const second = strings[at + 1] as number;
  if (second === 0) return first << 16;
  return (first << 16) | (second << 8) | (strings[at + 2] as number);
}
