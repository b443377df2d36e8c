import type { VmMemory } from '../memory.ts';
import { alignUp } from '../ranges.ts';

/** Options of {@link ElementPool}. */
export interface ElementPoolOptions {
  /** Size of one element in bytes, a multiple of 8. */
  readonly stride: number;
  readonly label: string;
  /** Elements to reserve at once; undefined where elements are taken from memory on demand. */
  readonly reserve: number | undefined;
}

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
  /** Elements of the newest chunk that were never handed out: [next, end). */
  #next = 0;
  #end = 0;
  #free = 0;

  constructor(memory: VmMemory, options: ElementPoolOptions) {
    this.#memory = memory;
    this.#label = options.label;
    this.stride = options.stride;
    this.#onDemand = options.reserve === undefined;
    if (options.reserve !== undefined) this.#add(options.reserve * this.stride, true);
  }

  /** Offset of an element with unknown contents, 0 where there is none left. */
  take(): number {
    const free = this.#free;
    if (free !== 0) {
      this.#free = this.#memory.words[free >>> 2] as number;
      return free;
    }
    if (this.#next === this.#end && !(this.#onDemand && this.#grow())) return 0;
    const offset = this.#next;
    this.#next += this.stride;
    return offset;
  }

  /** Gives an element back; it may be taken again at once. */
  give(offset: number): void {
    this.#memory.words[offset >>> 2] = this.#free;
    this.#free = offset;
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
    this.#next = chunk;
    this.#end = chunk + alignUp(size, this.stride);
    return true;
  }
}
