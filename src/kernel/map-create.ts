import { BPF_F_NUMA_NODE } from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import type { BpfError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';
import { Attr } from './attr.ts';
import { check, errnoError } from './errno.ts';
import { isMapOfMaps, kernelName, takesBtf } from './map-types.ts';
import type { KernelCalls } from './sys.ts';

/** What only the backend knows about a map to create. */
export interface MapCreate {
  readonly spec: MapSpec;
  /** Descriptor of the object's types, if the kernel has them. */
  readonly btfFd: number | undefined;
  /** Descriptor of the template of a map of maps. */
  readonly innerFd: number | undefined;
}

/** Creates a map; gives its descriptor. What it says about pinning is not looked at. */
export function createMap(calls: KernelCalls, create: MapCreate): number {
  const { spec } = create;
  if (isMapOfMaps(spec.type) && create.innerFd === undefined) throw withoutTemplate(spec);
  const typed = create.btfFd !== undefined && spec.valueType !== undefined && takesBtf(spec.type);
  let fd = calls.bpf(mapAttributes(create, typed));
  // libbpf's rule: a map that the kernel does not take with types may do without.
  const untyped = fd === -ERRNO.EINVAL || fd === -ERRNO.ENOTSUPP;
  if (typed && untyped) fd = calls.bpf(mapAttributes(create, false));
  return check(fd, { operation: 'create', call: 'MAP_CREATE', map: spec.name });
}

function withoutTemplate(spec: MapSpec): BpfError {
  const reason = 'a map of maps needs a template of its inner maps';
  const about = { operation: 'create', call: 'MAP_CREATE', map: spec.name, reason } as const;
  return errnoError(ERRNO.EBADF, about);
}

function mapAttributes(create: MapCreate, typed: boolean): Attr<'MAP_CREATE'> {
  const { spec, innerFd, btfFd } = create;
  const attr = new Attr('MAP_CREATE')
    .set('map_type', spec.type)
    .set('key_size', spec.keySize)
    .set('value_size', spec.valueSize)
    .set('max_entries', spec.maxEntries)
    .set('map_flags', spec.numaNode === 0 ? spec.flags : spec.flags | BPF_F_NUMA_NODE)
    .set('numa_node', spec.numaNode)
    .set('map_extra', spec.extra)
    .text('map_name', kernelName(spec.kernelName));
  if (innerFd !== undefined) attr.set('inner_map_fd', innerFd);
  if (typed) {
    attr
      .set('btf_fd', btfFd ?? 0)
      .set('btf_key_type_id', spec.keyType ?? 0)
      .set('btf_value_type_id', spec.valueType ?? 0);
  }
  return attr;
}
