/** The VM's source of random numbers (xoshiro128**): the same seed gives the same numbers. */
export class VmRandom {
  readonly #state: Uint32Array;

  /** `state` are four words to keep it in: compiled programs draw numbers from it too. */
  constructor(seed: number, state: Uint32Array = new Uint32Array(4)) {
    this.#state = state;
    // The state is filled by splitmix32, which never gives four zeros in a row.
    let at = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      at = (at + 0x9e37_79b9) >>> 0;
      let word = Math.imul(at ^ (at >>> 16), 0x85eb_ca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35);
      state[i] = (word ^ (word >>> 16)) >>> 0;
    }
  }

  /** The next 32 bits. */
  next(): number {
    const s = this.#state;
    const [a, b, c, d] = [s[0] as number, s[1] as number, s[2] as number, s[3] as number];
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    s[2] = c ^ a;
    s[3] = d ^ b;
    s[1] = b ^ (s[2] as number);
    s[0] = a ^ (s[3] as number);
    s[2] = (s[2] as number) ^ (b << 9);
    s[3] = rotate(s[3] as number, 11);
    return result;
  }
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
