import type { BpfError } from '../errors.ts';
import { errnoError } from './errno.ts';
import { MemoryFault, windows } from './machine.ts';
import { alignUp, RangeAllocator } from './ranges.ts';
import { reserveWasmMemory, type WasmMemory, wasmPageSize } from './webassembly.ts';

/** Options of {@link VmMemory}. */
export interface VmMemoryOptions {
  /** Size in pages of 64 KiB; 65,536 (4 GiB, committed by the system page by page) by default. */
  readonly pages?: number | undefined;
  /** Bytes that may be in use at one time; 1 GiB by default. Beyond it allocations give ENOMEM. */
  readonly limit?: number | undefined;
}

/** Options of {@link VmMemory.allocate}. */
export interface AllocateOptions {
  /** A power of two; 8 by default. */
  readonly align?: number | undefined;
  /** Owner, for `stats()` and for messages about wild accesses: `map counts`, `stack`, … */
  readonly label: string;
  /** Programs may read it only. */
  readonly readOnly?: boolean | undefined;
}

/** What is in use, in bytes. */
export interface MemoryStats {
  readonly inUse: number;
  /** The most that was in use at one time. */
  readonly peak: number;
  readonly limit: number;
  readonly byLabel: ReadonlyMap<string, number>;
}

/** Bytes in use under one label. */
interface Owner {
  readonly label: string;
  bytes: number;
}

interface Block {
  /** In bytes, as asked for. */
  readonly size: number;
  /** In bytes, as taken: the size class, or the range. */
  readonly taken: number;
  readonly owner: Owner;
  readonly readOnly: boolean;
}

/** Blocks up to this size come from chunks cut into equal parts. */
const largestClass = 16_384;
const chunkSize = 65_536;
const readOnlyShare = 16;
/** Labels from which on those with nothing in use are looked for. */
const mostOwners = 1024;

/**
 * The lowest pages, which are never valid for programs: NULL plus a small offset faults, and
 * engines keep there what no program may damage, in words that compiled code reads too.
 *
 * ```
 *      0  u64  address of `mainLow`, upper half included
 *      8  u64  bytes that programs may load from there on
 *     16  u64  bytes that programs may store to from `storeLow` on
 *     24  u64 × 4  clocks in nanoseconds: monotonic, boot, coarse, TAI
 *     56  u32 × 4  state of the random source
 *   4096  64 records of 3072 bytes, one for each CPU, see `jit/state.ts`
 * 200704  cells of 16 bytes: what contexts let compiled code read, see `takeCells`
 * ```
 */
export const engineArea = {
  mainLow: 0,
  loadSpan: 8,
  storeSpan: 16,
  clocks: 24,
  random: 56,
  cpus: 4096,
  cpuSize: 3072,
  cells: 200_704,
  cellSize: 16,
  size: 4 * wasmPageSize,
} as const;

/**
 * Memory of one VM: a single WebAssembly memory, of which a program sees one contiguous
 * window (upper address half `windows.main`, lower half = offset here).
 *
 * ```
 *   0 … 256 KiB  never valid, see {@link engineArea}
 *   … mainLow    read-only memory that is not in use yet; not valid
 *   mainLow … storeLow    read-only maps, growing downwards
 *   storeLow … mainEnd    everything else, growing upwards
 *   mainEnd …    not in use; not valid
 * ```
 * A load of `size` bytes is valid when mainLow <= low and low + size <= mainEnd, a store when
 * storeLow <= low and low + size <= mainEnd: one subtraction and one unsigned compare each.
 * `mainLow` and `mainEnd` move with allocations, also in the middle of a run: read them afresh
 * after each helper call.
 */
export class VmMemory {
  readonly wasm: WasmMemory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The same bytes as aligned 32-bit words in the host's order, little-endian in WebAssembly. */
  readonly words: Uint32Array;
  readonly limit: number;
  /** Lowest offset that programs may store to; fixed. */
  readonly storeLow: number;
  /** Lowest offset that programs may load from. */
  mainLow: number;
  /** End of what programs may load and store. */
  mainEnd: number;

  readonly #writable: RangeAllocator;
  readonly #readOnly: RangeAllocator;
  readonly #blocks = new Map<number, Block>();
  readonly #owners = new Map<string, Owner>();
  readonly #freeByClass = new Map<number, number[]>();
  /** End of what was ever handed out; memory above it is still zero. */
  #writableTouched = 0;
  #readOnlyTouched = 0;
  #inUse = 0;
  #peak = 0;
  readonly #freeCells: number[] = [];
  #nextCells: number = engineArea.cells;

