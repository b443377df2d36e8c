import { MemoryFault, windows } from '../machine.ts';

/** Offset of contexts in the window `windows.context`; there is one for each run. */
export const contextAddress = 0x1_0000;

/** A field of a context that programs may not access so. */
export function fieldFault(
  offset: number,
  size: number,
  access: 'load' | 'store',
  struct: string,
): MemoryFault {
  const verb = access === 'load' ? 'read' : 'written';
  const reason = `${size} bytes at offset ${offset} of ${struct} may not be ${verb} by this program type`;
  return new MemoryFault(contextAddress + offset, windows.context, size, access, reason);
}

/** Writes an unsigned 32-bit number to a register. */
export function setLow(half: Int32Array, register: number, value: number): void {
  half[2 * register] = value;
  half[2 * register + 1] = 0;
}

/** Writes a pointer into VM memory to a register. */
export function setPointer(half: Int32Array, register: number, offset: number): void {
  half[2 * register] = offset;
  half[2 * register + 1] = windows.main;
}

/** Writes a 64-bit number to a register. */
export function setWide(half: Int32Array, register: number, value: bigint): void {
  half[2 * register] = Number(BigInt.asIntN(32, value));
  half[2 * register + 1] = Number(BigInt.asIntN(32, value >> 32n));
}

/**
 * The part of a 32-bit field that a narrower load at `offset` reads
 * (`bpf_ctx_narrow_access_offset`).
 */
export function narrow(value: number, offset: number, size: number, littleEndian: boolean): number {
  if (size === 4) return value >>> 0;
  const at = offset & 3;
  const shift = 8 * (littleEndian ? at : 4 - size - at);
  return (value >>> shift) & (size === 1 ? 0xff : 0xffff);
}

/** Whether `size` bytes at `offset` lie in one 32-bit field and are aligned. */
export function isNarrowAccess(offset: number, size: number): boolean {
  return (size === 1 || size === 2 || size === 4) && offset % size === 0;
}

/** A redirect that a program asked for. */
export interface Redirect {
  readonly ifindex: number;
  readonly flags: number;
  readonly kind: 'redirect' | 'peer' | 'neighbour';
}

/** A network device, as far as contexts need it. */
export interface NetworkInterface {
  readonly index: number;
  readonly name: string;
  /** Receive queues; 1 by default. */
  readonly queues?: number | undefined;
}
