import {
  BPF_F_INNER_MAP,
  BPF_F_LINK,
  BPF_F_MMAPABLE,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  BPF_MAP_TYPE,
} from '../../abi/bpf.ts';
import type { MapSpec } from '../../object/spec.ts';
import type { ErrnoName } from '../errno.ts';
import { alignUp } from '../ranges.ts';

/** Why a map cannot be made: the kernel's errno and a sentence. */
export interface Refusal {
  readonly errno: ErrnoName;
  readonly reason: string;
}

const accessFlags = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
const arrayFlags =
  BPF_F_NUMA_NODE | BPF_F_MMAPABLE | accessFlags | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP;
const hashFlags = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | accessFlags | BPF_F_ZERO_SEED;

const queueFlags = BPF_F_NUMA_NODE | accessFlags;

/** `KMALLOC_MAX_SIZE`, in bytes. */
const maxAllocation = 4_194_304;

/** `struct lpm_trie_node`, in bytes. */
const trieNodeSize = 40;

/** Largest per-CPU value (`PCPU_MIN_UNIT_SIZE`), in bytes. */
const maxPercpuValue = 32_768;
/** Largest key and value of a hash map together: `KMALLOC_MAX_SIZE` less `struct htab_elem`. */
const maxHashElement = 4_194_304 - 48;
/** Most buckets: their 16-byte heads must be countable in 32 bits. */
const maxBuckets = 0x0fff_ffff;

/**
 * What Linux checks before it makes a map, in its order: `map_create` of kernel/bpf/syscall.c,
 * then the type's own `map_alloc_check` and `map_alloc`. Undefined where all is well.
 */
export function checkCreation(spec: MapSpec, pageSize: number): Refusal | undefined {
  return checkCommon(spec) ?? checkType(spec, pageSize);
}

function checkCommon(spec: MapSpec): Refusal | undefined {
  for (const [what, value] of [
    ['key_size', spec.keySize],
    ['value_size', spec.valueSize],
    ['max_entries', spec.maxEntries],
    ['map_flags', spec.flags],
  ] as const) {
    if (isU32(value)) continue;
    return invalid(`${what} must be a whole number of 32 bits, not ${value}`);
  }
  if (spec.keyType !== undefined && spec.valueType === undefined) {
    return invalid('a key type needs a value type');
  }
  // Of an arena it is the address: that there are none is said below. Of a Bloom filter it is
  // the number of hash functions.
  const hasExtra = spec.type === BPF_MAP_TYPE.ARENA || spec.type === BPF_MAP_TYPE.BLOOM_FILTER;
  if (spec.extra !== 0n && !hasExtra) {
    return invalid('map_extra means nothing for this type');
  }
  if (both(spec.flags, BPF_F_RDONLY, BPF_F_WRONLY)) {
    return invalid('BPF_F_RDONLY and BPF_F_WRONLY exclude each other');
  }
  if ((spec.flags & BPF_F_NUMA_NODE) !== 0 && spec.numaNode !== 0) {
    return invalid(`there is no NUMA node ${spec.numaNode}; the VM has node 0 only`);
  }
  return undefined;
}

function checkType(spec: MapSpec, pageSize: number): Refusal | undefined {
  switch (spec.type) {
    case BPF_MAP_TYPE.ARRAY:
    case BPF_MAP_TYPE.PERCPU_ARRAY:
      return checkArray(spec);
    case BPF_MAP_TYPE.PROG_ARRAY:
    case BPF_MAP_TYPE.ARRAY_OF_MAPS:
      return checkSlotArray(spec);
    case BPF_MAP_TYPE.HASH:
    case BPF_MAP_TYPE.PERCPU_HASH:
      return checkHash(spec);
    case BPF_MAP_TYPE.LRU_HASH:
    case BPF_MAP_TYPE.LRU_PERCPU_HASH:
      return checkLru(spec);
    case BPF_MAP_TYPE.HASH_OF_MAPS:
      return spec.valueSize === 4 ? checkHash(spec) : invalid('value_size must be 4');
    case BPF_MAP_TYPE.RINGBUF:
      return checkRing(spec, pageSize);
    case BPF_MAP_TYPE.STRUCT_OPS:
      return checkStructOps(spec);
    case BPF_MAP_TYPE.LPM_TRIE:
      return checkTrie(spec);
    case BPF_MAP_TYPE.QUEUE:
    case BPF_MAP_TYPE.STACK:
      return checkQueue(spec);
    case BPF_MAP_TYPE.BLOOM_FILTER:
      return checkBloomFilter(spec);
    default:
      return invalid(`the VM does not have map type ${typeName(spec.type)}`);
  }
}

