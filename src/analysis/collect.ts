import { BPF_F_MMAPABLE, BPF_F_SLEEPABLE, BPF_MAP_TYPE } from '../abi/bpf.ts';
import { sourceLineAt } from '../object/image.ts';
import { matchSection, SECTION_FLAG } from '../object/section-rules.ts';
import type {
  ExternSpec,
  FunctionIndex,
  FunctionSpec,
  MapIndex,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
} from '../object/spec.ts';
import { groupOf, helperAt, instructionsOf } from './instructions.ts';
import { reachableFunctions } from './reach.ts';
import type { InstructionGroup, NeedPlace, ObjectFeature, Requirement } from './requirements.ts';

/**
 * What an object asks of a kernel, told from the object alone: program, attach and map types,
 * map flags, helpers, kernel functions and symbols, instructions, abilities. Types and fields
 * are not among them, which only a kernel's BTF can answer (`checkCompatibility`).
 *
 * Of the given programs only, with the functions and maps that they use; of all by default.
 *
 * @example
 * ```ts
 * for (const need of requirementsOf(openObject(bytes))) console.log(need.kind);
 * ```
 */
export function requirementsOf(
  spec: ObjectSpec,
  programs: readonly ProgramSpec[] = spec.programs,
): readonly Requirement[] {
  const functions = new Set(
    programs.flatMap((program) => reachableFunctions(spec, program.function)),
  );
  const uses = usesOf(
    spec,
    [...functions].sort((a, b) => a - b),
  );
  const maps = programs === spec.programs ? allMaps(spec) : withInner(spec, uses.maps);
  return [
    ...programTypes(programs),
    ...mapTypes(maps),
    ...mapFlags(maps),
    ...[...uses.helpers].map(([id, places]) => ({ kind: 'helper', id, places }) as const),
    ...externNeeds(spec, uses.externs),
    ...[...uses.groups].map(
      ([group, places]) => ({ kind: 'instructions', group, places }) as const,
    ),
    ...features(spec, { programs, functions, uses }),
  ];
}

/** What the code of some functions uses, with the places. */
export interface Uses {
  readonly helpers: ReadonlyMap<number, NeedPlace[]>;
  readonly groups: ReadonlyMap<InstructionGroup, NeedPlace[]>;
  /** By index of the extern. */
  readonly externs: ReadonlyMap<number, NeedPlace[]>;
  readonly maps: ReadonlySet<MapIndex>;
  /** First place where the address of a function is taken, and where one is called. */
  readonly callback: NeedPlace | undefined;
  readonly call: NeedPlace | undefined;
}

/** What functions use together. Each function is gone through once, whoever asks how often. */
export function usesOf(spec: ObjectSpec, functions: readonly FunctionIndex[]): Uses {
  const helpers = new Map<number, NeedPlace[]>();
  const groups = new Map<InstructionGroup, NeedPlace[]>();
  const externs = new Map<number, NeedPlace[]>();
  const maps = new Set<MapIndex>();
  let callback: NeedPlace | undefined;
  let call: NeedPlace | undefined;
  for (const index of functions) {
    const own = usesOfFunction(spec, index);
    for (const [helper, places] of own.helpers) add(helpers, helper, places);
    for (const [group, places] of own.groups) add(groups, group, places);
    for (const [wanted, places] of own.externs) add(externs, wanted, places);
    for (const map of own.maps) maps.add(map);
    callback ??= own.callback;
    call ??= own.call;
  }
  return { helpers, groups, externs, maps, callback, call };
}

/** By the function, whose place in its object is part of what is known. */
const known = new WeakMap<FunctionSpec, Uses>();

function usesOfFunction(spec: ObjectSpec, index: FunctionIndex): Uses {
  const fn = spec.functions[index] as FunctionSpec;
  let uses = known.get(fn);
  if (uses === undefined) {
    uses = lookThrough(spec, fn, index);
    known.set(fn, uses);
  }
  return uses;
}

