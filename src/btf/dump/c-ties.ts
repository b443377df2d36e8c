import { BTF_KIND } from '../types.ts';
import {
  type Columns,
  elementOf,
  isComposite,
  lengthOf,
  nameOf,
  sizeOrTypeOf,
  vlenOf,
} from './columns.ts';
import type { Work } from './work.ts';

/** What `high` and `low` of {@link TieBreaker} hold for a type so far. */
const unknown = 0;
const done = 1;

const two32 = 2 ** 32;

/**
 * The hash by which bpftool orders types that have the same rank and names
 * (`btf_type_disambig_hash`): of the names in and behind a type, so that the order of its
 * dump does not depend on ids. 64 bits: `h * 31 + x`, over the bytes of a name and over the
 * hashes of what belongs to the type.
 *
 * Computed only for types that are tied, and kept.
 */
export class TieBreaker {
  readonly #columns: Columns;
  readonly #work: Work;
  /** Hashes with and without those of members, halves apart: JavaScript has no fast 64 bits. */
  readonly #whole: Hashes;
  readonly #outer: Hashes;
  /** The hash at work. */
  #high = 0;
  #low = 0;

  constructor(columns: Columns, work: Work) {
    this.#columns = columns;
    this.#work = work;
    this.#whole = newHashes(columns.count);
    this.#outer = newHashes(columns.count);
  }

  /** Orders two types by their hashes, and by their ids where these are equal. */
  compare(a: number, b: number): number {
    this.#compute(a, true);
    this.#compute(b, true);
    const { high, low } = this.#whole;
    return (
      (high[a] as number) - (high[b] as number) || (low[a] as number) - (low[b] as number) || a - b
    );
  }

  /** Follows references to their end, and hashes from there back; no recursion. */
  #compute(start: number, withMembers: boolean): void {
    const hashes = withMembers ? this.#whole : this.#outer;
    if (hashes.states[start] === done) return;
    const columns = this.#columns;
    const chain: number[] = [];
    let id = start;
    while (hashes.states[id] === unknown) {
      chain.push(id);
      const kind = columns.kinds[id] as number;
      if (kind === BTF_KIND.ARRAY) id = elementOf(columns, id);
      else if (isReference(kind)) id = sizeOrTypeOf(columns, id);
      else break;
      this.#work.charge(1);
    }
    for (let at = chain.pop(); at !== undefined; at = chain.pop()) {
      this.#hashType(at, withMembers, hashes);
      hashes.high[at] = this.#high;
      hashes.low[at] = this.#low;
      hashes.states[at] = done;
    }
  }

  /** Hashes a type whose target, if it is a reference, is hashed. */
  #hashType(id: number, withMembers: boolean, hashes: Hashes): void {
    const columns = this.#columns;
    const kind = columns.kinds[id] as number;
    if (isComposite(kind) && withMembers) {
      this.#hashMembers(id);
      return;
    }
    this.#high = 0;
    this.#low = 0;
    this.#addName(nameOf(columns, id));
    if (kind === BTF_KIND.ENUM) this.#addEnumerators(id, 2);
    else if (kind === BTF_KIND.ENUM64) this.#addEnumerators(id, 3);
    else if (kind === BTF_KIND.ARRAY) {
      this.#add(0, lengthOf(columns, id));
      this.#addKnown(hashes, elementOf(columns, id));
    } else if (isReference(kind)) this.#addKnown(hashes, sizeOrTypeOf(columns, id));
  }

  #addKnown(hashes: Hashes, id: number): void {
    this.#add(hashes.high[id] as number, hashes.low[id] as number);
  }

  #addEnumerators(id: number, stride: number): void {
    const { words, places } = this.#columns;
    const start = (places[id] as number) + 3;
    const end = start + stride * vlenOf(this.#columns, id);
    for (let i = start; i < end; i += stride) this.#addName(words[i] as number);
  }

  #hashMembers(id: number): void {
    const { words, places } = this.#columns;
    const start = (places[id] as number) + 3;
    const end = start + 3 * vlenOf(this.#columns, id);
    for (let i = start; i < end; i += 3) this.#compute(words[i + 1] as number, false);
    this.#high = 0;
    this.#low = 0;
    this.#addName(nameOf(this.#columns, id));
    for (let i = start; i < end; i += 3) {
      this.#addName(words[i] as number);
      this.#addKnown(this.#outer, words[i + 1] as number);
    }
  }

  /** Adds the hash of a name; no name adds nothing. */
  #addName(offset: number): void {
    if (offset === 0) return;
    const { strings } = this.#columns;
    const high = this.#high;
    const low = this.#low;
    this.#high = 0;
    this.#low = 0;
    let at = offset;
    for (let byte = strings[at] as number; byte !== 0; byte = strings[++at] as number) {
      // C's `char` has a sign where bpftool runs.
      this.#add(byte < 0x80 ? 0 : 0xffffffff, byte < 0x80 ? byte : byte + two32 - 0x100);
    }
    this.#work.charge((at - offset) >>> 6);
    const nameHigh = this.#high;
    const nameLow = this.#low;
    this.#high = high;
    this.#low = low;
    this.#add(nameHigh, nameLow);
  }

  /** `hash * 31 + value` in 64 bits: each half is below 2^32, so the products are exact. */
  #add(high: number, low: number): void {
    const sum = this.#low * 31 + low;
    const carry = Math.floor(sum / two32);
    this.#low = sum - carry * two32;
    this.#high = (Math.imul(this.#high, 31) + carry + high) >>> 0;
  }
}

interface Hashes {
  readonly states: Uint8Array;
  readonly high: Uint32Array;
  readonly low: Uint32Array;
}

function newHashes(count: number): Hashes {
  return {
    states: new Uint8Array(count),
    high: new Uint32Array(count),
    low: new Uint32Array(count),
  };
}

/** Kinds whose hash takes in that of the type that they refer to. */
function isReference(kind: number): boolean {
  return (
    kind === BTF_KIND.PTR ||
    (kind >= BTF_KIND.TYPEDEF && kind <= BTF_KIND.RESTRICT) ||
    kind === BTF_KIND.TYPE_TAG ||
    kind === BTF_KIND.DECL_TAG
  );
}
