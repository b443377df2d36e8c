import * as abi from '../../abi/bpf.ts';
import { requirementsOf, usesOf } from '../../analysis/collect.ts';
import { formatVersion, minimumKernel } from '../../analysis/kernels.ts';
import { reachable, reachableFunctions } from '../../analysis/reach.ts';
import type { InstructionGroup, Requirement } from '../../analysis/requirements.ts';
import { stackUse } from '../../analysis/stack.ts';
import { typeToString } from '../../btf/graph.ts';
import type { TypeId } from '../../btf/types.ts';
import type {
  FunctionIndex,
  FunctionSpec,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
} from '../../object/spec.ts';
import { openObjectFile } from '../input.ts';
import { attachTypeName, helperName, mapTypeName, progTypeName } from '../names.ts';
import { renderInspect } from '../render/inspect.ts';
import { type CommandContext, printReport } from '../terminal.ts';

/** What `tsbpf inspect` prints: an object's contents, without any kernel in view. */
export type InspectReport = {
  readonly file: string;
  readonly name: string;
  readonly byte_order: 'little' | 'big';
  readonly license: string;
  readonly kernel_version: number | undefined;
  /** Clang's -mcpu that the instructions need, and groups that came later. */
  readonly instruction_set: string;
  readonly minimum_kernel: InspectMinimum;
  readonly programs: readonly InspectProgram[];
  readonly subprograms: readonly InspectSubprogram[];
  readonly maps: readonly InspectMap[];
  readonly externs: readonly {
    readonly name: string;
    readonly kind: string;
    readonly weak: boolean;
  }[];
};

export type InspectProgram = {
  readonly name: string;
  readonly section: string;
  readonly type: string | undefined;
  readonly attach_type: string | undefined;
  readonly attach_target: string | undefined;
  readonly flags: readonly string[];
  readonly autoload: boolean;
  /** Instructions of the program itself and of the subprograms that it reaches. */
  readonly insns: number;
  readonly subprograms: readonly string[];
  readonly maps: readonly string[];
  readonly helpers: readonly string[];
  readonly kfuncs: readonly string[];
  readonly stack: InspectStack;
  readonly core_relocations: number;
};

/** An estimate from the code alone. */
export type InspectStack = {
  /** Along the deepest chain of calls, in bytes as the verifier rounds them. */
  readonly bytes: number | undefined;
  readonly functions: readonly { readonly name: string; readonly bytes: number }[];
};

/** The oldest kernel that has what the object asks for, types and fields aside. */
export type InspectMinimum = {
  readonly version: string;
  readonly because: readonly string[];
  /** Needed, and not known since when it is there. */
  readonly unknown: readonly string[];
};

export type InspectSubprogram = {
  readonly name: string;
  readonly section: string;
  readonly binding: string;
  readonly insns: number;
};

export type InspectMap = {
  readonly name: string;
  readonly type: string;
  readonly bytes_key: number;
  readonly bytes_value: number;
  readonly max_entries: number;
  readonly flags: readonly string[];
  readonly map_extra: bigint | undefined;
  readonly numa_node: number | undefined;
  readonly pinning: string | undefined;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly inner: InspectMap | undefined;
  readonly values: readonly InspectValue[] | undefined;
  readonly variables: readonly InspectVariable[] | undefined;
};

export type InspectValue = { readonly index: number; readonly target: string };

export type InspectVariable = {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly type: string | undefined;
};

/** The report for one opened object. */
export function inspectObject(spec: ObjectSpec, file: string): InspectReport {
  const needs = requirementsOf(spec);
  const entries = new Set(spec.programs.map((program) => program.function));
  return {
    file,
    name: spec.name,
    byte_order: spec.littleEndian ? 'little' : 'big',
    license: spec.license,
    kernel_version: spec.kernelVersion === 0 ? undefined : spec.kernelVersion,
    instruction_set: instructionSet(needs),
    minimum_kernel: minimumOf(spec, needs),
    programs: spec.programs.map((program) => inspectProgram(spec, program)),
    subprograms: spec.functions
      .filter((_, index) => !entries.has(index as FunctionIndex))
      .map((fn) => ({
        name: fn.name,
        section: fn.section,
        binding: fn.binding,
        insns: fn.insns.length,
      })),
    maps: spec.maps.map((map) => inspectMap(spec, map)),
    externs: spec.externs.map(({ name, kind, weak }) => ({ name, kind, weak })),
  };
}

