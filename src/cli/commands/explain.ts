import { reachable } from '../../analysis/reach.ts';
import type { Btf } from '../../btf/btf.ts';
import { describe } from '../../errors.ts';
import type { FunctionIndex, ObjectSpec } from '../../object/spec.ts';
import {
  accessPath,
  type CoreCandidateResult,
  type CoreLayout,
  type CorePlan,
  describePlan,
  mismatchWords,
  planCore,
  poisonReason,
} from '../../relocs/core/index.ts';
import { chooseBtf } from '../backends.ts';
import { chooseProgram, openObjectFile } from '../input.ts';
import type { Json } from '../json.ts';
import { renderExplain } from '../render/explain.ts';
import { type CommandContext, printReport } from '../terminal.ts';

/** What `tsbpf explain` prints: each CO-RE relocation against target types. */
export type ExplainReport = {
  readonly file: string;
  readonly target_btf: string;
  readonly relocations: readonly ExplainRelocation[];
  readonly summary: { readonly [verdict in CorePlan['verdict']]: number };
};

export type ExplainRelocation = {
  readonly function: string;
  readonly insn: number;
  readonly kind: string;
  readonly source:
    | { readonly file: string; readonly line: number; readonly text: string }
    | undefined;
  /** Root type in the object. */
  readonly type: string;
  /** Path from it, in C's words; empty where the type itself is meant. */
  readonly path: string;
  /** Access string as the object has it. */
  readonly access: string;
  /** The pointer chain that this access ends. */
  readonly chain: string | undefined;
  readonly local: Json | undefined;
  readonly candidates: readonly ExplainCandidate[];
  readonly verdict: CorePlan['verdict'];
  readonly from: bigint | undefined;
  readonly to: bigint | undefined;
  readonly reason: string | undefined;
  /** The same in words, names escaped. */
  readonly text: string;
};

export type ExplainCandidate = {
  readonly btf: string;
  readonly type_id: number;
  readonly type: string;
  readonly verdict: CoreCandidateResult['verdict'];
  readonly value: bigint | undefined;
  readonly layout: Json | undefined;
  readonly reason: string | undefined;
  readonly similar: readonly string[] | undefined;
};

/** Plans the relocations of the object, or of one program and what it calls. */
export function explainObject(
  spec: ObjectSpec,
  file: string,
  target: Btf,
  programName?: string,
): ExplainReport {
  const { btf } = spec;
  const functions =
    programName === undefined
      ? spec.functions
      : reachable(spec, chooseProgram(spec, programName).function as FunctionIndex);
  const plans =
    btf === undefined ? [] : planCore({ local: btf, targets: [target], functions, explain: true });
  const count = (verdict: CorePlan['verdict']) =>
    plans.filter((plan) => plan.verdict === verdict).length;
  return {
    file,
    target_btf: target.name,
    relocations: plans.map(explainPlan),
    summary: {
      patch: count('patch'),
      unchanged: count('unchanged'),
      poison: count('poison'),
      fail: count('fail'),
    },
  };
}

function explainPlan(plan: CorePlan): ExplainRelocation {
  const { effect, result, source } = plan;
  const changes = effect.verdict === 'patch' || effect.verdict === 'unchanged';
  return {
    function: plan.functionName,
    insn: plan.insn,
    kind: result.kindName,
    source:
      source === undefined
        ? undefined
        : { file: source.file, line: source.line, text: source.text },
    type: result.type,
    path: result.local === undefined ? '' : accessPath(result.local),
    access: result.access,
    chain: plan.chain,
    local: layoutJson(result.localLayout),
    candidates: result.candidates.map(explainCandidate),
    verdict: plan.verdict,
    from: changes ? effect.from : undefined,
    to: changes ? effect.to : undefined,
    reason: effect.verdict === 'fail' ? describe(effect.error) : poisonReason(plan),
    text: describePlan(plan),
  };
}

function explainCandidate(candidate: CoreCandidateResult): ExplainCandidate {
  return {
    btf: candidate.btf,
    type_id: candidate.typeId,
    type: candidate.type,
    verdict: candidate.verdict,
    value: candidate.value,
    layout: layoutJson(candidate.layout),
    reason: candidate.why === undefined ? undefined : mismatchWords(candidate.why),
    similar: candidate.nearest,
  };
}

function layoutJson(layout: CoreLayout | undefined): Json | undefined {
  if (layout === undefined) return undefined;
  if (layout.of === 'type') return { size: layout.size };
  if (layout.of === 'enumerator') return { value: layout.value };
  const { type, byteOffset, byteSize, bitOffset, bitSize, bitField } = layout;
  const bits = bitField ? { bit_offset: bitOffset, bit_size: bitSize } : {};
  return { type, offset: byteOffset, size: byteSize, ...bits };
}

/** `tsbpf explain OBJ [--btf FILE] [--program NAME]`. */
export async function explainCommand(
  file: string,
  options: { readonly btf?: string; readonly program?: string },
  context: CommandContext,
): Promise<void> {
  const spec = openObjectFile(file, context.log);
  const target = await chooseBtf(options.btf);
  printReport(context, explainObject(spec, file, target, options.program), renderExplain);
}