/** `bpf_struct_ops_map_alloc_check`. */
function checkStructOps({ keySize, maxEntries, flags, valueSize }: MapSpec): Refusal | undefined {
  if (keySize !== 4) return invalid('key_size must be 4');
  if (maxEntries !== 1) return invalid('max_entries must be 1');
  if (valueSize === 0) return invalid('value_size must not be 0');
  return (flags & ~BPF_F_LINK) === 0 ? undefined : invalid('only the flag BPF_F_LINK is allowed');
}

/** `trie_alloc`: a length of 4 bytes and 1 to 256 bytes of data. */
function checkTrie(spec: MapSpec): Refusal | undefined {
  if (spec.maxEntries === 0) return invalid('max_entries must not be 0');
  if ((spec.flags & BPF_F_NO_PREALLOC) === 0) return invalid('map_flags need BPF_F_NO_PREALLOC');
  const flags = checkFlags(spec.flags, BPF_F_NO_PREALLOC | queueFlags);
  if (flags !== undefined) return flags;
  if (spec.keySize < 5 || spec.keySize > 260) {
    return invalid(`key_size must be 5 to 260, not ${spec.keySize}`);
  }
  if (spec.valueSize === 0) return invalid('value_size must not be 0');
  const most = maxAllocation - trieNodeSize - 256;
  return spec.valueSize > most ? invalid('value_size is over 4 MiB') : undefined;
}

/** `queue_stack_map_alloc_check`. */
function checkQueue(spec: MapSpec): Refusal | undefined {
  return checkKeyless(spec, queueFlags);
}

/** `bloom_map_alloc`. */
function checkBloomFilter(spec: MapSpec): Refusal | undefined {
  if (spec.extra > 15n) return invalid('map_extra, the number of hash functions, is at most 15');
  return checkKeyless(spec, queueFlags | BPF_F_ZERO_SEED);
}

function checkKeyless(spec: MapSpec, allowed: number): Refusal | undefined {
  if (spec.maxEntries === 0) return invalid('max_entries must not be 0');
  if (spec.keySize !== 0) return invalid(`key_size must be 0, not ${spec.keySize}`);
  if (spec.valueSize === 0) return invalid('value_size must not be 0');
  const flags = checkFlags(spec.flags, allowed);
  if (flags !== undefined) return flags;
  return spec.valueSize > maxAllocation ? tooBig('value_size is over 4 MiB') : undefined;
}

function checkArray(spec: MapSpec): Refusal | undefined {
  const percpu = spec.type === BPF_MAP_TYPE.PERCPU_ARRAY;
  if (spec.maxEntries === 0) return invalid('max_entries must not be 0');
  if (spec.keySize !== 4) return invalid(`key_size must be 4, not ${spec.keySize}`);
  if (spec.valueSize === 0) return invalid('value_size must not be 0');
  const flags = checkFlags(spec.flags, arrayFlags);
  if (flags !== undefined) return flags;
  if (percpu && (spec.flags & BPF_F_NUMA_NODE) !== 0)
    return invalid('per-CPU maps have no NUMA node');
  if (spec.type !== BPF_MAP_TYPE.ARRAY && (spec.flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP)) !== 0) {
    return invalid('BPF_F_MMAPABLE and BPF_F_INNER_MAP are for plain arrays only');
  }
  if ((spec.flags & BPF_F_PRESERVE_ELEMS) !== 0) {
    return invalid('BPF_F_PRESERVE_ELEMS is for perf event arrays only');
  }
  if (spec.valueSize > 0x7fff_ffff) return tooBig('value_size is over 2 GiB');
  return percpu ? checkPercpuValue(spec.valueSize) : undefined;
}

