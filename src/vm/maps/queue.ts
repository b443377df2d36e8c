import { BPF_EXIST, BPF_NOEXIST } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { copyBytes, type MapOptions, VmMap } from './map.ts';

/**
 * What queues and stacks share: a ring of `maxEntries` values and one more, `head` where the
 * next one goes, `tail` the oldest. Keys have no bytes. Source of the rules:
 * kernel/bpf/queue_stack_maps.c.
 */
abstract class RingOfValues extends VmMap {
  /** Values one after another, without padding. */
  readonly values: number;
  #head = 0;
  #tail = 0;

  constructor(options: MapOptions) {
    super(options);
    this.values = this.memory.allocate(this.#size * this.valueSize, { label: this.label });
  }

  /** A full one takes the value in place of its oldest with `BPF_EXIST`, else it is `E2BIG`. */
  override elementPush(value: Uint8Array, at: number, flags: number): number {
    if ((flags & BPF_NOEXIST) !== 0 || flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (this.#after(this.#head) === this.#tail) {
      if ((flags & BPF_EXIST) === 0) return -ERRNO.E2BIG;
      this.#tail = this.#after(this.#tail);
    }
    copyBytes(this.memory.bytes, this.#offsetOf(this.#head), value, at, this.valueSize);
    this.#head = this.#after(this.#head);
    return 0;
  }

  /** What comes out next; zeros where there is nothing. */
  override elementPeek(to: number, remove: boolean): number {
    const { bytes } = this.memory;
    const from = this.#next();
    if (from === undefined) {
      bytes.fill(0, to, to + this.valueSize);
      return -ERRNO.ENOENT;
    }
    copyBytes(bytes, to, bytes, from, this.valueSize);
    if (remove) this.#drop();
    return 0;
  }

  override destroy(): void {
    this.memory.free(this.values);
  }

  /** The newest comes out first. */
  protected abstract get isStack(): boolean;

  protected override userLookup(): Uint8Array | undefined {
    const from = this.#next();
    return from === undefined ? undefined : this.memory.bytes.slice(from, from + this.valueSize);
  }

  protected override userTake(_key: Uint8Array, flags: number): Uint8Array | undefined {
    if (flags !== 0) throw this.error('EINVAL', 'take element', 'it takes no flags');
    const value = this.userLookup();
    if (value !== undefined) this.#drop();
    return value;
  }

  protected override userUpdate(_key: Uint8Array, value: Uint8Array, flags: number): number {
    return this.elementPush(value, 0, flags);
  }

  protected override userNextKey(): Uint8Array | undefined {
    throw this.error('EINVAL', 'get next key', 'it has no keys');
  }

  get #size(): number {
    return this.maxEntries + 1;
  }

  #after(index: number): number {
    return index + 1 === this.#size ? 0 : index + 1;
  }

  #offsetOf(index: number): number {
    return this.values + index * this.valueSize;
  }

  #next(): number | undefined {
    if (this.#head === this.#tail) return undefined;
    return this.#offsetOf(this.isStack ? this.#newest : this.#tail);
  }

  get #newest(): number {
    return this.#head === 0 ? this.#size - 1 : this.#head - 1;
  }

  #drop(): void {
    if (this.isStack) this.#head = this.#newest;
    else this.#tail = this.#after(this.#tail);
  }
}

/** `BPF_MAP_TYPE_QUEUE`: first in, first out. */
export class QueueMap extends RingOfValues {
  protected override get isStack(): boolean {
    return false;
  }
}

/** `BPF_MAP_TYPE_STACK`: last in, first out. */
export class StackMap extends RingOfValues {
  protected override get isStack(): boolean {
    return true;
  }
}
