import { BpfError } from '../../errors.ts';
import type { Columns } from './columns.ts';

/** Steps that any dump may take, and steps for each word of the type section. */
const fewestSteps = 1 << 20;
const stepsPerWord = 64;

/**
 * Bounds what a dump may cost. The rules of C dumps visit some types again for each type
 * that refers to them, as libbpf does; damaged BTF can make that a circle, or a tree that
 * doubles at each level. Real BTF takes about one step a word.
 */
export class Work {
  readonly #btf: string;
  readonly #ownLimit: number;
  #limit: number;
  #left: number;

  constructor({ btf, words, strings }: Columns) {
    this.#btf = btf.name;
    this.#ownLimit = fewestSteps + stepsPerWord * words.length + strings.length;
    this.#limit = this.#ownLimit;
    this.#left = this.#limit;
  }

  /**
   * Starts again: the limit is for one dump, of which an object may make many. `more` steps
   * are allowed for what is beside the BTF.
   */
  restart(more = 0): void {
    this.#limit = this.#ownLimit + more;
    this.#left = this.#limit;
  }

  /** {@link BpfError} `btf-dump-limit` when there were too many steps. */
  charge(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0) {
      const limit = this.#limit;
      throw new BpfError({ code: 'btf-dump-limit', btf: this.#btf, limited: 'work', limit });
    }
  }
}
