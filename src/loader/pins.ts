import { BPF_F_NUMA_NODE, BPF_F_RDONLY_PROG, BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { BackendMap, BackendPins, MapDefinition } from '../backend/backend.ts';
import { BpfError } from '../errors.ts';
import type { MapSpec } from '../object/spec.ts';

/** Where maps with `pinning: 'by-name'` are looked for and put unless the caller says otherwise. */
export const defaultPinRoot = '/sys/fs/bpf';

/** A map that is used under its path. */
export interface PinnedOrNew {
  readonly map: BackendMap;
  /** It was there already: its contents are not ours to set. */
  readonly reused: boolean;
}

/**
 * The map at `path` if there is one that fits, else a new one that gets the path. Where
 * somebody else is quicker to take the path, theirs is used, as in libbpf. A map there that does
 * not fit is an error that shows both.
 */
export function pinnedMap(
  pins: BackendPins,
  path: string,
  spec: MapSpec,
  create: () => BackendMap,
): PinnedOrNew {
  const there = reuse(pins, path, spec);
  if (there !== undefined) return { map: there, reused: true };
  const map = create();
  try {
    pins.pin(path, map);
    return { map, reused: false };
  } catch (error) {
    map.close();
    const taken = isTaken(error) ? reuse(pins, path, spec) : undefined;
    if (taken === undefined) throw error;
    return { map: taken, reused: true };
  }
}

function isTaken(error: unknown): boolean {
  return (
    error instanceof BpfError && error.detail.code === 'errno' && error.detail.errno === 'EEXIST'
  );
}

function reuse(pins: BackendPins, path: string, spec: MapSpec): BackendMap | undefined {
  const pinned = pins.open(path, spec.name);
  if (pinned === undefined) return undefined;
  const rows = compareDefinitions(spec, pinned.definition);
  if (rows.every((row) => row.wanted === row.found)) return pinned.map;
  pinned.map.close();
  throw new BpfError({ code: 'pinned-map-differs', map: spec.name, path, rows });
}

/**
 * A map that the caller gives in place of one of the object's, as libbpf's
 * `bpf_map__reuse_fd`, but checked: one of another kind is an error that shows both.
 */
export function givenMap(spec: MapSpec, given: BackendMap): BackendMap {
  const rows = compareDefinitions(spec, { ...definitionOf(given), extra: spec.extra });
  if (rows.every((row) => row.wanted === row.found)) return given;
  throw new BpfError({ code: 'given-map-differs', map: spec.name, given: given.name, rows });
}

function definitionOf(map: BackendMap): Omit<MapDefinition, 'extra'> {
  const { type, keySize, valueSize, maxEntries, flags } = map;
  return { type, keySize, valueSize, maxEntries, flags };
}

/** One property of two maps, in words. */
export interface DefinitionRow {
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
}

/** Two definitions side by side; they fit if no row differs (libbpf's `map_is_reuse_compat`). */
export function compareDefinitions(spec: MapSpec, found: MapDefinition): readonly DefinitionRow[] {
  const row = (what: string, wanted: string | number, is: string | number): DefinitionRow => ({
    ...{ what, wanted: `${wanted}`, found: `${is}` },
  });
  return [
    row('type', typeName(spec.type), typeName(found.type)),
    row('key size', spec.keySize, found.keySize),
    row('value size', spec.valueSize, found.valueSize),
    row('max entries', spec.maxEntries, found.maxEntries),
    row('flags', hex(wantedFlags(spec)), hex(foundFlags(found))),
    row('map extra', hex(spec.extra), hex(found.extra)),
  ];
}

function wantedFlags({ flags, numaNode }: MapSpec): number {
  return numaNode === 0 ? flags : flags | BPF_F_NUMA_NODE;
}

/** The kernel sets a flag of its own on device maps. */
function foundFlags({ type, flags }: MapDefinition): number {
  const device = type === BPF_MAP_TYPE.DEVMAP || type === BPF_MAP_TYPE.DEVMAP_HASH;
  return device ? flags & ~BPF_F_RDONLY_PROG : flags;
}

const typeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(BPF_MAP_TYPE).map(([name, number]) => [number, name.toLowerCase()]),
);

function typeName(type: number): string {
  return typeNames.get(type) ?? `${type}`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

/** The path of a map below a root. Names that are no plain file names are refused. */
export function pinPath(root: string, { name }: MapSpec): string {
  if (/^[A-Za-z0-9_-]{1,255}$/.test(name)) return `${root.replace(/\/+$/, '')}/${name}`;
  throw new BpfError({ code: 'pin-name', map: name });
}
