import type { Columns } from './columns.ts';
import type { Work } from './work.ts';

const seed = 0x811c9dc5 | 0;
const prime = 0x01000193;

/**
 * How often each name was used so far: a hash table over the bytes of names, which are
 * offsets in the string section.
 */
export class NameCounts {
  readonly #strings: Uint8Array;
  readonly #work: Work;
  /** Offset plus 1, hash and uses of each name; 0 where a slot is free. */
  #offsets: Uint32Array;
  #hashes: Int32Array;
  #uses: Uint32Array;
  #size = 0;

  constructor({ strings, count }: Columns, work: Work) {
    this.#strings = strings;
    this.#work = work;
    // vmlinux has a name to count for every third type.
    const slots = 2 ** Math.ceil(Math.log2(count / 2 + 1));
    this.#offsets = new Uint32Array(slots);
    this.#hashes = new Int32Array(slots);
    this.#uses = new Uint32Array(slots);
  }

  /** Counts one more use of the name at an offset; how many there are now. */
  use(offset: number): number {
    if (2 * this.#size >= this.#offsets.length) this.#grow();
    const hash = this.#hash(offset);
    const slot = this.#find(offset, hash);
    if (this.#offsets[slot] === 0) {
      this.#offsets[slot] = offset + 1;
      this.#hashes[slot] = hash;
      this.#size++;
    }
    const uses = (this.#uses[slot] as number) + 1;
    this.#uses[slot] = uses;
    return uses;
  }

  #hash(offset: number): number {
    const strings = this.#strings;
    let hash = seed;
    let at = offset;
    for (let byte = strings[at] as number; byte !== 0; byte = strings[++at] as number) {
      hash = Math.imul(hash ^ byte, prime);
    }
    // Charged because a name can be long, and be the name of many types.
    this.#work.charge((at - offset) >>> 6);
    return hash ^ (hash >>> 15);
  }

  /** The slot of a name, or the one that it would go into. */
  #find(offset: number, hash: number): number {
    const offsets = this.#offsets;
    const mask = offsets.length - 1;
    let slot = hash & mask;
    for (let there = offsets[slot] as number; there !== 0; there = offsets[slot] as number) {
      if (there === offset + 1) break;
      if (this.#hashes[slot] === hash && equalNames(this.#strings, there - 1, offset)) break;
      slot = (slot + 1) & mask;
      this.#work.charge(1);
    }
    return slot;
  }

  #grow(): void {
    const [offsets, hashes, uses] = [this.#offsets, this.#hashes, this.#uses];
    const size = 2 * offsets.length;
    this.#offsets = new Uint32Array(size);
    this.#hashes = new Int32Array(size);
    this.#uses = new Uint32Array(size);
    for (let i = 0; i < offsets.length; i++) {
      if (offsets[i] === 0) continue;
      let slot = (hashes[i] as number) & (size - 1);
      while (this.#offsets[slot] !== 0) slot = (slot + 1) & (size - 1);
      this.#offsets[slot] = offsets[i] as number;
      this.#hashes[slot] = hashes[i] as number;
      this.#uses[slot] = uses[i] as number;
    }
  }
}

function equalNames(strings: Uint8Array, a: number, b: number): boolean {
  for (let i = 0; ; i++) {
    const byte = strings[a + i] as number;
    if (byte !== strings[b + i]) return false;
    if (byte === 0) return true;
  }
}

/** Whether the name at an offset is `name`. */
export function isNamed(strings: Uint8Array, offset: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    if (strings[offset + i] !== name[i]) return false;
  }
  return strings[offset + name.length] === 0;
}
