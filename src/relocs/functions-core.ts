import type { Insns } from '../asm/insns.ts';
import type { Btf } from '../btf/btf.ts';
import { BpfError } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';
import type { FunctionIndex, ObjectSpec } from '../object/spec.ts';
import { applyCore, type CorePlan, planCore, plansByFunction, poisonReason } from './core/index.ts';

/** What CO-RE decided for the functions that images are made of. */
export interface PlannedCore {
  /** In the object's order; `function` of each is an index into the spec's functions. */
  readonly plans: readonly CorePlan[];
  readonly byFunction: ReadonlyMap<number, readonly CorePlan[]>;
}

/**
 * Decides the CO-RE relocations of some functions. They are planned together and in the
 * object's order, because libbpf rules out candidates as it goes.
 */
export function planFunctions(
  spec: ObjectSpec,
  functions: ReadonlySet<FunctionIndex>,
  targets: Iterable<Btf>,
): PlannedCore {
  const wanted = spec.functions.map((fn, index) =>
    functions.has(index as FunctionIndex) ? fn : { ...fn, coreRelocations: [] },
  );
  if (wanted.every((fn) => fn.coreRelocations.length === 0)) {
    return { plans: [], byFunction: new Map() };
  }
  if (spec.btf === undefined) throw new BpfError({ code: 'core-without-types' });
  const plans = planCore({ local: spec.btf, targets, functions: wanted });
  return { plans, byFunction: plansByFunction(plans) };
}

/** Writes the plans of one function into a copy of its instructions. */
export function applyFunction(insns: Insns, plans: readonly CorePlan[]): ProgramImage['poisoned'] {
  applyCore(insns, plans);
  return plans.flatMap((plan) => {
    const reason = poisonReason(plan);
    return reason === undefined ? [] : [{ insn: plan.insn, reason }];
  });
}
