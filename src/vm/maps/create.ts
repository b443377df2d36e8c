import { BPF_MAP_TYPE } from '../../abi/bpf.ts';
import { type BpfError, withContext } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { type ErrnoName, errnoError } from '../errno.ts';
import { ArrayMap, PercpuArrayMap } from './array.ts';
import { BloomFilterMap } from './bloom-filter.ts';
import { HashMap, PercpuHashMap } from './hash.ts';
import { LpmTrieMap } from './lpm-trie.ts';
import type { MapOptions, VmMap } from './map.ts';
import { QueueMap, StackMap } from './queue.ts';
import { RingBufferMap } from './ring-buffer.ts';
import { checkCreation, typeName } from './rules.ts';
import { ArrayOfMaps, HashOfMaps, ProgArrayMap } from './slots.ts';
import { StructOpsMap } from './struct-ops.ts';

/** The class of each map type that the VM has. */
const classes = new Map<number, new (options: MapOptions) => VmMap>([
  [BPF_MAP_TYPE.HASH, HashMap],
  [BPF_MAP_TYPE.ARRAY, ArrayMap],
  [BPF_MAP_TYPE.PROG_ARRAY, ProgArrayMap],
  [BPF_MAP_TYPE.PERCPU_HASH, PercpuHashMap],
  [BPF_MAP_TYPE.PERCPU_ARRAY, PercpuArrayMap],
  [BPF_MAP_TYPE.ARRAY_OF_MAPS, ArrayOfMaps],
  [BPF_MAP_TYPE.HASH_OF_MAPS, HashOfMaps],
  [BPF_MAP_TYPE.RINGBUF, RingBufferMap],
  [BPF_MAP_TYPE.STRUCT_OPS, StructOpsMap],
  [BPF_MAP_TYPE.LRU_HASH, HashMap],
  [BPF_MAP_TYPE.LRU_PERCPU_HASH, PercpuHashMap],
  [BPF_MAP_TYPE.LPM_TRIE, LpmTrieMap],
  [BPF_MAP_TYPE.QUEUE, QueueMap],
  [BPF_MAP_TYPE.STACK, StackMap],
  [BPF_MAP_TYPE.BLOOM_FILTER, BloomFilterMap],
]);

/** Map types that the VM has (`BPF_MAP_TYPE`). */
export const mapTypes: readonly number[] = [...classes.keys()];

/**
 * Makes a map by Linux's rules. What it refuses is an `errno` {@link BpfError} with the
 * kernel's errno; then nothing stays allocated.
 */
export function makeMap(options: MapOptions): VmMap {
  const { spec, host } = options;
  const refusal = checkCreation(spec, host.pageSize) ?? checkTemplate(spec, options.inner);
  if (refusal !== undefined) throw creationError(spec, refusal.errno, refusal.reason);
  const MapClass = classes.get(spec.type);
  if (MapClass === undefined) throw new Error(`no class for map type ${spec.type}`);
  return withContext({ map: spec.name }, () => {
    const map = new MapClass(options);
    try {
      map.publish();
    } catch (error) {
      map.destroy();
      throw error;
    }
    return map;
  });
}

/** The rules for templates of maps of maps (`bpf_map_meta_alloc`). */
function checkTemplate(
  spec: MapSpec,
  inner: VmMap | undefined,
): { readonly errno: ErrnoName; readonly reason: string } | undefined {
  const outer = spec.type === BPF_MAP_TYPE.ARRAY_OF_MAPS || spec.type === BPF_MAP_TYPE.HASH_OF_MAPS;
  if (!outer) return undefined;
  if (inner === undefined) return { errno: 'EBADF', reason: 'a map of maps needs a template' };
  if (inner.inner !== undefined) {
    return { errno: 'EINVAL', reason: 'maps of maps cannot be nested' };
  }
  if (inner.canBeInner) return undefined;
  return { errno: 'ENOTSUPP', reason: `${typeName(inner.type)} cannot be an inner map` };
}

function creationError(spec: MapSpec, errno: ErrnoName, reason: string): BpfError {
  return errnoError(errno, 'create map', { map: spec.name, reason });
}
