import { BPF_F_LOCK, BPF_F_NO_PREALLOC, BPF_MAP_TYPE } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { MapBatch } from '../../backend/backend.ts';
import { alignUp } from '../ranges.ts';
import { type BatchCall, type BatchRequest, BatchResult } from './batch.ts';
import { EvictionRing } from './eviction.ts';
import { HashTable } from './hash-table.ts';
import { checkUpdateFlags, type ElementCallback, type MapOptions, VmMap } from './map.ts';
import { readCpus, updateKind, writeCpus } from './percpu.ts';

/** The table behind a hash map with `payloadSize` bytes for each key. */
export function tableFor(options: MapOptions, payloadSize: number): HashTable {
  const { host, spec } = options;
  const onDemand = (spec.flags & BPF_F_NO_PREALLOC) !== 0;
  return new HashTable(host.memory, {
    label: `map ${spec.name}`,
    map: spec.name,
    keySize: spec.keySize,
    payloadSize,
    maxEntries: spec.maxEntries,
    onDemand,
    // One more element for each CPU makes it possible to replace in a full map.
    spare: host.cpuCount,
    seed: host.hashSeed,
  });
}

/** The key after `key` in bucket order; the first where `key` is not there any more. */
export function nextTableKey(
  table: HashTable,
  key: Uint8Array | undefined,
): Uint8Array | undefined {
  const from = key === undefined ? 0 : table.find(key, 0);
  const next = table.next(from);
  return next === 0 ? undefined : table.key(next);
}

const allBatches: readonly BatchCall[] = ['lookup', 'take', 'update', 'delete'];

const evicting: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.LRU_HASH,
  BPF_MAP_TYPE.LRU_PERCPU_HASH,
]);

/** What maps with a value behind each key of a table share. */
export abstract class TableMap extends VmMap {
  readonly table: HashTable;
  /** Set for types that drop an element where they are full, instead of refusing a new one. */
  readonly eviction: EvictionRing | undefined;

  constructor(options: MapOptions, payloadSize: number) {
    super(options);
    this.table = tableFor(options, payloadSize);
    this.eviction = evicting.has(this.type) ? new EvictionRing() : undefined;
  }

  override elementDelete(key: Uint8Array, at: number): number {
    const element = this.table.find(key, at);
    if (element === 0) return -ERRNO.ENOENT;
    this.remove(element);
    return 0;
  }

  override destroy(): void {
    this.table.destroy();
  }

  /** The element of a key that a program looks up; 0 where there is none. */
  protected findUsed(key: Uint8Array, at: number): number {
    const element = this.table.find(key, at);
    this.eviction?.use(element);
    return element;
  }

  /** An element for a key that is not there, not yet linked and with unknown payload; or a negated errno. */
  protected makeElement(key: Uint8Array, at: number): number {
    if (this.table.count >= this.maxEntries) {
      const oldest = this.eviction?.choose() ?? 0;
      if (oldest === 0) return -ERRNO.E2BIG;
      this.remove(oldest);
    }
    return this.table.create(key, at) || -ERRNO.ENOMEM;
  }

  protected link(element: number): void {
    this.table.link(element);
    this.eviction?.enter(element);
  }

  protected remove(element: number): void {
    this.eviction?.leave(element);
    this.table.unlink(element);
    this.table.drop(element);
  }

  protected override userNextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    return nextTableKey(this.table, key);
  }

  protected override userLookup(key: Uint8Array, flags: number): Uint8Array | undefined {
    const element = this.table.find(key, 0);
    return element === 0 ? undefined : this.readValue(element + this.table.payloadOffset, flags);
  }

  protected override userTake(key: Uint8Array, flags: number): Uint8Array | undefined {
    const value = this.userLookup(key, flags);
    if (value !== undefined) this.elementDelete(key, 0);
    return value;
  }

  protected override get batchCalls(): readonly BatchCall[] {
    return allBatches;
  }

  /**
   * The next batch starts behind a hash, so that it does not matter which keys come and go
   * meanwhile. Keys of one hash stay together, like those of a bucket in the kernel, which
   * gives `ENOSPC` where a bucket is larger than the batch.
   */
  protected override userBatch({ from, count, flags, take }: BatchRequest): MapBatch {
    const { table } = this;
    const result = new BatchResult();
    let last = from === undefined ? undefined : readCursor(from);
    for (;;) {
      const group = sameHash(table, last === undefined ? table.next(0) : table.after(last));
      const [first] = group;
      if (first === undefined) return result.end(undefined);
      if (result.count + group.length > count) break;
      last = table.hashOf(first);
      for (const element of group) {
        result.add(table.key(element), this.readValue(element + table.payloadOffset, flags));
        if (take) this.remove(element);
      }
    }
    if (last === undefined || result.count === 0) {
      throw this.error('ENOSPC', 'look up batch', 'more keys belong together than the batch takes');
    }
    return result.end(writeCursor(last));
  }

  /** A value as user space reads it. */
  protected abstract readValue(payload: number, flags: number): Uint8Array;
}

