import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { Backend, BackendMap, BackendProgram } from '../backend/backend.ts';
import { withContext } from '../errors.ts';
import type { MapSpec, ObjectSpec } from '../object/spec.ts';
import { LoadedObject, type LoadedProgram } from './loaded.ts';
import { adjustMap } from './maps.ts';
import { Owner } from './owner.ts';
import { needsTarget, type PreparedObject, type PrepareOptions, prepareObject } from './prepare.ts';
import { fillData, fillMapSlots, fillProgramSlots } from './values.ts';

export { LoadedObject, type LoadedProgram } from './loaded.ts';

export interface LoadOptions extends PrepareOptions {
  /** Where maps are made and programs run. It is not closed with the object. */
  readonly backend: Backend;
  /** Called with all maps made and filled, before the first program is loaded: the place to fill maps. */
  readonly onMaps?: ((maps: ReadonlyMap<string, BackendMap>) => void) | undefined;
}

/**
 * Loads an object: programs relocated (against the backend's own types unless others are
 * given), maps created in libbpf's order and filled, programs loaded, static prog arrays
 * set. All or nothing: whatever fails, the caller's callbacks included, everything made so
 * far is closed before the error leaves. Maps that ask for pinning are created, not pinned.
 *
 * @example
 * ```ts
 * using object = loadObject(openObject(bytes), { backend: createVm() });
 * object.program('count_packets').testRun({ data: packet });
 * console.log(object.map('counts').lookup(key));
 * ```
 */
export function loadObject(spec: ObjectSpec, options: LoadOptions): LoadedObject {
  const { backend } = options;
  const targetBtf = options.targetBtf ?? (needsTarget(spec) ? backend.targetBtf() : undefined);
  const prepared = prepareObject(spec, { targetBtf, autoload: options.autoload });
  const owner = new Owner();
  try {
    return loadPrepared(prepared, options, owner);
  } catch (error) {
    owner.abandon();
    throw error;
  }
}

function loadPrepared(
  prepared: PreparedObject,
  { backend, onMaps }: LoadOptions,
  owner: Owner,
): LoadedObject {
  const { spec } = prepared;
  const maps = createMaps(spec, backend, owner);
  onMaps?.(nameMaps(spec, maps));
  const programs = prepared.images.map((image, at): LoadedProgram => {
    const program = withContext({ program: image.name }, () =>
      owner.add(backend.loadProgram(image, maps)),
    );
    return { spec: prepared.programs[at] as LoadedProgram['spec'], image, program };
  });
  const byFunction = new Map<number, BackendProgram>();
  for (const { spec: program, program: loaded } of programs) {
    byFunction.set(program.function, loaded);
  }
  fillProgramSlots(spec, maps, byFunction);
  return new LoadedObject({ prepared, maps, mapsByName: nameMaps(spec, maps), programs, owner });
}

/** Creates and fills every map; `maps[i]` belongs to `spec.maps[i]`. */
function createMaps(spec: ObjectSpec, backend: Backend, owner: Owner): readonly BackendMap[] {
  // Sizes are checked before the first map is made.
  const adjusted = spec.maps.map((map) =>
    withContext({ map: map.name }, () => adjustMap(map, backend)),
  );
  const maps = adjusted.map((map) =>
    withContext({ map: map.name }, () => {
      const created = createMap(spec, map, backend, owner);
      fillData(map, created);
      return created;
    }),
  );
  // After all maps are there: a slot may name a map that is defined later.
  fillMapSlots(spec, maps);
  return maps;
}

/** A map of maps gets its template only for the call that creates it, as in libbpf. */
function createMap(spec: ObjectSpec, map: MapSpec, backend: Backend, owner: Owner): BackendMap {
  const { btf } = spec;
  if (map.inner === undefined || !isMapOfMaps(map.type)) {
    return owner.add(backend.createMap(map, { btf }));
  }
  const template = new Owner();
  try {
    const inner = template.add(backend.createMap(map.inner, { btf }));
    return owner.add(backend.createMap(map, { btf, inner }));
  } finally {
    template.abandon();
  }
}

function isMapOfMaps(type: number): boolean {
  return type === BPF_MAP_TYPE.ARRAY_OF_MAPS || type === BPF_MAP_TYPE.HASH_OF_MAPS;
}

function nameMaps(spec: ObjectSpec, maps: readonly BackendMap[]): ReadonlyMap<string, BackendMap> {
  const named = new Map<string, BackendMap>();
  for (const [index, map] of maps.entries()) {
    const name = spec.maps[index]?.name;
    if (name !== undefined && !named.has(name)) named.set(name, map);
  }
  return named;
}
