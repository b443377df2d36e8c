import type { VerifierFailure } from '../../errors/kernel.ts';
import { failingPath, parseVerifierLog, type VerifierLog, type VerifierStep } from './log.ts';

/** Lines of C that lead to a failure, at most. */
const shownLines = 6;

/**
 * Where and why the verifier gave up, for an error message; undefined where the log does not
 * say. `sourceAt` gives the C source of an instruction as the object tells it; without one
 * the line that the log shows counts.
 */
export function describeFailure(
  text: string,
  sourceAt: (insn: number) => string | undefined,
): VerifierFailure | undefined {
  const log = parseVerifierLog(text);
  const { report } = log;
  const message = log.verdict ?? report?.problem;
  if (message === undefined || message === '') return undefined;
  const path = failingPath(log);
  const insn = report?.at?.insn ?? instructionOf(message) ?? path.at(-1)?.insn;
  const step = path.findLast((each) => each.insn === insn);
  const source = (insn === undefined ? undefined : sourceAt(insn)) ?? shownSource(step);
  return {
    message,
    insn,
    instruction: step?.text,
    source,
    registers: namedRegisters(log, path, message),
    path: sourcePath(path, sourceAt),
    reason: report?.reason,
    suggestion: report?.suggestion,
  };
}

/** Verdicts of the first passes name the instruction themselves: `unreachable insn 2`. */
function instructionOf(message: string): number | undefined {
  const match = /\b(?:insn|insns\[)\s?(\d+)/.exec(message);
  return match === null ? undefined : Number(match[1]);
}

function shownSource(step: VerifierStep | undefined): string | undefined {
  const source = step?.source;
  if (source === undefined) return undefined;
  return source.place === undefined ? source.text : `${source.place}: ${source.text}`;
}

/** The newest known states of the registers that the verdict names. */
function namedRegisters(
  log: VerifierLog,
  path: readonly VerifierStep[],
  message: string,
): readonly string[] {
  const names = new Set(`${message} ${log.report?.reason ?? ''}`.match(/\bR\d+\b/g) ?? []);
  return [...names].flatMap((name) => {
    for (const step of path.toReversed()) {
      const state = step.registers.findLast((each) => each.name === name);
      if (state !== undefined) return [`${name}=${state.text}`];
    }
    return [];
  });
}

/** The last lines of C on the way to the failure, each once in a row. */
function sourcePath(
  path: readonly VerifierStep[],
  sourceAt: (insn: number) => string | undefined,
): readonly string[] {
  const lines: string[] = [];
  for (let at = path.length - 1; at >= 0 && lines.length < shownLines; at--) {
    const step = path[at] as VerifierStep;
    const line = sourceAt(step.insn) ?? shownSource(step);
    if (line !== undefined && line !== lines.at(-1)) lines.push(line);
  }
  return lines.reverse();
}
