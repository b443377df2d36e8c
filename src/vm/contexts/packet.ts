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
  data: number;
  end: number;
  limit: number;

  constructor(memory: VmMemory, packet: Uint8Array, room: PacketRoom) {
    this.memory = memory;
    const size = room.headroom + packet.length + room.tailroom;
    this.start = memory.allocate(size, { label: 'packet', align: 64 });
    this.data = this.start + room.headroom;
    this.end = this.data + packet.length;
    this.limit = this.start + size;
    memory.bytes.set(packet, this.data);
  }

  get length(): number {
    return this.end - this.data;
  }

  /** A copy of the bytes in [from, to). */
  copy(from = this.data, to = this.end): Uint8Array {
    return this.memory.bytes.slice(from, Math.max(from, to));
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
  }
}
