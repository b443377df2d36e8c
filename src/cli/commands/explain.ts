import { type ExplainedStruct, explainNeeds } from '../../analysis/explain.ts';
import { reachable } from '../../analysis/reach.ts';
import type { NeedPlace } from '../../analysis/requirements.ts';
import type { Btf } from '../../btf/btf.ts';
import { describe } from '../../errors.ts';
import type { FunctionIndex, ObjectSpec, ProgramSpec } from '../../object/spec.ts';
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

/** What `tsbpf explain` prints: each CO-RE relocation, extern and target against target types. */
export type ExplainReport = {
  readonly file: string;
  readonly target_btf: string;
  readonly relocations: readonly ExplainRelocation[];
  readonly summary: { readonly [verdict in CorePlan['verdict']]: number };
  readonly externs: readonly ExplainExtern[];
  readonly attach_targets: readonly ExplainTarget[];
  readonly struct_ops: readonly ExplainStruct[];
};

export type ExplainExtern = {
  readonly name: string;
  readonly kind: string;
  readonly weak: boolean;
  readonly verdict: string;
  readonly where: string | undefined;
  /** In C: as the object declares it, and as the target has it. */
  readonly declared: string | undefined;
  readonly actual: string | undefined;
  readonly reason: string | undefined;
  readonly similar: readonly string[];
  readonly places: readonly ExplainPlace[];
};

export type ExplainPlace = {
  readonly function: string;
  readonly insn: number;
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly text: string | undefined;
};

export type ExplainTarget = {
  readonly program: string;
  readonly section: string;
  readonly found: boolean;
  readonly where: string | undefined;
  readonly actual: string | undefined;
  readonly reason: string | undefined;
};

export type ExplainStruct = {
  readonly map: string;
  readonly struct: string;
  readonly reason: string | undefined;
  readonly members: readonly {
    readonly name: string;
    readonly program: string | undefined;
    readonly offset: number;
    readonly size: number;
    readonly target: { readonly offset: number; readonly size: number } | undefined;
  }[];
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
  const program = programName === undefined ? undefined : chooseProgram(spec, programName);
  const functions =
    program === undefined ? spec.functions : reachable(spec, program.function as FunctionIndex);
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
    ...explainRest(spec, target, program),
  };
}

/** Externs, attach targets and structs of callbacks; with a program what is its own. */
function explainRest(
  spec: ObjectSpec,
  target: Btf,
  program: ProgramSpec | undefined,
): Pick<ExplainReport, 'externs' | 'attach_targets' | 'struct_ops'> {
  const programs = program === undefined ? spec.programs : [program];
  const needs = explainNeeds({ ...spec, programs }, { name: target.name, btf: target });
  const isOwn = (places: readonly NeedPlace[]): boolean =>
    program === undefined || places.length > 0;
  return {
    externs: needs.externs
      .filter(({ places }) => isOwn(places))
      .map((each) => ({ ...each, places: each.places.map(explainPlace) })),
    attach_targets: needs.targets.map((each) => ({ ...each })),
    struct_ops: program === undefined ? needs.structs.map(explainStruct) : [],
  };
}

function explainPlace({ functionName, insn, source }: NeedPlace): ExplainPlace {
  const { file, line, text } = source ?? {};
  return { function: functionName, insn, file, line, text };
}

function explainStruct(struct: ExplainedStruct): ExplainStruct {
  return { ...struct, members: struct.members.map((member) => ({ ...member })) };
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

/** `tsbpf explain OBJ [--btf FILE…] [--program NAME]`: a report, or one for each file of types. */
export async function explainCommand(
  file: string,
  options: { readonly btf?: readonly string[]; readonly program?: string },
  context: CommandContext,
): Promise<void> {
  const spec = openObjectFile(file, context.log);
  const reports: ExplainReport[] = [];
  for (const source of options.btf ?? [undefined]) {
    reports.push(explainObject(spec, file, await chooseBtf(source), options.program));
  }
  const [only] = reports;
  if (only !== undefined && reports.length === 1) printReport(context, only, renderExplain);
  else {
    printReport(context, reports, (all, style) =>
      all.map((report) => renderExplain(report, style)).join('\n'),
    );
  }
}
