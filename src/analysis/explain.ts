import type { Btf } from '../btf/btf.ts';
import { emitTypeDecl } from '../btf/dump/c.ts';
import { essentialName, resolveType, sizeOf, typeToString } from '../btf/graph.ts';
import { BTF_KIND, type BtfComposite, type BtfKind, type TypeId } from '../btf/types.ts';
import { BpfError } from '../errors.ts';
import { findAttachTarget, needsAttachTarget } from '../object/attach-btf.ts';
import type { ExternSpec, FunctionIndex, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { nearestNames } from '../relocs/core/nearest.ts';
import { type ResolvedExtern, resolveExterns } from '../relocs/externs.ts';
import { planStructOps } from '../relocs/struct-ops.ts';
import { findType, type KernelTypes } from '../relocs/target.ts';
import { usesOf } from './collect.ts';
import type { KernelDescription } from './compat.ts';
import { reachableFunctions } from './reach.ts';
import type { NeedPlace } from './requirements.ts';

/** What an `extern` declaration is on a kernel. */
export interface ExplainedExtern {
  readonly name: string;
  readonly kind: ExternSpec['kind'];
  readonly weak: boolean;
  /**
   * `found`; `missing`, which is an error unless it is weak; `incompatible`: there, but declared
   * otherwise; `unknown`: the kernel's types do not say.
   */
  readonly verdict: 'found' | 'missing' | 'incompatible' | 'unknown';
  /** `vmlinux` or the module that has it. */
  readonly where: string | undefined;
  /** As the object declares it, in C; undefined without a type. */
  readonly declared: string | undefined;
  /** As the kernel has it. */
  readonly actual: string | undefined;
  readonly reason: string | undefined;
  /** Names of the kernel that are like a missing one's. */
  readonly similar: readonly string[];
  readonly places: readonly NeedPlace[];
}

/** What a program attaches to, for those that are verified against it. */
export interface ExplainedTarget {
  readonly program: string;
  readonly section: string;
  readonly found: boolean;
  readonly where: string | undefined;
  /** The function or tracepoint in C. */
  readonly actual: string | undefined;
  readonly reason: string | undefined;
}

/** A struct of callbacks, member by member. */
export interface ExplainedStruct {
  readonly map: string;
  readonly struct: string;
  /** Why it cannot be converted; undefined where it can. */
  readonly reason: string | undefined;
  readonly members: readonly ExplainedMember[];
}

export interface ExplainedMember {
  readonly name: string;
  /** Program that it calls. */
  readonly program: string | undefined;
  /** In bytes, in the object. */
  readonly offset: number;
  readonly size: number;
  /** In bytes, on the kernel; undefined where it has no such member. */
  readonly target: { readonly offset: number; readonly size: number } | undefined;
}

/** What an object asks of a kernel besides its types, one by one. */
export interface ExplainedObject {
  readonly externs: readonly ExplainedExtern[];
  readonly targets: readonly ExplainedTarget[];
  readonly structs: readonly ExplainedStruct[];
}

/**
 * Explains what an object's externs, attach targets and structs of callbacks are on a kernel:
 * where each was found, how both sides declare it, what is like one that is missing. CO-RE
 * relocations are explained by `planCore`.
 */
export function explainNeeds(spec: ObjectSpec, kernel: KernelDescription): ExplainedObject {
  const types: KernelTypes = { kernel: kernel.btf, modules: () => kernel.modules?.() ?? [] };
  const functions = new Set(
    spec.programs.flatMap((program) => reachableFunctions(spec, program.function)),
  );
  const { externs: places } = usesOf(spec, [...functions]);
  return {
    externs: spec.externs.map((wanted, index) =>
      explainExtern({ spec, types, kernel }, wanted, places.get(index) ?? []),
    ),
    targets: spec.programs.flatMap((program) => explainTarget(program, types)),
    structs: explainStructs(spec, types),
  };
}

interface Sources {
  readonly spec: ObjectSpec;
  readonly types: KernelTypes;
  readonly kernel: KernelDescription;
}

function explainExtern(
  sources: Sources,
  wanted: ExternSpec,
  places: readonly NeedPlace[],
): ExplainedExtern {
  const { spec, types } = sources;
  const { name, kind, weak, type } = wanted;
  const btfKind: BtfKind = kind === 'kfunc' ? BTF_KIND.FUNC : BTF_KIND.VAR;
  const found = kind === 'kconfig' ? undefined : findType(types, essentialName(name), btfKind);
  const outcome = outcomeOf(sources, wanted);
  const isMissing = outcome.verdict === 'missing' && found === undefined;
  return {
    ...{ name, kind, weak, places, ...outcome },
    where: found === undefined ? undefined : (found.module ?? 'vmlinux'),
    declared: declarationOf(spec.btf, type, kind, name),
    actual: found && declarationOf(found.btf, found.type, 'kernel', essentialName(name)),
    similar: isMissing && kind === 'kfunc' ? similarTo(types.kernel, name, btfKind) : [],
  };
}

function outcomeOf(
  { spec, types, kernel }: Sources,
  wanted: ExternSpec,
): Pick<ExplainedExtern, 'verdict' | 'reason'> {
  let resolved: ResolvedExtern | undefined;
  try {
    const sources = { types, kconfig: kernel.kconfig };
    [resolved] = resolveExterns({ ...spec, externs: [wanted] }, sources).externs;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const verdict = error.code === 'extern-type' ? 'incompatible' : 'missing';
    return { verdict, reason: error.message };
  }
  if (wanted.kind === 'kconfig' && !wanted.name.startsWith('CONFIG_')) {
    return { verdict: 'unknown', reason: 'the running kernel answers it' };
  }
  if (wanted.kind === 'kconfig' && kernel.kconfig === undefined) {
    return { verdict: 'unknown', reason: 'no configuration of the kernel is given' };
  }
  if (resolved?.kind !== 'missing') return { verdict: 'found', reason: undefined };
  const typed = wanted.kind === 'kfunc' || (wanted.type !== undefined && wanted.type !== 0);
  if (!typed && kernel.symbols === undefined) {
    return { verdict: 'unknown', reason: 'symbols without types are in kallsyms only' };
  }
  if (!typed && kernel.symbols?.has(wanted.name) === true) {
    return { verdict: 'found', reason: undefined };
  }
  return { verdict: 'missing', reason: resolved.reason };
}

/** A declaration in C; functions by their prototype. */
function declarationOf(
  btf: Btf | undefined,
  type: TypeId | undefined,
  kind: ExternSpec['kind'] | 'kernel',
  name: string,
): string | undefined {
  if (btf === undefined || type === undefined || type === 0) return undefined;
  // The kernel's FUNC and VAR name their type; so does the FUNC of a kfunc in the object.
  const isNamed = kind === 'kernel' || kind === 'kfunc';
  const of = isNamed ? (btf.sizeOrTypeOf(type) as TypeId) : type;
  try {
    return emitTypeDecl(btf, of, { name });
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return typeToString(btf, of);
  }
}

/** Names of a kind in the kernel that are most like one. */
function similarTo(btf: Btf, name: string, kind: BtfKind): readonly string[] {
  const names: string[] = [];
  for (let id = btf.firstId; id < btf.endId; id++) {
    if (btf.kindOf(id as TypeId) !== kind) continue;
    const each = btf.nameOf(id as TypeId);
    if (each.startsWith('bpf_')) names.push(each);
  }
  return nearestNames(essentialName(name), names);
}

function explainTarget(program: ProgramSpec, types: KernelTypes): readonly ExplainedTarget[] {
  const { name, section, type, attachType, attachTarget } = program;
  if (type === undefined || attachTarget === undefined) return [];
  if (!needsAttachTarget(type, attachType)) return [];
  const common = { program: name, section };
  try {
    const { id, module } = findAttachTarget(program, types);
    const btf =
      types.modules().find((each) => each.name === module && module !== undefined)?.btf ??
      types.kernel;
    const actual = declarationOf(btf, id, 'kernel', btf.nameOf(id));
    return [{ ...common, found: true, where: module ?? 'vmlinux', actual, reason: undefined }];
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const missing = { found: false, where: undefined, actual: undefined };
    return [{ ...common, ...missing, reason: error.message }];
  }
}

function explainStructs(spec: ObjectSpec, types: KernelTypes): readonly ExplainedStruct[] {
  const { btf } = spec;
  if (btf === undefined) return [];
  return spec.maps.flatMap((map): readonly ExplainedStruct[] => {
    const { structOps } = map;
    const struct = structOps && btf.type(resolveType(btf, structOps.type));
    if (structOps === undefined || struct?.kind !== 'struct') return [];
    const programs = new Map(structOps.functions.map((each) => [each.member, each.function]));
    const target = targetStruct(types, struct.name);
    const members = struct.members.map((member, index) => {
      const fn = programs.get(index);
      return {
        name: member.name,
        program: fn === undefined ? undefined : spec.functions[fn as FunctionIndex]?.name,
        offset: member.bitOffset / 8,
        size: sizeOf(btf, member.type),
        target: target && memberOf(target.btf, target.struct, member.name),
      };
    });
    const reason = whyNot({ ...spec, maps: [map] }, types);
    return [{ map: map.name, struct: struct.name, reason, members }];
  });
}

function targetStruct(
  types: KernelTypes,
  name: string,
): { readonly btf: Btf; readonly struct: BtfComposite } | undefined {
  const found = findType(types, essentialName(name), BTF_KIND.STRUCT);
  const struct = found?.btf.type(found.type);
  return found !== undefined && struct?.kind === 'struct' ? { btf: found.btf, struct } : undefined;
}

function memberOf(btf: Btf, struct: BtfComposite, name: string): ExplainedMember['target'] {
  const member = struct.members.find((each) => each.name === name);
  return member && { offset: member.bitOffset / 8, size: sizeOf(btf, member.type) };
}

/** What the conversion of a struct fails on. */
function whyNot(spec: ObjectSpec, types: KernelTypes): string | undefined {
  try {
    planStructOps(spec, types);
    return undefined;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return error.message;
  }
}
