import { BPF_MAP_TYPE } from '../abi/bpf.ts';

const perCpuTypes: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.PERCPU_HASH,
  BPF_MAP_TYPE.PERCPU_ARRAY,
  BPF_MAP_TYPE.LRU_PERCPU_HASH,
  BPF_MAP_TYPE.PERCPU_CGROUP_STORAGE,
]);

/** User space sees one value for each possible CPU. */
export function isPerCpu(type: number): boolean {
  return perCpuTypes.has(type);
}

export function isMapOfMaps(type: number): boolean {
  return type === BPF_MAP_TYPE.ARRAY_OF_MAPS || type === BPF_MAP_TYPE.HASH_OF_MAPS;
}

/**
 * Map types that take no BTF for key and value (`map_check_no_btf` in Linux): the ids are
 * left out, as libbpf's `bpf_object__create_map` does.
 */
const withoutBtf: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.PROG_ARRAY,
  BPF_MAP_TYPE.PERF_EVENT_ARRAY,
  BPF_MAP_TYPE.CGROUP_ARRAY,
  BPF_MAP_TYPE.STACK_TRACE,
  BPF_MAP_TYPE.ARRAY_OF_MAPS,
  BPF_MAP_TYPE.HASH_OF_MAPS,
  BPF_MAP_TYPE.DEVMAP,
  BPF_MAP_TYPE.DEVMAP_HASH,
  BPF_MAP_TYPE.CPUMAP,
  BPF_MAP_TYPE.XSKMAP,
  BPF_MAP_TYPE.SOCKMAP,
  BPF_MAP_TYPE.SOCKHASH,
  BPF_MAP_TYPE.REUSEPORT_SOCKARRAY,
  BPF_MAP_TYPE.QUEUE,
  BPF_MAP_TYPE.STACK,
  BPF_MAP_TYPE.RINGBUF,
  BPF_MAP_TYPE.USER_RINGBUF,
  BPF_MAP_TYPE.ARENA,
]);

export function takesBtf(type: number): boolean {
  return !withoutBtf.has(type);
}

/**
 * The entry count that the kernel wants: the number of CPUs for a perf event array that
 * gives none, and for ring buffers a power of two of at least a page, rounded up.
 */
export function kernelMaxEntries(
  type: number,
  maxEntries: number,
  machine: { readonly pageSize: number; readonly cpuCount: number },
): number {
  if (type === BPF_MAP_TYPE.PERF_EVENT_ARRAY && maxEntries === 0) return machine.cpuCount;
  const ring = type === BPF_MAP_TYPE.RINGBUF || type === BPF_MAP_TYPE.USER_RINGBUF;
  return ring ? roundRingSize(maxEntries, machine.pageSize) : maxEntries;
}

/** libbpf's `adjust_ringbuf_sz`: 0 and sizes beyond 2 GiB stay for the kernel to refuse. */
function roundRingSize(size: number, pageSize: number): number {
  if (size === 0 || size > 0x8000_0000) return size;
  let rounded = pageSize;
  while (rounded < size) rounded *= 2;
  return rounded;
}

/** A name that the kernel takes: letters, digits, `_` and `.`, at most 15 characters. */
export function kernelName(name: string): string {
  return name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, 15);
}
