import { ERRNO } from '../abi/errno.ts';
import { addressOf, type KernelCalls, MAP, PROT } from './sys.ts';

/** Unit of WebAssembly memories, in bytes; the page size of no architecture is larger. */
const wasmPage = 65536;

/** The part of WebAssembly that is used; the compiler's library for it belongs to browsers. */
interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

declare const WebAssembly: {
  Memory: new (descriptor: { readonly initial: number; readonly maximum: number }) => WasmMemory;
};

/** A piece of a file descriptor's memory and where in the mapping it goes. */
export interface MappingPart {
  /** In bytes from the start of the mapping, a multiple of the page size. */
  readonly at: number;
  /** In bytes, a multiple of the page size. */
  readonly length: number;
  /** In bytes from the start of what the descriptor offers. */
  readonly offset: number;
  readonly writable: boolean;
  /** Mapped in its place at once, for what cannot be moved (an arena). */
  readonly fixed?: boolean | undefined;
}

/** Memories of closed mappings by size in pages, to be used again. */
const idle = new Map<number, WasmMemory[]>();
const idleLimit = { pages: 16, count: 16 } as const;

/** Closed mappings whose pages are still the kernel's. */
const unfinished: Mapping[] = [];

/**
 * Kernel memory (`mmap`) that JavaScript sees as bytes, and that can be taken away again.
 *
 * A view of foreign memory that outlives its mapping would crash the process at the next
 * access. Node 20 has no way to detach such a view, with one exception: `memory.grow` of
 * a WebAssembly memory detaches every view of it, even when it grows by nothing. So the
 * kernel's pages are mapped over the pages of a WebAssembly memory, whose address is fixed
 * for life and page-aligned. Closing detaches the views first (their length is 0 from then
 * on, writes do nothing, `set` and `DataView` throw), then puts anonymous pages back.
 *
 * A mapping that is never closed is unmapped with its memory when that is collected, or at
 * the end of its worker: V8 unmaps the whole range, the kernel's pages in it too.
 * A memory costs address space and a few microseconds; closed ones are used again.
 */
export class Mapping implements Disposable {
  readonly #calls: KernelCalls;
  readonly #memory: WasmMemory;
  readonly #address: number;
  readonly #parts: readonly MappingPart[];
  #open = true;

  private constructor(calls: KernelCalls, memory: WasmMemory, parts: readonly MappingPart[]) {
    this.#calls = calls;
    this.#memory = memory;
    this.#address = addressOf(new Uint8Array(memory.buffer));
    this.#parts = parts;
  }

  /** Maps `parts` of `fd`; gives the mapping or the negative errno, and then nothing is mapped. */
  static open(calls: KernelCalls, fd: number, parts: readonly MappingPart[]): Mapping | number {
    const length = Math.max(...parts.map((part) => part.at + part.length));
    const memory = takeMemory(Math.ceil(length / wasmPage));
    if (memory === undefined) return -ERRNO.ENOMEM;
    for (const closed of unfinished.splice(0)) closed.#finish(calls);
    const mapping = new Mapping(calls, memory, parts);
    for (const part of parts) {
      const result = mapping.#map(fd, part);
      if (result < 0) {
        mapping.close();
        return result;
      }
    }
    return mapping;
  }

  /** All of the mapping, in the order of its parts. Detached by {@link close}. */
  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  /**
   * Mapped elsewhere first and then moved into place: where the kernel refuses, nothing has
   * been unmapped, so there is never a hole in a memory that JavaScript can reach.
   */
  #map(fd: number, part: MappingPart): number {
    if (part.fixed === true) return this.#mapInPlace(fd, part);
    const from = this.#calls.mmap({
      address: 0,
      length: part.length,
      protection: part.writable ? PROT.READ | PROT.WRITE : PROT.READ,
      flags: MAP.SHARED,
      fd,
      offset: part.offset,
    });
    if (from < 0) return from;
    const moved = this.#calls.moveMapping(from, part.length, this.#address + part.at);
    if (moved < 0) this.#calls.munmap(from, part.length);
    return moved;
  }

  /**
   * Where the kernel refuses, there may be a hole now, which closing fills before anything else
   * runs. An arena may not cross a multiple of 4 GiB: the kernel would map it elsewhere then.
   */
  #mapInPlace(fd: number, part: MappingPart): number {
    const address = this.#address + part.at;
    const window = 2 ** 32;
    if (Math.floor(address / window) !== Math.floor((address + part.length - 1) / window)) {
      return -ERRNO.ENOMEM;
    }
    const { length, offset } = part;
    const protection = PROT.READ | PROT.WRITE;
    const flags = MAP.SHARED | MAP.FIXED;
    return this.#calls.mmap({ address, length, protection, flags, fd, offset });
  }

  /** Detaches every view and unmaps; harmless when repeated. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#memory.grow(0);
    this.#finish(this.#calls);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Where memory is so short that the pages cannot be replaced, the next mapping tries again. */
  #finish(calls: KernelCalls): void {
    if (this.#restore(calls) === 0) giveMemory(this.#memory);
    else unfinished.push(this);
  }

  /** Anonymous zero pages over the whole mapping. */
  #restore(calls: KernelCalls): number {
    for (const part of this.#parts) {
      const result = calls.mmap({
        address: this.#address + part.at,
        length: part.length,
        protection: PROT.READ | PROT.WRITE,
        flags: MAP.PRIVATE | MAP.ANONYMOUS | MAP.FIXED,
        fd: -1,
        offset: 0,
      });
      if (result < 0) return result;
    }
    return 0;
  }
}

/** Undefined where the host has no room for it. */
function takeMemory(pages: number): WasmMemory | undefined {
  const used = idle.get(pages)?.pop();
  if (used !== undefined) return used;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch {
    return undefined;
  }
}

function giveMemory(memory: WasmMemory): void {
  const pages = memory.buffer.byteLength / wasmPage;
  const list = idle.get(pages) ?? [];
  idle.set(pages, list);
  if (pages <= idleLimit.pages && list.length < idleLimit.count) list.push(memory);
}
