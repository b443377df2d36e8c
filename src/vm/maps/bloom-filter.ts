import { ERRNO } from '../../abi/errno.ts';
import { type MapOptions, VmMap } from './map.ts';

/** Hash functions where `map_extra` says nothing, as in the kernel. */
const usualHashes = 5;

/** Most bits: what 32-bit hashes can tell apart. */
const mostBits = 2 ** 32;

/**
 * `BPF_MAP_TYPE_BLOOM_FILTER`: says of a value that it was never put in, or that it may have
 * been. `map_extra` is the number of hash functions, 1 to 15. As many bits as
 * `bloom_map_alloc` of kernel/bpf/bloom_filter.c takes: 7/5 of entries times hash functions,
 * rounded up to a power of two.
 */
export class BloomFilterMap extends VmMap {
  readonly bits: number;
  readonly #mask: number;
  readonly #hashes: number;

  constructor(options: MapOptions) {
    super(options);
    this.#hashes = Number(this.spec.extra) || usualHashes;
    const wanted = Math.floor((this.maxEntries * this.#hashes * 7) / 5);
    const bits = Math.min(mostBits, Math.max(64, 2 ** Math.ceil(Math.log2(wanted))));
    this.#mask = bits - 1;
    this.bits = this.memory.allocate(bits / 8, { label: this.label });
  }

  override elementPush(value: Uint8Array, at: number, flags: number): number {
    if (flags !== 0) return -ERRNO.EINVAL;
    const { bytes } = this.memory;
    for (let i = 0; i < this.#hashes; i++) {
      const bit = this.#bit(value, at, i);
      const byte = this.bits + Math.floor(bit / 8);
      bytes[byte] = (bytes[byte] as number) | (1 << (bit & 7));
    }
    return 0;
  }

  /** Whether the value at `value` may have been put in: 0, or `-ENOENT` where it was not. */
  override elementPeek(value: number, remove: boolean): number {
    if (remove) throw this.notForPrograms('bpf_map_pop_elem');
    return this.#has(this.memory.bytes, value) ? 0 : -ERRNO.ENOENT;
  }

  override elementDelete(): number {
    return -ERRNO.EOPNOTSUPP;
  }

  override contains(value: Uint8Array): boolean {
    this.checkRead('look up value');
    this.checkSize('value', value, this.valueSize, 'look up value');
    return this.#has(value, 0);
  }

  override destroy(): void {
    this.memory.free(this.bits);
  }

  protected override userLookup(): Uint8Array | undefined {
    throw this.error('EINVAL', 'look up element', 'it has no keys; ask with contains(value)');
  }

  protected override userUpdate(_key: Uint8Array, value: Uint8Array, flags: number): number {
    return this.elementPush(value, 0, flags);
  }

  protected override userNextKey(): Uint8Array | undefined {
    throw this.error('EOPNOTSUPP', 'get next key', 'it has no keys');
  }

  #has(value: Uint8Array, at: number): boolean {
    for (let i = 0; i < this.#hashes; i++) {
      const bit = this.#bit(value, at, i);
      const byte = this.memory.bytes[this.bits + Math.floor(bit / 8)] as number;
      if ((byte & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }

  /** FNV-1a over the value, begun with the number of the function, with its bits mixed at the end. */
  #bit(value: Uint8Array, at: number, hash: number): number {
    let sum = Math.imul(this.host.hashSeed ^ hash, 0x9e37_79b1) ^ 0x811c_9dc5;
    for (let i = 0; i < this.valueSize; i++) {
      sum = Math.imul(sum ^ (value[at + i] as number), 0x0100_0193);
    }
    sum ^= sum >>> 15;
    sum = Math.imul(sum, 0x85eb_ca6b);
    return ((sum ^ (sum >>> 13)) & this.#mask) >>> 0;
  }
}