  constructor(options: VmMemoryOptions = {}) {
    this.wasm = reserve(options.pages ?? 65_536);
    this.bytes = new Uint8Array(this.wasm.buffer);
    this.view = new DataView(this.wasm.buffer);
    this.words = new Uint32Array(this.wasm.buffer);
    const size = this.bytes.length;
    this.storeLow = alignUp(engineArea.size + size / readOnlyShare, wasmPageSize);
    this.mainLow = this.storeLow;
    this.mainEnd = this.storeLow;
    // The last page stays unused, so that no end of a range reaches 2^32.
    this.#writable = new RangeAllocator(size - wasmPageSize - this.storeLow);
    this.#readOnly = new RangeAllocator(this.storeLow - engineArea.size);
    this.#publishBounds();
    this.limit = options.limit ?? 0x4000_0000;
  }

  /** Offset of `size` zeroed bytes. Throws `errno` ENOMEM where the limit or the memory ends. */
  allocate(size: number, options: AllocateOptions): number {
    const offset = this.tryAllocate(size, options);
    if (offset === 0) throw this.#noMemory(size, options.label);
    return offset;
  }

  /** {@link allocate} that gives 0 where there is no memory. */
  tryAllocate(size: number, options: AllocateOptions): number {
    const wanted = Math.max(size, 1);
    if (!(wanted <= this.limit - this.#inUse)) return 0;
    const readOnly = options.readOnly ?? false;
    const align = options.align ?? 8;
    const part = readOnly ? 0 : sizeClass(wanted, align);
    const taken = part === 0 ? alignUp(wanted, Math.max(align, 64)) : part;
    const offset = part === 0 ? this.#range(taken, align, readOnly) : this.#part(part);
    if (offset < 0) return 0;
    const owner = this.#owner(options.label);
    this.#blocks.set(offset, { size: wanted, taken, owner, readOnly });
    this.#account(owner, wanted);
    return offset;
  }

  /** Gives back what `allocate` returned. */
  free(offset: number): void {
    const block = this.#blocks.get(offset);
    if (block === undefined) throw new Error(`free of ${offset}, which is not allocated`);
    this.#blocks.delete(offset);
    this.#account(block.owner, -block.size);
    if (!block.readOnly && block.taken <= largestClass && this.#freeByClass.has(block.taken)) {
      this.#freeByClass.get(block.taken)?.push(offset);
    } else this.#freeRange(offset, block);
  }

  /**
   * Offset of `size` bytes at an address that a helper was given.
   * Throws `MemoryFault` where any of them is outside of what the program may access.
   */
  resolve(low: number, high: number, size: number, access: 'load' | 'store'): number {
    const offset = low >>> 0;
    const start = access === 'store' ? this.storeLow : this.mainLow;
    if (high === windows.main && offset >= start && size <= this.mainEnd - offset) return offset;
    throw new MemoryFault(low, high, size, access, this.#reason(offset, high, access));
  }

  /** Offset of 16 bytes of the engine area, which no program can reach; 0 where all are in use. */
  takeCells(): number {
    const free = this.#freeCells.pop();
    if (free !== undefined) return free;
    const at = this.#nextCells;
    if (at + engineArea.cellSize > engineArea.size) return 0;
    this.#nextCells += engineArea.cellSize;
    return at;
  }

  /** Gives back what `takeCells` returned. */
  giveCells(at: number): void {
    if (at !== 0) this.#freeCells.push(at);
  }

  /** The allocation that starts at an offset: its size in bytes, and whether programs may only read it. */
  blockAt(offset: number): { readonly size: number; readonly readOnly: boolean } | undefined {
    return this.#blocks.get(offset);
  }

  /** The nearest allocation to an address, in words, for messages. */
  describe(low: number, high: number): string {
    const address = low >>> 0;
    if (high === 0 && address < wasmPageSize) return 'a null pointer';
    if (high !== windows.main) return 'an address that is not mapped';
    let best: { readonly offset: number; readonly block: Block } | undefined;
    let distance = Number.POSITIVE_INFINITY;
    for (const [offset, block] of this.#blocks) {
      const away = distanceTo(address, offset, block.size);
      if (away >= distance) continue;
      best = { offset, block };
      distance = away;
    }
    if (best === undefined) return 'an address with no memory in use around it';
    return describeBlock(address, best.offset, best.block);
  }

  /** What is in use now. */
  stats(): MemoryStats {
    return {
      inUse: this.#inUse,
      peak: this.#peak,
      limit: this.limit,
      byLabel: new Map(
        [...this.#owners.values()]
          .filter(({ bytes }) => bytes > 0)
          .map(({ label, bytes }) => [label, bytes]),
      ),
    };
  }

  #reason(offset: number, high: number, access: 'load' | 'store'): string | undefined {
    if (access !== 'store' || high !== windows.main) return undefined;
    if (offset < this.mainLow || offset >= this.storeLow) return undefined;
    return 'the memory is read-only for programs';
  }

  #account(owner: Owner, size: number): void {
    this.#inUse += size;
    if (this.#inUse > this.#peak) this.#peak = this.#inUse;
    owner.bytes += size;
  }

  /** Owners stay when they have nothing any more, as packets come and go; many of those are forgotten. */
  #owner(label: string): Owner {
    const known = this.#owners.get(label);
    if (known !== undefined) return known;
    if (this.#owners.size >= mostOwners) {
      for (const [name, { bytes }] of this.#owners) if (bytes === 0) this.#owners.delete(name);
    }
    const owner = { label, bytes: 0 };
    this.#owners.set(label, owner);
    return owner;
  }

  /** A range of its own, zeroed where it was in use before; -1 where there is none. */
  #range(size: number, align: number, readOnly: boolean): number {
    if (readOnly) return this.#readOnlyRange(size, align);
    const at = this.#writable.allocate(size, align);
    if (at < 0) return -1;
    const offset = this.storeLow + at;
    const dirty = Math.min(this.#writableTouched, at + size);
    if (dirty > at) this.bytes.fill(0, offset, this.storeLow + dirty);
    this.#writableTouched = Math.max(this.#writableTouched, at + size);
    this.mainEnd = this.storeLow + this.#writable.top;
    this.#publishBounds();
    return offset;
  }

  /** Read-only ranges grow downwards: range [a, b) of the allocator is [storeLow - b, storeLow - a). */
  #readOnlyRange(size: number, align: number): number {
    const at = this.#readOnly.allocate(size, align);
    if (at < 0) return -1;
    const offset = this.storeLow - at - size;
    if (at < this.#readOnlyTouched) this.bytes.fill(0, offset, offset + size);
    this.#readOnlyTouched = Math.max(this.#readOnlyTouched, at + size);
    this.mainLow = this.storeLow - this.#readOnly.top;
    this.#publishBounds();
    return offset;
  }

  /** Writes the bounds where compiled code finds them. */
  #publishBounds(): void {
    const { words, mainLow, mainEnd, storeLow } = this;
    words[engineArea.mainLow >>> 2] = mainLow;
    words[(engineArea.mainLow >>> 2) + 1] = windows.main;
    words[engineArea.loadSpan >>> 2] = mainEnd - mainLow;
    words[engineArea.storeSpan >>> 2] = mainEnd - storeLow;
  }

  #freeRange(offset: number, block: Block): void {
    if (block.readOnly) {
      this.#readOnly.free(this.storeLow - offset - block.taken, block.taken);
      this.mainLow = this.storeLow - this.#readOnly.top;
    } else {
      this.#writable.free(offset - this.storeLow, block.taken);
      this.mainEnd = this.storeLow + this.#writable.top;
    }
    this.#publishBounds();
  }

  /** A part of a chunk that is cut into parts of `size` bytes, zeroed; -1 where memory ends. */
  #part(size: number): number {
    let free = this.#freeByClass.get(size);
    if (free === undefined || free.length === 0) {
      const chunk = this.#range(chunkSize, chunkSize, false);
      if (chunk < 0) return -1;
      free ??= [];
      this.#freeByClass.set(size, free);
      for (let at = chunkSize - size; at >= 0; at -= size) free.push(chunk + at);
    }
    const offset = free.pop() as number;
    this.bytes.fill(0, offset, offset + size);
    return offset;
  }

