import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { BackendMap, BackendProgram } from '../backend/backend.ts';
import { BpfError, withContext } from '../errors.ts';
import type { InitialValue, MapSpec, ObjectSpec } from '../object/spec.ts';

/**
 * Gives the map of a data section its contents; read-only ones are frozen then, so that the
 * verifier may take their values for constants. Fresh maps are zero, so zeros are not written.
 * An arena has them from `arenaOffset` on.
 */
export function fillData(spec: MapSpec, map: BackendMap, arenaOffset: number): void {
  const { data } = spec;
  if (data === undefined) return;
  const filled = data.contents.some((byte) => byte !== 0);
  if (filled && data.kind === 'arena') map.write(arenaOffset, data.contents);
  else if (filled) map.update(new Uint8Array(4), data.contents);
  if (data.kind === 'rodata' || data.kind === 'kconfig') map.freeze();
}

/** Stores the maps that maps of maps were given in C; a pinned one that was there keeps its own. */
export function fillMapSlots(
  spec: ObjectSpec,
  maps: readonly (BackendMap | undefined)[],
  reused: ReadonlySet<BackendMap>,
): void {
  for (const { owner, map, value } of initialValues(spec, maps)) {
    if (value.kind !== 'map' || reused.has(map)) continue;
    const inner = maps[value.map];
    if (inner === undefined) {
      throw new BpfError({ code: 'slot-without-map', map: owner.name, index: value.index });
    }
    withContext({ map: owner.name }, () => map.setMap(indexKey(spec, value.index), inner));
  }
}

/** Stores the programs that prog arrays were given in C; `programs` is keyed by function. */
export function fillProgramSlots(
  spec: ObjectSpec,
  maps: readonly (BackendMap | undefined)[],
  programs: ReadonlyMap<number, BackendProgram>,
): void {
  for (const { owner, map, value } of initialValues(spec, maps)) {
    if (value.kind !== 'program' || owner.type !== BPF_MAP_TYPE.PROG_ARRAY) continue;
    const program = programs.get(value.program);
    if (program === undefined) {
      const name = spec.functions[value.program]?.name ?? `function ${value.program}`;
      const { index } = value;
      throw new BpfError({
        code: 'slot-without-program',
        map: owner.name,
        index,
        function: name,
      });
    }
    withContext({ map: owner.name }, () => map.setProgram(indexKey(spec, value.index), program));
  }
}

interface OwnedValue {
  readonly owner: MapSpec;
  readonly map: BackendMap;
  readonly value: InitialValue;
}

function* initialValues(
  spec: ObjectSpec,
  maps: readonly (BackendMap | undefined)[],
): Generator<OwnedValue> {
  for (const [at, map] of maps.entries()) {
    if (map === undefined) continue;
    const owner = spec.maps[at] as MapSpec;
    for (const value of owner.values) yield { owner, map, value };
  }
}

/** The key of an array's slot, in the byte order of the programs that will look it up. */
function indexKey(spec: ObjectSpec, index: number): Uint8Array {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, spec.littleEndian);
  return key;
}
