import type { InsnIndex, Insns } from '../../asm/insns.ts';
import type { Btf } from '../../btf/btf.ts';
import { BpfError } from '../../errors.ts';
import { sourceLineAt } from '../../object/image.ts';
import type { CoreRelocation, LineInfo } from '../../object/spec.ts';
import { withChains } from './chain.ts';
import { type CoreEffect, decideEffect } from './effect.ts';
import { CoreExplainer, orNone } from './explain.ts';
import { CoreResolver } from './resolve.ts';
import type { CorePlan, CoreResult } from './result.ts';

/** A function with relocations; every `FunctionSpec` is one. */
export interface CoreFunction {
  readonly name: string;
  /** As compiled: old values are checked against them. */
  readonly insns: Insns;
  readonly coreRelocations: readonly CoreRelocation[];
  readonly lineInfo: readonly LineInfo[];
}

export interface CoreInput {
  /** The object's own types. */
  readonly local: Btf;
  /**
   * The kernel's types first, then those of its modules, which are asked (and only then taken
   * from the iterable) about types that the kernel does not have. Without any, nothing is found: existence is 0 and accesses are
   * poisoned.
   */
  readonly targets: Iterable<Btf>;
  /**
   * Functions to plan for, in the order of their relocations in the object. Leave out those of
   * programs that are not loaded, as libbpf does.
   */
  readonly functions: readonly CoreFunction[];
  /** Also find source lines, layouts and similar names, which takes longer; see {@link CorePlan}. */
  readonly explain?: boolean | undefined;
}

/**
 * Decides every CO-RE relocation of the given functions, in their order, and changes nothing:
 * the plans say what is found in the targets and what becomes of each instruction. What fails
 * is a plan too (`verdict: 'fail'`), thrown by `applyCore` only. Rules are those of
 * libbpf's relo_core.c.
 *
 * @example
 * ```ts
 * const plans = planCore({ local: object.btf, targets: [vmlinux], functions: object.functions });
 * for (const plan of plans) console.log(describePlan(plan));
 * ```
 */
export function planCore(input: CoreInput): readonly CorePlan[] {
  const explain = input.explain === true;
  const explainer = explain ? new CoreExplainer(input.targets) : undefined;
  const resolver = new CoreResolver(input.local, input.targets, explainer);
  const plans: CorePlan[] = [];
  input.functions.forEach((code, index) => {
    for (const relocation of code.coreRelocations) {
      const result = resolver.resolve(relocation);
      const effect = effectOf(code.insns, relocation.insn, result);
      const plan = {
        function: index,
        functionName: code.name,
        insn: relocation.insn,
        verdict: effect.verdict,
        effect,
        result,
      };
      plans.push(explain ? { ...plan, source: sourceOf(input.local, code, plan.insn) } : plan);
    }
  });
  return explain ? withChains(input.local, plans) : plans;
}

function effectOf(insns: Insns, at: number, result: CoreResult): CoreEffect {
  if (result.error !== undefined) return { verdict: 'fail', error: result.error };
  if (result.value === undefined) throw new Error('a result has a value or an error');
  try {
    return decideEffect(insns, at, result.value);
  } catch (error) {
    if (error instanceof BpfError) return { verdict: 'fail', error: error.detail };
    throw error;
  }
}

/**
 * The source line of a relocated instruction. clang gives the loading of a relocated constant
 * no line; the line of the instruction behind it, which uses the constant, is its own.
 */
function sourceOf(btf: Btf, code: CoreFunction, insn: InsnIndex): CorePlan['source'] {
  const { insns, lineInfo } = code;
  const at = { lineInfo, btf };
  return orNone(() => {
    if (!loadsConstant(insns, insn) || hasLine(lineInfo, insn)) return sourceLineAt(at, insn);
    const next = insn + (insns.isWide(insn) ? 2 : 1);
    return sourceLineAt(at, hasLine(lineInfo, next) ? next : insn);
  });
}

function loadsConstant(insns: Insns, at: number): boolean {
  const opcode = insns.code[at] as number;
  return insns.isWide(at) || opcode === moveImmediate32 || opcode === moveImmediate64;
}

const moveImmediate32 = 0xb4;
const moveImmediate64 = 0xb7;

/** Whether a line begins at an instruction. */
function hasLine(lines: readonly LineInfo[], insn: number): boolean {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lines[middle] as LineInfo).insn < insn) low = middle + 1;
    else high = middle;
  }
  return lines[low]?.insn === insn;
}

/** Plans by the function that they are for (its index in the input), in order. */
export function plansByFunction(
  plans: readonly CorePlan[],
): ReadonlyMap<number, readonly CorePlan[]> {
  const groups = new Map<number, CorePlan[]>();
  for (const plan of plans) {
    const group = groups.get(plan.function);
    if (group === undefined) groups.set(plan.function, [plan]);
    else group.push(plan);
  }
  return groups;
}