/** Elements with the hash of the first one. */
function sameHash(table: HashTable, first: number): readonly number[] {
  if (first === 0) return [];
  const group = [first];
  const hash = table.hashOf(first);
  for (let element = table.next(first); element !== 0; element = table.next(element)) {
    if (table.hashOf(element) !== hash || group.length > table.count) break;
    group.push(element);
  }
  return group;
}

function readCursor(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes.length < 4 ? 0 : view.getUint32(0, true);
}

function writeCursor(hash: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, hash, true);
  return bytes;
}

/**
 * `BPF_MAP_TYPE_HASH`, preallocated or on demand, and `BPF_MAP_TYPE_LRU_HASH`. An update never changes the old element:
 * it puts a new one in front and takes the old one out, so that a program which holds a
 * pointer to the old value still reads it. Source of the rules: kernel/bpf/hashtab.c.
 */
export class HashMap extends TableMap {
  constructor(options: MapOptions) {
    super(options, alignUp(options.spec.valueSize, 8));
  }

  override elementLookup(key: Uint8Array, at: number, _cpu: number): number {
    const element = this.findUsed(key, at);
    return element === 0 ? 0 : element + this.table.payloadOffset;
  }

  override elementUpdate(
    key: Uint8Array,
    at: number,
    value: Uint8Array,
    valueAt: number,
    flags: number,
    _cpu: number,
  ): number {
    const old = this.table.find(key, at);
    const checked = checkUpdateFlags(flags, old !== 0);
    if (checked < 0) return checked;
    if ((flags & BPF_F_LOCK) !== 0) {
      if (!this.hasSpinLock || this.eviction !== undefined) return -ERRNO.EINVAL;
      if (old !== 0) {
        this.copyValue(old + this.table.payloadOffset, value, valueAt);
        return 0;
      }
    }
    const element =
      old === 0 ? this.makeElement(key, at) : this.table.create(key, at) || -ERRNO.ENOMEM;
    if (element < 0) return element;
    this.initValue(element + this.table.payloadOffset, value, valueAt);
    this.link(element);
    this.eviction?.use(element);
    if (old !== 0) this.remove(old);
    return 0;
  }

  override forEach(_cpu: number, callback: ElementCallback): number {
    return forEachElement(this.table, 0, callback);
  }

  protected override readValue(payload: number): Uint8Array {
    return this.userValue(payload);
  }
}

/**
 * `BPF_MAP_TYPE_PERCPU_HASH` and `BPF_MAP_TYPE_LRU_PERCPU_HASH`: an element holds one value for each CPU, `valueStride` apart.
 * Updates change the element in place; a program changes its own CPU's value only.
 */
export class PercpuHashMap extends TableMap {
  constructor(options: MapOptions) {
    super(options, alignUp(options.spec.valueSize, 8) * options.host.cpuCount);
  }

  override get isPercpu(): boolean {
    return true;
  }

  override get userValueSize(): number {
    return this.valueStride * this.host.cpuCount;
  }

  override elementLookup(key: Uint8Array, at: number, cpu: number): number {
    const element = this.findUsed(key, at);
    return element === 0 ? 0 : element + this.table.payloadOffset + cpu * this.valueStride;
  }

  override elementUpdate(
    key: Uint8Array,
    at: number,
    value: Uint8Array,
    valueAt: number,
    flags: number,
    cpu: number,
  ): number {
    const element = this.#elementFor(key, at, flags);
    if (element < 0) return element;
    this.copyValue(element + this.table.payloadOffset + cpu * this.valueStride, value, valueAt);
    return 0;
  }

  override forEach(cpu: number, callback: ElementCallback): number {
    return forEachElement(this.table, cpu * this.valueStride, callback);
  }

  protected override readValue(payload: number, flags: number): Uint8Array {
    const offsetOf = (cpu: number): number => payload + cpu * this.valueStride;
    return readCpus(this.memory.bytes, this.cpus, offsetOf, flags);
  }

  protected override userUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    const element = this.#elementFor(key, 0, updateKind(flags));
    if (element < 0) return element;
    const payload = element + this.table.payloadOffset;
    writeCpus(this.cpus, flags, (cpu, from) => {
      this.copyValue(payload + cpu * this.valueStride, value, from);
    });
    return 0;
  }

  /** The key's element, made with zeroed values if it is not there; or a negated errno. */
  #elementFor(key: Uint8Array, at: number, flags: number): number {
    // In the kernel per-CPU hash maps take no BPF_F_LOCK at all.
    if ((flags & BPF_F_LOCK) !== 0) return -ERRNO.EINVAL;
    const old = this.findUsed(key, at);
    const checked = checkUpdateFlags(flags, old !== 0);
    if (checked < 0 || old !== 0) return checked < 0 ? checked : old;
    const element = this.makeElement(key, at);
    if (element < 0) return element;
    const payload = element + this.table.payloadOffset;
    this.memory.bytes.fill(0, payload, payload + this.userValueSize);
    this.link(element);
    return element;
  }
}

/** Calls back for each element; the key's bytes are the table's own, as in the kernel. */
function forEachElement(table: HashTable, offset: number, callback: ElementCallback): number {
  let visited = 0;
  table.walk((element) => {
    visited++;
    return callback(table.keyOffset(element), element + table.payloadOffset + offset) === 0;
  });
  return visited;
}
