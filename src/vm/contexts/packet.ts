import { windows } from '../machine.ts';
import type { VmMemory } from '../memory.ts';

/** Sizes of a packet buffer's parts, in bytes. */
export interface PacketRoom {
  readonly headroom: number;
  readonly tailroom: number;
}

/**
 * A packet in VM memory, with room around it.
 *
 * ```
 *   start      data        end       limit
 *     │ headroom │  packet   │ tailroom │
 * ```
 * All are offsets in VM memory; helpers move `data` and `end`.
 */
export class PacketBuffer {
  readonly memory: VmMemory;
  start: number;
  limit: number;
  /** Where compiled code reads the addresses of `data` and `end`, two u64; 0 for nowhere. */
  readonly cells: number;
  #data = 0;
  #end = 0;

  constructor(memory: VmMemory, packet: Uint8Array, room: PacketRoom) {
    this.memory = memory;
    const size = room.headroom + packet.length + room.tailroom;
    this.start = memory.allocate(size, { label: 'packet', align: 64 });
    this.cells = memory.takeCells();
    this.data = this.start + room.headroom;
    this.end = this.data + packet.length;
    this.limit = this.start + size;
    memory.bytes.set(packet, this.data);
  }

  get data(): number {
    return this.#data;
  }

  set data(offset: number) {
    this.#data = offset;
    this.#publish(0, offset);
  }

  get end(): number {
    return this.#end;
  }

  set end(offset: number) {
    this.#end = offset;
    this.#publish(2, offset);
  }

  get length(): number {
    return this.end - this.data;
  }

  /** A copy of the bytes in [from, to). */
  copy(from = this.data, to = this.end): Uint8Array {
    return this.memory.bytes.slice(from, Math.max(from, to));
  }

  /** The bytes from `from` on in an array that is given, or in a new one where that is too short. */
  copyTo(output: Uint8Array | undefined, from: number): Uint8Array {
    const { end, memory } = this;
    const length = Math.max(0, end - from);
    if (output === undefined || output.length < length) return this.copy(from);
    output.set(memory.bytes.subarray(from, from + length));
    return output.length === length ? output : output.subarray(0, length);
  }

  /**
   * Moves the packet to bigger memory so that there are `head` bytes before it and `tail`
   * after it; pointers into the old memory are void, as after the kernel's
   * `pskb_expand_head`. Returns by how much addresses moved, or undefined without memory.
   */
  expand(head: number, tail: number): number | undefined {
    const before = Math.max(head, this.data - this.start);
    const size = before + this.length + Math.max(tail, this.limit - this.end);
    const start = this.memory.tryAllocate(size, { label: 'packet', align: 64 });
    if (start === 0) return undefined;
    const moved = start + before - this.data;
    const from = this.data - Math.min(before, this.data - this.start);
    this.memory.bytes.copyWithin(from + moved, from, this.limit);
    this.memory.free(this.start);
    this.start = start;
    this.data += moved;
    this.end += moved;
    this.limit = start + size;
    return moved;
  }

  free(): void {
    this.memory.free(this.start);
    this.memory.giveCells(this.cells);
  }

  #publish(word: number, offset: number): void {
    if (this.cells === 0) return;
    const { words } = this.memory;
    words[(this.cells >>> 2) + word] = offset;
    words[(this.cells >>> 2) + word + 1] = windows.main;
  }
}
