import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { levelsOf } from './columns.ts';
import { mixWord } from './table.ts';
import type { WorkLimit } from './work.ts';

/**
 * How many times longer the strings may become. They become longer only where names share
 * their ends, which no known compiler does.
 */
const growthLimit = 16;
const growthAllowance = 1 << 20;

/**
 * Gives equal strings one offset: that of the base where it has the string, else one in a
 * new section, in the order in which they are asked for. Strings that nobody asks for are
 * left out.
 *
 * An offset is looked up by content once and remembered; from then on names are equal where
 * their offsets are.
 */
export class StringDedup {
  /** All levels' strings; an offset is an index. */
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** New offset plus one of each offset; 0 where not asked for yet. */
  readonly #known: Uint32Array;
  readonly #limit: number;
  readonly #btf: string;
  readonly #work: WorkLimit;
  /** Open addressing by content: number of an entry plus one; 0 where free. */
  #slots = new Uint32Array(1 << 10);
  /** Of each entry: where it is in `#bytes`, its length, its hash, its new offset. */
  readonly #places: number[] = [];
  readonly #lengths: number[] = [];
  readonly #hashes: number[] = [];
  readonly #offsets: number[] = [];
  /** First entry of the new section. */
  readonly #firstNew: number;
  #end: number;

  constructor(btf: Btf, work: WorkLimit) {
    const { strings } = btf;
    this.#btf = btf.name;
    this.#work = work;
    this.#bytes = new Uint8Array(strings.end);
    for (const level of levelsOf(btf)) this.#bytes.set(level.strings.bytes, level.strings.start);
    this.#start = strings.start;
    this.#known = new Uint32Array(strings.end);
    this.#limit = growthLimit * strings.bytes.length + growthAllowance;
    this.#end = strings.start;
    for (let at = 0; at < strings.start; at = this.#bytes.indexOf(0, at) + 1) this.#intern(at, at);
    this.#firstNew = this.#places.length;
    // The section of a BTF without a base starts with the empty string.
    if (btf.base === undefined) this.#intern(0);
  }

  /** The new offset for an offset. */
  map(offset: number): number {
    const known = this.#known[offset] as number;
    if (known !== 0) return known - 1;
    const mapped = this.#offsets[this.#intern(offset)] as number;
    this.#known[offset] = mapped + 1;
    return mapped;
  }

  /** The new section. */
  finish(): Uint8Array {
    const out = new Uint8Array(this.#end - this.#start);
    for (let entry = this.#firstNew; entry < this.#places.length; entry++) {
      const place = this.#places[entry] as number;
      const text = this.#bytes.subarray(place, place + (this.#lengths[entry] as number));
      out.set(text, (this.#offsets[entry] as number) - this.#start);
    }
    return out;
  }

  /** The entry for the string at a place; a new one gets `offset`, else the end. */
  #intern(place: number, offset?: number): number {
    const bytes = this.#bytes;
    let hash = 0;
    let stop = place;
    for (let byte = bytes[stop] as number; byte !== 0; byte = bytes[++stop] as number) {
      hash = Math.imul(hash ^ byte, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    hash = mixWord(hash, stop - place);
    this.#work.spend((stop - place) >>> 3);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = (this.#slots[slot] as number) - 1;
      if (this.#hashes[entry] === hash && this.#isAt(entry, place, stop)) return entry;
    }
    const entry = this.#add(place, stop - place, hash, slot);
    this.#offsets.push(offset ?? this.#reserve(stop - place + 1));
    return entry;
  }

  #isAt(entry: number, place: number, stop: number): boolean {
    const bytes = this.#bytes;
    const length = stop - place;
    this.#work.spend((length >>> 3) + 1);
    if (this.#lengths[entry] !== length) return false;
    const other = this.#places[entry] as number;
    for (let i = 0; i < length; i++) {
      if (bytes[other + i] !== bytes[place + i]) return false;
    }
    return true;
  }

  #add(place: number, length: number, hash: number, slot: number): number {
    const entry = this.#places.length;
    this.#places.push(place);
    this.#lengths.push(length);
    this.#hashes.push(hash);
    this.#slots[slot] = entry + 1;
    if (2 * this.#places.length > this.#slots.length) this.#rehash();
    return entry;
  }

  /** The offset of that many bytes at the end of the new section. */
  #reserve(length: number): number {
    const offset = this.#end;
    const limit = this.#limit;
    this.#end += length;
    if (this.#end - this.#start <= limit) return offset;
    throw new BpfError({ code: 'btf-dedup-limit', btf: this.#btf, limited: 'strings', limit });
  }

  #rehash(): void {
    this.#slots = new Uint32Array(4 * this.#slots.length);
    const mask = this.#slots.length - 1;
    for (let entry = 0; entry < this.#hashes.length; entry++) {
      let slot = (this.#hashes[entry] as number) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = entry + 1;
    }
  }
}
