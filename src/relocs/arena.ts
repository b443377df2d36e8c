import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import { BpfError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';

/** What decides where an arena's variables are. */
export interface ArenaHost {
  /** In bytes. */
  readonly pageSize: number;
  /** `ld_imm64` may reach the end of a large arena (Linux 7.0). */
  readonly fullRange: boolean;
}

/**
 * Where the variables of an object's arena begin, in bytes: on the last pages of the arena, so
 * that what a program allocates begins at its start; at the start on kernels whose `ld_imm64`
 * does not reach that far (libbpf's `arena_data_off`). 0 for any other map.
 * {@link BpfError} `arena-too-small`.
 */
export function arenaDataOffset(map: MapSpec, { pageSize, fullRange }: ArenaHost): number {
  if (map.type !== BPF_MAP_TYPE.ARENA || map.data === undefined) return 0;
  const size = map.maxEntries * pageSize;
  const need = Math.ceil(map.data.contents.length / pageSize) * pageSize;
  if (need > size) throw new BpfError({ code: 'arena-too-small', size, need });
  return fullRange ? size - need : 0;
}
