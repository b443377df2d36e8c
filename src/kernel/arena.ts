import { ERRNO } from '../abi/errno.ts';
import { Mapping } from './mapping.ts';
import { type KernelCalls, MAP, memoryAt, PROT } from './sys.ts';

/** Largest arena that is mapped where JavaScript can look at it, in bytes. */
const viewLimit = 1 << 28;

/**
 * The pages of an arena in this process. Programs can only be loaded once they are mapped
 * somewhere: the address is part of every pointer that programs and user space share.
 *
 * A small arena without an address of its own is mapped where it can be viewed and detached
 * again (see `Mapping`). One with a fixed address, or a large one, is mapped by the kernel;
 * it can be written through here, but there is no view of it that closing could take away.
 */
export class ArenaMemory implements Disposable {
  readonly #calls: KernelCalls;
  readonly #length: number;
  readonly #mapping: Mapping | undefined;
  #address: number;

  private constructor(
    calls: KernelCalls,
    length: number,
    mapping: Mapping | undefined,
    address: number,
  ) {
    this.#calls = calls;
    this.#length = length;
    this.#mapping = mapping;
    this.#address = address;
  }

  /** Maps `length` bytes at `address`, anywhere for 0; gives the negative errno where that fails. */
  static open(
    calls: KernelCalls,
    fd: number,
    { length, address }: { readonly length: number; readonly address: number },
  ): ArenaMemory | number {
    if (address === 0 && length <= viewLimit) {
      const part = { at: 0, length, offset: 0, writable: true, fixed: true };
      const mapping = Mapping.open(calls, fd, [part]);
      if (typeof mapping !== 'number') return new ArenaMemory(calls, length, mapping, 0);
      if (mapping !== -ERRNO.ENOMEM) return mapping;
    }
    const result = calls.mmap({
      address,
      length,
      protection: PROT.READ | PROT.WRITE,
      // Nothing that is mapped there gives way: it may be the heap.
      flags: address === 0 ? MAP.SHARED : MAP.SHARED | MAP.FIXED_NOREPLACE,
      fd,
      offset: 0,
    });
    return result < 0 ? result : new ArenaMemory(calls, length, undefined, result);
  }

  /** All of the arena, live; undefined where there can be no view. */
  get view(): Uint8Array | undefined {
    const { buffer } = this.#mapping ?? {};
    return buffer === undefined ? undefined : new Uint8Array(buffer, 0, this.#length);
  }

  /** False where the bytes do not fit. */
  write(offset: number, bytes: Uint8Array): boolean {
    if (offset < 0 || offset + bytes.length > this.#length) return false;
    const target = this.view?.subarray(offset) ?? memoryAt(this.#address + offset, bytes.length);
    target.set(bytes);
    return true;
  }

  close(): void {
    this.#mapping?.close();
    if (this.#address !== 0) this.#calls.munmap(this.#address, this.#length);
    this.#address = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
