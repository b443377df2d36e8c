// The inputs of a fuzzing run: input `index` of a seed is always the same bytes.
import { fixture, fixtureEntries, fixturePaths } from '../support/fixtures.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';
import { btfOf } from './target.ts';

export interface FuzzInput {
  readonly bytes: Uint8Array;
  /** A damaged BTF to relocate against; the VM's own types where absent. */
  readonly target: Uint8Array | undefined;
  /** What it was made from. */
  readonly from: string;
}

/** Larger objects are slow to run through and teach little more: they come up less often. */
const heavy: ReadonlySet<string> = new Set(['long_code', 'all_sections', 'compute', 'long_loop']);

/** Makes inputs from all committed fixtures. */
export class FuzzInputs {
  readonly #light: readonly (readonly [string, Uint8Array])[];
  readonly #all: readonly (readonly [string, Uint8Array])[];
  readonly #btf: readonly Uint8Array[];

  constructor() {
    this.#all = fixturePaths().map((path) => [path, fixture(path)] as const);
    this.#light = this.#all.filter(([path]) => !heavy.has(path.split('/')[1] ?? ''));
    this.#btf = fixtureEntries()
      .filter(({ sha256 }) => sha256.v3 !== undefined)
      .map(({ name }) => btfOf(fixture(`v3/${name}`)));
  }

  make(seed: number, index: number): FuzzInput {
    const random = new Random(seed, index);
    const [from, original] = random.pick(random.once(50) ? this.#all : this.#light);
    const bytes = mutate(original, random);
    const target = random.once(8) ? mutate(random.pick(this.#btf), random) : undefined;
    return { bytes, target, from };
  }
}
