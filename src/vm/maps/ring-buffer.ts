import {
  BPF_RB_AVAIL_DATA,
  BPF_RB_CONS_POS,
  BPF_RB_FORCE_WAKEUP,
  BPF_RB_NO_WAKEUP,
  BPF_RB_PROD_POS,
  BPF_RB_RING_SIZE,
  BPF_RINGBUF_BUSY_BIT,
  BPF_RINGBUF_DISCARD_BIT,
  BPF_RINGBUF_HDR_SZ,
} from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { alignUp } from '../ranges.ts';
import { type MapOptions, VmMap } from './map.ts';

/** Largest sample, in bytes (`RINGBUF_MAX_RECORD_SZ`). */
const maxSample = 0x3fff_ffff;

/**
 * `BPF_MAP_TYPE_RINGBUF`, with the kernel's layout (kernel/bpf/ringbuf.c) in VM memory:
 *
 * ```
 *   page 0    the kernel's own; here it only gives the pages their distance
 *   page 1    u64 consumer position
 *   page 2    u64 producer position, u64 pending position
 *   page 3 …  data, `maxEntries` bytes
 *   …         as much again
 * ```
 * The kernel maps its data pages twice in a row, so that a record is contiguous where it
 * wraps around. Here the second half is memory of its own: a record that starts near the end
 * of the data runs on into it, and the bytes at the start of the data that would be its
 * second view stay unused until it is consumed. Records are only reached through their start,
 * so nobody can tell.
 *
 * A record is an 8-byte header { u32 length | BUSY | DISCARD, u32 page distance to page 0 }
 * and its bytes, rounded up to 8. Positions count bytes since the start and never wrap.
 */
export class RingBufferMap extends VmMap {
  /** Offset of page 0. */
  readonly base: number;
  readonly pageSize: number;
  /** Offset of the data. */
  readonly data: number;
  #wakeups = 0;
  #listeners: readonly (() => void)[] = [];

  constructor(options: MapOptions) {
    super(options);
    this.pageSize = this.host.pageSize;
    this.base = this.memory.allocate(3 * this.pageSize + 2 * this.maxEntries, {
      align: this.pageSize,
      label: this.label,
    });
    this.data = this.base + 3 * this.pageSize;
  }

  /** How often a reader waiting in epoll would have been woken. */
  get wakeups(): number {
    return this.#wakeups;
  }

  get consumerPosition(): number {
    return this.#position(this.pageSize);
  }

  get producerPosition(): number {
    return this.#position(2 * this.pageSize);
  }

