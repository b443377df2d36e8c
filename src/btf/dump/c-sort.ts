import { BpfError } from '../../errors.ts';
import { BTF_KIND } from '../types.ts';
import { ordered } from './c-order.ts';
import { TieBreaker } from './c-ties.ts';
import { type Columns, elementOf, isComposite, nameOf, sizeOrTypeOf, vlenOf } from './columns.ts';
import { compareNames, NameSorter } from './name-order.ts';
import type { Work } from './work.ts';

/** What has no place of its own comes last. */
const lastRank = 10;

/**
 * The order of bpftool's sorted C dump (`sort_btf_c`): enums without and with a name,
 * integers, structs and unions, functions, the rest; typedefs and other references with a
 * name with what they stand for. Inside, by the name behind all references, by the own
 * name, by a hash, by id.
 *
 * Four of five types of vmlinux are in the rest: functions and their prototypes, and
 * references without a name. Hardly any of them defines something that is not defined by
 * then, so the rest is not sorted as a whole: see {@link sortRest}.
 */
export class SortedOrder {
  readonly #columns: Columns;
  readonly #work: Work;
  readonly #leaves: Leaves;
  readonly #ties: TieBreaker;

  constructor(columns: Columns, work: Work) {
    this.#columns = columns;
    this.#work = work;
    this.#leaves = new Leaves(columns);
    this.#ties = new TieBreaker(columns, work);
  }

