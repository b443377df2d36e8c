import { BPF_F_MMAPABLE, BPF_F_NUMA_NODE, BPF_F_VTYPE_BTF_OBJ_FD } from '../abi/bpf.ts';
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
  /** Type of a struct_ops map's value in the kernel's types, or in those of a module. */
  readonly structOps?:
    | { readonly valueType: number; readonly moduleFd: number | undefined }
    | undefined;
}

/** A map that was created. */
export interface CreatedMap {
  readonly fd: number;
  /** Its flags, some of which an old kernel may not have taken. */
  readonly flags: number;
}

/**
 * Creates a map. What it says about pinning is not looked at. As in libbpf, a map that the
 * kernel does not take with types may do without, and a data section without being mappable
 * (kernels before 5.5).
 */
export function createMap(calls: KernelCalls, create: MapCreate): CreatedMap {
  const { spec } = create;
  if (isMapOfMaps(spec.type) && create.innerFd === undefined) throw withoutTemplate(spec);
  const typed = create.btfFd !== undefined && spec.valueType !== undefined && takesBtf(spec.type);
  let flags = mapFlags(create);
  let fd = calls.bpf(mapAttributes(create, typed, flags));
  const refused = (): boolean => fd === -ERRNO.EINVAL || fd === -ERRNO.ENOTSUPP;
  if (typed && refused()) fd = calls.bpf(mapAttributes(create, false, flags));
  if (spec.data !== undefined && (flags & BPF_F_MMAPABLE) !== 0 && refused()) {
    flags &= ~BPF_F_MMAPABLE;
    fd = calls.bpf(mapAttributes(create, typed, flags));
  }
  check(fd, { operation: 'create', call: 'MAP_CREATE', map: spec.name });
  return { fd, flags };
}

function withoutTemplate(spec: MapSpec): BpfError {
  const reason = 'a map of maps needs a template of its inner maps';
  const about = { operation: 'create', call: 'MAP_CREATE', map: spec.name, reason } as const;
  return errnoError(ERRNO.EBADF, about);
}

/** The flags of a map, with those that say which attributes are meant. */
function mapFlags({ spec, structOps }: Pick<MapCreate, 'spec' | 'structOps'>): number {
  const numa = spec.numaNode === 0 ? 0 : BPF_F_NUMA_NODE;
  const module = structOps?.moduleFd === undefined ? 0 : BPF_F_VTYPE_BTF_OBJ_FD;
  return spec.flags | numa | module;
}

function mapAttributes(create: MapCreate, typed: boolean, flags: number): Attr<'MAP_CREATE'> {
  const { spec, innerFd, btfFd, structOps } = create;
  const attr = new Attr('MAP_CREATE')
    .set('map_type', spec.type)
    .set('key_size', spec.keySize)
    .set('value_size', spec.valueSize)
    .set('max_entries', spec.maxEntries)
    .set('map_flags', flags)
    .set('numa_node', spec.numaNode)
    .set('map_extra', spec.extra)
    .text('map_name', kernelName(spec.kernelName));
  if (innerFd !== undefined) attr.set('inner_map_fd', innerFd);
  if (structOps !== undefined) {
    attr.set('btf_vmlinux_value_type_id', structOps.valueType).set('btf_fd', btfFd ?? 0);
    if (structOps.moduleFd !== undefined) attr.set('value_type_btf_obj_fd', structOps.moduleFd);
  }
  if (typed) {
    attr
      .set('btf_fd', btfFd ?? 0)
      .set('btf_key_type_id', spec.keyType ?? 0)
      .set('btf_value_type_id', spec.valueType ?? 0);
  }
  return attr;
}
