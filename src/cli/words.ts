import { escapeName } from '../errors/quote.ts';
import { UsageError } from './usage.ts';

/**
 * The words of a command in bpftool's grammar (`dump file vmlinux format c root_id 7`), read
 * from left to right. Keywords may be abbreviated to any prefix, as bpftool allows.
 */
export class Words {
  readonly #words: readonly string[];
  readonly #usage: string;
  #at = 0;

  constructor(words: readonly string[], usage: string) {
    this.#words = words;
    this.#usage = usage;
  }

  get done(): boolean {
    return this.#at >= this.#words.length;
  }

  /** Takes the next word, whatever it is; `what` says what is missing where there is none. */
  next(what: string): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw this.refuse(`${what} is missing`);
    this.#at++;
    return word;
  }

  /** Takes the next word if it is `keyword` or a prefix of it. */
  take(keyword: string): boolean {
    const word = this.#words[this.#at];
    if (word === undefined || word === '' || !keyword.startsWith(word)) return false;
    this.#at++;
    return true;
  }

  /** Takes the next word, which must be one of `keywords` or a prefix of one. */
  oneOf<K extends string>(keywords: readonly K[], what: string): K {
    const word = this.next(what);
    const found = keywords.find((keyword) => word !== '' && keyword.startsWith(word));
    if (found === undefined) throw this.refuse(`'${escapeName(word)}' is no ${what}`);
    return found;
  }

  /** Takes a whole number from 0 to 2³² - 1. */
  number(what: string): number {
    const word = this.next(what);
    const value = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : Number.NaN;
    if (!(value <= 0xffff_ffff)) throw this.refuse(`'${escapeName(word)}' is no ${what}`);
    return value;
  }

  /** Refuses words that are left over. */
  end(): void {
    const word = this.#words[this.#at];
    if (word !== undefined) throw this.refuse(`'${escapeName(word)}' was not expected`);
  }

  /** The error for words that do not go together. */
  refuse(reason: string): UsageError {
    return new UsageError(`${reason}; usage: ${this.#usage}`);
  }
}
