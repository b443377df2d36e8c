import { ERRNO } from '../../abi/errno.ts';
import { alignUp } from '../ranges.ts';
import type { BatchCall } from './batch.ts';
import { checkUpdateFlags, copyBytes, type MapOptions, VmMap } from './map.ts';

/** Bytes in front of a key's data: the length of its prefix in bits. */
const headSize = 4;

/**
 * A prefix in the trie. Its key and value are one block of VM memory:
 *
 * ```
 *   0              u32  length of the prefix in bits
 *   4              data, padded to a multiple of 8 with what is in front
 *   payloadOffset  the value
 * ```
 */
interface Node {
  /** In bits. */
  readonly length: number;
  /** The data; bits behind the prefix are 0. */
  readonly data: Uint8Array;
  /** Offset of the block; 0 for a place where two prefixes part. */
  element: number;
  zero: Node | undefined;
  one: Node | undefined;
}

/**
 * `BPF_MAP_TYPE_LPM_TRIE`: the longest prefix of a key, as for routes. Lookups, also those of
 * user space, give the value of the longest prefix that fits; updates and deletes mean the
 * very prefix. Source of the rules: kernel/bpf/lpm_trie.c.
 */
export class LpmTrieMap extends VmMap {
  readonly payloadOffset: number;
  /** Longest prefix, in bits. */
  readonly longest: number;
  #root: Node | undefined;
  #count = 0;

  constructor(options: MapOptions) {
    super(options);
    this.longest = (this.keySize - headSize) * 8;
    this.payloadOffset = alignUp(this.keySize, 8);
  }

  override elementLookup(key: Uint8Array, at: number, _cpu: number): number {
    const length = this.#lengthOf(key, at);
    if (length > this.longest) return 0;
    let found = 0;
    for (let node = this.#root; node !== undefined; ) {
      const common = commonBits(node.data, key, at + headSize, Math.min(node.length, length));
      if (common < node.length) break;
      if (node.element !== 0) found = node.element;
      if (node.length === this.longest) break;
      node = bitAt(key, at + headSize, node.length) === 0 ? node.zero : node.one;
    }
    return found === 0 ? 0 : found + this.payloadOffset;
  }

  override elementUpdate(
    key: Uint8Array,
    at: number,
    value: Uint8Array,
    valueAt: number,
    flags: number,
    _cpu: number,
  ): number {
    const length = this.#lengthOf(key, at);
    // Locks are none of this type's flags.
    if (flags > 2 || length > this.longest) return -ERRNO.EINVAL;
    const known = this.#exact(key, at, length);
    const checked = checkUpdateFlags(flags, known !== undefined);
    if (checked < 0) return checked;
    if (known === undefined && this.#count >= this.maxEntries) return -ERRNO.ENOSPC;
    // A program that holds the old value still reads it: it gets a new place.
    const element = this.#makeElement(key, at, value, valueAt);
    if (element === 0) return -ERRNO.ENOMEM;
    if (known !== undefined) {
      this.memory.free(known.element);
      known.element = element;
      return 0;
    }
    this.#root = insert(this.#root, makeNode(key, at + headSize, length, this.#dataSize, element));
    this.#count++;
    return 0;
  }

  override elementDelete(key: Uint8Array, at: number): number {
    const length = this.#lengthOf(key, at);
    if (length > this.longest) return -ERRNO.EINVAL;
    const node = this.#exact(key, at, length);
    if (node === undefined) return -ERRNO.ENOENT;
    this.memory.free(node.element);
    node.element = 0;
    this.#count--;
    this.#root = without(this.#root, node);
    return 0;
  }

  override destroy(): void {
    for (const node of inOrder(this.#root)) this.memory.free(node.element);
    this.#root = undefined;
  }

  protected override get batchCalls(): readonly BatchCall[] {
    return ['lookup', 'update', 'delete'];
  }

  /** Longer prefixes come before those that they begin with; from a key that is not there on, the first. */
  protected override userNextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const path = key === undefined ? [] : this.#pathTo(key);
    const next = path.length === 0 ? firstOf(this.#root, []).at(-1) : nextOf(path);
    return next && this.memory.bytes.slice(next.element, next.element + this.keySize);
  }

  /** The nodes from the root to that of a key; none where it is not there. */
  #pathTo(key: Uint8Array): Node[] {
    const length = this.#lengthOf(key, 0);
    const path: Node[] = [];
    let node = this.#root;
    while (node !== undefined && node.length <= length && length <= this.longest) {
      if (commonBits(node.data, key, headSize, node.length) < node.length) return [];
      path.push(node);
      if (node.length === length) return node.element === 0 ? [] : path;
      node = bitAt(key, headSize, node.length) === 0 ? node.zero : node.one;
    }
    return [];
  }

  get #dataSize(): number {
    return this.keySize - headSize;
  }

  #lengthOf(key: Uint8Array, at: number): number {
    const [a, b, c, d] = [key[at], key[at + 1], key[at + 2], key[at + 3]] as Quad;
    const little = a | (b << 8) | (c << 16) | (d << 24);
    const big = d | (c << 8) | (b << 16) | (a << 24);
    return (this.littleEndian ? little : big) >>> 0;
  }

