import { errnoError } from '../errno.ts';
import type { VmMemory } from '../memory.ts';
import { alignUp } from '../ranges.ts';
import { ElementPool, poolState } from './element-pool.ts';

/** Options of {@link HashTable}. */
export interface HashTableOptions {
  readonly label: string;
  readonly map: string;
  /** In bytes. */
  readonly keySize: number;
  /** Bytes after the key, a multiple of 8: one value, or one for each CPU. */
  readonly payloadSize: number;
  readonly maxEntries: number;
  /** Elements are taken from memory when needed, and buckets grow with them. */
  readonly onDemand: boolean;
  /** Reserved elements beyond `maxEntries`, for replacing in a full table. */
  readonly spare: number;
  readonly seed: number;
}

/** Offsets in an element. */
const hashAt = 4;
const keyAt = 8;

/**
 * What of a table changes, in memory that programs cannot write: compiled programs look up,
 * update and delete without leaving WebAssembly (`jit/hash-functions.ts`).
 *
 * ```
 *    0  u32 × 3  the pool of elements, see `poolState`
 *   12  u32      offset of the bucket array
 *   16  u32      31 less the number of bits in a bucket's index
 *   20  u32      elements in the table
 *   24  u32      walks in progress; meanwhile elements that are given back keep their links
 * ```
 */
export const tableState = {
  pool: 0,
  buckets: poolState.size,
  shift: poolState.size + 4,
  count: poolState.size + 8,
  walks: poolState.size + 12,
  size: poolState.size + 16,
} as const;

/** Factors of the hash function; odd, with bits all over. */
export const hashFactors = [0x9e37_79b1 | 0, 0x85eb_ca6b | 0] as const;

const smallestBuckets = 16;

/**
 * Hash table in VM memory.
 *
 * ```
 *   bucket array   u32 × (a power of two): offset of the first element, 0 for an empty bucket
 *   element        0   u32  offset of the next element in the bucket, 0 at the end
 *                  4   u32  hash of the key; the bucket is its highest bits
 *                  8   key, padded to a multiple of 8
 *                  …   payload
 * ```
 * Elements never move, so that pointers to values stay valid as in the kernel. In a bucket
 * they are in the order of their hashes, so all elements are in that order: a walk that goes
 * from key to key neither skips nor repeats when the buckets double. A prealloc table has as many buckets as its `maxEntries` rounded
 * up to a power of two; an on-demand one starts small and doubles when it holds as many
 * elements as buckets.
 *
 * Programs can write over this memory by mistake. Every walk checks each link and ends after
 * as many elements as there are.
 */
export class HashTable {
  readonly payloadOffset: number;
  readonly #memory: VmMemory;
  readonly #options: HashTableOptions;
  readonly #keySize: number;
  /** Start value of the hash function. */
  readonly seed: number;
  readonly mostBuckets: number;
  /** Bytes of an element. */
  readonly stride: number;
  /** Offset of {@link tableState}. */
  readonly state: number;
  readonly #pool: ElementPool;
  /** Index in `words` of {@link tableState}. */
  readonly #state: number;
  #bucketCount: number;
  readonly #waiting: number[] = [];

  constructor(memory: VmMemory, options: HashTableOptions) {
    this.#memory = memory;
    this.#options = options;
    this.#keySize = options.keySize;
    this.seed = options.seed ^ options.keySize;
    this.payloadOffset = keyAt + alignUp(options.keySize, 8);
    this.stride = this.payloadOffset + options.payloadSize;
    this.mostBuckets = roundUpPowerOfTwo(options.maxEntries);
    this.state = memory.allocate(tableState.size, { label: options.label, readOnly: true });
    this.#state = this.state >>> 2;
    this.#bucketCount = options.onDemand
      ? Math.min(this.mostBuckets, smallestBuckets)
      : this.mostBuckets;
    this.#pool = this.#makePool();
    const buckets = this.#allocateBuckets(this.#bucketCount);
    this.#setBuckets(buckets, this.#bucketCount);
  }

  /** Number of elements. */
  get count(): number {
    return this.#word(tableState.count);
  }

