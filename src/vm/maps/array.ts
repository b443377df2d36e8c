import { BPF_F_INNER_MAP, BPF_F_LOCK, BPF_F_MMAPABLE, BPF_F_RDONLY_PROG } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { VmMemory } from '../memory.ts';
import type { BatchCall } from './batch.ts';
import { checkUpdateFlags, type ElementCallback, type MapOptions, VmMap } from './map.ts';
import { readCpus, updateKind, writeCpus } from './percpu.ts';

/** Index of an array map's key, unsigned. */
export function keyIndex(key: Uint8Array, at: number, littleEndian: boolean): number {
  const a = key[at] as number;
  const b = key[at + 1] as number;
  const c = key[at + 2] as number;
  const d = key[at + 3] as number;
  return (
    (littleEndian ? a | (b << 8) | (c << 16) | (d << 24) : d | (c << 8) | (b << 16) | (a << 24)) >>>
    0
  );
}

/** The bytes of an index as a key. */
export function indexKey(index: number, littleEndian: boolean): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, littleEndian);
  return key;
}

/** The key after `key` in an array of `length` elements (`array_map_get_next_key`). */
export function nextIndexKey(
  key: Uint8Array | undefined,
  length: number,
  littleEndian: boolean,
): Uint8Array | undefined {
  const index = key === undefined ? length : keyIndex(key, 0, littleEndian);
  if (index >= length) return indexKey(0, littleEndian);
  return index === length - 1 ? undefined : indexKey(index + 1, littleEndian);
}

/** Update rules of plain and per-CPU arrays: 0 or a negated errno. */
function checkArrayUpdate(flags: number, index: number, length: number): number {
  // All indices exist, whatever the flags say about absence.
  const result = checkUpdateFlags(flags, true);
  if (result === -ERRNO.EINVAL) return result;
  return index >= length ? -ERRNO.E2BIG : result;
}

/**
 * `BPF_MAP_TYPE_ARRAY`: `maxEntries` values in a row, each rounded up to 8 bytes, in one
 * block of VM memory; read-only memory with `BPF_F_RDONLY_PROG`, page-aligned with
 * `BPF_F_MMAPABLE`. Source of the rules: kernel/bpf/arraymap.c.
 */
export class ArrayMap extends VmMap {
  readonly elements: number;

  constructor(options: MapOptions) {
    super(options);
    const { pageSize } = this.host;
    const mappable = (this.flags & BPF_F_MMAPABLE) !== 0;
    this.elements = this.memory.allocate(this.maxEntries * this.valueStride, {
      align: mappable ? pageSize : 8,
      label: this.label,
      readOnly: (this.flags & BPF_F_RDONLY_PROG) !== 0,
    });
  }

  override elementLookup(key: Uint8Array, at: number, _cpu: number): number {
    const index = keyIndex(key, at, this.littleEndian);
    return index < this.maxEntries ? this.elements + index * this.valueStride : 0;
  }

  override elementUpdate(
    key: Uint8Array,
    at: number,
    value: Uint8Array,
    valueAt: number,
    flags: number,
    _cpu: number,
  ): number {
    const index = keyIndex(key, at, this.littleEndian);
    const result = checkArrayUpdate(flags, index, this.maxEntries);
    if (result < 0) return result;
    if ((flags & BPF_F_LOCK) !== 0 && !this.hasSpinLock) return -ERRNO.EINVAL;
    this.copyValue(this.elements + index * this.valueStride, value, valueAt);
    return 0;
  }

  override forEach(_cpu: number, callback: ElementCallback): number {
    const valueAt = (index: number) => this.elements + index * this.valueStride;
    return forEachIndex(this, this.memory, valueAt, callback);
  }

  /**
   * The values as programs see them, stride {@link VmMap.valueStride}. A frozen map gives a
   * copy: nothing changes it any more, and nobody can write through it.
   */
  override view(): Uint8Array {
    this.requireOpen();
    if ((this.flags & BPF_F_MMAPABLE) === 0) {
      throw this.error('EINVAL', 'map memory', 'the array was made without BPF_F_MMAPABLE');
    }
    const size = (this.maxEntries - 1) * this.valueStride + this.valueSize;
    const end = this.elements + size;
    if (this.frozen) return this.memory.bytes.slice(this.elements, end);
    return this.memory.bytes.subarray(this.elements, end);
  }

