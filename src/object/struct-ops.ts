import { BPF_F_LINK, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import { insnSize } from '../asm/insns.ts';
import type { Btf } from '../btf/btf.ts';
import { resolveType, typeToString } from '../btf/graph.ts';
import { BTF_KIND, type BtfComposite, type TypeId } from '../btf/types.ts';
import { plainContents, relocationsOf } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import type { StructOpsFault } from '../errors/object.ts';
import { BpfError } from '../errors.ts';
import { symbolName } from './code-relocations.ts';
import type { FunctionTable } from './functions.ts';
import { cutName } from './names.ts';
import type { ObjectSections } from './sections.ts';
import type { FunctionIndex, MapSpec, ProgramSpec, StructOpsFunction } from './spec.ts';
import { dataSectionOf, type ObjectTypes, variableTypeOf } from './variables.ts';

/** Where struct_ops maps come from. */
export interface StructOpsInput {
  readonly sections: ObjectSections;
  readonly types: ObjectTypes | undefined;
  readonly functions: FunctionTable;
  readonly programs: readonly ProgramSpec[];
}

/**
 * The maps of the structs of kernel callbacks, one for each variable in `.struct_ops` and its
 * relatives, in the order of sections and offsets (libbpf's `init_struct_ops_maps` and
 * `bpf_object__collect_st_ops_relos`). They keep the object's layout; loading converts it.
 */
export function readStructOps(input: StructOpsInput): readonly MapSpec[] {
  return input.sections.structOps.flatMap((section) => readSection(section, input));
}

/** A variable of a section of structs. */
interface StructVariable {
  readonly name: string;
  /** In bytes from the start of the section. */
  readonly offset: number;
  readonly type: BtfComposite;
  readonly functions: StructOpsFunction[];
}

function readSection(section: ElfSection, input: StructOpsInput): readonly MapSpec[] {
  const btf = input.types?.btf;
  const id = input.types?.dataSections.get(section.name);
  if (btf === undefined || id === undefined) {
    throw new BpfError({ code: 'struct-ops-without-types', section: section.name });
  }
  const type = dataSectionOf(btf, id);
  const variables = type.vars.map((entry, index): StructVariable => {
    const { name, type: declared } = variableTypeOf(btf, type, index);
    const struct = structOf(btf, section, name, declared);
    checkPlace(section, name, entry.offset, struct);
    return { name, offset: entry.offset, type: struct, functions: [] };
  });
  variables.sort((a, b) => a.offset - b.offset);
  assignFunctions(btf, section, variables, input);
  return variables.map((variable) => mapOf(section, variable));
}

function structOf(btf: Btf, section: ElfSection, variable: string, id: TypeId): BtfComposite {
  const type = btf.type(resolveType(btf, id));
  if (type.kind !== 'struct') {
    throw bad(section, variable, { kind: 'not-a-struct', is: typeToString(btf, id) });
  }
  if (type.name === '') throw bad(section, variable, { kind: 'anonymous' });
  return type;
}

function checkPlace(
  section: ElfSection,
  variable: string,
  offset: number,
  { size }: BtfComposite,
): void {
  if (offset + size <= section.size) return;
  throw bad(section, variable, { kind: 'outside', offset, size, sectionSize: section.size });
}

/**
 * The `?` is for every variable of its section. libbpf 1.7 heeds it for the first one only,
 * which no author can have meant.
 */
function mapOf(section: ElfSection, { name, offset, type, functions }: StructVariable): MapSpec {
  const optional = section.name.startsWith('?');
  const plainName = optional ? section.name.slice(1) : section.name;
  const link = plainName === '.struct_ops.link';
  return {
    name,
    kernelName: cutName(name),
    type: BPF_MAP_TYPE.STRUCT_OPS,
    keySize: 4,
    valueSize: type.size,
    maxEntries: 1,
    flags: link ? BPF_F_LINK : 0,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: type.id,
    pinning: 'none',
    inner: undefined,
    values: [],
    data: undefined,
    structOps: {
      section: plainName,
      autocreate: !optional,
      link,
      type: type.id,
      contents: plainContents(section).subarray(offset, offset + type.size),
      functions: functions.toSorted((a, b) => a.member - b.member),
    },
  };
}

/** Each relocation of the section is a function in a member. */
function assignFunctions(
  btf: Btf,
  section: ElfSection,
  variables: readonly StructVariable[],
  input: StructOpsInput,
): void {
  const members = new Map<TypeId, ReadonlyMap<number, number>>();
  const programs = new Map(input.programs.map((program) => [program.function, program]));
  for (const table of relocationsOf(input.sections.elf, section.index)) {
    for (let i = 0; i < table.length; i++) {
      const offset = table.offsets[i] as number;
      const symbol = table.symbols[i] as number;
      const variable = variableAround(variables, offset);
      if (variable === undefined) throw stray(section, offset, symbolName(input.sections, symbol));
      const site = { btf, section, variable, symbol, input };
      const member = memberAt(site, offset - variable.offset, members);
      variable.functions.push({ member, function: functionOf(site, member, programs) });
    }
  }
}

function variableAround(
  variables: readonly StructVariable[],
  offset: number,
): StructVariable | undefined {
  let low = 0;
  let high = variables.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((variables[middle] as StructVariable).offset <= offset) low = middle + 1;
    else high = middle;
  }
  const variable = variables[low - 1];
  if (variable === undefined || offset >= variable.offset + variable.type.size) return undefined;
  return variable;
}

