import type { Insns } from '../../asm/insns.ts';
import { BpfError, type ErrorContext } from '../../errors.ts';
import { type CoreEffect, withAccessSize } from './effect.ts';
import type { CorePlan } from './result.ts';

/**
 * The helper id that libbpf writes into poisoned instructions (0xbad2310, "bad relo"): the
 * verifier names it if the instruction can be reached, and removes it if it cannot.
 */
export const corePoisonHelper = 195896080;

const callOpcode = 0x85;

/**
 * Writes the plans of one function into its instructions; the second half of
 * `bpf_core_patch_insn`. `insns` must hold what the plans were made from: each old value is
 * compared before it is replaced. A plan that failed is thrown as the {@link BpfError} it holds,
 * with function and instruction as its context; nothing has been written then.
 *
 * @param at where the function begins in `insns`
 */
export function applyCore(insns: Insns, plans: readonly CorePlan[], at = 0): void {
  for (const plan of plans) check(insns, at + plan.insn, plan);
  for (const plan of plans) write(insns, at + plan.insn, plan.effect);
}

function check(insns: Insns, at: number, plan: CorePlan): void {
  const { effect } = plan;
  if (effect.verdict === 'fail') throw new BpfError(effect.error, { context: contextOf(plan) });
  if (insns.code[at] === undefined) {
    throw new BpfError(
      { code: 'core-no-insn', insn: plan.insn, length: insns.length },
      { context: contextOf(plan) },
    );
  }
  if (effect.verdict === 'poison') return;
  const found = read(insns, at, effect.place);
  if (found === effect.from) return;
  throw new BpfError(
    { code: 'core-mismatch', found, expected: effect.from, value: effect.to },
    { context: contextOf(plan) },
  );
}

function contextOf(plan: CorePlan): readonly ErrorContext[] {
  const { source } = plan;
  const where = source === undefined ? undefined : `${source.file}:${source.line}`;
  return [{ program: plan.functionName }, { insn: plan.insn, source: where }];
}

function read(insns: Insns, at: number, place: 'imm' | 'off' | 'imm64'): bigint {
  switch (place) {
    case 'imm':
      return BigInt(insns.imm[at] as number);
    case 'off':
      return BigInt(insns.off[at] as number);
    case 'imm64':
      return insns.imm64(at);
  }
}

function write(insns: Insns, at: number, effect: CoreEffect): void {
  switch (effect.verdict) {
    case 'fail':
    case 'unchanged':
      return;
    case 'poison':
      // The second half too, or the verifier would complain about its opcode first.
      if (insns.isWide(at)) poison(insns, at + 1);
      poison(insns, at);
      return;
    case 'patch':
      if (effect.place === 'imm') insns.imm[at] = Number(effect.to);
      else if (effect.place === 'off') insns.off[at] = Number(effect.to);
      else insns.setImm64(at, effect.to);
      if (effect.size !== undefined) resize(insns, at, effect.size);
  }
}

function resize(insns: Insns, at: number, size: number): void {
  const opcode = insns.code[at] as number;
  insns.code[at] = withAccessSize(opcode, size) ?? opcode;
}

function poison(insns: Insns, at: number): void {
  insns.code[at] = callOpcode;
  insns.dst[at] = 0;
  insns.src[at] = 0;
  insns.off[at] = 0;
  insns.imm[at] = corePoisonHelper;
}
