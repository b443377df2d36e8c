/** Something that holds a resource of a backend. */
interface Closeable {
  close(): void;
}

/** Closes what it was given, last first; closing twice is harmless. */
export class Owner {
  #owned: Closeable[] = [];

  add<T extends Closeable>(item: T): T {
    this.#owned.push(item);
    return item;
  }

  /** Closes everything; where that fails, the rest is closed all the same and the first error leaves. */
  close(): void {
    const errors = this.#closeAll();
    if (errors.length > 0) throw errors[0];
  }

  /** Closes everything after an error that matters more than those of closing. */
  abandon(): void {
    this.#closeAll();
  }

  #closeAll(): unknown[] {
    const errors: unknown[] = [];
    const owned = this.#owned;
    this.#owned = [];
    for (const item of owned.reverse()) {
      try {
        item.close();
      } catch (error) {
        errors.push(error);
      }
    }
    return errors;
  }
}
