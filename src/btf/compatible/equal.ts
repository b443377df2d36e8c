import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { FIELD, fieldsOf, type TypeFields } from '../fields.ts';
import { BTF_KIND, type TypeId } from '../types.ts';

/**
 * Whether two types are the same all through: kind, names, sizes, offsets, values and flags,
 * and the same of everything that they refer to, in the order in which it is stored. What
 * deduplication calls identical (libbpf's `btf_dedup_identical_types`), without limits on
 * depth; so flavours and typedefs count, and a forward declaration is not the struct that it
 * declares. Ids, the places of strings and byte orders do not count.
 *
 * The BTFs may be the same, split or have a base in common. Types in circles are equal if
 * no difference can be reached. A kind that only a layout section knows is equal to itself
 * alone, since what its words mean is not known.
 *
 * Takes time by the number of types that can be reached, however they refer to one another:
 * pairs that are being compared are put in one class, as in the algorithm of Hopcroft and
 * Karp for finite automata, so each comparison leaves one class less. References are
 * followed with a stack of its own. {@link BpfError} `btf-compare-limit` where names overlap so
 * much that they are many times longer than what holds them.
 */
export function typesEqual(a: Btf, aId: TypeId, b: Btf, bId: TypeId): boolean {
  a.kindOf(aId); // an id outside is an error
  b.kindOf(bId);
  return new Equality(a, b).compare(aId, bId);
}

/**
 * Bytes of names that one comparison may look through: so many, and so many times the bytes of
 * both BTFs. All of vmlinux takes about as many as it has; names that overlap in one long
 * string would take billions.
 */
const nameBytes = 2 ** 26;
const nameBytesPerByte = 16;

/** One comparison. Types of both sides are nodes: ids of `a`, and after them those of `b`. */
class Equality {
  readonly #a: Btf;
  readonly #b: Btf;
  /** The ids below are of a base that both stand on: equal where the ids are. */
  readonly #shared: number;
  readonly #parents = new Map<number, number>();
  #nameBytes: number;
  /** Pairs still to be compared: an id of `a`, an id of `b`. */
  readonly #pending: number[] = [];

  constructor(a: Btf, b: Btf) {
    this.#a = a;
    this.#b = b;
    this.#shared = sharedEnd(a, b);
    this.#nameBytes = nameBytes + nameBytesPerByte * (a.bytes.length + b.bytes.length);
  }

  compare(aId: number, bId: number): boolean {
    this.#push(aId, bId);
    while (this.#pending.length > 0) {
      const right = this.#pending.pop() as TypeId;
      const left = this.#pending.pop() as TypeId;
      if (!this.#sameWords(left, right)) return false;
    }
    return true;
  }

  /** Puts a pair on the stack, unless it is known or is being compared already. */
  #push(aId: number, bId: number): void {
    if (aId === bId && aId < this.#shared) return;
    const left = this.#classOf(aId);
    // With a base in common, its types are the same nodes on either side.
    const right = this.#classOf(bId < this.#shared ? bId : this.#a.endId + bId);
    if (left === right) return;
    this.#parents.set(left, right);
    this.#pending.push(aId, bId);
  }

  /** The node that stands for a node's class; halves the way for the next time. */
  #classOf(node: number): number {
    const parents = this.#parents;
    let at = node;
    for (;;) {
      const parent = parents.get(at);
      if (parent === undefined) return at;
      const next = parents.get(parent);
      if (next === undefined) return parent;
      parents.set(at, next);
      at = next;
    }
  }

  #sameWords(aId: TypeId, bId: TypeId): boolean {
    const kind = this.#a.kindOf(aId);
    if (kind !== this.#b.kindOf(bId)) return false;
    // `void` on both sides was left out when it was pushed.
    if (kind === BTF_KIND.VOID || kind > BTF_KIND.ENUM64) return false;
    const left = fieldsOf(this.#a, aId);
    const right = fieldsOf(this.#b, bId);
    const length = left.end - left.start;
    if (right.end - right.start !== length) return false;
    // Plain words first: they tell most types apart, at the least cost.
    return this.#samePlain(left, right, length) && this.#sameReferences(left, right, length);
  }

  #samePlain(left: TypeFields, right: TypeFields, length: number): boolean {
    for (let at = 0; at < length; at++) {
      if (left.role(at) !== FIELD.PLAIN) continue;
      if (left.words[left.start + at] !== right.words[right.start + at]) return false;
    }
    return true;
  }

  #sameReferences(left: TypeFields, right: TypeFields, length: number): boolean {
    for (let at = 0; at < length; at++) {
      const role = left.role(at);
      if (role === FIELD.PLAIN) continue;
      const a = left.words[left.start + at] as number;
      const b = right.words[right.start + at] as number;
      if (role === FIELD.ID) this.#push(a, b);
      else if (!this.#sameString(a, b)) return false;
    }
    return true;
  }

  #sameString(aOffset: number, bOffset: number): boolean {
    const [left, right] = [this.#a.strings.levelOf(aOffset), this.#b.strings.levelOf(bOffset)];
    const [i, j] = [aOffset - left.start, bOffset - right.start];
    if (left === right && i === j) return true;
    let length = 0;
    while (left.bytes[i + length] === right.bytes[j + length]) {
      if (left.bytes[i + length] === 0) break;
      length++;
    }
    this.#spend(length);
    return left.bytes[i + length] === right.bytes[j + length];
  }

  #spend(nameBytes: number): void {
    this.#nameBytes -= nameBytes;
    if (this.#nameBytes >= 0) return;
    const { name } = this.#a;
    throw new BpfError({ code: 'btf-compare-limit', btf: name, type: 'one of its types' });
  }
}

/** One past the last id of the base that both stand on; 1 (there is `void` alone) without one. */
function sharedEnd(a: Btf, b: Btf): number {
  const levels = new Set<Btf>();
  for (let level: Btf | undefined = a; level !== undefined; level = level.base) levels.add(level);
  for (let level: Btf | undefined = b; level !== undefined; level = level.base) {
    if (levels.has(level)) return level.endId;
  }
  return 1;
}
