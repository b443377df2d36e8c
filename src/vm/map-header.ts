import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { VmMap } from './maps/map.ts';
import type { KernelObject, KernelObjects, ObjectMembers } from './objects.ts';

/** Structures that Linux keeps around `struct bpf_map`, by map type. */
const structures = new Map<number, string>([
  [BPF_MAP_TYPE.HASH, 'bpf_htab'],
  [BPF_MAP_TYPE.PERCPU_HASH, 'bpf_htab'],
  [BPF_MAP_TYPE.HASH_OF_MAPS, 'bpf_htab'],
  [BPF_MAP_TYPE.ARRAY, 'bpf_array'],
  [BPF_MAP_TYPE.PERCPU_ARRAY, 'bpf_array'],
  [BPF_MAP_TYPE.PROG_ARRAY, 'bpf_array'],
  [BPF_MAP_TYPE.ARRAY_OF_MAPS, 'bpf_array'],
  [BPF_MAP_TYPE.RINGBUF, 'bpf_ringbuf_map'],
  [BPF_MAP_TYPE.LRU_HASH, 'bpf_htab'],
  [BPF_MAP_TYPE.LRU_PERCPU_HASH, 'bpf_htab'],
  [BPF_MAP_TYPE.LPM_TRIE, 'lpm_trie'],
  [BPF_MAP_TYPE.QUEUE, 'bpf_queue_stack'],
  [BPF_MAP_TYPE.STACK, 'bpf_queue_stack'],
  [BPF_MAP_TYPE.BLOOM_FILTER, 'bpf_bloom_filter'],
]);

/** Size of the header where the target does not know `struct bpf_map`. */
const plainHeader = 64;

/** A map's structure in VM memory. */
export interface MapHeader {
  readonly offset: number;
  free(): void;
}

/**
 * Places the structure that a program's map pointer points at, laid out by the target types,
 * so that programs can read `map->max_entries` and the like. What the target lacks is left out.
 */
export function placeMapHeader(objects: KernelObjects, map: VmMap): MapHeader {
  const outer = structures.get(map.type);
  const type = [outer, 'bpf_map'].find(
    (name) => name !== undefined && objects.sizeOf(name) !== undefined,
  );
  if (type === undefined) {
    const offset = objects.memory.allocate(plainHeader, { label: 'map header', align: 64 });
    return { offset, free: () => objects.memory.free(offset) };
  }
  const object = objects.create(type);
  setKnown(object, type === outer ? 'map.' : '', commonMembers(map));
  if (type === outer) setKnown(object, '', { elem_size: map.valueStride });
  return object;
}

function commonMembers(map: VmMap): ObjectMembers {
  const { spec } = map;
  return {
    map_type: map.type,
    id: map.id,
    key_size: map.keySize,
    value_size: map.valueSize,
    max_entries: map.maxEntries,
    map_flags: map.flags,
    map_extra: spec.extra,
    name: spec.kernelName.slice(0, 15),
    btf_key_type_id: spec.keyType ?? 0,
    btf_value_type_id: spec.valueType ?? 0,
  };
}

function setKnown(object: KernelObject, prefix: string, members: ObjectMembers): void {
  for (const [name, value] of Object.entries(members)) {
    if (object.has(prefix + name)) object.set({ [prefix + name]: value });
  }
}
