import { BPF_FUNC, BPF_MAP_TYPE } from '../abi/bpf.ts';
import type { Insns } from '../asm/insns.ts';
import type { Btf } from '../btf/btf.ts';
import { essentialName } from '../btf/graph.ts';
import { escapeName, quoteName } from '../errors/quote.ts';
import { BpfError, describe } from '../errors.ts';
import { findAttachTarget, needsAttachTarget } from '../object/attach-btf.ts';
import { sourceLineAt } from '../object/image.ts';
import type { FunctionIndex, FunctionSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { type CorePlan, coreKindRule, planCore, poisonReason } from '../relocs/core/index.ts';
import { type ResolvedExtern, resolveExterns } from '../relocs/externs.ts';
import { applyFunction } from '../relocs/functions-core.ts';
import { planStructOps, structOpsAutoload } from '../relocs/struct-ops.ts';
import { coreTargets, type KernelTypes } from '../relocs/target.ts';
import { requirementsOf } from './collect.ts';
import { helperAt } from './instructions.ts';
import { KernelFacts } from './kernel-facts.ts';
import { olderHelper } from './kernels.ts';
import { liveInstructions } from './live-code.ts';
import { reachableFunctions } from './reach.ts';
import type { InstructionGroup, NeedPlace, Requirement } from './requirements.ts';

/** A kernel to check against: its types, and what else is known of it. */
export interface KernelDescription {
  /** How it is called in reports. */
  readonly name: string;
  readonly btf: Btf;
  /** Types of its modules; read only where the kernel itself lacks something. */
  readonly modules?: (() => readonly { readonly name: string; readonly btf: Btf }[]) | undefined;
  /** Names in its `/proc/kallsyms`; without them nothing is said about symbols without types. */
  readonly symbols?: ReadonlySet<string> | undefined;
  /** Its configuration as text; without it nothing is said about values of it. */
  readonly kconfig?: string | undefined;
}

/** What stands in the way of loading. */
export interface CompatProblem {
  readonly kind:
    | 'program-type'
    | 'attach-type'
    | 'attach-target'
    | 'map-type'
    | 'map-flag'
    | 'helper'
    | 'instructions'
    | 'kfunc'
    | 'ksym'
    | 'kconfig'
    | 'struct-ops'
    | 'type'
    | 'field'
    | 'enumerator';
  /** A sentence; names escaped. */
  readonly reason: string;
  /** What needs it; none for what is of the whole object. */
  readonly places: readonly NeedPlace[];
}

export interface ProgramCompat {
  readonly name: string;
  /** Programs that are not loaded by default do not count for the object. */
  readonly autoload: boolean;
  readonly loads: boolean;
  readonly problems: readonly CompatProblem[];
}

/** Whether an object loads into a kernel, as far as the kernel's types say. */
export interface Compatibility {
  readonly kernel: string;
  readonly loads: boolean;
  /** Of maps and symbols, which all programs share. */
  readonly problems: readonly CompatProblem[];
  readonly programs: readonly ProgramCompat[];
}

/**
 * Tells whether an object would load into a kernel, without that kernel: by its program, map
 * and attach types, flags, helpers, kernel functions and symbols, instructions, callbacks and,
 * through CO-RE, the types, fields and enumerators that programs touch. Code that constants
 * rule out (a field asked for before it is read) does not count. Whether the verifier finds
 * the rest safe is not asked.
 *
 * @example
 * ```ts
 * const { loads, programs } = checkCompatibility(openObject(bytes), { name: '6.1', btf });
 * ```
 */
export function checkCompatibility(spec: ObjectSpec, kernel: KernelDescription): Compatibility {
  return new Check(spec, kernel).run();
}

/** What is known to have come with each group of instructions, of which types say nothing. */
const instructionMarks: Readonly<Record<InstructionGroup, readonly string[]>> = {
  'jump-less': [],
  alu32: [],
  'fetching-atomics': ['BPF_FUNC_check_mtu'],
  v4: ['BPF_TCX_INGRESS'],
  'may-goto': ['BPF_MAP_TYPE_ARENA'],
  'address-space-cast': ['BPF_MAP_TYPE_ARENA'],
  'load-acquire': ['bpf_res_spin_lock'],
  'indirect-jump': ['BPF_MAP_TYPE_INSN_ARRAY'],
};

class Check {
  readonly #spec: ObjectSpec;
  readonly #kernel: KernelDescription;
  readonly #facts: KernelFacts;
  readonly #types: KernelTypes;
  readonly #externs: readonly ResolvedExtern[];
  readonly #problems: CompatProblem[] = [];
  readonly #plans = new Map<FunctionIndex, readonly CorePlan[]>();
  readonly #live = new Map<FunctionIndex, Uint8Array>();

  constructor(spec: ObjectSpec, kernel: KernelDescription) {
    this.#spec = spec;
    this.#kernel = kernel;
    let modules: ReturnType<KernelTypes['modules']> | undefined;
    this.#types = {
      kernel: kernel.btf,
      modules: () => {
        modules ??= kernel.modules?.() ?? [];
        return modules;
      },
    };
    this.#facts = new KernelFacts(this.#types);
    this.#externs = spec.externs.map((_, index) => this.#resolve(index));
  }

  run(): Compatibility {
    const spec = this.#spec;
    const autoload = this.#structOps();
    this.#planCore();
    const wanted = spec.programs.filter((program) => autoload(program));
    const common = requirementsOf(spec).flatMap((need) => this.#common(need));
    const programs = spec.programs.map((program) => this.#program(program, autoload(program)));
    const used = new Set(wanted.flatMap((each) => reachableFunctions(spec, each.function)));
    const problems = [...this.#problems, ...common, ...this.#strongExterns(used)];
    const loads = problems.length === 0 && programs.every((each) => each.loads || !each.autoload);
    return { kernel: this.#kernel.name, loads, problems, programs };
  }

  /** Which programs are loaded, struct_ops maps considered. */
  #structOps(): (program: ProgramSpec) => boolean {
    try {
      const plan = planStructOps(this.#spec, this.#types);
      return (program) => structOpsAutoload(plan, program) ?? program.autoload;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      this.#problems.push({ kind: 'struct-ops', reason: error.message, places: [] });
      return (program) => program.autoload;
    }
  }

  /** All functions at once: CO-RE rules out candidates as it goes. */
  #planCore(): void {
    const { btf: local, functions } = this.#spec;
    if (local === undefined) return;
    const targets = { [Symbol.iterator]: () => coreTargets(this.#types) };
    const plans = planCore({ local, targets, functions });
    for (const plan of plans) {
      const index = plan.function as FunctionIndex;
      this.#plans.set(index, [...(this.#plans.get(index) ?? []), plan]);
    }
  }

  #resolve(index: number): ResolvedExtern {
    const wanted = this.#spec.externs[index];
    if (wanted === undefined) throw new Error(`no extern ${index}`);
    const sources = { types: this.#types, kconfig: this.#kernel.kconfig };
    try {
      const { externs } = resolveExterns({ ...this.#spec, externs: [wanted] }, sources);
      return externs[0] as ResolvedExtern;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return { kind: 'missing', reason: error.message };
    }
  }

  /** What every program shares: maps. */
  #common(need: Requirement): readonly CompatProblem[] {
    if (need.kind === 'map-type') {
      if (this.#facts.hasValue('bpf_map_type', need.type)) return [];
      return [this.#ofMaps('map-type', mapTypeName(need.type), need.maps)];
    }
    if (need.kind !== 'map-flag' || this.#facts.hasMapFlag(need.flag)) return [];
    return [this.#ofMaps('map-flag', `flag 0x${need.flag.toString(16)}`, need.maps)];
  }

  #ofMaps(kind: CompatProblem['kind'], what: string, maps: readonly number[]): CompatProblem {
    const names = maps.map((index) => quoteName(this.#spec.maps[index]?.name ?? '')).join(', ');
    return { kind, reason: `the kernel does not know ${what}, which ${names} has`, places: [] };
  }

  /** Symbols that are not weak must be there, whoever uses them. */
  #strongExterns(used: ReadonlySet<FunctionIndex>): readonly CompatProblem[] {
    return this.#spec.externs.flatMap((wanted, index): readonly CompatProblem[] => {
      if (wanted.weak || this.#has(index)) return [];
      const { kind, name } = wanted;
      const resolved = this.#externs[index] as ResolvedExtern;
      const reason = resolved.kind === 'missing' ? resolved.reason : 'it is not there';
      const places = [...used].flatMap((fn) => this.#placesOf(fn, index));
      return [{ kind, reason: `${quoteName(name)}: ${reason}`, places }];
    });
  }

  #placesOf(index: FunctionIndex, wanted: number): readonly NeedPlace[] {
    return (this.#spec.functions[index] as FunctionSpec).relocations.flatMap((relocation) =>
      'extern' in relocation && relocation.extern === wanted
        ? [this.#place(index, relocation.insn)]
        : [],
    );
  }

  /** Whether the kernel has an extern; what cannot be told counts as there. */
  #has(index: number): boolean {
    const wanted = this.#spec.externs[index];
    const resolved = this.#externs[index];
    if (wanted === undefined || resolved?.kind !== 'missing') return true;
    if (wanted.kind === 'kconfig') return this.#kernel.kconfig === undefined;
    const typed = wanted.kind === 'kfunc' || (wanted.type !== undefined && wanted.type !== 0);
    return !typed && (this.#kernel.symbols?.has(wanted.name) ?? true);
  }

  #program(program: ProgramSpec, autoload: boolean): ProgramCompat {
    const functions = reachableFunctions(this.#spec, program.function);
    const problems = [
      ...withoutType(program),
      ...requirementsOf(this.#spec, [program]).flatMap((need) => this.#ofProgram(need, program)),
      ...this.#attachTarget(program),
      ...functions.flatMap((index) => this.#ofCode(index)),
    ];
    return { name: program.name, autoload, loads: problems.length === 0, problems };
  }

  #ofProgram(need: Requirement, program: ProgramSpec): readonly CompatProblem[] {
    if (need.kind === 'program-type') {
      if (!this.#facts.hasValue('bpf_prog_type', need.type)) {
        const reason = `the kernel does not have programs of SEC("${escapeName(program.section)}")`;
        return [{ kind: 'program-type', reason, places: [] }];
      }
      if (need.attachType === 0 || this.#facts.hasValue('bpf_attach_type', need.attachType)) {
        return [];
      }
      const reason = `the kernel cannot attach as SEC("${escapeName(program.section)}") asks`;
      return [{ kind: 'attach-type', reason, places: [] }];
    }
    if (need.kind !== 'instructions') return [];
    const places = need.places.filter((place) => this.#liveOf(place.function)[place.insn] === 1);
    const marks = instructionMarks[need.group];
    if (places.length === 0 || marks.every((mark) => this.#facts.hasName(mark))) return [];
    const reason = `the kernel does not know the instructions of group ${need.group}`;
    return [{ kind: 'instructions', reason, places }];
  }

  #attachTarget(program: ProgramSpec): readonly CompatProblem[] {
    if (program.type === undefined || !needsAttachTarget(program.type, program.attachType)) {
      return [];
    }
    // Named later, by the user.
    if (program.attachTarget === undefined) return [];
    try {
      findAttachTarget(program, this.#types);
      return [];
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return [{ kind: 'attach-target', reason: error.message, places: [] }];
    }
  }

  /** What the instructions of a function that may run need. */
  #ofCode(index: FunctionIndex): readonly CompatProblem[] {
    const fn = this.#spec.functions[index] as FunctionSpec;
    const live = this.#liveOf(index);
    const problems: CompatProblem[] = [];
    for (const plan of this.#plans.get(index) ?? []) {
      const failed = plan.effect.verdict === 'fail' ? describe(plan.effect.error) : undefined;
      const poisoned = live[plan.insn] === 1 ? poisonReason(plan) : undefined;
      const reason = failed ?? poisoned;
      if (reason === undefined) continue;
      problems.push({ kind: subjectOf(plan), reason, places: [this.#place(index, plan.insn)] });
    }
    const kfuncs = new Set<number>();
    for (const relocation of fn.relocations) {
      if (relocation.kind !== 'extern-call') continue;
      kfuncs.add(relocation.insn);
      if (live[relocation.insn] !== 1 || this.#has(relocation.extern)) continue;
      const { name, weak } = this.#spec.externs[relocation.extern] ?? { name: '', weak: false };
      // One that is not weak is the whole object's problem.
      if (!weak) continue;
      const reason = `the kernel has no function ${quoteName(essentialName(name))}`;
      problems.push({ kind: 'kfunc', reason, places: [this.#place(index, relocation.insn)] });
    }
    return [...problems, ...this.#helpers(index, live, kfuncs)];
  }

  #helpers(
    index: FunctionIndex,
    live: Uint8Array,
    kfuncs: ReadonlySet<number>,
  ): readonly CompatProblem[] {
    const { insns } = this.#spec.functions[index] as FunctionSpec;
    const missing = new Map<number, NeedPlace[]>();
    for (let at = 0; at < insns.length; at++) {
      const helper = live[at] === 1 && !kfuncs.has(at) ? helperAt(insns, at) : undefined;
      if (helper === undefined || this.#facts.hasValue('bpf_func_id', olderHelper(helper)))
        continue;
      const places = missing.get(helper) ?? [];
      missing.set(helper, [...places, this.#place(index, at)]);
    }
    return [...missing].map(([helper, places]) => {
      return { kind: 'helper', reason: `the kernel has no helper ${helperName(helper)}`, places };
    });
  }

  #liveOf(index: FunctionIndex): Uint8Array {
    let live = this.#live.get(index);
    if (live === undefined) {
      const fn = this.#spec.functions[index] as FunctionSpec;
      const insns = this.#patched(index, fn);
      const has = (wanted: number): boolean => this.#has(wanted);
      live = liveInstructions({ spec: this.#spec, fn, insns, has });
      this.#live.set(index, live);
    }
    return live;
  }

  #patched(index: FunctionIndex, fn: FunctionSpec): Insns {
    const plans = (this.#plans.get(index) ?? []).filter(({ verdict }) => verdict !== 'fail');
    if (plans.length === 0) return fn.insns;
    const insns = fn.insns.slice();
    applyFunction(insns, plans);
    return insns;
  }

  #place(index: FunctionIndex, insn: number): NeedPlace {
    const fn = this.#spec.functions[index] as FunctionSpec;
    const source = sourceLineAt({ lineInfo: fn.lineInfo, btf: this.#spec.btf }, insn);
    return { function: index, functionName: fn.name, insn, source };
  }
}

function withoutType({ section, type }: ProgramSpec): readonly CompatProblem[] {
  if (type !== undefined) return [];
  const reason = `SEC("${escapeName(section)}") gives no program type`;
  return [{ kind: 'program-type', reason, places: [] }];
}

function subjectOf({ result }: CorePlan): 'field' | 'type' | 'enumerator' {
  const { subject } = coreKindRule(result.kind);
  return subject === 'field' ? 'field' : subject === 'type' ? 'type' : 'enumerator';
}

function helperName(id: number): string {
  const found = Object.entries(BPF_FUNC).find(([, number]) => number === id);
  return found === undefined ? String(id) : `bpf_${found[0]}`;
}

function mapTypeName(type: number): string {
  const found = Object.entries(BPF_MAP_TYPE).find(([, number]) => number === type);
  return found === undefined ? `map type ${type}` : `BPF_MAP_TYPE_${found[0]}`;
}
