import { BPF_F_ALL_CPUS, BPF_F_CPU } from '../../abi/bpf.ts';

/**
 * Values of a map with one for each CPU. User space sees those of all CPUs one after another,
 * each `stride` bytes; with `BPF_F_CPU` in the low half of the flags that of the CPU in the
 * high half; with `BPF_F_ALL_CPUS` it writes one value to all.
 */
export interface CpuValues {
  readonly cpuCount: number;
  /** Bytes of one value. */
  readonly size: number;
  /** `size` rounded up to 8 bytes. */
  readonly stride: number;
}

/** Flags of an update without those that choose CPUs. */
export function updateKind(flags: number): number {
  return (flags % 2 ** 32) & ~(BPF_F_CPU | BPF_F_ALL_CPUS);
}

/** What user space reads. `offsetOf` says where in `bytes` a CPU's value is. */
export function readCpus(
  bytes: Uint8Array,
  { cpuCount, size, stride }: CpuValues,
  offsetOf: (cpu: number) => number,
  flags: number,
): Uint8Array {
  if ((flags & BPF_F_CPU) !== 0) {
    const at = offsetOf(chosenCpu(flags));
    return bytes.slice(at, at + size);
  }
  const out = new Uint8Array(cpuCount * stride);
  for (let cpu = 0; cpu < cpuCount; cpu++) {
    const at = offsetOf(cpu);
    out.set(bytes.subarray(at, at + stride), cpu * stride);
  }
  return out;
}

/** Calls `write` for each CPU that user space writes, with where its value is in what is given. */
export function writeCpus(
  { cpuCount, stride }: CpuValues,
  flags: number,
  write: (cpu: number, from: number) => void,
): void {
  if ((flags & BPF_F_CPU) !== 0) {
    write(chosenCpu(flags), 0);
    return;
  }
  const each = (flags & BPF_F_ALL_CPUS) === 0 ? stride : 0;
  for (let cpu = 0; cpu < cpuCount; cpu++) write(cpu, cpu * each);
}

function chosenCpu(flags: number): number {
  return Math.floor(flags / 2 ** 32);
}