  #noMemory(size: number, label: string): BpfError {
    const reason = `${size} bytes for ${label} do not fit: ${this.#inUse} of ${this.limit} bytes are in use`;
    return errnoError('ENOMEM', 'allocate memory', { reason });
  }
}

function reserve(pages: number): WasmMemory {
  for (let size = pages; size >= 64; size = Math.floor(size / 2)) {
    const memory = reserveWasmMemory(size);
    if (memory !== undefined) return memory;
  }
  throw errnoError('ENOMEM', 'reserve memory', {
    reason: 'the host gives the VM no WebAssembly memory of 4 MiB or more',
  });
}

/** The part size for a block: a power of two or one and a half of one; 0 where it gets a range. */
function sizeClass(size: number, align: number): number {
  if (size > largestClass || align > largestClass) return 0;
  let part = 16;
  while (part < size || part < align) part *= 2;
  const between = (part / 4) * 3;
  return between >= size && between % align === 0 && between >= 48 ? between : part;
}

function distanceTo(address: number, start: number, size: number): number {
  if (address < start) return start - address;
  return Math.max(0, address - (start + size - 1));
}

function describeBlock(address: number, start: number, block: Block): string {
  const what = `${block.owner.label} (${block.size} bytes)`;
  if (address < start) return `${start - address} bytes before ${what}`;
  const inside = address - start;
  return inside < block.size
    ? `byte ${inside} of ${what}`
    : `${inside - block.size} bytes past the end of ${what}`;
}
