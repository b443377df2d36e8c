import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { Btf } from '../btf/btf.ts';
import type { BtfDataSection, TypeId } from '../btf/types.ts';
import { SHT } from '../elf/constants.ts';
import { plainContents } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError } from '../errors.ts';
import type { Externs } from './externs.ts';
import type { DefinedMap } from './maps.ts';
import { dataMapName } from './names.ts';
import type { ObjectSections } from './sections.ts';
import type { DataSection, MapSpec, VariableSpec } from './spec.ts';
import {
  dataSectionOf,
  type ObjectTypes,
  type Variable,
  type VariableIndex,
  variableTypeOf,
} from './variables.ts';

/**
 * Bound on all `.bss` sections of an object together, and on `.kconfig`: their size is a mere
 * number in the file, and their contents are allocated.
 */
const bssLimit = 1 << 28;

/** Where data maps come from. */
export interface DataMapsInput {
  readonly object: string;
  readonly sections: ObjectSections;
  readonly types: ObjectTypes | undefined;
  readonly variables: VariableIndex;
}

/** A map made for a data section, with the section's index. */
export interface DataMap {
  readonly section: number;
  readonly spec: MapSpec;
}

/**
 * The maps of `.data`, `.rodata`, `.bss` and their custom relatives, in the order of their
 * sections, as libbpf makes them (`bpf_object__init_global_data_maps`): arrays of one entry
 * that is the section. Merged strings and constants (`.rodata.str1.1`, `.rodata.cst16`) have
 * no types and get a map all the same, as code refers to them.
 */
export function readDataMaps(input: DataMapsInput): readonly DataMap[] {
  checkBssSize(input.sections);
  return input.sections.data.map((section) => ({
    section: section.index,
    spec: dataMap(section, input),
  }));
}

function checkBssSize(sections: ObjectSections): void {
  let total = 0;
  for (const section of sections.data) {
    if (section.type !== SHT.NOBITS) continue;
    total += section.size;
    checkDataSize(section.name, total);
  }
}

function checkDataSize(section: string, size: number): void {
  if (size <= bssLimit) return;
  throw new BpfError({ code: 'data-too-large', section, size, limit: bssLimit });
}

function dataMap(section: ElfSection, input: DataMapsInput): MapSpec {
  const kind = input.sections.roles[section.index] as 'data' | 'rodata' | 'bss';
  const variables = input.variables.get(section.index) ?? [];
  const typed = typesIn(input.types, section.name);
  const readOnly = kind === 'rodata' ? BPF_F_RDONLY_PROG : 0;
  const mappable = isMappable(typed, variables) ? BPF_F_MMAPABLE : 0;
  return sectionMap(
    input,
    {
      section: section.name,
      kind,
      contents: section.type === SHT.NOBITS ? new Uint8Array(section.size) : plainContents(section),
      variables: withTypes(variables, typed),
    },
    readOnly | mappable,
  );
}

/** The map of one entry that holds a data section. */
function sectionMap(
  { object, types }: Pick<DataMapsInput, 'object' | 'types'>,
  data: DataSection,
  flags: number,
): MapSpec {
  return {
    name: data.section,
    kernelName: dataMapName(object, data.section),
    type: BPF_MAP_TYPE.ARRAY,
    keySize: 4,
    valueSize: data.contents.length,
    maxEntries: 1,
    flags,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: types?.dataSections.get(data.section),
    pinning: 'none',
    inner: undefined,
    values: [],
    data,
  };
}

/**
 * The map of the kconfig values, zeros until the configuration of a kernel is known
 * (libbpf's `bpf_object__init_kconfig_map`); undefined where there are none.
 */
export function kconfigMap(
  input: Pick<DataMapsInput, 'object' | 'types'>,
  externs: Externs,
): MapSpec | undefined {
  if (externs.kconfig === undefined) return undefined;
  const { size } = externs.kconfig;
  checkDataSize('.kconfig', size);
  const variables = externs.specs.flatMap(({ name, weak, type, kconfig }): VariableSpec[] =>
    kconfig === undefined
      ? []
      : [
          {
            name,
            offset: kconfig.offset,
            size: kconfig.size,
            type,
            binding: weak ? 'weak' : 'global',
          },
        ],
  );
  const data = {
    section: '.kconfig',
    kind: 'kconfig',
    contents: new Uint8Array(size),
    variables,
  } as const;
  return sectionMap(input, data, BPF_F_RDONLY_PROG | BPF_F_MMAPABLE);
}

/**
 * The maps with the variables of section `.addr_space.1` given to the arena among them.
 * {@link BpfError} `arena-missing` where there is none (libbpf's
 * `bpf_object__init_user_btf_maps`).
 */
export function withArenaData(
  maps: readonly DefinedMap[],
  { sections, types, variables }: Omit<DataMapsInput, 'object'>,
): readonly DefinedMap[] {
  const section = sections.arena;
  if (section === undefined) return maps;
  const index = maps.findIndex(({ spec }) => spec.type === BPF_MAP_TYPE.ARENA);
  const map = maps[index];
  if (map === undefined) throw new BpfError({ code: 'arena-missing', section: section.name });
  const data: DataSection = {
    section: section.name,
    kind: 'arena',
    contents: plainContents(section),
    variables: withTypes(variables.get(section.index) ?? [], typesIn(types, section.name)),
  };
  return maps.with(index, { ...map, spec: { ...map.spec, data } });
}

/** An entry of a DATASEC with its VAR. */
interface TypedVariable {
  readonly name: string;
  readonly offset: number;
  readonly type: TypeId;
  readonly isStatic: boolean;
}

/** The variables that the DATASEC of a section describes; none where it has no DATASEC. */
function typesIn(types: ObjectTypes | undefined, section: string): readonly TypedVariable[] {
  const id = types?.dataSections.get(section);
  if (types === undefined || id === undefined) return [];
  return typedVariables(types.btf, dataSectionOf(types.btf, id));
}

function typedVariables(btf: Btf, section: BtfDataSection): readonly TypedVariable[] {
  return section.vars.map((entry, index) => {
    const variable = variableTypeOf(btf, section, index);
    return {
      name: variable.name,
      offset: entry.offset,
      type: variable.type,
      isStatic: variable.linkage === 'static',
    };
  });
}

/**
 * Only sections with a variable that the host is to see can be mapped: one that is neither
 * static nor hidden (libbpf's `map_is_mmapable`, after it has marked hidden ones static).
 */
function isMappable(typed: readonly TypedVariable[], variables: readonly Variable[]): boolean {
  const hidden = new Set<string>();
  for (const variable of variables) {
    if (variable.hidden && variable.binding !== 'local') hidden.add(variable.name);
  }
  return typed.some((variable) => !variable.isStatic && !hidden.has(variable.name));
}

function withTypes(
  variables: readonly Variable[],
  typed: readonly TypedVariable[],
): readonly VariableSpec[] {
  // Static variables of several files may share a name, so the offset is part of the key.
  const types = new Map(typed.map((entry) => [`${entry.offset} ${entry.name}`, entry.type]));
  return variables.map(({ name, offset, size, binding }) => ({
    name,
    offset,
    size,
    type: types.get(`${offset} ${name}`),
    binding,
  }));
}