function inspectProgram(spec: ObjectSpec, program: ProgramSpec): InspectProgram {
  const functions = reachable(spec, program.function);
  const [, ...subprograms] = functions;
  return {
    name: program.name,
    section: program.section,
    type: program.type === undefined ? undefined : progTypeName(program.type),
    attach_type: program.attachType === 0 ? undefined : attachTypeName(program.attachType),
    attach_target: program.attachTarget,
    flags: programFlags(program.flags),
    autoload: program.autoload,
    insns: functions.reduce((sum, fn) => sum + fn.insns.length, 0),
    subprograms: subprograms.map((fn) => fn.name),
    maps: [...new Set(functions.flatMap((fn) => mapsOf(spec, fn)))],
    ...needsOf(spec, program),
    core_relocations: functions.reduce((sum, fn) => sum + fn.coreRelocations.length, 0),
  };
}

function needsOf(spec: ObjectSpec, program: ProgramSpec) {
  const { helpers, externs } = usesOf(spec, reachableFunctions(spec, program.function));
  const used = [...externs.keys()].map((index) => spec.externs[index]);
  const { deepest: bytes, functions } = stackUse(spec, program);
  return {
    helpers: [...helpers.keys()].sort((a, b) => a - b).map(helperName),
    kfuncs: used.flatMap((each) => (each?.kind === 'kfunc' ? [each.name] : [])).sort(),
    stack: { bytes, functions },
  };
}

/** Groups of instructions that clang's levels stand for, the highest first. */
const cpuLevels: readonly (readonly [InstructionGroup, string])[] = [
  ['v4', 'v4'],
  ['alu32', 'v3'],
  ['fetching-atomics', 'v3'],
  ['jump-less', 'v2'],
];

function instructionSet(needs: readonly Requirement[]): string {
  const groups = needs.flatMap((need) => (need.kind === 'instructions' ? [need.group] : []));
  const level = cpuLevels.find(([group]) => groups.includes(group))?.[1] ?? 'v1';
  const extras = groups.filter((group) => cpuLevels.every(([each]) => each !== group));
  return [level, ...extras].join(', ');
}

function minimumOf(spec: ObjectSpec, needs: readonly Requirement[]): InspectMinimum {
  const { version, because, unknown } = minimumKernel(needs);
  const words = (need: Requirement): string => needWords(spec, need);
  return {
    version: formatVersion(version),
    because: because.map(words),
    unknown: unknown.map(words),
  };
}

/** What is needed, in a few words; names as the object has them. */
function needWords(spec: ObjectSpec, need: Requirement): string {
  switch (need.kind) {
    case 'program-type': {
      const attach = need.attachType === 0 ? '' : ` (${attachTypeName(need.attachType)})`;
      return `${progTypeName(need.type)} programs${attach}`;
    }
    case 'map-type':
      return `${mapTypeName(need.type)} maps`;
    case 'map-flag':
      return `${mapFlags(need.flag).join(' ')} of map ${spec.maps[need.maps[0] ?? 0]?.name}`;
    case 'helper':
      return helperName(need.id);
    case 'kfunc':
    case 'ksym':
      return need.name;
    case 'instructions':
      return `${need.group} instructions`;
    case 'feature':
      return `${need.feature} (${need.why})`;
  }
}

function mapsOf(spec: ObjectSpec, fn: FunctionSpec): readonly string[] {
  return fn.relocations.flatMap((relocation) =>
    relocation.kind === 'map' || relocation.kind === 'map-value'
      ? [(spec.maps[relocation.map] as MapSpec).name]
      : [],
  );
}

