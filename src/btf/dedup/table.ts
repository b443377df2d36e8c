import { headWords } from '../fields.ts';
import { isTarget } from '../places.ts';
import { BTF_KIND } from '../types.ts';
import { type Columns, kindOf } from './columns.ts';

/** One step of the hash; int32 all along. */
export function mixWord(hash: number, word: number): number {
  const out = Math.imul(hash ^ word, 0x9e3779b1);
  return out ^ (out >>> 15);
}

/**
 * Hash of what is compared to find candidates for a type: of structs and unions everything
 * but the ids, with a glance at the types behind them; of typedefs the name, with the same;
 * of enums only the name, since one that is declared matches all of its name; of others
 * all words.
 *
 * The glance is not in libbpf. Anonymous structs with the same few names are frequent: with
 * it, doubled vmlinux needs a hundredth of the equivalence checks.
 */
export function signature(columns: Columns, id: number): number {
  const { words, at } = columns;
  const start = at[id] as number;
  const end = at[id + 1] as number;
  switch (kindOf(columns, id)) {
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
      return compositeHash(columns, start, end);
    case BTF_KIND.TYPEDEF: {
      const hash = mixWord(words[start] as number, words[start + 1] as number);
      return mixWord(hash, glance(columns, words[start + 2] as number));
    }
    case BTF_KIND.ENUM:
    case BTF_KIND.ENUM64:
      return mixWord(words[start] as number, BTF_KIND.ENUM);
    default:
      return wordsHash(words, start, end);
  }
}

function compositeHash(columns: Columns, start: number, end: number): number {
  const { words } = columns;
  let hash = wordsHash(words, start, start + headWords);
  for (let i = start + headWords; i < end; i += 3) {
    hash = mixWord(hash, words[i] as number);
    hash = mixWord(hash, words[i + 2] as number);
    hash = mixWord(hash, glance(columns, words[i + 1] as number));
  }
  return hash;
}

/** How many references a glance follows. */
const glanceDepth = 5;

/** Whether a glance goes on to what a kind refers to, and over which word. */
function glanceWord(kind: number): number {
  if (kind === BTF_KIND.ARRAY) return 3;
  return isTarget(kind) && kind !== BTF_KIND.DECL_TAG && kind !== BTF_KIND.VAR ? 2 : 0;
}

/**
 * Hash of a type that is the same for all types equivalent to it: kinds and names along its
 * references. What may stand for each other counts as one kind: declarations and what they
 * declare, enums of any width.
 */
function glance({ words, at }: Columns, first: number): number {
  let hash = 0;
  let id = first;
  for (let depth = 0; depth < glanceDepth; depth++) {
    const start = at[id] as number;
    const info = words[start + 1] as number;
    const kind = (info >>> 24) & 0x7f;
    hash = mixWord(hash, words[start] as number);
    hash = mixWord(hash, sharedKind(kind, info));
    const word = glanceWord(kind);
    if (word === 0) break;
    id = words[start + word] as number;
  }
  return hash;
}

function sharedKind(kind: number, info: number): number {
  if (kind === BTF_KIND.FWD) return info >>> 31 === 1 ? BTF_KIND.UNION : BTF_KIND.STRUCT;
  return kind === BTF_KIND.ENUM64 ? BTF_KIND.ENUM : kind;
}

function wordsHash(words: Uint32Array, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = mixWord(hash, words[i] as number);
  return hash;
}

/**
 * The types that stand for themselves, by their {@link signature}.
 *
 * Where several candidates are equivalent to a type, the first found counts. So that this is
 * the same one as in libbpf, the table is like its hashmap: the newest is first, and whenever
 * it grows, which it does at the same sizes, the order in each bucket is turned round.
 */
export class CandidateTable {
  #heads = new Uint32Array(1);
  #count = 0;
  readonly #next: Uint32Array;
  readonly #hashes: Int32Array;

  /** For ids below `endId`. */
  constructor(endId: number) {
    this.#next = new Uint32Array(endId);
    this.#hashes = new Int32Array(endId);
  }

  add(hash: number, id: number): void {
    if (Math.floor(((this.#count + 1) * 4) / 3) > this.#heads.length) this.#grow();
    this.#count++;
    this.#hashes[id] = hash;
    this.#link(hash, id);
  }

  /** The first type with that hash, 0 if there is none. */
  first(hash: number): number {
    return this.#search(this.#heads[hash & (this.#heads.length - 1)] as number, hash);
  }

  /** The next after `id` with the same hash. */
  after(id: number, hash: number): number {
    return this.#search(this.#next[id] as number, hash);
  }

  #search(id: number, hash: number): number {
    let found = id;
    while (found !== 0 && this.#hashes[found] !== hash) found = this.#next[found] as number;
    return found;
  }

  #link(hash: number, id: number): void {
    const head = hash & (this.#heads.length - 1);
    this.#next[id] = this.#heads[head] as number;
    this.#heads[head] = id;
  }

  #grow(): void {
    const old = this.#heads;
    this.#heads = new Uint32Array(Math.max(4, 2 * old.length));
    for (const head of old) {
      for (let id = head; id !== 0; ) {
        const next = this.#next[id] as number;
        this.#link(this.#hashes[id] as number, id);
        id = next;
      }
    }
  }
}
