import { BPF_F_MMAPABLE, BPF_F_RDONLY_PROG, BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { Btf } from '../btf/btf.ts';
import type { BtfDataSection, TypeId } from '../btf/types.ts';
import { SHT } from '../elf/constants.ts';
import { plainContents } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError } from '../errors.ts';
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
 * Bound on all `.bss` sections of an object together: their size is a mere number in the
 * file, and their contents are allocated.
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
    if (total > bssLimit) {
      throw new BpfError({
        code: 'data-too-large',
        section: section.name,
        size: total,
        limit: bssLimit,
      });
    }
  }
}

function dataMap(section: ElfSection, input: DataMapsInput): MapSpec {
  const btf = input.types?.btf;
  const typeId = input.types?.dataSections.get(section.name);
  const kind = input.sections.roles[section.index] as DataSection['kind'];
  const type = btf === undefined || typeId === undefined ? undefined : dataSectionOf(btf, typeId);
  const variables = input.variables.get(section.index) ?? [];
  const typed = btf === undefined || type === undefined ? [] : typedVariables(btf, type);
  const readOnly = kind === 'rodata' ? BPF_F_RDONLY_PROG : 0;
  const mappable = isMappable(typed, variables) ? BPF_F_MMAPABLE : 0;
  return {
    name: section.name,
    kernelName: dataMapName(input.object, section.name),
    type: BPF_MAP_TYPE.ARRAY,
    keySize: 4,
    valueSize: section.size,
    maxEntries: 1,
    flags: readOnly | mappable,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: typeId,
    pinning: 'none',
    inner: undefined,
    values: [],
    data: {
      section: section.name,
      kind,
      contents: section.type === SHT.NOBITS ? new Uint8Array(section.size) : plainContents(section),
      variables: withTypes(variables, typed),
    },
  };
}

/** An entry of a DATASEC with its VAR. */
interface TypedVariable {
  readonly name: string;
  readonly offset: number;
  readonly type: TypeId;
  readonly isStatic: boolean;
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
