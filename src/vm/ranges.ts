/**
 * Hands out ranges of [0, capacity): the lowest free one that fits (first fit), neighbours
 * joined when they are given back. Keeps its books outside of the memory it manages, where
 * no program can damage them.
 */
export class RangeAllocator {
  readonly capacity: number;
  /** Starts and ends of the free ranges below `top`, ascending. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #top = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** End of the highest range in use: all above is free. */
  get top(): number {
    return this.#top;
  }

  /** Start of `size` bytes at a multiple of `align` (a power of two), or -1 if there is no room. */
  allocate(size: number, align: number): number {
    for (let i = 0; i < this.#starts.length; i++) {
      const start = alignUp(this.#starts[i] as number, align);
      if (start + size <= (this.#ends[i] as number)) return this.#take(i, start, size);
    }
    const start = alignUp(this.#top, align);
    if (start + size > this.capacity) return -1;
    const gap = this.#top;
    this.#top = start + size;
    if (start > gap) this.#insert(gap, start);
    return start;
  }

  /** Gives back what `allocate` returned for the same size. */
  free(start: number, size: number): void {
    this.#insert(start, start + size);
    const last = this.#starts.length - 1;
    if (this.#ends[last] !== this.#top) return;
    this.#top = this.#starts.pop() as number;
    this.#ends.pop();
  }

  #take(i: number, start: number, size: number): number {
    const low = this.#starts[i] as number;
    const high = this.#ends[i] as number;
    const end = start + size;
    if (start > low) {
      this.#ends[i] = start;
      if (end < high) this.#splice(i + 1, 0, end, high);
    } else if (end < high) this.#starts[i] = end;
    else this.#splice(i, 1);
    return start;
  }

  /** Adds a free range and joins it with the ones that touch it. */
  #insert(start: number, end: number): void {
    const i = this.#firstAfter(start);
    const joinsBefore = i > 0 && this.#ends[i - 1] === start;
    const joinsAfter = this.#starts[i] === end;
    if (joinsBefore && joinsAfter) {
      this.#ends[i - 1] = this.#ends[i] as number;
      this.#splice(i, 1);
    } else if (joinsBefore) this.#ends[i - 1] = end;
    else if (joinsAfter) this.#starts[i] = start;
    else this.#splice(i, 0, start, end);
  }

  #firstAfter(start: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] as number) <= start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #splice(at: number, remove: number, start?: number, end?: number): void {
    if (start === undefined || end === undefined) {
      this.#starts.splice(at, remove);
      this.#ends.splice(at, remove);
    } else {
      this.#starts.splice(at, remove, start);
      this.#ends.splice(at, remove, end);
    }
  }
}

/** The next multiple of `align`, a power of two; exact up to 2^53. */
export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}
