import { writeFileSync } from 'node:fs';
import type { Btf } from '../../btf/btf.ts';
import { type CoreUse, minimalBtf, minimalBtfWithBases } from '../../btf/tools/minimal.ts';
import { encodeBtf } from '../../btf/tools/reencode.ts';
import { BpfError, withContext } from '../../errors.ts';
import { CORE_RELO, type ObjectSpec } from '../../object/spec.ts';
import { coreKindRule, planCore } from '../../relocs/core/index.ts';
import { readTypes } from '../backends.ts';
import { openObjectFile, readBtfFile } from '../input.ts';
import type { CommandContext } from '../terminal.ts';

/**
 * What the CO-RE relocations of an object look at in a target. Those that find nothing there
 * add nothing; one that fails (an ambiguous one) is the error that it would be on loading.
 */
export function coreUses(spec: ObjectSpec, target: Btf): readonly CoreUse[] {
  const { btf: local, functions } = spec;
  if (local === undefined) return [];
  // Thousands of relocations share a few results.
  const results = new Set(
    planCore({ local, targets: [target], functions }).map((plan) => plan.result),
  );
  const uses: CoreUse[] = [];
  for (const result of results) {
    if (result.error !== undefined) throw new BpfError(result.error);
    const found = result.candidates[result.chosen ?? -1]?.spec;
    if (found === undefined || result.kind === CORE_RELO.TYPE_ID_LOCAL) continue;
    const { root, indices } = found;
    const { subject } = coreKindRule(result.kind);
    if (subject === 'field') uses.push({ kind: 'field', root, indices });
    else if (result.kind === CORE_RELO.TYPE_MATCHES) uses.push({ kind: 'match', root });
    else uses.push({ kind: subject, root });
  }
  return uses;
}

/** Where split types go on, and where what is needed of that goes. */
export interface MinCoreBtfOptions {
  readonly base: string | undefined;
  readonly baseOutput: string | undefined;
}

/**
 * `tsbpf gen min_core_btf INPUT OUTPUT OBJ…`, the types of INPUT (`kernel`: the running one's)
 * on those of `base` if split. With `baseOutput`, the base is cut down as well and written there,
 * and OUTPUT stands on it.
 */
export async function genMinCoreBtfCommand(
  [input, output, ...objects]: readonly [string, string, ...string[]],
  { base, baseOutput }: MinCoreBtfOptions,
  context: CommandContext,
): Promise<void> {
  const target = await readTypes(input, base === undefined ? undefined : readBtfFile(base));
  const uses = objects.flatMap((file) =>
    withContext({ file }, () => coreUses(openObjectFile(file, context.log), target)),
  );
  if (baseOutput === undefined) {
    writeOutput(output, encodeBtf(minimalBtf(target, uses)));
    return;
  }
  const small = minimalBtfWithBases(target, uses);
  if (small.base === undefined) throw new BpfError({ code: 'btf-no-base', btf: target.name });
  writeOutput(baseOutput, encodeBtf(small.base));
  writeOutput(output, encodeBtf(small));
}

function writeOutput(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BpfError({ code: 'unwritable-file', path, reason }, { cause: error });
  }
}