  /** Calls `listener` when a reader waiting in epoll would be woken; the result ends that. */
  onWakeup(listener: () => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** Offset of a new sample of `size` bytes, marked busy; 0 where it does not fit. */
  reserve(size: number): number {
    if (size > maxSample) return 0;
    const length = alignUp(size + BPF_RINGBUF_HDR_SZ, 8);
    if (length > this.maxEntries) return 0;
    const producer = this.producerPosition;
    const pending = this.#advancePending(producer);
    const end = producer + length;
    if (end - this.consumerPosition >= this.maxEntries || end - pending >= this.maxEntries)
      return 0;
    const header = this.#record(producer);
    const { words } = this.memory;
    words[header >>> 2] = (size | BPF_RINGBUF_BUSY_BIT) >>> 0;
    words[(header + 4) >>> 2] = Math.floor((header - this.base) / this.pageSize);
    this.#setPosition(2 * this.pageSize, end);
    return header + BPF_RINGBUF_HDR_SZ;
  }

  /** Ends a reservation; `flags` are `BPF_RB_*_WAKEUP`. */
  commit(sample: number, flags: number, discard: boolean): void {
    const header = sample - BPF_RINGBUF_HDR_SZ;
    const { words } = this.memory;
    const length = ((words[header >>> 2] as number) & ~BPF_RINGBUF_BUSY_BIT) >>> 0;
    words[header >>> 2] = discard ? (length | BPF_RINGBUF_DISCARD_BIT) >>> 0 : length;
    const wasNext = this.#record(this.consumerPosition) === header;
    if ((flags & BPF_RB_FORCE_WAKEUP) !== 0 || (wasNext && (flags & BPF_RB_NO_WAKEUP) === 0)) {
      this.#wake();
    }
  }

  /** Whether `sample` starts a reservation of this buffer that is not ended yet. */
  isReserved(sample: number): boolean {
    const header = sample - BPF_RINGBUF_HDR_SZ;
    if ((header & 7) !== 0 || header < this.data || header >= this.data + this.maxEntries)
      return false;
    return ((this.memory.words[header >>> 2] as number) & BPF_RINGBUF_BUSY_BIT) !== 0;
  }

  /** Copies `size` bytes of VM memory into a sample of its own: 0 or a negated errno. */
  output(from: number, size: number, flags: number): number {
    if ((flags & ~(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) !== 0) return -ERRNO.EINVAL;
    const sample = this.reserve(size);
    if (sample === 0) return -ERRNO.EAGAIN;
    this.memory.bytes.copyWithin(sample, from, from + size);
    this.commit(sample, flags, false);
    return 0;
  }

  /** `bpf_ringbuf_query`. */
  query(what: number): number {
    switch (what) {
      case BPF_RB_AVAIL_DATA:
        return this.producerPosition - this.consumerPosition;
      case BPF_RB_RING_SIZE:
        return this.maxEntries;
      case BPF_RB_CONS_POS:
        return this.consumerPosition;
      case BPF_RB_PROD_POS:
        return this.producerPosition;
      default:
        return 0;
    }
  }

  /**
   * Hands over a copy of each sample in order, up to the first that is still busy. A sample
   * counts as consumed before `take` sees it, also when `take` throws.
   */
  override consume(take: (sample: Uint8Array) => void): number {
    this.requireOpen();
    let taken = 0;
    for (;;) {
      const position = this.consumerPosition;
      if (position >= this.producerPosition) return taken;
      const header = this.#record(position);
      const word = this.memory.words[header >>> 2] as number;
      if ((word & BPF_RINGBUF_BUSY_BIT) !== 0) return taken;
      const length = this.#checkedLength(word, position);
      this.#setPosition(this.pageSize, position + alignUp(length + BPF_RINGBUF_HDR_SZ, 8));
      if ((word & BPF_RINGBUF_DISCARD_BIT) !== 0) continue;
      const at = header + BPF_RINGBUF_HDR_SZ;
      taken++;
      take(this.memory.bytes.slice(at, at + length));
    }
  }

  override elementDelete(_key: Uint8Array, _at: number): number {
    return -ERRNO.ENOTSUPP;
  }

  protected override userLookup(_key: Uint8Array): Uint8Array | undefined {
    throw this.error('ENOTSUPP', 'look up element');
  }

  protected override userUpdate(_key: Uint8Array, _value: Uint8Array, _flags: number): number {
    return -ERRNO.ENOTSUPP;
  }

  protected override userNextKey(_key: Uint8Array | undefined): Uint8Array | undefined {
    throw this.error('ENOTSUPP', 'get next key');
  }

  override destroy(): void {
    this.memory.free(this.base);
  }

  /** Moves the pending position over records that are no longer busy. */
  #advancePending(producer: number): number {
    const at = 2 * this.pageSize + 8;
    const before = this.#position(at);
    let pending = before;
    // A program may have written over the positions: then nothing fits any more.
    if (producer - pending > this.maxEntries) return pending;
    while (pending < producer) {
      const word = this.memory.words[this.#record(pending) >>> 2] as number;
      if ((word & BPF_RINGBUF_BUSY_BIT) !== 0) break;
      pending += alignUp((word & ~BPF_RINGBUF_DISCARD_BIT) + BPF_RINGBUF_HDR_SZ, 8);
    }
    if (pending !== before) this.#setPosition(at, pending);
    return pending;
  }

  /** Length of a finished record; a program may have written over its header. */
  #checkedLength(word: number, position: number): number {
    const length = (word & ~BPF_RINGBUF_DISCARD_BIT) >>> 0;
    if (length + BPF_RINGBUF_HDR_SZ <= this.producerPosition - position) return length;
    const reason = 'a program has written over the header of a sample';
    throw this.error('EFAULT', 'consume samples', reason);
  }

  #wake(): void {
    this.#wakeups++;
    for (const listener of this.#listeners) listener();
  }

  #record(position: number): number {
    return this.data + (position % this.maxEntries);
  }

  #position(at: number): number {
    const word = (this.base + at) >>> 2;
    const { words } = this.memory;
    return (words[word] as number) + (words[word + 1] as number) * 0x1_0000_0000;
  }

  #setPosition(at: number, value: number): void {
    const word = (this.base + at) >>> 2;
    this.memory.words[word] = value % 0x1_0000_0000;
    this.memory.words[word + 1] = Math.floor(value / 0x1_0000_0000);
  }
}