function checkSlotArray(spec: MapSpec): Refusal | undefined {
  if (spec.valueSize !== 4) return invalid(`value_size must be 4, not ${spec.valueSize}`);
  if ((spec.flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) !== 0) {
    return invalid('BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG are not for this type');
  }
  return checkArray(spec);
}

/** Those that evict reserve their elements at once, always. */
function checkLru(spec: MapSpec): Refusal | undefined {
  const flags = checkFlags(spec.flags, hashFlags | BPF_F_NO_COMMON_LRU);
  if (flags !== undefined) return flags;
  if ((spec.flags & BPF_F_NO_PREALLOC) !== 0) {
    return { errno: 'ENOTSUPP', reason: 'BPF_F_NO_PREALLOC is not for maps that evict' };
  }
  if (both(spec.flags, BPF_F_NUMA_NODE, BPF_F_NO_COMMON_LRU)) {
    return invalid('BPF_F_NUMA_NODE and BPF_F_NO_COMMON_LRU exclude each other');
  }
  return checkTable(spec, spec.type === BPF_MAP_TYPE.LRU_PERCPU_HASH);
}

function checkHash(spec: MapSpec): Refusal | undefined {
  const flags = checkFlags(spec.flags, hashFlags);
  return flags ?? checkTable(spec, spec.type === BPF_MAP_TYPE.PERCPU_HASH);
}

/** `htab_map_alloc_check`, flags apart. */
function checkTable(spec: MapSpec, percpu: boolean): Refusal | undefined {
  if (percpu && (spec.flags & BPF_F_NUMA_NODE) !== 0)
    return invalid('per-CPU maps have no NUMA node');
  if (spec.maxEntries === 0) return invalid('max_entries must not be 0');
  if (spec.keySize === 0) return invalid('key_size must not be 0');
  if (spec.valueSize === 0) return invalid('value_size must not be 0');
  if (spec.keySize + spec.valueSize >= maxHashElement) {
    return tooBig('key_size and value_size together are over 4 MiB');
  }
  const value = percpu ? checkPercpuValue(spec.valueSize) : undefined;
  if (value !== undefined) return value;
  const buckets = 2 ** Math.ceil(Math.log2(spec.maxEntries));
  return buckets > maxBuckets ? tooBig(`max_entries is over ${(maxBuckets + 1) / 2}`) : undefined;
}

function checkRing(spec: MapSpec, pageSize: number): Refusal | undefined {
  if ((spec.flags & ~BPF_F_NUMA_NODE) !== 0) return invalid('a ring buffer takes no such flags');
  if (spec.keySize !== 0 || spec.valueSize !== 0) {
    return invalid('a ring buffer has no key_size and no value_size');
  }
  const size = spec.maxEntries;
  if (size === 0 || !Number.isInteger(Math.log2(size)) || size % pageSize !== 0) {
    return invalid(`max_entries must be a power of two and a multiple of ${pageSize}, not ${size}`);
  }
  return undefined;
}

function checkFlags(flags: number, allowed: number): Refusal | undefined {
  const unknown = (flags & ~allowed) >>> 0;
  if (unknown !== 0) return invalid(`map_flags 0x${unknown.toString(16)} are not for this type`);
  if (!both(flags, BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG)) return undefined;
  return invalid('BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG exclude each other');
}

function checkPercpuValue(size: number): Refusal | undefined {
  if (alignUp(size, 8) <= maxPercpuValue) return undefined;
  return tooBig(`a per-CPU value has at most ${maxPercpuValue} bytes`);
}

/** Name of a map type, for messages. */
export function typeName(type: number): string {
  const found = Object.entries(BPF_MAP_TYPE).find(([, value]) => value === type);
  return found === undefined ? String(type) : `${found[0]} (${type})`;
}

function both(flags: number, a: number, b: number): boolean {
  return (flags & a) !== 0 && (flags & b) !== 0;
}

function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function invalid(reason: string): Refusal {
  return { errno: 'EINVAL', reason };
}

function tooBig(reason: string): Refusal {
  return { errno: 'E2BIG', reason };
}
