import { BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { type HelperFunction, MemoryFault } from '../machine.ts';
import type { VmMemory } from '../memory.ts';
import type { HelperMachine } from './machine.ts';
import { argumentU32, giveNumber, type HelperEntries, pointer } from './registers.ts';

/** What a family of probe reads does with an address that is not the kernel's. */
type Family = 'any' | 'kernel' | 'user';

/**
 * Reads through pointers that may be bad. Kernel and user memory are one here, so all
 * families read what the program could load itself; elsewhere they fail and zero the
 * destination, as in Linux.
 */
export function probeHelpers(machine: HelperMachine): HelperEntries {
  const { memory } = machine;
  const read =
    (family: Family): HelperFunction =>
    (run) => {
      const size = argumentU32(run, 2);
      const to = pointer(memory, run, 1, size, 'store');
      const { half } = run.cpu;
      const from = probe(memory, half[6] as number, half[7] as number, size, family);
      if (from < 0) memory.bytes.fill(0, to, to + size);
      else memory.bytes.copyWithin(to, from, from + size);
      giveNumber(run, Math.min(from, 0));
    };
  const readString =
    (family: Family): HelperFunction =>
    (run) => {
      const size = argumentU32(run, 2);
      const to = pointer(memory, run, 1, size, 'store');
      const { half } = run.cpu;
      const [low, high] = [half[6] as number, half[7] as number];
      const from = probe(memory, low, high, Math.min(size, 1), family);
      if (from < 0) memory.bytes.fill(0, to, to + size);
      giveNumber(run, from < 0 ? from : copyString(memory, to, size, low, high));
    };
  return [
    [BPF_FUNC.probe_read, read('any')],
    [BPF_FUNC.probe_read_kernel, read('kernel')],
    [BPF_FUNC.probe_read_user, read('user')],
    [BPF_FUNC.probe_read_str, readString('any')],
    [BPF_FUNC.probe_read_kernel_str, readString('kernel')],
    [BPF_FUNC.probe_read_user_str, readString('user')],
  ];
}

/** Offset to read from, or a negated errno: kernel reads refuse other addresses with ERANGE. */
function probe(memory: VmMemory, low: number, high: number, size: number, family: Family): number {
  if (family === 'kernel' && !isKernelAddress(high)) return -ERRNO.ERANGE;
  const from = tryResolve(memory, low, high, size);
  return from < 0 ? -ERRNO.EFAULT : from;
}

/** The upper half of the canonical addresses of x86-64 with 48 bits. */
function isKernelAddress(high: number): boolean {
  return high >> 15 === -1;
}

/** Offset of readable memory at an address, -1 where there is none. */
export function tryResolve(memory: VmMemory, low: number, high: number, size: number): number {
  if (size === 0) return 0;
  try {
    return memory.resolve(low, high, size, 'load');
  } catch (error) {
    if (error instanceof MemoryFault) return -1;
    throw error;
  }
}

/**
 * Copies a string with its zero, cut to `size` bytes: the length with the zero, or -EFAULT
 * with a zeroed destination (`strncpy_from_kernel_nofault`).
 */
export function copyString(
  memory: VmMemory,
  to: number,
  size: number,
  low: number,
  high: number,
): number {
  if (size === 0) return 0;
  const { bytes } = memory;
  const from = tryResolve(memory, low, high, 1);
  if (from >= 0) {
    const end = Math.min(from + size, memory.mainEnd);
    const zero = bytes.subarray(from, end).indexOf(0);
    if (zero >= 0) {
      bytes.copyWithin(to, from, from + zero + 1);
      return zero + 1;
    }
    if (end - from === size) {
      bytes.copyWithin(to, from, from + size);
      bytes[to + size - 1] = 0;
      return size;
    }
  }
  bytes.fill(0, to, to + size);
  return -ERRNO.EFAULT;
}
