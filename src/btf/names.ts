import type { NameKey, StringTable } from './strings.ts';
import { BTF_KIND } from './types.ts';

/** The columns of one level of BTF that an index reads. */
export interface NamedTypes {
  readonly words: Uint32Array;
  /** Index of each type's first word, which is the offset of its name. */
  readonly offsets: Uint32Array;
  readonly strings: StringTable;
}

/**
 * C keeps functions and variables (`objects`) apart from types, and so do lookups; in
 * vmlinux the objects are two thirds of all names, and CO-RE never asks for them.
 */
export type NameSpace = 'types' | 'objects';

export const nameSpaces: readonly NameSpace[] = ['types', 'objects'];

/** The name space of a kind. Sections and tags stand with the types. */
export function nameSpaceOf(kind: number): NameSpace {
  return kind === BTF_KIND.FUNC || kind === BTF_KIND.VAR ? 'objects' : 'types';
}

/**
 * Types of one level of BTF by name: for each name space a hash table with chains, in typed
 * arrays, built when first asked. For types the hash is that of the *essential* name
 * (without `___flavour`), so one table answers both questions: exact names and CO-RE
 * candidates. Chains run in the order of ids, since types are put in front of their chains
 * from the last to the first.
 *
 * Building compares no names: for the 126,610 types of vmlinux it takes 1.9 ms for the name
 * space of types (0.8 ms of them to find flavours), 2 ms for that of objects, and 0.8 MB.
 * In the worst case (all names hash alike) a lookup is the linear scan that libbpf does.
 */
export class NameIndex {
  readonly #types: NamedTypes;
  /** Index of the next type in the chain, plus 1; 0 ends it. Each type is in one chain only. */
  readonly #next: Uint32Array;
  readonly #tables: { [space in NameSpace]: Uint32Array | undefined } = {
    types: undefined,
    objects: undefined,
  };

  constructor(types: NamedTypes) {
    this.#types = types;
    this.#next = new Uint32Array(types.offsets.length);
  }

  /**
   * Builds the tables of these name spaces where that has not been done. Asked for both at
   * once, it takes one walk over the types instead of two.
   */
  prepare(spaces: readonly NameSpace[]): void {
    const missing = spaces.filter((space) => this.#tables[space] === undefined);
    if (missing.length === 0) return;
    const { offsets, strings } = this.#types;
    if (missing.includes('types')) strings.prepareFlavours();
    // One or two types a slot: a small table is built faster by what the cache saves.
    const slots = 2 ** Math.ceil(Math.log2(offsets.length / 4 + 1));
    for (const space of missing) this.#tables[space] = new Uint32Array(slots);
    const heads = (space: NameSpace): Uint32Array | undefined =>
      missing.includes(space) ? this.#tables[space] : undefined;
    chainNames(this.#types, this.#next, heads('types'), heads('objects'));
  }

  /** Index of the first type of that name (and kind), or of the first after `previous`; else -1. */
  find(key: NameKey, kind: number | undefined, space: NameSpace, previous = -1): number {
    const { words, offsets, strings } = this.#types;
    const hash = space === 'objects' ? key.hash : key.essentialHash;
    for (let i = this.#follow(space, hash, previous); i !== 0; i = this.#next[i - 1] as number) {
      const at = offsets[i - 1] as number;
      if (kind !== undefined && kindAt(words, at) !== kind) continue;
      if (strings.equals(words[at] as number, key)) return i - 1;
    }
    return -1;
  }

  /** As {@link find}, for types whose essential name is `key`. */
  findEssential(key: NameKey, previous = -1): number {
    const { words, offsets, strings } = this.#types;
    const first = this.#follow('types', key.hash, previous);
    for (let i = first; i !== 0; i = this.#next[i - 1] as number) {
      if (strings.equalsEssential(words[offsets[i - 1] as number] as number, key)) return i - 1;
    }
    return -1;
  }

  #follow(space: NameSpace, hash: number, previous: number): number {
    if (previous >= 0) return this.#next[previous] as number;
    if (this.#tables[space] === undefined) this.prepare([space]);
    const heads = this.#tables[space] as Uint32Array;
    return heads[hash & (heads.length - 1)] as number;
  }
}

/** Builds the chains of the name spaces that `heads` are given for. */
function chainNames(
  { words, offsets, strings }: NamedTypes,
  next: Uint32Array,
  typeHeads: Uint32Array | undefined,
  objectHeads: Uint32Array | undefined,
): void {
  const mask = ((typeHeads ?? objectHeads)?.length ?? 1) - 1;
  for (let i = offsets.length - 1; i >= 0; i--) {
    const at = offsets[i] as number;
    const name = words[at] as number;
    const kind = kindAt(words, at);
    const isObject = kind === BTF_KIND.FUNC || kind === BTF_KIND.VAR;
    const heads = isObject ? objectHeads : typeHeads;
    if (name === 0 || heads === undefined) continue;
    const slot = (isObject ? strings.hash(name) : strings.hashEssential(name)) & mask;
    next[i] = heads[slot] as number;
    heads[slot] = i + 1;
  }
}

function kindAt(words: Uint32Array, at: number): number {
  return ((words[at + 1] as number) >>> 24) & 0x7f;
}