/** One relocation of a section of structs. */
interface Site {
  readonly btf: Btf;
  readonly section: ElfSection;
  readonly variable: StructVariable;
  readonly symbol: number;
  readonly input: StructOpsInput;
}

/** Index of the member at `offset` bytes, which must be a pointer to a function. */
function memberAt(
  site: Site,
  offset: number,
  known: Map<TypeId, ReadonlyMap<number, number>>,
): number {
  const { btf, variable, section } = site;
  let byOffset = known.get(variable.type.id);
  if (byOffset === undefined) {
    byOffset = membersByOffset(variable.type);
    known.set(variable.type.id, byOffset);
  }
  const index = byOffset.get(offset * 8);
  const member = index === undefined ? undefined : variable.type.members[index];
  if (index === undefined || member === undefined) {
    const symbol = symbolName(site.input.sections, site.symbol);
    throw bad(section, variable.name, { kind: 'no-member', offset, symbol });
  }
  if (!isFunctionPointer(btf, member.type)) {
    const is = typeToString(btf, member.type);
    throw bad(section, variable.name, { kind: 'not-a-callback', member: member.name, is });
  }
  return index;
}

/** The first member at each offset in bits. */
function membersByOffset(type: BtfComposite): ReadonlyMap<number, number> {
  const byOffset = new Map<number, number>();
  type.members.forEach((member, index) => {
    if (!byOffset.has(member.bitOffset)) byOffset.set(member.bitOffset, index);
  });
  return byOffset;
}

function isFunctionPointer(btf: Btf, id: TypeId): boolean {
  const pointer = resolveType(btf, id);
  if (btf.kindOf(pointer) !== BTF_KIND.PTR) return false;
  const target = resolveType(btf, btf.sizeOrTypeOf(pointer) as TypeId);
  return btf.kindOf(target) === BTF_KIND.FUNC_PROTO;
}

function functionOf(
  site: Site,
  index: number,
  programs: ReadonlyMap<FunctionIndex, ProgramSpec>,
): FunctionIndex {
  const { section, variable, symbol, input } = site;
  const { symbols } = input.sections.elf;
  const member = variable.type.members[index]?.name ?? '';
  const start = symbols.value(symbol) / insnSize;
  const target = input.functions.startingAt(symbols.section(symbol), start);
  if (target === undefined) {
    const name = symbolName(input.sections, symbol);
    throw bad(section, variable.name, { kind: 'not-a-function', member, symbol: name });
  }
  if (programs.get(target)?.type === BPF_PROG_TYPE.STRUCT_OPS) return target;
  const place = input.functions.functions[target];
  throw bad(section, variable.name, {
    kind: 'program-type',
    member,
    program: place?.name ?? '',
    section: place?.section.name ?? '',
  });
}

function stray(section: ElfSection, offset: number, symbol: string): BpfError {
  return new BpfError({ code: 'struct-ops-relocation', section: section.name, offset, symbol });
}

function bad(section: ElfSection, variable: string, fault: StructOpsFault): BpfError {
  return new BpfError({ code: 'struct-ops', section: section.name, variable, fault });
}
