import { ERRNO } from '../../abi/errno.ts';
import { type HelperFunction, MemoryFault, type Run, windows } from '../machine.ts';
import type { VmMemory } from '../memory.ts';

/** Bytes of an argument that cost nothing. */
const freeBytes = 256;

/** Lower half of argument 1..5, signed. */
export function argument(run: Run, index: number): number {
  return run.cpu.half[2 * index] as number;
}

/** Lower half of argument 1..5, unsigned: what a `u32` parameter of the kernel gets. */
export function argumentU32(run: Run, index: number): number {
  return (run.cpu.half[2 * index] as number) >>> 0;
}

/** Argument 1..5 as an unsigned number; exact up to 2^53, which is enough to compare with limits. */
export function argumentU64(run: Run, index: number): number {
  const { half } = run.cpu;
  return (
    ((half[2 * index + 1] as number) >>> 0) * 0x1_0000_0000 + ((half[2 * index] as number) >>> 0)
  );
}

/** Argument 1..5 with all its bits, unsigned. */
export function argumentWide(run: Run, index: number): bigint {
  return BigInt.asUintN(64, run.cpu.regs[index] as bigint);
}

/** True for a null pointer in argument 1..5. */
export function isNull(run: Run, index: number): boolean {
  const { half } = run.cpu;
  return half[2 * index] === 0 && half[2 * index + 1] === 0;
}

/**
 * Offset of `size` bytes that argument 1..5 points at; throws `MemoryFault`. Long ranges cost
 * the program instructions of its budget, or a loop over helpers could run for hours.
 */
export function pointer(
  memory: VmMemory,
  run: Run,
  index: number,
  size: number,
  access: 'load' | 'store',
): number {
  const { half } = run.cpu;
  // A pointer to nothing may be anything, as for the kernel's zero-size arguments.
  if (size === 0) return 0;
  if (size > freeBytes) run.budget -= size >>> 4;
  return memory.resolve(half[2 * index] as number, half[2 * index + 1] as number, size, access);
}

/** Sets r0 to a signed 32-bit result, extended to 64 bits. */
export function giveNumber(run: Run, value: number): void {
  run.cpu.half[0] = value;
  run.cpu.half[1] = value < 0 ? -1 : 0;
}

/** Sets r0 to an unsigned number below 2^53. */
export function giveUnsigned(run: Run, value: number): void {
  run.cpu.half[0] = value % 0x1_0000_0000;
  run.cpu.half[1] = Math.floor(value / 0x1_0000_0000);
}

/** Sets r0 to 64 bits. */
export function giveWide(run: Run, value: bigint): void {
  run.cpu.regs[0] = BigInt.asIntN(64, value);
}

/** Sets r0 to the address of an offset in VM memory, or to NULL for 0. */
export function givePointer(run: Run, offset: number): void {
  run.cpu.half[0] = offset;
  run.cpu.half[1] = offset === 0 ? 0 : windows.main;
}

/** Sets r0 to a negated errno. */
export function giveError(run: Run, name: keyof typeof ERRNO): void {
  giveNumber(run, -ERRNO[name]);
}

/** Stops the run: a helper was used as the verifier would never allow. */
export function misuse(run: Run, index: number, reason: string): MemoryFault {
  const { half } = run.cpu;
  return new MemoryFault(
    half[2 * index] as number,
    half[2 * index + 1] as number,
    0,
    'load',
    reason,
  );
}

/** Byte order of the memory that the running program shares with helpers. */
export function isLittleEndian(run: Run): boolean {
  return run.program.image.littleEndian;
}

/** A helper of the table: its name in `enum bpf_func_id` and what it does. */
export type HelperEntries = readonly (readonly [number: number, helper: HelperFunction])[];
