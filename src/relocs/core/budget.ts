import { BpfError } from '../../errors.ts';

/**
 * Steps that deciding all relocations of an object may take: looking at a candidate, at a struct
 * within a struct without a name, at a pair of types. The largest real objects (35,000
 * relocations) need some 100,000; types made to be slow, such as thousands of candidates or
 * of unnamed members, would need billions, and are refused within a second.
 */
const steps = 1 << 23;

/** What a candidate costs, in steps: it is also kept in the result. */
export const candidateSteps = 32;

/** Counts the work on one object. */
export class Budget {
  #left = steps;

  /** Takes some steps; the error names the type, by a function since words cost time. */
  spend(count: number, type: () => string): void {
    this.#left -= count;
    if (this.#left < 0) throw new BpfError({ code: 'core-too-complex', type: type() });
  }
}