function inspectMap(spec: ObjectSpec, map: MapSpec): InspectMap {
  const variables = map.data?.variables.map((variable) => ({
    name: variable.name,
    offset: variable.offset,
    size: variable.size,
    type: typeName(spec, variable.type),
  }));
  return {
    name: map.name,
    type: mapTypeName(map.type),
    bytes_key: map.keySize,
    bytes_value: map.valueSize,
    max_entries: map.maxEntries,
    flags: mapFlags(map.flags),
    map_extra: map.extra === 0n ? undefined : map.extra,
    numa_node: map.numaNode === 0 ? undefined : map.numaNode,
    pinning: map.pinning === 'none' ? undefined : map.pinning,
    key: typeName(spec, map.keyType),
    value: typeName(spec, map.valueType),
    inner: map.inner === undefined ? undefined : inspectMap(spec, map.inner),
    values:
      map.values.length === 0 ? undefined : map.values.map((value) => inspectValue(spec, value)),
    variables,
  };
}

function inspectValue(spec: ObjectSpec, value: MapSpec['values'][number]): InspectValue {
  const target =
    value.kind === 'map' ? spec.maps[value.map]?.name : spec.functions[value.program]?.name;
  return { index: value.index, target: target ?? '' };
}

function typeName(spec: ObjectSpec, id: TypeId | undefined): string | undefined {
  return id === undefined || spec.btf === undefined ? undefined : typeToString(spec.btf, id);
}

const mapFlagBits = [
  ['BPF_F_NO_PREALLOC', abi.BPF_F_NO_PREALLOC],
  ['BPF_F_NO_COMMON_LRU', abi.BPF_F_NO_COMMON_LRU],
  ['BPF_F_NUMA_NODE', abi.BPF_F_NUMA_NODE],
  ['BPF_F_RDONLY', abi.BPF_F_RDONLY],
  ['BPF_F_WRONLY', abi.BPF_F_WRONLY],
  ['BPF_F_STACK_BUILD_ID', abi.BPF_F_STACK_BUILD_ID],
  ['BPF_F_ZERO_SEED', abi.BPF_F_ZERO_SEED],
  ['BPF_F_RDONLY_PROG', abi.BPF_F_RDONLY_PROG],
  ['BPF_F_WRONLY_PROG', abi.BPF_F_WRONLY_PROG],
  ['BPF_F_CLONE', abi.BPF_F_CLONE],
  ['BPF_F_MMAPABLE', abi.BPF_F_MMAPABLE],
  ['BPF_F_PRESERVE_ELEMS', abi.BPF_F_PRESERVE_ELEMS],
  ['BPF_F_INNER_MAP', abi.BPF_F_INNER_MAP],
  ['BPF_F_LINK', abi.BPF_F_LINK],
  ['BPF_F_PATH_FD', abi.BPF_F_PATH_FD],
  ['BPF_F_VTYPE_BTF_OBJ_FD', abi.BPF_F_VTYPE_BTF_OBJ_FD],
  ['BPF_F_TOKEN_FD', abi.BPF_F_TOKEN_FD],
  ['BPF_F_SEGV_ON_FAULT', abi.BPF_F_SEGV_ON_FAULT],
  ['BPF_F_NO_USER_CONV', abi.BPF_F_NO_USER_CONV],
  ['BPF_F_RB_OVERWRITE', abi.BPF_F_RB_OVERWRITE],
] as const;

const programFlagBits = [
  ['BPF_F_STRICT_ALIGNMENT', abi.BPF_F_STRICT_ALIGNMENT],
  ['BPF_F_ANY_ALIGNMENT', abi.BPF_F_ANY_ALIGNMENT],
  ['BPF_F_SLEEPABLE', abi.BPF_F_SLEEPABLE],
  ['BPF_F_XDP_HAS_FRAGS', abi.BPF_F_XDP_HAS_FRAGS],
] as const;

/** Names of the bits that are set; what has no name is one hexadecimal number at the end. */
function flagNames(flags: number, bits: readonly (readonly [string, number])[]): readonly string[] {
  const names = bits.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
  const rest = bits.reduce((left, [, bit]) => left & ~bit, flags) >>> 0;
  return rest === 0 ? names : [...names, `0x${rest.toString(16)}`];
}

function mapFlags(flags: number): readonly string[] {
  return flagNames(flags, mapFlagBits);
}

function programFlags(flags: number): readonly string[] {
  return flagNames(flags, programFlagBits);
}

/** `tsbpf inspect OBJ`. */
export function inspectCommand(file: string, context: CommandContext): void {
  printReport(context, inspectObject(openObjectFile(file, context.log), file), renderInspect);
}
