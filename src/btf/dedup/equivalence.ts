import { headWords } from '../fields.ts';
import { isTarget } from '../places.ts';
import { BTF_KIND } from '../types.ts';
import { type Columns, resolve } from './columns.ts';
import type { WorkLimit } from './work.ts';

/** How deep a second copy of a type is compared with the first, as libbpf does. */
const copyDepth = 16;

/** Pairs of types compared for one such copy; real ones take a few hundred. */
const copySteps = 1 << 14;

/**
 * The equivalence check of two type graphs and its hypothetical map; see the essay in
 * dedup.ts. "New" is the graph that looks for a place, "old" the one that may be its.
 */
export class Equivalence {
  /**
   * After a positive {@link compare}: it only holds if a declaration in the base stands for a
   * struct of the new graph, and the base cannot be changed.
   */
  needsBaseChange = false;
  readonly #columns: Columns;
  readonly #work: WorkLimit;
  /** The new type for each old one of the current check; -1 for none. */
  readonly #hypothesis: Int32Array;
  /** Old types that have one, for clearing and merging. */
  readonly #mapped: Int32Array;
  #mappedCount = 0;
  /** Pairs still to be compared: new, old. A typed array, since emptying a plain one is slow. */
  #pending = new Int32Array(1 << 10);
  #pendingCount = 0;
  #copySteps = 0;

  constructor(columns: Columns, work: WorkLimit) {
    this.#columns = columns;
    this.#work = work;
    this.#hypothesis = new Int32Array(columns.endId).fill(-1);
    this.#mapped = new Int32Array(columns.endId);
  }

  /** Whether the graphs from two types are equivalent; the hypothesis stays for {@link merge}. */
  compare(newId: number, oldId: number): boolean {
    this.#clear();
    this.#push(newId, oldId);
    let steps = 1;
    let isEquivalent = true;
    while (isEquivalent && this.#pendingCount > 0) {
      this.#pendingCount -= 2;
      const at = this.#pendingCount;
      isEquivalent = this.#compareOne(this.#pending[at] as number, this.#pending[at + 1] as number);
      steps++;
    }
    this.#pendingCount = 0;
    this.#work.spend(steps);
    return isEquivalent;
  }

  /**
   * Keeps what the hypothesis taught: declarations stand for the definitions they met, and
   * structs met on the way are duplicates, too.
   */
  merge(): void {
    const { canonical } = this.#columns;
    for (let i = 0; i < this.#mappedCount; i++) {
      const oldMapped = this.#mapped[i] as number;
      const newId = resolve(canonical, this.#hypothesis[oldMapped] as number);
      const oldId = resolve(canonical, oldMapped);
      const newKind = this.#kind(newId);
      const isOldForward = this.#kind(oldId) === BTF_KIND.FWD;
      if (newKind !== BTF_KIND.FWD && isOldForward) canonical[oldId] = newId;
      if (this.needsBaseChange || isOldForward) continue;
      if (newKind === BTF_KIND.FWD) canonical[newId] = oldId;
      else if (isComposite(newKind) && isKnown(canonical, oldId) && !isKnown(canonical, newId)) {
        canonical[newId] = oldId;
      }
    }
  }

  #clear(): void {
    const hypothesis = this.#hypothesis;
    for (let i = 0; i < this.#mappedCount; i++) hypothesis[this.#mapped[i] as number] = -1;
    this.#mappedCount = 0;
    this.needsBaseChange = false;
  }

  #kind(id: number): number {
    const { words, at } = this.#columns;
    return ((words[(at[id] as number) + 1] as number) >>> 24) & 0x7f;
  }

  /** Pairs known to be the same are left out: most are, once integers are deduplicated. */
  #push(newId: number, oldId: number): void {
    if (newId === oldId) return;
    const { canonical } = this.#columns;
    if (resolve(canonical, newId) === resolve(canonical, oldId)) return;
    const at = this.#pendingCount;
    if (at === this.#pending.length) this.#grow();
    this.#pending[at] = newId;
    this.#pending[at + 1] = oldId;
    this.#pendingCount = at + 2;
  }

