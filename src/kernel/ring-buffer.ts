import { BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ } from '../abi/bpf.ts';
import { errnoError } from './errno.ts';
import { Mapping } from './mapping.ts';
import type { KernelCalls } from './sys.ts';

/** Bits of a record's length word that are its length. */
const lengthMask = ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

/**
 * The reading side of a BPF ring buffer (`kernel/bpf/ringbuf.c`).
 *
 * ```
 *   page 0        consumer position, written by us
 *   page 1        producer position, written by the kernel
 *   page 2 …      data, `size` bytes, mapped twice in a row: no record is ever torn
 *
 *   record   +0   length; bit 31 busy (still being written), bit 30 discarded
 *            +4   page offset, the kernel's own
 *            +8   sample, padded to a multiple of 8
 * ```
 * Positions only grow; their place in the data is the position modulo `size`, a power of
 * two. The kernel publishes with release stores: the producer position before a record may
 * be looked at, the cleared busy bit before it may be read. `Atomics.load` is at least an
 * acquire load, `Atomics.store` at least a release store, so no sample is read before it is
 * complete and none is overwritten before it was copied.
 */
export class RingBuffer {
  readonly #mapping: Mapping;
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #lengths: Int32Array;
  readonly #data: Uint8Array;
  readonly #size: number;
  #open = true;

  private constructor(mapping: Mapping, pageSize: number, size: number) {
    const { buffer } = mapping;
    this.#mapping = mapping;
    this.#consumer = new BigUint64Array(buffer, 0, 1);
    this.#producer = new BigUint64Array(buffer, pageSize, 1);
    this.#lengths = new Int32Array(buffer, 2 * pageSize, size / 2);
    this.#data = new Uint8Array(buffer, 2 * pageSize, 2 * size);
    this.#size = size;
  }

  /** Maps the ring of `size` bytes behind `fd`, which stays the caller's. */
  static open(calls: KernelCalls, fd: number, map: string, size: number): RingBuffer {
    const page = calls.pageSize;
    const mapping = Mapping.open(calls, fd, [
      { at: 0, length: page, offset: 0, writable: true },
      { at: page, length: page + 2 * size, offset: page, writable: false },
    ]);
    if (typeof mapping !== 'number') return new RingBuffer(mapping, page, size);
    throw errnoError(-mapping, { operation: 'map ring buffer', call: 'mmap', map });
  }

  /** Hands out every complete sample up to the first that is still being written. */
  consume(take: (sample: Uint8Array) => void): number {
    let count = 0;
    while (this.#open) {
      const position = Number(Atomics.load(this.#consumer, 0));
      if (position >= Number(Atomics.load(this.#producer, 0))) break;
      const at = position % this.#size;
      const word = Atomics.load(this.#lengths, at >> 2);
      if ((word & BPF_RINGBUF_BUSY_BIT) !== 0) break;
      const length = word & lengthMask;
      const start = at + BPF_RINGBUF_HDR_SZ;
      const discarded = (word & BPF_RINGBUF_DISCARD_BIT) !== 0;
      const sample = discarded ? undefined : this.#data.slice(start, start + length);
      const end = position + BPF_RINGBUF_HDR_SZ + Math.ceil(length / 8) * 8;
      Atomics.store(this.#consumer, 0, BigInt(end));
      if (sample === undefined) continue;
      count++;
      take(sample);
    }
    return count;
  }

  close(): void {
    this.#open = false;
    this.#mapping.close();
  }
}
