import { BPF_F_MMAPABLE } from '../abi/bpf.ts';
import type { BackendMap } from '../backend/backend.ts';
import type { TypeId } from '../btf/types.ts';
import { BpfError } from '../errors.ts';
import type { DataSection, MapSpec, VariableSpec } from '../object/spec.ts';

/** A global variable of a loaded object: the bytes that its programs see. */
export interface GlobalVariable {
  readonly name: string;
  /** Section that holds it. */
  readonly section: string;
  /** In the object's BTF. */
  readonly type: TypeId | undefined;
  /** In bytes from the start of the section. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  /** Read-only sections are frozen when they are loaded: writing to them may stop the process. */
  readonly readonly: boolean;
  /** Live: what the program writes is seen here at once, and the other way round. */
  readonly bytes: Uint8Array;
}

/** A variable together with the map of its section. */
interface Place {
  readonly variable: VariableSpec;
  readonly data: DataSection;
  readonly index: number;
}

/**
 * Finds a variable by name in the data sections, in their order, and opens its bytes.
 * `section` tells static variables of one name apart.
 */
export function openGlobal(
  maps: readonly MapSpec[],
  created: readonly (BackendMap | undefined)[],
  arenaOffsets: ReadonlyMap<number, number>,
  name: string,
  section?: string,
): GlobalVariable {
  const place = findVariable(maps, name, section);
  const map = place === undefined ? undefined : created[place.index];
  if (place === undefined || map === undefined) throw noVariable(maps, name);
  const { offset, size, type } = place.variable;
  const at = offset + (arenaOffsets.get(place.index) ?? 0);
  return {
    name,
    section: place.data.section,
    type,
    offset,
    size,
    readonly: place.data.kind === 'rodata' || place.data.kind === 'kconfig',
    bytes: sectionBytes(place.data, map).subarray(at, at + size),
  };
}

/** The key of the one element that a data section's map has. */
const onlyKey = new Uint8Array(4);

/**
 * libbpf makes a section mappable only if it holds a global variable. Of a read-only one
 * without any, a copy says as much as a view: nobody can change it any more.
 */
function sectionBytes(data: DataSection, map: BackendMap): Uint8Array {
  const mappable = (map.flags & BPF_F_MMAPABLE) !== 0;
  if (data.kind !== 'rodata' || mappable) return map.view();
  return map.lookup(onlyKey) ?? map.view();
}

function findVariable(
  maps: readonly MapSpec[],
  name: string,
  section: string | undefined,
): Place | undefined {
  for (const [index, { data }] of maps.entries()) {
    if (data === undefined || (section !== undefined && data.section !== section)) continue;
    const variable = data.variables.find((each) => each.name === name);
    if (variable !== undefined) return { variable, data, index };
  }
  return undefined;
}

function noVariable(maps: readonly MapSpec[], name: string): BpfError {
  const have = maps.flatMap((map) => map.data?.variables.map((each) => each.name) ?? []);
  return new BpfError({ code: 'no-such-variable', name, have });
}