function lookThrough(spec: ObjectSpec, fn: FunctionSpec, index: FunctionIndex): Uses {
  const helpers = new Map<number, NeedPlace[]>();
  const groups = new Map<InstructionGroup, NeedPlace[]>();
  const externs = new Map<number, NeedPlace[]>();
  const maps = new Set<MapIndex>();
  let callback: NeedPlace | undefined;
  let call: NeedPlace | undefined;
  const placeOf = (insn: number): NeedPlace => ({
    ...{ function: index, functionName: fn.name, insn },
    source: sourceLineAt({ lineInfo: fn.lineInfo, btf: spec.btf }, insn),
  });
  const kfuncs = new Set<number>();
  for (const relocation of fn.relocations) {
    const place = (): NeedPlace => placeOf(relocation.insn);
    if (relocation.kind === 'extern-call') kfuncs.add(relocation.insn);
    if (relocation.kind === 'extern-call' || relocation.kind === 'extern-address') {
      add(externs, relocation.extern, [place()]);
    } else if (relocation.kind === 'function-address') callback ??= place();
    else if (relocation.kind === 'call') call ??= place();
    else if (relocation.kind !== 'jump-table') maps.add(relocation.map);
  }
  for (const at of instructionsOf(fn.insns)) {
    const helper = kfuncs.has(at) ? undefined : helperAt(fn.insns, at);
    if (helper !== undefined) add(helpers, helper, [placeOf(at)]);
    const group = groupOf(fn.insns, at);
    if (group !== undefined) add(groups, group, [placeOf(at)]);
  }
  return { helpers, groups, externs, maps, callback, call };
}

function add<K, V>(to: Map<K, V[]>, key: K, added: readonly V[]): void {
  const values = to.get(key);
  if (values === undefined) to.set(key, [...added]);
  else for (const value of added) values.push(value);
}