  #grow(): void {
    const bigger = new Int32Array(2 * this.#pending.length);
    bigger.set(this.#pending);
    this.#pending = bigger;
  }

  /** Compares two types without what they refer to, which it puts on the stack. */
  #compareOne(newId: number, oldGiven: number): boolean {
    const oldId = this.#definition(oldGiven);
    const before = this.#hypothesis[oldId] as number;
    if (before >= 0) return before === newId || this.#isCopy(before, newId);
    this.#hypothesis[oldId] = newId;
    this.#mapped[this.#mappedCount++] = oldId;
    const { words, at } = this.#columns;
    const newAt = at[newId] as number;
    const oldAt = at[oldId] as number;
    if (words[newAt] !== words[oldAt]) return false;
    const newKind = ((words[newAt + 1] as number) >>> 24) & 0x7f;
    const oldKind = ((words[oldAt + 1] as number) >>> 24) & 0x7f;
    if (newKind !== oldKind) return this.#isForwardPair(newId, oldId);
    if (!this.#isAlike(newKind, newId, oldId)) return false;
    this.#pushReferences(newKind, newAt, oldAt);
    return true;
  }

  /** What an old declaration was found to stand for. */
  #definition(id: number): number {
    if (this.#kind(id) !== BTF_KIND.FWD) return id;
    const resolved = resolve(this.#columns.canonical, id);
    return this.#kind(resolved) === BTF_KIND.FWD ? id : resolved;
  }

  /** Whether one is a declaration and the other may be its definition, names being equal. */
  #isForwardPair(newId: number, oldId: number): boolean {
    const newKind = this.#kind(newId);
    const oldKind = this.#kind(oldId);
    if (newKind === BTF_KIND.FWD) return this.#declaredKind(newId) === oldKind;
    if (oldKind !== BTF_KIND.FWD || this.#declaredKind(oldId) !== newKind) return false;
    if (oldId < this.#columns.firstId) this.needsBaseChange = true;
    return true;
  }

  #declaredKind(id: number): number {
    const { words, at } = this.#columns;
    const isUnion = (words[(at[id] as number) + 1] as number) >>> 31 === 1;
    return isUnion ? BTF_KIND.UNION : BTF_KIND.STRUCT;
  }

  /** Whether two types of one kind and name are equal but for the ids in them. */
  #isAlike(kind: number, newId: number, oldId: number): boolean {
    const { words, at } = this.#columns;
    const a = at[newId] as number;
    const b = at[oldId] as number;
    switch (kind) {
      case BTF_KIND.VOID:
        return true;
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        return isAlikeComposite(this.#columns, newId, oldId);
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
        return isCompatibleEnum(this.#columns, newId, oldId);
      case BTF_KIND.ARRAY:
        return words[a + 1] === words[b + 1] && words[a + 5] === words[b + 5];
      case BTF_KIND.FUNC_PROTO:
        return isAlikePrototype(words, a, b);
      case BTF_KIND.VAR:
      case BTF_KIND.DATASEC:
        // Places: each stands for itself.
        return false;
      case BTF_KIND.DECL_TAG:
        return words[a + 1] === words[b + 1] && words[a + 3] === words[b + 3];
      default:
        return isTarget(kind)
          ? words[a + 1] === words[b + 1]
          : isEqual(this.#columns, newId, oldId);
    }
  }

  /** Last first, so that they are taken in order and before what waits already. */
  #pushReferences(kind: number, newAt: number, oldAt: number): void {
    const { words } = this.#columns;
    if (kind === BTF_KIND.ARRAY) {
      this.#push(words[newAt + 3] as number, words[oldAt + 3] as number);
      this.#push(words[newAt + 4] as number, words[oldAt + 4] as number);
      return;
    }
    const isPrototype = kind === BTF_KIND.FUNC_PROTO;
    if (isPrototype || isComposite(kind)) {
      const step = isPrototype ? 2 : 3;
      const vlen = (words[newAt + 1] as number) & 0xffffff;
      this.#work.spend(vlen);
      for (let i = headWords + 1 + step * (vlen - 1); i > headWords; i -= step) {
        this.#push(words[newAt + i] as number, words[oldAt + i] as number);
      }
    }
    if (isTarget(kind)) this.#push(words[newAt + 2] as number, words[oldAt + 2] as number);
  }

  /** Whether one graph has two equal types, `a` and `b`, where the other has one. */
  #isCopy(a: number, b: number): boolean {
    this.#copySteps = copySteps;
    const isCopy = this.#isIdentical(a, b, copyDepth);
    this.#work.spend(copySteps - this.#copySteps);
    return isCopy;
  }

  #isIdentical(firstA: number, firstB: number, depth: number): boolean {
    const { words, at } = this.#columns;
    let [a, b] = [firstA, firstB];
    // Along references without going deeper: only what branches counts for the depth.
    for (;;) {
      const [aAt, bAt] = [at[a] as number, at[b] as number];
      if (depth <= 0 || --this.#copySteps < 0) return false;
      const kind = this.#kind(a);
      if (kind !== this.#kind(b)) return false;
      const mustShareName = kind !== BTF_KIND.ARRAY && kind !== BTF_KIND.FUNC_PROTO;
      if (mustShareName && words[aAt] !== words[bAt]) return false;
      if (!this.#isAlike(kind, a, b)) return false;
      if (isComposite(kind)) return this.#areIdentical(aAt, bAt, 3, depth - 1);
      if (kind === BTF_KIND.ARRAY) {
        if (!this.#isSame(words[aAt + 4] as number, words[bAt + 4] as number, depth - 1))
          return false;
        [a, b] = [words[aAt + 3] as number, words[bAt + 3] as number];
      } else if (kind === BTF_KIND.FUNC_PROTO) {
        if (!this.#isSame(words[aAt + 2] as number, words[bAt + 2] as number, depth - 1))
          return false;
        return this.#areIdentical(aAt, bAt, 2, depth - 1);
      } else if (isTarget(kind)) {
        [a, b] = [words[aAt + 2] as number, words[bAt + 2] as number];
      } else {
        return true;
      }
    }
  }

  #areIdentical(aAt: number, bAt: number, step: 2 | 3, depth: number): boolean {
    const { words } = this.#columns;
    const end = headWords + step * ((words[aAt + 1] as number) & 0xffffff);
    for (let i = headWords + 1; i < end; i += step) {
      if (!this.#isSame(words[aAt + i] as number, words[bAt + i] as number, depth)) return false;
    }
    return true;
  }

  #isSame(a: number, b: number, depth: number): boolean {
    return a === b || this.#isIdentical(a, b, depth);
  }
}

/** Whether something stands for a type, be it itself. */
function isKnown(canonical: Int32Array, id: number): boolean {
  return (canonical[id] as number) >= 0;
}

/** Structs and unions. */
export function isComposite(kind: number): boolean {
  return kind === BTF_KIND.STRUCT || kind === BTF_KIND.UNION;
}

/** Whether all words of two types are equal. */
export function isEqual({ words, at }: Columns, a: number, b: number): boolean {
  const start = at[a] as number;
  const length = (at[a + 1] as number) - start;
  const other = at[b] as number;
  if ((at[b + 1] as number) - other !== length) return false;
  for (let i = 0; i < length; i++) {
    if (words[start + i] !== words[other + i]) return false;
  }
  return true;
}

/** Whether two structs or unions are equal but for the types of their members. */
export function isAlikeComposite({ words, at }: Columns, a: number, b: number): boolean {
  const start = at[a] as number;
  const other = at[b] as number;
  if (words[start] !== words[other]) return false;
  if (words[start + 1] !== words[other + 1] || words[start + 2] !== words[other + 2]) return false;
  const length = headWords + 3 * ((words[start + 1] as number) & 0xffffff);
  for (let i = headWords; i < length; i += 3) {
    if (words[start + i] !== words[other + i]) return false;
    if (words[start + i + 2] !== words[other + i + 2]) return false;
  }
  return true;
}

/** Flags and names of parameters. */
function isAlikePrototype(words: Uint32Array, a: number, b: number): boolean {
  if (words[a] !== words[b] || words[a + 1] !== words[b + 1]) return false;
  const length = headWords + 2 * ((words[a + 1] as number) & 0xffffff);
  for (let i = headWords; i < length; i += 2) {
    if (words[a + i] !== words[b + i]) return false;
  }
  return true;
}

/** Whether an enum has no enumerators: it is only declared. */
export function isDeclaredEnum({ words, at }: Columns, id: number): boolean {
  return ((words[(at[id] as number) + 1] as number) & 0xffffff) === 0;
}

/**
 * Whether two enums are equal, or of one name and one of them only declared: then neither
 * its size nor its kind tells anything, since the compiler guessed them.
 */
export function isCompatibleEnum(columns: Columns, a: number, b: number): boolean {
  if (!isDeclaredEnum(columns, a) && !isDeclaredEnum(columns, b)) return isEqual(columns, a, b);
  const { words, at } = columns;
  return words[at[a] as number] === words[at[b] as number];
}