  /** An array's length is part of its meta, unless it says that it is an inner map. */
  override metaEqual(other: VmMap): boolean {
    if (!super.metaEqual(other)) return false;
    return (this.flags & BPF_F_INNER_MAP) !== 0 || this.maxEntries === other.maxEntries;
  }

  protected override get batchCalls(): readonly BatchCall[] {
    return ['lookup', 'update'];
  }

  protected override userNextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    return nextIndexKey(key, this.maxEntries, this.littleEndian);
  }

  override destroy(): void {
    this.memory.free(this.elements);
  }
}

/**
 * `BPF_MAP_TYPE_PERCPU_ARRAY`: one such array for each CPU, after one another:
 * value i of CPU c is at `elements + (c * maxEntries + i) * valueStride`.
 */
export class PercpuArrayMap extends VmMap {
  readonly elements: number;

  constructor(options: MapOptions) {
    super(options);
    const size = this.maxEntries * this.valueStride * this.host.cpuCount;
    this.elements = this.memory.allocate(size, { label: this.label });
  }

  override get isPercpu(): boolean {
    return true;
  }

  override get userValueSize(): number {
    return this.valueStride * this.host.cpuCount;
  }

  override elementLookup(key: Uint8Array, at: number, cpu: number): number {
    const index = keyIndex(key, at, this.littleEndian);
    return index < this.maxEntries ? this.#valueAt(index, cpu) : 0;
  }

  override elementUpdate(
    key: Uint8Array,
    at: number,
    value: Uint8Array,
    valueAt: number,
    flags: number,
    cpu: number,
  ): number {
    const index = keyIndex(key, at, this.littleEndian);
    const result = checkArrayUpdate(flags, index, this.maxEntries);
    if (result < 0) return result;
    if ((flags & BPF_F_LOCK) !== 0) return -ERRNO.EINVAL;
    this.copyValue(this.#valueAt(index, cpu), value, valueAt);
    return 0;
  }

  override forEach(cpu: number, callback: ElementCallback): number {
    const valueAt = (index: number) => this.#valueAt(index, cpu);
    return forEachIndex(this, this.memory, valueAt, callback);
  }

  protected override userLookup(key: Uint8Array, flags: number): Uint8Array | undefined {
    const index = keyIndex(key, 0, this.littleEndian);
    if (index >= this.maxEntries) return undefined;
    return readCpus(this.memory.bytes, this.cpus, (cpu) => this.#valueAt(index, cpu), flags);
  }

  protected override userUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const index = keyIndex(key, 0, this.littleEndian);
    const result = checkArrayUpdate(updateKind(flags), index, this.maxEntries);
    if (result < 0) return result;
    writeCpus(this.cpus, flags, (cpu, from) => {
      this.copyValue(this.#valueAt(index, cpu), value, from);
    });
    return 0;
  }

  protected override get batchCalls(): readonly BatchCall[] {
    return ['lookup', 'update'];
  }

  protected override userNextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    return nextIndexKey(key, this.maxEntries, this.littleEndian);
  }

  override destroy(): void {
    this.memory.free(this.elements);
  }

  #valueAt(index: number, cpu: number): number {
    return this.elements + (cpu * this.maxEntries + index) * this.valueStride;
  }
}

/** Calls back for each index in order; the key is a copy that the callback may spoil. */
function forEachIndex(
  map: VmMap,
  memory: VmMemory,
  valueAt: (index: number) => number,
  callback: ElementCallback,
): number {
  const key = memory.allocate(4, { label: 'callback key' });
  try {
    for (let index = 0; index < map.maxEntries; index++) {
      memory.view.setUint32(key, index, map.littleEndian);
      if (callback(key, valueAt(index)) !== 0) return index + 1;
    }
    return map.maxEntries;
  } finally {
    memory.free(key);
  }
}