  /** Offset of the element with the key at `key[at]`, 0 where there is none. */
  find(key: Uint8Array, at: number): number {
    const hash = this.hash(key, at);
    const { words } = this.#memory;
    let element = words[this.#bucketWord(hash)] as number;
    for (let left = this.count; element !== 0; left--) {
      this.#checkLink(element, left);
      if (words[(element + hashAt) >>> 2] === hash && this.#sameKey(element, key, at)) {
        return element;
      }
      element = words[element >>> 2] as number;
    }
    return 0;
  }

  /**
   * A new element with the key at `key[at]`, not yet in the table and with unknown payload;
   * 0 where there is no memory for it. Put it in with `link`, or give it back with `drop`.
   */
  create(key: Uint8Array, at: number): number {
    const element = this.#pool.take() || (this.#waiting.shift() ?? 0);
    if (element === 0) return 0;
    const { bytes, words } = this.#memory;
    words[(element + hashAt) >>> 2] = this.hash(key, at);
    for (let i = 0; i < this.#keySize; i++) bytes[element + keyAt + i] = key[at + i] as number;
    return element;
  }

  /** Puts a created element into its bucket, before others of the same hash. */
  link(element: number): void {
    if (this.count >= this.#bucketCount && this.#bucketCount < this.mostBuckets) {
      this.#growBuckets();
    }
    this.#insert(element);
    this.#add(tableState.count, 1);
  }

  /** Takes an element out of its bucket; give it back with `drop`. */
  unlink(element: number): void {
    const { words } = this.#memory;
    let from = this.#bucketWord(words[(element + hashAt) >>> 2] as number);
    for (let left = this.count; words[from] !== element; left--) {
      const next = words[from] as number;
      if (next === 0) throw this.#damaged();
      this.#checkLink(next, left);
      from = next >>> 2;
    }
    words[from] = words[element >>> 2] as number;
    this.#add(tableState.count, -1);
  }

  /** Gives back an element that is not in the table. */
  drop(element: number): void {
    if (this.#word(tableState.walks) > 0) this.#waiting.push(element);
    else this.#pool.give(element);
  }

  /** The element after `element` in bucket order, the first for 0; 0 at the end. */
  next(element: number): number {
    if (element === 0) return this.#firstFrom(0);
    const following = this.#memory.words[element >>> 2] as number;
    if (following !== 0) return this.#checked(following);
    return this.#firstFrom(this.#bucketOf(this.hashOf(element)) + 1);
  }

  /** The first element in order whose key has a greater hash; 0 at the end. */
  after(hash: number): number {
    const { words } = this.#memory;
    let element = words[this.#bucketWord(hash)] as number;
    let last = 0;
    for (let left = this.count; element !== 0; left--) {
      this.#checkLink(element, left);
      if (this.hashOf(element) > hash) return element;
      last = element;
      element = words[element >>> 2] as number;
    }
    return last === 0 ? this.#firstFrom(this.#bucketOf(hash) + 1) : this.next(last);
  }

  /** Hash of an element's key. */
  hashOf(element: number): number {
    return this.#memory.words[(element + hashAt) >>> 2] as number;
  }

  /**
   * Calls `visit` for each element until it gives false. Elements may be added and removed
   * meanwhile: what is removed keeps its link until the walk ends, as under the kernel's RCU,
   * unless a full table needs the element before. Only for visits that cost a program
   * instructions of its budget: nothing else ends a walk over links bent into a ring.
   */
  walk(visit: (element: number) => boolean): void {
    this.#add(tableState.walks, 1);
    try {
      for (let element = this.next(0); element !== 0; element = this.next(element)) {
        if (!visit(element)) return;
      }
    } finally {
      this.#add(tableState.walks, -1);
      if (this.#word(tableState.walks) === 0) this.#dropWaiting();
    }
  }

  keyOffset(element: number): number {
    return element + keyAt;
  }

  /** A copy of an element's key. */
  key(element: number): Uint8Array {
    const at = element + keyAt;
    return this.#memory.bytes.slice(at, at + this.#keySize);
  }

  destroy(): void {
    this.#memory.free(this.#word(tableState.buckets));
    this.#pool.destroy();
    this.#memory.free(this.state);
  }

  /**
   * Hash of the key at `key[at]`: its 32-bit words, and what is left, each mixed in by a
   * rotation and a multiplication; at the end once more, so that all bits reach the highest
   * ones, which choose the bucket. Two multiplications for a key of 4 bytes.
   */
  hash(key: Uint8Array, at: number): number {
    const size = this.#keySize;
    let hash = this.seed;
    let i = at;
    for (const end = at + (size & ~3); i < end; i += 4) {
      hash = mix(
        hash,
        (key[i] as number) |
          ((key[i + 1] as number) << 8) |
          ((key[i + 2] as number) << 16) |
          ((key[i + 3] as number) << 24),
      );
    }
    if ((size & 3) !== 0) {
      let rest = 0;
      for (const end = at + size; i < end; i++) rest = (rest << 8) | (key[i] as number);
      hash = mix(hash, rest);
    }
    return Math.imul(hash ^ (hash >>> 15), hashFactors[1]) >>> 0;
  }

  #sameKey(element: number, key: Uint8Array, at: number): boolean {
    const { bytes } = this.#memory;
    const own = element + keyAt;
    for (let i = 0; i < this.#keySize; i++) if (bytes[own + i] !== key[at + i]) return false;
    return true;
  }

  #bucketOf(hash: number): number {
    // Two shifts, because one by 32 for a single bucket would be one by 0.
    return (hash >>> 1) >>> this.#word(tableState.shift);
  }

  /** Index in `words` of the bucket for a hash. */
  #bucketWord(hash: number): number {
    return (this.#word(tableState.buckets) >>> 2) + this.#bucketOf(hash);
  }

  #insert(element: number): void {
    const { words } = this.#memory;
    const hash = words[(element + hashAt) >>> 2] as number;
    let from = this.#bucketWord(hash);
    let next = words[from] as number;
    for (let left = this.count; next !== 0; left--) {
      this.#checkLink(next, left);
      if ((words[(next + hashAt) >>> 2] as number) >= hash) break;
      from = next >>> 2;
      next = words[from] as number;
    }
    words[element >>> 2] = next;
    words[from] = element;
  }

  /** The first element in a bucket or one behind it. */
  #firstFrom(first: number): number {
    const { words } = this.#memory;
    const buckets = this.#word(tableState.buckets) >>> 2;
    for (let bucket = first; bucket < this.#bucketCount; bucket++) {
      const element = words[buckets + bucket] as number;
      if (element !== 0) return this.#checked(element);
    }
    return 0;
  }

  #allocateBuckets(buckets: number): number {
    try {
      return this.#memory.allocate(buckets * 4, { label: this.#options.label });
    } catch (error) {
      this.#pool.destroy();
      this.#memory.free(this.state);
      throw error;
    }
  }

  #makePool(): ElementPool {
    const { label, onDemand, maxEntries, spare } = this.#options;
    const reserve = onDemand ? undefined : maxEntries + spare;
    try {
      return new ElementPool(this.#memory, {
        stride: this.stride,
        label,
        reserve,
        state: this.state + tableState.pool,
      });
    } catch (error) {
      this.#memory.free(this.state);
      throw error;
    }
  }

  #word(at: number): number {
    return this.#memory.words[this.#state + (at >>> 2)] as number;
  }

  #add(at: number, by: number): void {
    const { words } = this.#memory;
    const word = this.#state + (at >>> 2);
    words[word] = (words[word] as number) + by;
  }

  #setBuckets(buckets: number, count: number): void {
    const { words } = this.#memory;
    words[this.#state + (tableState.buckets >>> 2)] = buckets;
    words[this.#state + (tableState.shift >>> 2)] = 31 - Math.log2(count);
  }

  /** Doubles the bucket array; stays as it is where there is no memory, or while a walk needs the order. */
  #growBuckets(): void {
    if (this.#word(tableState.walks) > 0) return;
    const size = this.#bucketCount * 2;
    const bigger = this.#memory.tryAllocate(size * 4, { label: this.#options.label });
    if (bigger === 0) return;
    const elements = this.#inOrder();
    this.#memory.free(this.#word(tableState.buckets));
    this.#setBuckets(bigger, size);
    this.#bucketCount = size;
    // Backwards, so that each goes to the front of its bucket.
    for (let i = elements.length - 1; i >= 0; i--) this.#insert(elements[i] as number);
  }

  #inOrder(): number[] {
    const elements: number[] = [];
    for (let element = this.next(0); element !== 0; element = this.next(element)) {
      if (elements.length === this.count) throw this.#damaged();
      elements.push(element);
    }
    return elements;
  }

  #dropWaiting(): void {
    for (const element of this.#waiting) this.#pool.give(element);
    this.#waiting.length = 0;
  }

  #checked(element: number): number {
    if (!this.#pool.covers(element)) throw this.#damaged();
    return element;
  }

  #checkLink(element: number, left: number): void {
    if (left <= 0 || !this.#pool.covers(element)) throw this.#damaged();
  }

  #damaged(): Error {
    return errnoError('EFAULT', 'walk the elements', {
      map: this.#options.map,
      reason: 'a program has written over the memory of the map itself',
    });
  }
}

function mix(hash: number, word: number): number {
  return Math.imul(((hash << 5) | (hash >>> 27)) ^ word, hashFactors[0]);
}

function roundUpPowerOfTwo(value: number): number {
  let size = 1;
  while (size < value) size *= 2;
  return size;
}