  /**
   * Types that have a place of their own, in order, but for the very first: bpftool sorts
   * `void` with the rest, where it is not the first, and then starts with the second.
   */
  sortRanked(): readonly number[] {
    const { ids, ranks, sortNames, ownNames } = this.#collect();
    const sorter = new NameSorter(this.#columns, this.#work, ids.length);
    const byRank = sorter.splitBy(ranks, lastRank);
    const bySortName = byRank.flatMap((run) => sorter.sort(run, sortNames));
    const byOwnName = bySortName.flatMap((run) => sorter.sort(run, ownNames));
    for (const { start, end } of byOwnName) {
      sorter.order
        .subarray(start, end)
        .sort((a, b) => this.#ties.compare(ids[a] as number, ids[b] as number));
    }
    return Array.from(sorter.order.subarray(1), (item) => ids[item] as number);
  }

  /**
   * Of the rest those that may still define something, in order; `states` are those of
   * {@link TypeOrder} after all others were defined.
   */
  sortRest(states: Uint8Array): readonly number[] {
    const columns = this.#columns;
    const rest = findUseful(columns, this.#work, states);
    const names = new Map(rest.map((id) => [id, this.#sortName(id)]));
    const compare = (a: number, b: number): number =>
      compareNames(columns, this.#work, names.get(a) ?? 0, names.get(b) ?? 0) ||
      compareNames(columns, this.#work, nameOf(columns, a), nameOf(columns, b)) ||
      this.#ties.compare(a, b);
    return rest.filter((id) => this.#rank(id) === lastRank).sort(compare);
  }

  #collect(): Items {
    const { count } = this.#columns;
    const ids: number[] = [];
    const ranks: number[] = [];
    for (let id = 1; id < count; id++) {
      if (!mayRank(this.#columns, id)) continue;
      const rank = this.#rank(id);
      if (rank === lastRank) continue;
      ids.push(id);
      ranks.push(rank);
    }
    return {
      ids,
      ranks,
      sortNames: ids.map((id) => this.#sortName(id)),
      ownNames: ids.map((id) => nameOf(this.#columns, id)),
    };
  }

  /** bpftool's `btf_type_rank`: references with a name rank as what they refer to. */
  #rank(id: number): number {
    const kind = this.#columns.kinds[id] as number;
    const isNamed = nameOf(this.#columns, id) !== 0;
    if (!isReference(kind)) return ownRank(kind, isNamed);
    if (!isNamed) return lastRank;
    return ownRank(this.#columns.kinds[this.#leaves.find(id)] as number, true);
  }

  /** bpftool's `btf_type_sort_name`: an enum without a name has that of its first enumerator. */
  #sortName(id: number): number {
    const columns = this.#columns;
    const kind = columns.kinds[id] as number;
    if (isReference(kind)) return nameOf(columns, this.#leaves.find(id));
    const own = nameOf(columns, id);
    const isEnum = kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64;
    if (!isEnum || own !== 0 || vlenOf(columns, id) === 0) return own;
    return columns.words[(columns.places[id] as number) + 3] as number;
  }
}

/** Types to be sorted, as columns by their number among them. */
interface Items {
  readonly ids: readonly number[];
  readonly ranks: readonly number[];
  /** Offsets of the names to sort by, first this one, then that. */
  readonly sortNames: readonly number[];
  readonly ownNames: readonly number[];
}

/** The type at the end of a chain of references, found once for each. */
class Leaves {
  readonly #columns: Columns;
  /** By id, plus 1; 0 where it is not known yet. */
  readonly #known: Uint32Array;

  constructor(columns: Columns) {
    this.#columns = columns;
    this.#known = new Uint32Array(columns.count);
  }

  /** {@link BpfError} `btf-reference-chain` for a circle. */
  find(start: number): number {
    const known = this.#known;
    let end = start;
    let steps = 0;
    while (isReference(this.#columns.kinds[end] as number)) {
      const leaf = known[end] as number;
      end = leaf === 0 ? next(this.#columns, end) : leaf - 1;
      if (++steps > this.#columns.count) throw circle(this.#columns, start);
    }
    for (let id = start; id !== end && known[id] === 0; id = next(this.#columns, id)) {
      known[id] = end + 1;
    }
    return end;
  }
}

function isReference(kind: number): boolean {
  return (
    kind === BTF_KIND.PTR ||
    kind === BTF_KIND.ARRAY ||
    (kind >= BTF_KIND.TYPEDEF && kind <= BTF_KIND.RESTRICT) ||
    kind === BTF_KIND.TYPE_TAG ||
    kind === BTF_KIND.DECL_TAG
  );
}

function next(columns: Columns, id: number): number {
  return columns.kinds[id] === BTF_KIND.ARRAY ? elementOf(columns, id) : sizeOrTypeOf(columns, id);
}

function circle(columns: Columns, id: number): BpfError {
  const { btf, count } = columns;
  const name = btf.string(nameOf(columns, id));
  return new BpfError({ code: 'btf-reference-chain', btf: btf.name, id, name, limit: count });
}

/** Most types are told by a glance: functions, and all but enums and numbers without a name. */
function mayRank(columns: Columns, id: number): boolean {
  const kind = columns.kinds[id] as number;
  if (kind === BTF_KIND.FUNC) return false;
  if (nameOf(columns, id) !== 0 || kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64) return true;
  return kind === BTF_KIND.INT || kind === BTF_KIND.FLOAT;
}

function ownRank(kind: number, isNamed: boolean): number {
  if (kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64) return isNamed ? 1 : 0;
  if (kind === BTF_KIND.INT || kind === BTF_KIND.FLOAT) return 2;
  if (isComposite(kind)) return isNamed ? 3 : lastRank;
  if (kind === BTF_KIND.FUNC_PROTO) return isNamed ? 4 : lastRank;
  return lastRank;
}

/**
 * Types that define something which is not done, or that lead to one: to look at the others
 * would change nothing. From the last id to the first, again as long as there are more,
 * since prototypes and pointers refer to each other both ways.
 */
function findUseful(columns: Columns, work: Work, states: Uint8Array): readonly number[] {
  const { kinds, count } = columns;
  let open: number[] = [];
  const useful = new Uint8Array(count);
  const found: number[] = [];
  for (let id = count - 1; id > 0; id--) {
    const kind = kinds[id] as number;
    if (kind === BTF_KIND.FUNC || states[id] === ordered) continue;
    if (definesSomething(columns, id)) {
      useful[id] = 1;
      found.push(id);
    } else if (isOnTheWay(kind)) {
      open.push(id);
    }
  }
  for (let before = 0; before < found.length; ) {
    before = found.length;
    work.charge(open.length);
    open = findReferrers(columns, open, states, useful, found);
  }
  return found.sort((a, b) => a - b);
}

/** Kinds that a dump writes at the top level. */
function definesSomething(columns: Columns, id: number): boolean {
  const kind = columns.kinds[id] as number;
  if (isComposite(kind)) return nameOf(columns, id) !== 0;
  return (
    kind === BTF_KIND.FWD ||
    kind === BTF_KIND.TYPEDEF ||
    kind === BTF_KIND.ENUM ||
    kind === BTF_KIND.ENUM64
  );
}

/** Kinds that a dump looks through: nothing that it writes is behind a function. */
function isOnTheWay(kind: number): boolean {
  if (kind === BTF_KIND.DECL_TAG) return false;
  return isReference(kind) || isComposite(kind) || kind === BTF_KIND.FUNC_PROTO;
}

/**
 * Marks those of `open` that refer to a marked type, and adds them to `found`. What is left
 * are those that may lead to one: that refer to any type that is not done. One flat loop: it
 * looks at 46,000 types of vmlinux.
 */
function findReferrers(
  { kinds, words, places }: Columns,
  open: readonly number[],
  states: Uint8Array,
  marked: Uint8Array,
  found: number[],
): number[] {
  const left: number[] = [];
  for (let i = 0; i < open.length; i++) {
    const id = open[i] as number;
    const kind = kinds[id] as number;
    const place = places[id] as number;
    // The first reference, then one in every `stride` words: members and parameters have
    // the name in front.
    let at = place + 2;
    let end = at + 1;
    let stride = 2;
    if (kind === BTF_KIND.FUNC_PROTO) {
      end += 2 * ((words[place + 1] as number) & 0xffffff);
    } else if (kind === BTF_KIND.STRUCT || kind === BTF_KIND.UNION) {
      at += 2;
      stride = 3;
      end = at + 3 * ((words[place + 1] as number) & 0xffffff);
    } else if (kind === BTF_KIND.ARRAY) {
      at++;
      end++;
    }
    let refers = false;
    let mayRefer = false;
    for (; at < end && !refers; at += stride) {
      const type = words[at] as number;
      refers = marked[type] === 1;
      mayRefer ||= states[type] !== ordered;
    }
    if (refers) {
      marked[id] = 1;
      found.push(id);
    } else if (mayRefer) {
      left.push(id);
    }
  }
  return left;
}
