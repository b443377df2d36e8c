import { headWords } from '../fields.ts';
import { isTarget } from '../places.ts';
import { BTF_KIND } from '../types.ts';
import { type Columns, inProgress, kindOf, resolve, unprocessed } from './columns.ts';
import {
  type Equivalence,
  isAlikeComposite,
  isCompatibleEnum,
  isComposite,
  isDeclaredEnum,
  isEqual,
} from './equivalence.ts';
import { type CandidateTable, signature } from './table.ts';
import type { WorkLimit } from './work.ts';

/** What the passes share. */
export interface DedupState {
  readonly columns: Columns;
  readonly table: CandidateTable;
  readonly equivalence: Equivalence;
  readonly work: WorkLimit;
}

/** Variables and data sections are never merged: each is a place in memory. */
function isPlace(kind: number): boolean {
  return kind === BTF_KIND.VAR || kind === BTF_KIND.DATASEC;
}

/** Types of the bases stand for themselves and are candidates. */
export function prepare({ columns, table }: DedupState): void {
  const { canonical, firstId, endId } = columns;
  canonical[0] = 0;
  for (let id = 1; id < endId; id++) {
    const isMerged = !isPlace(kindOf(columns, id));
    if (id < firstId || !isMerged) canonical[id] = id;
    if (id < firstId && isMerged) table.add(signature(columns, id), id);
  }
}

/** The kinds that refer to nothing. */
function isPrimitive(kind: number): boolean {
  switch (kind) {
    case BTF_KIND.INT:
    case BTF_KIND.FLOAT:
    case BTF_KIND.ENUM:
    case BTF_KIND.ENUM64:
    case BTF_KIND.FWD:
      return true;
    default:
      return false;
  }
}

/** Types that refer to nothing are the same if they are equal. */
export function dedupPrimitives(state: DedupState): void {
  const { columns } = state;
  for (let id = columns.firstId; id < columns.endId; id++) {
    const kind = kindOf(columns, id);
    if (!isPrimitive(kind)) continue;
    const hash = signature(columns, id);
    const isEnum = kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64;
    settle(state, id, hash, isEnum ? findEnum(state, id, hash) : findEqual(state, id, hash));
  }
}

/** Records what stands for a type: one found, or itself. */
function settle({ columns, table }: DedupState, id: number, hash: number, found: number): void {
  columns.canonical[id] = found === 0 ? id : found;
  if (found === 0) table.add(hash, id);
}

/** A candidate with the same words; 0 if there is none. */
function findEqual({ columns, table, work }: DedupState, id: number, hash: number): number {
  let candidate = table.first(hash);
  while (candidate !== 0 && !isEqual(columns, id, candidate)) {
    work.spend(1);
    candidate = table.after(candidate, hash);
  }
  return candidate;
}

/** An enum that is only declared is the same as one of its name that is defined. */
function findEnum({ columns, table, work }: DedupState, id: number, hash: number): number {
  const isDeclared = isDeclaredEnum(columns, id);
  let candidate = table.first(hash);
  for (; candidate !== 0; candidate = table.after(candidate, hash)) {
    work.spend(1);
    const kind = kindOf(columns, candidate);
    if (kind !== BTF_KIND.ENUM && kind !== BTF_KIND.ENUM64) continue;
    if (isEqual(columns, id, candidate)) return candidate;
    if (!isCompatibleEnum(columns, id, candidate)) continue;
    if (isDeclared) return candidate;
    columns.canonical[candidate] = id;
  }
  return 0;
}

/** Structs and unions, by equivalence of the graphs they head. */
export function dedupComposites(state: DedupState): void {
  const { columns } = state;
  for (let id = columns.firstId; id < columns.endId; id++) {
    if (columns.canonical[id] !== unprocessed || !isComposite(kindOf(columns, id))) continue;
    dedupByGraph(state, id, isAlikeComposite);
  }
}

/**
 * Typedefs, likewise: in Go a function type can return itself through its own name, so
 * typedefs, too, can close a circle.
 */
export function dedupTypedefs(state: DedupState): void {
  const { columns } = state;
  for (let id = columns.firstId; id < columns.endId; id++) {
    if (columns.canonical[id] !== unprocessed) continue;
    if (kindOf(columns, id) === BTF_KIND.TYPEDEF) dedupByGraph(state, id, isAlikeTypedef);
  }
}

function isAlikeTypedef({ words, at }: Columns, a: number, b: number): boolean {
  const start = at[a] as number;
  const other = at[b] as number;
  return words[start] === words[other] && words[start + 1] === words[other + 1];
}

