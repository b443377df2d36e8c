import { escapeName, quoteName } from '../../errors/quote.ts';
import { describe, unreachable } from '../../errors.ts';
import { CORE_RELO } from '../../object/spec.ts';
import { coreKindRule } from './kinds.ts';
import type { CoreCandidateResult, CoreLayout, CorePlan, CoreResult } from './result.ts';
import {
  absenceWords,
  byteWords,
  mismatchWords,
  poisonReason,
  specWords,
  valueWords,
} from './words.ts';

/**
 * A plan in words, as a block of lines: where it is, what it asks for, what each candidate
 * gives, and what becomes of the instruction. Names are escaped. Plans made with `explain` say
 * more.
 *
 * ```
 * walk, instruction 12, byte_off of struct task_struct.tgid
 *   walk.bpf.c:34: pid = task->real_parent->tgid;
 *   reads task_struct->real_parent->tgid
 *   object: int, 4 bytes at offset 4
 *   vmlinux: struct task_struct [123]: int, 4 bytes at offset 1420
 *   patch: 4 becomes 1420
 * ```
 */
export function describePlan(plan: CorePlan): string {
  const { result, source, chain } = plan;
  const lines = [`${escapeName(plan.functionName)}, instruction ${plan.insn}, ${subject(result)}`];
  if (source !== undefined) {
    lines.push(`  ${escapeName(source.file)}:${source.line}: ${escapeName(source.text)}`);
  }
  if (chain !== undefined) lines.push(`  access ${escapeName(chain)}`);
  if (result.localLayout !== undefined) lines.push(`  object: ${layoutWords(result.localLayout)}`);
  for (const candidate of result.candidates) lines.push(`  ${candidateWords(result, candidate)}`);
  lines.push(`  ${effectWords(plan)}`);
  return lines.join('\n');
}

/** What a relocation asks for: `byte_off of struct task_struct.tgid`. */
function subject(result: CoreResult): string {
  const what =
    result.local === undefined
      ? `${result.type} + ${result.access}`
      : specWords(result.type, result.local);
  return `${result.kindName} of ${escapeName(what)}`;
}

function candidateWords(result: CoreResult, candidate: CoreCandidateResult): string {
  const where = `${escapeName(candidate.btf)}: ${escapeName(candidate.type)} [${candidate.typeId}]`;
  switch (candidate.verdict) {
    case 'match':
      return `${where}: ${matchWords(result, candidate)}`;
    case 'mismatch': {
      const why = candidate.why === undefined ? 'does not match' : mismatchWords(candidate.why);
      return `${where}: ${why}${nearestWords(candidate.nearest)}`;
    }
    case 'error':
      return `${where}: cannot be compared`;
  }
}

function matchWords(result: CoreResult, candidate: CoreCandidateResult): string {
  if (candidate.layout !== undefined) return layoutWords(candidate.layout);
  if (candidate.value === undefined) return 'matches';
  return `${coreKindRule(result.kind).words} ${valueWords(result.kind, candidate.value)}`;
}

/** A layout in words: `unsigned int, 3 bits at offset 12, bit 5`. */
export function layoutWords(layout: CoreLayout): string {
  switch (layout.of) {
    case 'type':
      return layout.size === undefined ? 'a type without a size' : byteWords(layout.size);
    case 'enumerator':
      return `value ${layout.value}`;
    case 'field': {
      const type = escapeName(layout.type);
      if (!layout.bitField)
        return `${type}, ${byteWords(layout.byteSize)} at offset ${layout.byteOffset}`;
      const { bitSize, bitOffset } = layout;
      const bits = bitSize === 1 ? '1 bit' : `${bitSize} bits`;
      return `${type}, ${bits} at offset ${bitOffset >>> 3}, bit ${bitOffset & 7}`;
    }
    default:
      return unreachable(layout, 'layout');
  }
}

function nearestWords(names: readonly string[] | undefined): string {
  if (names === undefined || names.length === 0) return '';
  return ` (similar: ${names.map(quoteName).join(', ')})`;
}

function effectWords(plan: CorePlan): string {
  const { effect, result } = plan;
  switch (effect.verdict) {
    case 'fail':
      return `fail: ${describe(effect.error)}`;
    case 'poison':
      return `poison: ${poisonReason(plan)}${nearestWords(result.nearestTypes)}`;
    case 'patch':
    case 'unchanged': {
      const size = effect.size === undefined ? '' : `, now ${byteWords(effect.size)} wide`;
      const change =
        effect.verdict === 'patch'
          ? `patch: ${effect.from} becomes ${effect.to}${size}`
          : `unchanged: ${effect.to}`;
      return `${change}${emptyWords(result)}`;
    }
    default:
      return unreachable(effect, 'effect');
  }
}

/** Says that the value stands for something that is not there. */
function emptyWords(result: CoreResult): string {
  if (result.chosen !== undefined || result.kind === CORE_RELO.TYPE_ID_LOCAL) return '';
  return `, because ${absenceWords(result)}${nearestWords(result.nearestTypes)}`;
}
