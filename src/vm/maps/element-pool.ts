import type { VmMemory } from '../memory.ts';
import { alignUp } from '../ranges.ts';

/** Options of {@link ElementPool}. */
export interface ElementPoolOptions {
  /** Size of one element in bytes, a multiple of 8. */
  readonly stride: number;
  readonly label: string;
  /** Elements to reserve at once; undefined where elements are taken from memory on demand. */
  readonly reserve: number | undefined;
  /** Offset of three words that hold the pool's state, see {@link poolState}. */
  readonly state: number;
}

/**
 * State of a pool, in memory that programs cannot write: compiled programs take elements and
 * give them back without leaving WebAssembly.
 *
 * ```
 *   0  u32  first free element, 0 for none
 *   4  u32  next element of the newest chunk that was never handed out
 *   8  u32  end of that chunk
 * ```
 */
export const poolState = { free: 0, next: 4, end: 8, size: 12 } as const;

const firstChunk = 4096;
const largestChunk = 65_536;

/**
 * Elements of one size for one map. Free ones are chained through their first word, so that
 * taking and giving back costs the same however many there are, and nothing of a reserved
 * pool is touched before it is used.
 */
export class ElementPool {
  readonly stride: number;
  readonly #memory: VmMemory;
  readonly #label: string;
  readonly #onDemand: boolean;
  readonly #chunks: number[] = [];
  #chunkSize = firstChunk;
  /** Index in `words` of the pool's state. */
  readonly #state: number;

  constructor(memory: VmMemory, options: ElementPoolOptions) {
    this.#memory = memory;
    this.#label = options.label;
    this.stride = options.stride;
    this.#state = options.state >>> 2;
    this.#onDemand = options.reserve === undefined;
    if (options.reserve !== undefined) this.#add(options.reserve * this.stride, true);
  }

  /** Offset of an element with unknown contents, 0 where there is none left. */
  take(): number {
    const { words } = this.#memory;
    const state = this.#state;
    const free = words[state] as number;
    if (free !== 0) {
      words[state] = words[free >>> 2] as number;
      return free;
    }
    if (words[state + 1] === words[state + 2] && !(this.#onDemand && this.#grow())) return 0;
    const offset = words[state + 1] as number;
    words[state + 1] = offset + this.stride;
    return offset;
  }

  /** Gives an element back; it may be taken again at once. */
  give(offset: number): void {
    const { words } = this.#memory;
    words[offset >>> 2] = words[this.#state] as number;
    words[this.#state] = offset;
  }

  /** Whether an element can start at `offset`: for walks over memory that a program may have damaged. */
  covers(offset: number): boolean {
    return (
      (offset & 7) === 0 &&
      offset >= this.#memory.storeLow &&
      offset + this.stride <= this.#memory.mainEnd
    );
  }

  destroy(): void {
    for (const chunk of this.#chunks) this.#memory.free(chunk);
    this.#chunks.length = 0;
  }

  #grow(): boolean {
    const size = Math.max(this.#chunkSize, this.stride);
    this.#chunkSize = Math.min(this.#chunkSize * 2, largestChunk);
    return this.#add(size - (size % this.stride), false);
  }

  #add(size: number, must: boolean): boolean {
    const options = { label: this.#label, align: 8 };
    const chunk = must
      ? this.#memory.allocate(size, options)
      : this.#memory.tryAllocate(size, options);
    if (chunk === 0) return false;
    this.#chunks.push(chunk);
    this.#memory.words[this.#state + 1] = chunk;
    this.#memory.words[this.#state + 2] = chunk + alignUp(size, this.stride);
    return true;
  }
}
