/**
 * Which element of a full map is dropped to make room. Linux keeps lists of active and
 * inactive elements and evicts about the oldest that no program has looked up since they were
 * last looked over (kernel/bpf/bpf_lru_list.c); here it is one ring that is gone round with a
 * second chance for those that were used ("clock"), which evicts in kind: never an element
 * that was used since the last time round, as long as there is another. User space's lookups
 * count as no use, as in Linux.
 */
export class EvictionRing {
  /** Elements in the order in which they are considered next, and whether they were used. */
  readonly #used = new Map<number, boolean>();

  /** A program looks at an element. */
  use(element: number): void {
    if (this.#used.get(element) === false) this.#used.set(element, true);
  }

  enter(element: number): void {
    this.#used.set(element, false);
  }

  leave(element: number): void {
    this.#used.delete(element);
  }

  /** Goes round the ring: who was used gets behind the others, the first who was not is it; 0 where nobody is. */
  choose(): number {
    for (const [element, used] of this.#used) {
      if (!used) return element;
      this.#used.delete(element);
      this.#used.set(element, false);
    }
    return 0;
  }
}