  /** The node of a prefix that was put in. */
  #exact(key: Uint8Array, at: number, length: number): Node | undefined {
    let node = this.#root;
    while (node !== undefined && node.length <= length) {
      const common = commonBits(node.data, key, at + headSize, node.length);
      if (common < node.length) return undefined;
      if (node.length === length) return node.element === 0 ? undefined : node;
      node = bitAt(key, at + headSize, node.length) === 0 ? node.zero : node.one;
    }
    return undefined;
  }

  #makeElement(key: Uint8Array, at: number, value: Uint8Array, valueAt: number): number {
    const size = this.payloadOffset + this.valueStride;
    const element = this.memory.tryAllocate(size, { label: this.label });
    if (element === 0) return 0;
    copyBytes(this.memory.bytes, element, key, at, this.keySize);
    this.initValue(element + this.payloadOffset, value, valueAt);
    return element;
  }
}

type Quad = [number, number, number, number];

function makeNode(
  key: Uint8Array,
  at: number,
  length: number,
  size: number,
  element: number,
): Node {
  const data = key.slice(at, at + size);
  const whole = length >> 3;
  if (whole < size) {
    data[whole] = (data[whole] as number) & (0xff00 >> (length & 7));
    data.fill(0, whole + 1);
  }
  return { length, data, element, zero: undefined, one: undefined };
}

function bitAt(data: Uint8Array, at: number, bit: number): number {
  return ((data[at + (bit >> 3)] as number) >> (7 - (bit & 7))) & 1;
}

/** How many of the first `limit` bits are the same. */
function commonBits(a: Uint8Array, b: Uint8Array, at: number, limit: number): number {
  for (let i = 0; i * 8 < limit; i++) {
    const differing = (a[i] as number) ^ (b[at + i] as number);
    if (differing !== 0) return Math.min(limit, i * 8 + Math.clz32(differing) - 24);
  }
  return limit;
}

/** The tree with one more node; the root of it. */
function insert(root: Node | undefined, added: Node): Node {
  if (root === undefined) return added;
  const common = commonBits(root.data, added.data, 0, Math.min(root.length, added.length));
  if (common === root.length && common === added.length) {
    root.element = added.element;
    return root;
  }
  if (common === root.length) {
    if (bitAt(added.data, 0, common) === 0) root.zero = insert(root.zero, added);
    else root.one = insert(root.one, added);
    return root;
  }
  const fork =
    common === added.length ? added : makeNode(added.data, 0, common, added.data.length, 0);
  const [zero, one] = bitAt(root.data, 0, common) === 0 ? [root, added] : [added, root];
  if (fork === added) {
    if (zero === root) added.zero = root;
    else added.one = root;
  } else {
    fork.zero = zero;
    fork.one = one;
  }
  return fork;
}

/** The tree without a node that has lost its element, and without a fork that is none any more. */
function without(root: Node | undefined, lost: Node): Node | undefined {
  if (root === undefined) return undefined;
  if (root !== lost) {
    if (bitAt(lost.data, 0, root.length) === 0) root.zero = without(root.zero, lost);
    else root.one = without(root.one, lost);
  }
  if (root.element !== 0 || (root.zero !== undefined && root.one !== undefined)) return root;
  return root.zero ?? root.one;
}

/** Goes down to the first node below one, which is a leaf. */
function firstOf(from: Node | undefined, path: Node[]): Node[] {
  for (let node = from; node !== undefined; node = node.zero ?? node.one) path.push(node);
  return path;
}

/** The prefix after the one at the end of a path: what begins with one comes before it, 0 before 1. */
function nextOf(path: Node[]): Node | undefined {
  for (let child = path.pop(); child !== undefined; child = path.pop()) {
    const parent = path.at(-1);
    if (parent === undefined) return undefined;
    if (parent.zero === child) firstOf(parent.one, path);
    const next = path.at(-1);
    if (next !== undefined && next.element !== 0) return next;
  }
  return undefined;
}

/** All that have an element. */
function* inOrder(root: Node | undefined): Generator<Node> {
  for (const path = firstOf(root, []); path.length > 0; ) {
    const node = path.at(-1) as Node;
    if (node.element !== 0) yield node;
    path.pop();
    const parent = path.at(-1);
    if (parent !== undefined && parent.zero === node) firstOf(parent.one, path);
  }
}
