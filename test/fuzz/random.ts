/** A small generator of random numbers with a seed: the same seed gives the same damage on any machine. */
export class Random {
  #state: number;

  /** Mixes both numbers, so that neighbouring indices of one seed have nothing in common. */
  constructor(seed: number, index: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  }

  /** Any 32-bit number, unsigned (the mulberry32 generator). */
  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** A whole number from 0 up to, and without, `end`; 0 where `end` is 0. */
  below(end: number): number {
    return end <= 0 ? 0 : this.u32() % end;
  }

  /** True once in `n`. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of the items; the list must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}
