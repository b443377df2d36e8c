import { BpfError } from '../../errors.ts';

/**
 * Steps that a deduplication may take. Types that look alike and are not must be compared
 * pair by pair, so BTF made for the purpose could keep it busy for days; real BTF takes
 * one or two steps for each of its words.
 */
export class WorkLimit {
  readonly #btf: string;
  readonly #limit: number;
  #left: number;

  constructor(btf: string, words: number) {
    this.#btf = btf;
    this.#limit = 2 ** 25 + 8 * words;
    this.#left = this.#limit;
  }

  /** {@link BpfError} `btf-dedup-limit` when there are no steps left. */
  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left >= 0) return;
    const limit = this.#limit;
    throw new BpfError({ code: 'btf-dedup-limit', btf: this.#btf, limited: 'work', limit });
  }
}
