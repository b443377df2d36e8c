import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { BtfComposite, BtfDataSection } from '../btf/types.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError } from '../errors.ts';
import { badMap, DefinitionTypes, definitionAt, parseMapDefinition } from './map-definition.ts';
import type { MapSpec } from './spec.ts';
import { dataSectionOf, type ObjectTypes, variableTypeOf } from './variables.ts';

/** A map defined in `.maps`, with its place there. */
export interface DefinedMap {
  readonly spec: MapSpec;
  /** In bytes from the start of `.maps`. */
  readonly offset: number;
  /** Size of the variable in bytes, initial values included. */
  readonly size: number;
  /** Where member `values` starts in the variable, in bytes; undefined without it. */
  readonly valuesOffset: number | undefined;
}

/**
 * The maps that section `.maps` defines, in the order of their places in it (libbpf's
 * `bpf_object__init_user_btf_maps`). Throws a {@link BpfError} that names map and member.
 * `relaxed` passes over members without a meaning.
 */
export function readMaps(
  section: ElfSection,
  types: ObjectTypes | undefined,
  relaxed: boolean,
): readonly DefinedMap[] {
  const btf = types?.btf;
  const id = types?.dataSections.get(section.name);
  if (btf === undefined || id === undefined) throw new BpfError({ code: 'maps-without-types' });
  const type = dataSectionOf(btf, id);
  const definitions = new DefinitionTypes(btf, relaxed);
  const maps = type.vars.map((_, index) => readMap(definitions, type, index, section.size));
  maps.sort((a, b) => a.offset - b.offset);
  checkNames(maps);
  checkArenas(maps);
  return maps;
}

function checkNames(maps: readonly DefinedMap[]): void {
  const seen = new Set<string>();
  for (const { spec } of maps) {
    if (seen.has(spec.name)) throw badMap(spec.name, '', { kind: 'duplicate' });
    seen.add(spec.name);
  }
}

/** Variables of an arena and pointers to it name no map, so there can be one. */
function checkArenas(maps: readonly DefinedMap[]): void {
  const [first, second] = maps.filter(({ spec }) => spec.type === BPF_MAP_TYPE.ARENA);
  if (first === undefined || second === undefined) return;
  throw new BpfError({
    code: 'several-arenas',
    first: first.spec.name,
    second: second.spec.name,
  });
}

function readMap(
  types: DefinitionTypes,
  section: BtfDataSection,
  index: number,
  sectionSize: number,
): DefinedMap {
  const variable = variableTypeOf(types.btf, section, index);
  const { name, linkage } = variable;
  const { offset = 0, size = 0 } = section.vars[index] ?? {};
  if (name === '') throw badMap(name, '', { kind: 'no-name', index });
  if (offset + size > sectionSize) {
    throw badMap(name, '', { kind: 'outside', offset, size, sectionSize });
  }
  if (linkage !== 'global') throw badMap(name, '', { kind: 'linkage', linkage });
  const definition = definitionAt(types, name, variable.type);
  if (definition.size > size) {
    throw badMap(name, '', { kind: 'cut-off', size: definition.size, have: size });
  }
  const spec = parseMapDefinition(types, name, definition);
  return {
    spec,
    offset,
    size,
    valuesOffset: valuesOffset(definition),
  };
}

function valuesOffset(definition: BtfComposite): number | undefined {
  const last = definition.members.at(-1);
  return last?.name === 'values' ? Math.floor(last.bitOffset / 8) : undefined;
}
