import { BPF_F_LINK, BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { Backend, BackendMap, BackendProgram } from '../backend/backend.ts';
import { BpfError, withContext } from '../errors.ts';
import type { MapSpec, ObjectSpec } from '../object/spec.ts';
import { isCreated } from '../relocs/struct-ops.ts';
import { LoadedObject, type LoadedProgram } from './loaded.ts';
import { adjustMap } from './maps.ts';
import { Owner } from './owner.ts';
import { defaultPinRoot, givenMap, pinnedMap, pinPath } from './pins.ts';
import { type PreparedObject, type PrepareOptions, prepareObject } from './prepare.ts';
import { fillData, fillMapSlots, fillProgramSlots } from './values.ts';

export { LoadedObject, type LoadedProgram } from './loaded.ts';

export interface LoadOptions extends Omit<PrepareOptions, 'machine'> {
  /** Where maps are made and programs run. It is not closed with the object. */
  readonly backend: Backend;
  /** Called with all maps made and filled, before the first program is loaded: the place to fill maps. */
  readonly onMaps?: ((maps: ReadonlyMap<string, BackendMap>) => void) | undefined;
  /** Folder of maps that ask for pinning by name: `/sys/fs/bpf` by default. */
  readonly pinRoot?: string | undefined;
  /**
   * Maps of the backend to use in place of the object's, by name: to share them between
   * objects. They must be like the object's own; they are neither filled nor closed.
   */
  readonly maps?: ReadonlyMap<string, BackendMap> | undefined;
}

/** Options of {@link loadPrepared}. */
export type LoadPreparedOptions = Pick<LoadOptions, 'backend' | 'onMaps' | 'pinRoot' | 'maps'>;

/**
 * Loads an object: programs relocated (against the backend's own types unless others are
 * given), maps created in libbpf's order and filled, programs loaded, static prog arrays
 * set. All or nothing: whatever fails, the caller's callbacks included, everything made so
 * far is closed, and what was pinned is unpinned, before the error leaves.
 *
 * A map that asks for pinning is the one at its path, if there is one that fits; else it is
 * made and gets the path, and keeps it when the object is closed.
 *
 * @example
 * ```ts
 * using object = loadObject(openObject(bytes), { backend: createVm() });
 * object.program('count_packets').testRun({ data: packet });
 * console.log(object.map('counts').lookup(key));
 * ```
 */
export function loadObject(spec: ObjectSpec, options: LoadOptions): LoadedObject {
  const { backend, targetBtf, autoload, kconfig } = options;
  const prepared = prepareObject(spec, { machine: backend, targetBtf, autoload, kconfig });
  return loadPrepared(prepared, options);
}

/**
 * The second half of {@link loadObject}, for who looks at, or changes, what `prepareObject`
 * made. The object must have been prepared for this backend.
 */
export function loadPrepared(prepared: PreparedObject, options: LoadPreparedOptions): LoadedObject {
  const owner = new Owner();
  const undo = new Owner();
  try {
    return new Load(prepared, options, owner, undo).run();
  } catch (error) {
    undo.abandon();
    owner.abandon();
    throw error;
  }
}

/** One object on its way into a backend. */
class Load {
  readonly #prepared: PreparedObject;
  readonly #options: LoadPreparedOptions;
  readonly #backend: Backend;
  /** What the object is going to own. */
  readonly #owner: Owner;
  /** What has to go only if loading fails. */
  readonly #undo: Owner;
  /** Pinned maps that were there before. */
  readonly #reused = new Set<BackendMap>();

  constructor(prepared: PreparedObject, options: LoadPreparedOptions, owner: Owner, undo: Owner) {
    this.#prepared = prepared;
    this.#options = options;
    this.#backend = options.backend;
    this.#owner = owner;
    this.#undo = undo;
  }

  run(): LoadedObject {
    const prepared = this.#prepared;
    const { spec } = prepared;
    const maps = this.#createMaps();
    const mapsByName = nameMaps(spec, maps);
    this.#options.onMaps?.(mapsByName);
    const programs = prepared.images.map((image, at): LoadedProgram => {
      const program = withContext({ program: image.name }, () =>
        this.#owner.add(this.#backend.loadProgram(image, maps)),
      );
      return { spec: prepared.programs[at] as LoadedProgram['spec'], image, program };
    });
    const byFunction = new Map<number, BackendProgram>();
    for (const { spec: program, program: loaded } of programs) {
      // Of a program and its clones, the first stands in static slots.
      if (!byFunction.has(program.function)) byFunction.set(program.function, loaded);
    }
    fillProgramSlots(spec, maps, byFunction);
    return new LoadedObject({ prepared, maps, mapsByName, programs, owner: this.#owner });
  }

  /** Creates and fills every map that is to be made; `maps[i]` belongs to `spec.maps[i]`. */
  #createMaps(): readonly (BackendMap | undefined)[] {
    const { spec } = this.#prepared;
    this.#checkGiven();
    // Sizes are checked before the first map is made.
    const adjusted = spec.maps.map((map, index) =>
      isCreated(map) ? withContext({ map: map.name }, () => this.#adjust(map, index)) : undefined,
    );
    const maps = adjusted.map((map, index) =>
      map === undefined
        ? undefined
        : withContext({ map: map.name }, () => this.#openMap(map, index)),
    );
    // After all maps are there: a slot may name a map that is defined later.
    fillMapSlots(spec, maps, this.#reused);
    return maps;
  }

  /** A name that no map has is a mistake. */
  #checkGiven(): void {
    const have = this.#prepared.spec.maps.map((map) => map.name);
    for (const name of this.#options.maps?.keys() ?? []) {
      if (!have.includes(name)) throw new BpfError({ code: 'no-such-map', name, have });
    }
  }

  #adjust(map: MapSpec, index: number): MapSpec {
    const adjusted = adjustMap(map, this.#backend);
    const plan = this.#prepared.structOps.maps.get(index);
    if (plan === undefined) return adjusted;
    const flags = map.structOps?.link === true ? map.flags | BPF_F_LINK : map.flags;
    return { ...adjusted, flags, valueSize: plan.value.length };
  }

  /** The pinned map, or a new one, filled. */
  #openMap(map: MapSpec, index: number): BackendMap {
    const given = this.#options.maps?.get(map.name);
    if (given !== undefined) {
      this.#reused.add(given);
      return givenMap(map, given);
    }
    const create = (): BackendMap => this.#create(map, index);
    if (map.pinning === 'none') return this.#owner.add(this.#filled(map, index, create()));
    const { pins } = this.#backend;
    const path = pinPath(this.#options.pinRoot ?? defaultPinRoot, map);
    const opened = pinnedMap(pins, path, map, () => this.#filled(map, index, create()));
    if (opened.reused) this.#reused.add(opened.map);
    else this.#undo.add({ close: () => pins.unpin(path) });
    return this.#owner.add(opened.map);
  }

  #filled(map: MapSpec, index: number, created: BackendMap): BackendMap {
    try {
      fillData(map, created, this.#prepared.arenaOffsets.get(index) ?? 0);
      return created;
    } catch (error) {
      created.close();
      throw error;
    }
  }

  /** A map of maps gets its template only for the call that creates it, as in libbpf. */
  #create(map: MapSpec, index: number): BackendMap {
    const { btf } = this.#prepared.spec;
    const structOps = this.#prepared.structOps.maps.get(index);
    if (map.inner === undefined || !isMapOfMaps(map.type)) {
      return this.#backend.createMap(map, { btf, structOps });
    }
    const template = new Owner();
    try {
      const inner = template.add(this.#backend.createMap(map.inner, { btf }));
      return this.#backend.createMap(map, { btf, inner });
    } finally {
      template.abandon();
    }
  }
}

function isMapOfMaps(type: number): boolean {
  return type === BPF_MAP_TYPE.ARRAY_OF_MAPS || type === BPF_MAP_TYPE.HASH_OF_MAPS;
}

function nameMaps(
  spec: ObjectSpec,
  maps: readonly (BackendMap | undefined)[],
): ReadonlyMap<string, BackendMap> {
  const named = new Map<string, BackendMap>();
  for (const [index, map] of maps.entries()) {
    const name = spec.maps[index]?.name;
    if (name !== undefined && map !== undefined && !named.has(name)) named.set(name, map);
  }
  return named;
}