function dedupByGraph(
  state: DedupState,
  id: number,
  isAlike: (columns: Columns, a: number, b: number) => boolean,
): void {
  const { columns, table, equivalence, work } = state;
  const hash = signature(columns, id);
  let candidate = table.first(hash);
  for (; candidate !== 0; candidate = table.after(candidate, hash)) {
    work.spend(1);
    // Keeps out declarations, which would pass the check and then stand for each other.
    if (!isAlike(columns, id, candidate)) continue;
    if (!equivalence.compare(id, candidate)) continue;
    equivalence.merge();
    if (!equivalence.needsBaseChange) break;
  }
  settle(state, id, hash, candidate);
}

/**
 * A declaration that no graph resolved stands for the only struct or union of its name, if
 * there is just one in everything.
 */
export function resolveForwards({ columns }: DedupState): void {
  const { canonical, words, at, firstId, endId } = columns;
  const byName = uniqueComposites(columns);
  for (let id = firstId; id < endId; id++) {
    if (canonical[id] !== id || kindOf(columns, id) !== BTF_KIND.FWD) continue;
    const start = at[id] as number;
    const found = byName.get(words[start] as number) ?? 0;
    const declared = (words[start + 1] as number) >>> 31 === 1 ? BTF_KIND.UNION : BTF_KIND.STRUCT;
    if (found !== 0 && kindOf(columns, found) === declared) canonical[id] = found;
  }
}

/** Structs and unions by the offset of their name; 0 for names that several have. */
function uniqueComposites(columns: Columns): ReadonlyMap<number, number> {
  const { canonical, words, at, endId } = columns;
  const byName = new Map<number, number>();
  for (let id = 1; id < endId; id++) {
    if (canonical[id] !== id || !isComposite(kindOf(columns, id))) continue;
    const name = words[at[id] as number] as number;
    byName.set(name, byName.has(name) ? 0 : id);
  }
  return byName;
}

/**
 * All that is left refers to other types: first those are settled and their ids put in, then
 * types are the same if they are equal.
 */
export function dedupReferences(state: DedupState): void {
  const { columns } = state;
  const settler = new ReferenceSettler(state);
  for (let id = columns.firstId; id < columns.endId; id++) {
    if (columns.canonical[id] === unprocessed) settler.settle(id);
  }
}

/**
 * Depth first along references, with a stack of its own, so that no chain is too long.
 *
 * References that go in a circle without a struct or typedef in it mean nothing; libbpf
 * refuses them. Here the type that closes the circle stands for itself.
 */
class ReferenceSettler {
  readonly #state: DedupState;
  /** Types whose references are being settled, and the number of the next one for each. */
  readonly #ids: number[] = [];
  readonly #next: number[] = [];
  /** Types that closed a circle. */
  readonly #pinned = new Set<number>();

  constructor(state: DedupState) {
    this.#state = state;
  }

  settle(id: number): void {
    this.#enter(id);
    while (this.#ids.length > 0) this.#step();
  }

  #enter(id: number): void {
    this.#state.columns.canonical[id] = inProgress;
    this.#ids.push(id);
    this.#next.push(0);
  }

  /** Settles one reference of the type on top, or the type if there are no more. */
  #step(): void {
    const { words, canonical } = this.#state.columns;
    const top = this.#ids.length - 1;
    const id = this.#ids[top] as number;
    for (let number = this.#next[top] as number; ; number++) {
      const place = this.#place(id, number);
      if (place === 0) break;
      const target = words[place] as number;
      const found = canonical[target] as number;
      if (found === unprocessed) {
        this.#next[top] = number;
        this.#enter(target);
        return;
      }
      if (found === inProgress) this.#pinned.add(target);
      else words[place] = resolve(canonical, target);
    }
    this.#leave(id);
  }

  /** Index of the word with a type's nth reference, 0 past the last. */
  #place(id: number, number: number): number {
    const { words, at } = this.#state.columns;
    const start = at[id] as number;
    const info = words[start + 1] as number;
    const kind = (info >>> 24) & 0x7f;
    if (kind === BTF_KIND.ARRAY) return number < 2 ? start + headWords + number : 0;
    if (number === 0) return isTarget(kind) ? start + 2 : 0;
    if (kind !== BTF_KIND.FUNC_PROTO || number > (info & 0xffffff)) return 0;
    return start + headWords + 2 * number - 1;
  }

  #leave(id: number): void {
    this.#ids.pop();
    this.#next.pop();
    const { columns } = this.#state;
    const hash = signature(columns, id);
    if (this.#pinned.has(id)) settle(this.#state, id, hash, 0);
    else settle(this.#state, id, hash, findEqual(this.#state, id, hash));
  }
}
