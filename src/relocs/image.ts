import { BPF_ATTACH_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import { type InsnIndex, Insns } from '../asm/insns.ts';
import { PSEUDO } from '../asm/opcodes.ts';
import type { Btf } from '../btf/btf.ts';
import { quoteName } from '../errors/quote.ts';
import { BpfError, withContext } from '../errors.ts';
import type { ProgramImage, Slot } from '../object/image.ts';
import { splitAutoload, suggestSections } from '../object/section-rules.ts';
import type {
  FunctionIndex,
  FunctionSpec,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
} from '../object/spec.ts';
import { arenaDataOffset } from './arena.ts';
import { type CallSite, FunctionPlaces, findCallSites } from './calls.ts';
import { fixContextArguments } from './context-arguments.ts';
import type { CorePlan } from './core/index.ts';
import { downgradeProbeReads, readsOneSide } from './downgrade.ts';
import { exceptionCallbacks } from './exceptions.ts';
import { type ResolvedExtern, resolveExterns } from './externs.ts';
import { applyFunction, type PlannedCore, planFunctions } from './functions-core.ts';
import { gatherInfo } from './info.ts';
import { type CallGraph, type ProgramLayout, planLayout } from './layout.ts';
import { applyDataRelocations, type RelocationFacts } from './relocate.ts';
import type { StructOpsPlan } from './struct-ops.ts';
import type { HostFacts, KernelTypes } from './target.ts';

/** Most instructions of all programs of one {@link buildImages} together. */
export const totalInsnLimit = 16_000_000;

export interface ImageOptions {
  /**
   * Types to relocate against: the kernel's, then those of its modules. Empty is allowed for
   * objects without CO-RE relocations, and for those whose relocations need no target.
   */
  readonly targets: Iterable<Btf>;
  /** What the object's externs are; looked for in `targets` unless given. */
  readonly externs?: readonly ResolvedExtern[] | undefined;
  /** What the programs of struct_ops maps are; needed for those only. */
  readonly structOps?: StructOpsPlan | undefined;
  /** What the machine can do; without it, everything. */
  readonly machine?: ImageMachine | undefined;
}

/** What the machine says that changes an image. */
export interface ImageMachine {
  /** In bytes. */
  readonly pageSize: number;
  readonly host: Pick<HostFacts, 'has'>;
}

export interface ImagesOptions extends ImageOptions {
  /** Entry points to build; those with `autoload` unless given. */
  readonly programs?: readonly ProgramSpec[];
}

/** Result of {@link buildImages}. */
export interface BuiltImages {
  /** One image for each program asked for, in that order. */
  readonly images: readonly ProgramImage[];
  /**
   * What CO-RE decided for the functions that are part of an image, in the object's order;
   * `function` of a plan is an index into the spec's functions.
   */
  readonly plans: readonly CorePlan[];
}

/**
 * Makes the images of an object's programs: CO-RE, maps, variables and externs relocated,
 * subprograms appended and calls resolved as libbpf does, func and line info carried along.
 * The spec is not changed. Time and memory are linear in the instructions of all images.
 *
 * @example
 * ```ts
 * const { images } = buildImages(openObject(bytes), { targets: [kernelTypes] });
 * ```
 */
export function buildImages(spec: ObjectSpec, options: ImagesOptions): BuiltImages {
  const programs = options.programs ?? spec.programs.filter((program) => program.autoload);
  const planned = planPrograms(spec, programs);
  const core = planFunctions(spec, reachedFunctions(planned), options.targets);
  const relocated = new Relocated(relocationFacts(spec, options), core);
  const images = planned.map((each) =>
    withContext({ program: each.program.name }, () =>
      assemble(spec, each, relocated, options.structOps),
    ),
  );
  return { images: adapted(images, options.machine), plans: core.plans };
}

function relocationFacts(spec: ObjectSpec, options: ImagesOptions): RelocationFacts {
  const { machine } = options;
  const host = {
    pageSize: machine?.pageSize ?? 4096,
    get fullRange() {
      return machine?.host.has('full-range-imm64') ?? true;
    },
  };
  return {
    spec,
    externs: options.externs ?? resolveExterns(spec, { types: typesOf(options.targets) }).externs,
    arenaOffset: (index) => arenaDataOffset(spec.maps[index] as MapSpec, host),
  };
}

/** The kernel's types and its modules', as a list of targets has them. */
function typesOf(targets: Iterable<Btf>): KernelTypes | undefined {
  const [kernel] = targets;
  const modules = () => [...targets].slice(1).map((btf) => ({ name: btf.name, btf }));
  return kernel === undefined ? undefined : { kernel, modules };
}

/** Works around what the machine's kernel is too old for. */
function adapted(
  images: readonly ProgramImage[],
  machine: ImageMachine | undefined,
): readonly ProgramImage[] {
  if (machine === undefined) return images;
  const { host } = machine;
  if (images.some(({ insns }) => readsOneSide(insns)) && !host.has('probe-read-kernel')) {
    for (const { insns } of images) downgradeProbeReads(insns);
  }
  const fixed = fixContextArguments(images, () => !host.has('arg-ctx-tag'));
  return fixed.map((image) => withUsdtLink(image, machine.host));
}

/** USDT programs are for a link of many uprobes where there is one (libbpf's `SEC_USDT`). */
function withUsdtLink(image: ProgramImage, host: ImageMachine['host']): ProgramImage {
  const isUsdt = image.type === BPF_PROG_TYPE.KPROBE && /^usdt(?:\.s)?(?:\/|$)/.test(image.section);
  if (!isUsdt || !host.has('uprobe-multi')) return image;
  return { ...image, attachType: BPF_ATTACH_TYPE.TRACE_UPROBE_MULTI };
}

/** The image of one program; see {@link buildImages}. */
export function buildImage(
  spec: ObjectSpec,
  program: ProgramSpec,
  options: ImageOptions,
): ProgramImage {
  const { images } = buildImages(spec, { ...options, programs: [program] });
  return images[0] as ProgramImage;
}

/** A program that is ready to be put together. */
interface PlannedProgram {
  readonly program: ProgramSpec;
  readonly type: number;
  readonly layout: ProgramLayout;
}

/** Lays out every program before anything is copied, so that sizes are known to be sane. */
function planPrograms(
  spec: ObjectSpec,
  programs: readonly ProgramSpec[],
): readonly PlannedProgram[] {
  const graph = new FunctionGraph(spec);
  const callbacks = exceptionCallbacks(spec);
  let total = 0;
  return programs.map((program) =>
    withContext({ program: program.name }, () => {
      const type = requireType(program);
      const layout = planLayout(graph, program.function, callbacks.get(program.function));
      total += layout.length;
      if (total > totalInsnLimit) {
        throw new BpfError({ code: 'images-too-large', limit: totalInsnLimit });
      }
      return { program, type, layout };
    }),
  );
}

function requireType({ name, section, type }: ProgramSpec): number {
  if (type !== undefined) return type;
  const { withoutTarget, similar } = suggestSections(splitAutoload(section).section);
  const suggestions = withoutTarget === undefined ? similar : [withoutTarget];
  throw new BpfError({ code: 'program-without-type', program: name, section, suggestions });
}

/** The functions of all layouts. */
function reachedFunctions(planned: readonly PlannedProgram[]): ReadonlySet<FunctionIndex> {
  const reached = new Set<FunctionIndex>();
  for (const { layout } of planned) {
    for (const placed of layout.functions) reached.add(placed.function);
  }
  return reached;
}

/** The references between an object's functions, each function looked at once. */
class FunctionGraph implements CallGraph {
  readonly #spec: ObjectSpec;
  readonly #places: FunctionPlaces;
  readonly #sites = new Map<FunctionIndex, readonly CallSite[]>();

  constructor(spec: ObjectSpec) {
    this.#spec = spec;
    this.#places = new FunctionPlaces(spec.functions);
  }

  sizeOf(index: FunctionIndex): number {
    const fn = functionAt(this.#spec, index);
    if (fn.insns.length === 0) throw new BpfError({ code: 'empty-function', function: fn.name });
    return fn.insns.length;
  }

  callSites(index: FunctionIndex): readonly CallSite[] {
    const known = this.#sites.get(index);
    if (known !== undefined) return known;
    const fn = functionAt(this.#spec, index);
    const sites = inFunction(fn, () => findCallSites(this.#spec, fn, this.#places));
    this.#sites.set(index, sites);
    return sites;
  }
}

/** A function with everything applied that does not depend on the program it ends up in. */
interface RelocatedFunction {
  readonly insns: Insns;
  readonly slots: readonly Slot[];
  readonly poisoned: ProgramImage['poisoned'];
}

/** Relocates each function once, however many programs it is appended to. */
class Relocated {
  readonly #facts: RelocationFacts;
  readonly #core: PlannedCore;
  readonly #done = new Map<FunctionIndex, RelocatedFunction>();

  constructor(facts: RelocationFacts, core: PlannedCore) {
    this.#facts = facts;
    this.#core = core;
  }

  function(index: FunctionIndex): RelocatedFunction {
    const known = this.#done.get(index);
    if (known !== undefined) return known;
    const fn = functionAt(this.#facts.spec, index);
    const relocated = this.#relocate(index, fn);
    this.#done.set(index, relocated);
    return relocated;
  }

  #relocate(index: FunctionIndex, fn: FunctionSpec): RelocatedFunction {
    const insns = fn.insns.slice();
    // libbpf's order: CO-RE first, on the code as compiled, then everything else.
    const poisoned = applyFunction(insns, this.#core.byFunction.get(index) ?? []);
    const data = inFunction(fn, () => applyDataRelocations(this.#facts, insns, fn.relocations));
    return { insns, slots: data.slots, poisoned: [...poisoned, ...data.poisoned] };
  }
}

function functionAt(spec: ObjectSpec, index: FunctionIndex): FunctionSpec {
  const fn = spec.functions[index];
  if (fn !== undefined) return fn;
  const have = spec.functions.length;
  throw new BpfError({ code: 'relocation-target', subject: 'function', index, have });
}

function inFunction<T>(fn: FunctionSpec, work: () => T): T {
  return withContext({ action: `function ${quoteName(fn.name)}` }, work);
}

function assemble(
  spec: ObjectSpec,
  planned: PlannedProgram,
  relocated: Relocated,
  plan: StructOpsPlan | undefined,
): ProgramImage {
  const { program, type, layout } = planned;
  const structOps = plan?.programs.get(program.function);
  const insns = new Insns(layout.length);
  const slots: Slot[] = [];
  const poisoned: ProgramImage['poisoned'][number][] = [];
  for (const { function: index, start } of layout.functions) {
    const fn = relocated.function(index);
    insns.set(fn.insns, start);
    for (const slot of fn.slots) slots.push(movedSlot(slot, start));
    for (const each of fn.poisoned) poisoned.push(moved(each, start));
  }
  applyCalls(insns, layout);
  return {
    name: program.name,
    section: program.section,
    type,
    // The verifier knows a callback by the member's number.
    attachType: structOps?.member ?? program.attachType,
    attachTarget: program.attachTarget,
    flags: program.flags,
    license: spec.license,
    kernelVersion: spec.kernelVersion,
    littleEndian: spec.littleEndian,
    insns,
    slots,
    functions: imageFunctions(spec, layout),
    ...gatherInfo(spec, layout.functions),
    btf: spec.btf,
    structOps,
    poisoned,
  };
}

function imageFunctions(spec: ObjectSpec, layout: ProgramLayout): ProgramImage['functions'] {
  return layout.functions.map(({ function: index, start }, at) => ({
    name: functionAt(spec, index).name,
    start,
    end: layout.functions[at + 1]?.start ?? (layout.length as InsnIndex),
  }));
}

function moved<T extends { readonly insn: InsnIndex }>(item: T, by: number): T {
  return { ...item, insn: (item.insn + by) as InsnIndex };
}

function movedSlot(slot: Slot, by: number): Slot {
  if (slot.kind !== 'jump-table') return moved(slot, by);
  return { ...moved(slot, by), targets: slot.targets.map((to) => (to + by) as InsnIndex) };
}

function applyCalls(insns: Insns, layout: ProgramLayout): void {
  for (const { insn, kind, to } of layout.calls) {
    insns.imm[insn] = to;
    if (kind === 'address') insns.src[insn] = PSEUDO.FUNC;
  }
}