function programTypes(programs: readonly ProgramSpec[]): Requirement[] {
  const found = new Map<string, { type: number; attachType: number; programs: string[] }>();
  for (const program of programs) {
    const { name, type } = program;
    if (type === undefined) continue;
    const attachType = isAttachTypeOptional(program) ? 0 : program.attachType;
    const key = `${type} ${attachType}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { type, attachType, programs: [name] });
    else known.programs.push(name);
  }
  return [...found.values()].map((each) => ({ kind: 'program-type', ...each }));
}

/** Old kernels load such programs without one, and loaders leave it out for them. */
function isAttachTypeOptional({ section, attachType }: ProgramSpec): boolean {
  const rule = matchSection(section)?.rule;
  const optional = SECTION_FLAG.ATTACH_OPTIONAL;
  return rule !== undefined && rule.attachType === attachType && (rule.flags & optional) !== 0;
}

/** A map with its index; a template inside of another has that one's. */
type IndexedMap = readonly [MapIndex, MapSpec];

function allMaps(spec: ObjectSpec): readonly IndexedMap[] {
  return withInner(spec, new Set(spec.maps.map((_, index) => index as MapIndex)));
}

function withInner(spec: ObjectSpec, wanted: ReadonlySet<MapIndex>): readonly IndexedMap[] {
  // Of what is wanted, not of all maps: objects may have thousands of programs and of maps.
  return [...wanted].flatMap((index): IndexedMap[] => {
    const map = spec.maps[index] as MapSpec;
    if (map.autocreate === false) return [];
    return map.inner === undefined
      ? [[index, map]]
      : [
          [index, map],
          [index, map.inner],
        ];
  });
}

function mapTypes(maps: readonly IndexedMap[]): Requirement[] {
  const found = new Map<number, MapIndex[]>();
  for (const [index, { type }] of maps) add(found, type, [index]);
  return [...found].map(([type, of]) => ({ kind: 'map-type', type, maps: [...new Set(of)] }));
}

function mapFlags(maps: readonly IndexedMap[]): Requirement[] {
  const found = new Map<number, MapIndex[]>();
  for (const [index, { flags: all, data }] of maps) {
    // Data sections are read and written through calls where they cannot be mapped.
    const flags = data === undefined ? all : all & ~BPF_F_MMAPABLE;
    for (let bit = 0; bit < 32; bit++) {
      const flag = (1 << bit) >>> 0;
      if ((flags & flag) !== 0) add(found, flag, [index]);
    }
  }
  return [...found].map(([flag, of]) => ({ kind: 'map-flag', flag, maps: [...new Set(of)] }));
}

function externNeeds(
  spec: ObjectSpec,
  used: ReadonlyMap<number, readonly NeedPlace[]>,
): Requirement[] {
  return [...used].flatMap(([index, places]): Requirement[] => {
    const { name, weak, kind, type } = spec.externs[index] as ExternSpec;
    if (kind === 'kconfig') return [];
    if (kind === 'kfunc') return [{ kind, name, weak, places }];
    return [{ kind, name, weak, typed: type !== undefined && type !== 0, places }];
  });
}

interface Scope {
  readonly programs: readonly ProgramSpec[];
  readonly functions: ReadonlySet<FunctionIndex>;
  readonly uses: Uses;
}

/** What the loader itself needs, by what the object has. */
function features(spec: ObjectSpec, { programs, functions, uses }: Scope): Requirement[] {
  const found: Requirement[] = [];
  const need = (feature: ObjectFeature, why: string | undefined): void => {
    if (why !== undefined) found.push({ kind: 'feature', feature, why });
  };
  const mapNames = (test: (map: MapSpec) => boolean): string | undefined =>
    [...uses.maps].map((index) => spec.maps[index] as MapSpec).find(test)?.name;
  // Weak ones read as zero, or are never called, where kernels know nothing of them.
  const externName = (test: (kind: string, typed: boolean) => boolean): string | undefined =>
    [...uses.externs.keys()]
      .map((index) => spec.externs[index] as ExternSpec)
      .find(({ weak, kind, type }) => !weak && test(kind, type !== undefined))?.name;
  const globals = [...functions].map((index) => spec.functions[index] as FunctionSpec);
  const entries = new Set(spec.programs.map((program) => program.function));
  need(
    'global-data',
    mapNames(({ data }) => data !== undefined && data.kind !== 'arena'),
  );
  need('bpf-to-bpf-calls', uses.call?.functionName);
  need(
    'global-functions',
    [...functions].flatMap((index) => {
      const fn = spec.functions[index] as FunctionSpec;
      return entries.has(index) || fn.binding === 'local' || fn.hidden ? [] : [fn.name];
    })[0],
  );
  need('callbacks', uses.callback?.functionName);
  need('bounded-loops', globals.find(jumpsBack)?.name);
  need(
    'kfuncs',
    externName((kind) => kind === 'kfunc'),
  );
  need(
    'typed-ksyms',
    externName((kind, typed) => kind === 'ksym' && typed),
  );
  const callsBack = (map: MapSpec): boolean =>
    map.structOps?.functions.some((member) => functions.has(member.function)) ?? false;
  need('struct-ops', spec.maps.find(callsBack)?.name);
  need(
    'arena',
    mapNames(({ type }) => type === BPF_MAP_TYPE.ARENA),
  );
  need('sleepable', programs.find(({ flags }) => (flags & BPF_F_SLEEPABLE) !== 0)?.name);
  return found;
}

/** Whether a function has a jump to an instruction before it, which kernels before 5.3 refuse. */
function jumpsBack({ insns }: FunctionSpec): boolean {
  for (const at of instructionsOf(insns)) {
    const code = insns.code[at] as number;
    const isJump = (code & 0x07) === 0x05 || (code & 0x07) === 0x06;
    const operation = code >> 4;
    if (!isJump || operation === 0x8 || operation === 0x9) continue;
    const long = code === 0x06;
    if ((long ? (insns.imm[at] as number) : (insns.off[at] as number)) < 0) return true;
  }
  return false;
}
