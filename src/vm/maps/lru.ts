import { BPF_F_LOCK } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { alignUp } from '../ranges.ts';
import { forEachElement, TableMap } from './hash.ts';
import { checkUpdateFlags, type ElementCallback, type MapOptions } from './map.ts';
import { readCpus, updateKind, writeCpus } from './percpu.ts';

/**
 * What hash maps share that make room by dropping what was not used for long. Linux keeps lists
 * of active and inactive elements and evicts about the oldest that no program has looked up
 * since they were last looked over; here it is one ring that is gone round with a second
 * chance for those that were used ("clock"), which evicts in kind: never an element that was
 * used since the last time round, as long as there is another. User space's lookups count as
 * no use, as in Linux. Source of the rules: kernel/bpf/hashtab.c, bpf_lru_list.c.
 */
abstract class LruMap extends TableMap {
  /** Elements in the order in which they are considered next, and whether they were used. */
  readonly #ring = new Map<number, boolean>();

  /** The element of a key that a program looks up. */
  protected use(element: number): number {
    if (element !== 0 && this.#ring.get(element) === false) this.#ring.set(element, true);
    return element;
  }

  /** An element for a key that is not there: unlinked, its payload unknown; 0 where there is no memory. */
  protected makeRoom(key: Uint8Array, at: number): number {
    if (this.table.count >= this.maxEntries) this.#evict();
    return this.table.create(key, at);
  }

  protected enter(element: number): void {
    this.table.link(element);
    this.#ring.set(element, false);
  }

  protected override remove(element: number): void {
    this.#ring.delete(element);
    super.remove(element);
  }

  /** Goes round the ring: who was used gets behind the others, the first who was not goes. */
  #evict(): void {
    for (const [element, used] of this.#ring) {
      if (!used) {
        this.remove(element);
        return;
      }
      this.#ring.delete(element);
      this.#ring.set(element, false);
    }
  }
}

/** `BPF_MAP_TYPE_LRU_HASH`. */
export class LruHashMap extends LruMap {
  constructor(options: MapOptions) {
    super(options, alignUp(options.spec.valueSize, 8));
  }

  override elementLookup(key: Uint8Array, at: number, _cpu: number): number {
    const element = this.use(this.table.find(key, at));
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
    // Locks are none of this type's flags.
    if ((flags & BPF_F_LOCK) !== 0) return -ERRNO.EINVAL;
    const old = this.table.find(key, at);
    const checked = checkUpdateFlags(flags, old !== 0);
    if (checked < 0) return checked;
    // In place of the old one, so that a program that holds its value still reads it.
    const element = old === 0 ? this.makeRoom(key, at) : this.table.create(key, at);
    if (element === 0) return -ERRNO.ENOMEM;
    this.initValue(element + this.table.payloadOffset, value, valueAt);
    this.enter(element);
    this.use(element);
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

/** `BPF_MAP_TYPE_LRU_PERCPU_HASH`: as `PERCPU_HASH`, with eviction. */
export class LruPercpuHashMap extends LruMap {
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
    const element = this.use(this.table.find(key, at));
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
    if ((flags & BPF_F_LOCK) !== 0) return -ERRNO.EINVAL;
    const old = this.table.find(key, at);
    const checked = checkUpdateFlags(flags, old !== 0);
    if (checked < 0 || old !== 0) return checked < 0 ? checked : this.use(old);
    const element = this.makeRoom(key, at);
    if (element === 0) return -ERRNO.ENOMEM;
    const payload = element + this.table.payloadOffset;
    this.memory.bytes.fill(0, payload, payload + this.userValueSize);
    this.enter(element);
    return element;
  }
}
