import * as abi from '../../abi/bpf.ts';
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
  readonly core_relocations: number;
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
  const entries = new Set(spec.programs.map((program) => program.function));
  return {
    file,
    name: spec.name,
    byte_order: spec.littleEndian ? 'little' : 'big',
    license: spec.license,
    kernel_version: spec.kernelVersion === 0 ? undefined : spec.kernelVersion,
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
    helpers: [...new Set(functions.flatMap(helpersOf))].sort((a, b) => a - b).map(helperName),
    core_relocations: functions.reduce((sum, fn) => sum + fn.coreRelocations.length, 0),
  };
}

/** The function itself first, then what it calls or takes the address of, each once. */
export function reachable(spec: ObjectSpec, entry: FunctionIndex): readonly FunctionSpec[] {
  const found = new Set<FunctionIndex>([entry]);
  // A set is walked in insertion order, and what is added while walking is walked too.
  for (const index of found) {
    for (const relocation of spec.functions[index]?.relocations ?? []) {
      if (relocation.kind === 'call' || relocation.kind === 'function-address') {
        found.add(relocation.target);
      }
    }
  }
  return [...found].map((index) => spec.functions[index] as FunctionSpec);
}

function mapsOf(spec: ObjectSpec, fn: FunctionSpec): readonly string[] {
  return fn.relocations.flatMap((relocation) =>
    relocation.kind === 'map' || relocation.kind === 'map-value'
      ? [(spec.maps[relocation.map] as MapSpec).name]
      : [],
  );
}

/** Numbers of the helpers that a function calls: opcode 0x85 with source register 0. */
function helpersOf(fn: FunctionSpec): readonly number[] {
  const { insns } = fn;
  const found = new Set<number>();
  for (let i = 0; i < insns.length; i++) {
    if (insns.isWide(i)) i++;
    else if (insns.code[i] === 0x85 && insns.src[i] === 0) found.add(insns.imm[i] as number);
  }
  return [...found];
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
