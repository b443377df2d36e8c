import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import { insnSize } from '../asm/insns.ts';
import { relocationsOf } from '../elf/elf.ts';
import type { InitialValueFault } from '../errors/object.ts';
import { BpfError } from '../errors.ts';
import { symbolName } from './code-relocations.ts';
import type { FunctionTable } from './functions.ts';
import { isMapOfMaps } from './map-definition.ts';
import type { DefinedMap } from './maps.ts';
import type { ObjectSections } from './sections.ts';
import type { FunctionIndex, InitialValue, MapIndex } from './spec.ts';

/** A pointer in BPF objects is 8 bytes on every host. */
const pointerSize = 8;

/** What initial values can point at. */
export interface InitialValueTargets {
  readonly sections: ObjectSections;
  readonly functions: FunctionTable;
  readonly isProgram: (index: FunctionIndex) => boolean;
  /** In the order of their offsets in `.maps`. */
  readonly maps: readonly DefinedMap[];
  readonly mapsByOffset: ReadonlyMap<number, MapIndex>;
}

/**
 * Initial slots of the maps of `.maps`, by map index: each relocation of that section is one
 * element of a `values` array (libbpf's `bpf_object__collect_map_relos`).
 */
export function readInitialValues(
  targets: InitialValueTargets,
): ReadonlyMap<number, readonly InitialValue[]> {
  const out = new Map<number, InitialValue[]>();
  const { sections, maps } = targets;
  if (sections.maps === undefined) return out;
  const taken = new Set<string>();
  for (const table of relocationsOf(sections.elf, sections.maps.index)) {
    for (let i = 0; i < table.length; i++) {
      const site = {
        targets,
        offset: table.offsets[i] as number,
        symbol: table.symbols[i] as number,
      };
      const owner = mapAround(maps, site.offset);
      const map = maps[owner];
      if (map === undefined) throw bad(site, { kind: 'no-map' });
      const value = resolveValue(site, map);
      const key = `${owner} ${value.index}`;
      if (taken.has(key)) {
        throw bad(site, { kind: 'duplicate', map: map.spec.name, index: value.index });
      }
      taken.add(key);
      const list = out.get(owner);
      if (list === undefined) out.set(owner, [value]);
      else list.push(value);
    }
  }
  for (const list of out.values()) list.sort((a, b) => a.index - b.index);
  return out;
}

interface Site {
  readonly targets: InitialValueTargets;
  /** In bytes from the start of `.maps`. */
  readonly offset: number;
  readonly symbol: number;
}

/** Index of the map whose definition covers a whole pointer at `offset`, or -1. */
function mapAround(maps: readonly DefinedMap[], offset: number): number {
  let low = 0;
  let high = maps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((maps[middle] as DefinedMap).offset <= offset) low = middle + 1;
    else high = middle;
  }
  const map = maps[low - 1];
  if (map === undefined || offset + pointerSize > map.offset + map.size) return -1;
  return low - 1;
}

function resolveValue(site: Site, map: DefinedMap): InitialValue {
  const { type, name, keySize } = map.spec;
  if (type !== BPF_MAP_TYPE.PROG_ARRAY && !isMapOfMaps(type)) {
    throw bad(site, { kind: 'map-type', map: name, type });
  }
  if (keySize !== 4) throw bad(site, { kind: 'key-size', map: name, keySize });
  const at = site.offset - map.offset - (map.valuesOffset ?? Number.POSITIVE_INFINITY);
  if (!(at >= 0) || at % pointerSize !== 0) throw bad(site, { kind: 'not-in-values', map: name });
  const index = at / pointerSize;
  return isMapOfMaps(type)
    ? { kind: 'map', index, map: targetMap(site, name) }
    : { kind: 'program', index, program: targetProgram(site, name) };
}

function targetMap(site: Site, map: string): MapIndex {
  const { sections, mapsByOffset } = site.targets;
  const { symbols } = sections.elf;
  const inMaps = symbols.section(site.symbol) === sections.maps?.index;
  const target = inMaps ? mapsByOffset.get(symbols.value(site.symbol)) : undefined;
  if (target === undefined) throw bad(site, { kind: 'not-a-map', map });
  return target;
}

function targetProgram(site: Site, map: string): FunctionIndex {
  const { sections, functions, isProgram } = site.targets;
  const { symbols } = sections.elf;
  const start = symbols.value(site.symbol) / insnSize;
  const target = functions.startingAt(symbols.section(site.symbol), start);
  if (target === undefined || !isProgram(target)) throw bad(site, { kind: 'not-a-program', map });
  return target;
}

function bad(site: Site, fault: InitialValueFault): BpfError {
  const symbol = symbolName(site.targets.sections, site.symbol);
  return new BpfError({ code: 'initial-value', offset: site.offset, symbol, fault });
}
