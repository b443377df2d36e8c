import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import { BpfError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';

/** What the machine adds to a map's definition. */
export interface MapHost {
  /** In bytes. */
  readonly pageSize: number;
  readonly cpuCount: number;
}

const maxSize = 0xffff_ffff;

/** Types whose `max_entries` must be, or may be, 0. */
const unsized: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.CGROUP_STORAGE,
  BPF_MAP_TYPE.PERCPU_CGROUP_STORAGE,
  BPF_MAP_TYPE.SK_STORAGE,
  BPF_MAP_TYPE.INODE_STORAGE,
  BPF_MAP_TYPE.TASK_STORAGE,
  BPF_MAP_TYPE.CGRP_STORAGE,
]);

/** Types that the kernel takes no key and value types for; the list is `bpf_object__create_map`'s. */
const untyped: ReadonlySet<number> = new Set([
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
  BPF_MAP_TYPE.QUEUE,
  BPF_MAP_TYPE.STACK,
  BPF_MAP_TYPE.ARENA,
]);

/**
 * A map as it is created on a machine: ring buffers rounded up, a per-CPU perf array without
 * a size given one entry a CPU, type ids left out where no kernel takes them; the inner
 * template likewise. A size of 0 that no kernel takes is an error.
 */
export function adjustMap(spec: MapSpec, host: MapHost): MapSpec {
  const typed = untyped.has(spec.type) ? { keyType: undefined, valueType: undefined } : {};
  const maxEntries = adjustEntries(spec, host);
  if (maxEntries === 0 && !unsized.has(spec.type)) {
    throw new BpfError({ code: 'map-without-size', map: spec.name });
  }
  const inner = spec.inner === undefined ? undefined : adjustMap(spec.inner, host);
  return { ...spec, ...typed, maxEntries, inner };
}

function adjustEntries(spec: MapSpec, host: MapHost): number {
  const { type, maxEntries } = spec;
  if (type === BPF_MAP_TYPE.RINGBUF || type === BPF_MAP_TYPE.USER_RINGBUF) {
    return ringBufferSize(maxEntries, host.pageSize);
  }
  if (type === BPF_MAP_TYPE.PERF_EVENT_ARRAY && maxEntries === 0) return host.cpuCount;
  return maxEntries;
}

/**
 * Size of a ring buffer in bytes: the kernel wants a power of two times its page size, so
 * other sizes become the next such number (libbpf's `adjust_ringbuf_sz`). 0 stays 0, and
 * what is too large for any stays as it is, both for the kernel to refuse.
 */
export function ringBufferSize(size: number, pageSize: number): number {
  if (size === 0) return 0;
  let rounded = pageSize;
  while (rounded < size) rounded *= 2;
  return rounded > maxSize ? size : rounded;
}
