import type { VerifierFailure } from '../errors/kernel.ts';

/**
 * Finds in a verifier's log where it gave up and why. `sourceAt` gives the C source of an
 * instruction as the object tells it; without one the last source line that the log shows
 * counts.
 *
 * ```
 *   ; return *p; @ bad.c:12                      source, on change only; "@ …" since 6.9
 *   7: (79) r0 = *(u64 *)(r1 +0)                 instruction (its registers may follow)
 *   R1 invalid mem access 'map_value_or_null'    the verdict, one or several lines
 *   processed 8 insns (limit 1000000) …          statistics
 * ```
 */
export function parseVerifierLog(
  log: string,
  sourceAt: (insn: number) => string | undefined,
): VerifierFailure | undefined {
  const lines = log.split('\n').map((line) => line.trimEnd());
  const end = verdictEnd(lines);
  if (end < 0) return undefined;
  const message = lines[end] as string;
  const insn = instructionOf(message) ?? lastInstruction(lines, end);
  const source = insn === undefined ? undefined : (sourceAt(insn) ?? lastSource(lines, end));
  return { message, insn, source };
}

/** Lines after the verdict: statistics, stack depths, and hints about them. */
const afterVerdict =
  /^(processed \d+ insns|stack depth \d|verification time \d|peak_states|$)|^\s*$/;

const instruction = /^(\d+): \([0-9a-f]{2}\) /;

/** Index of the line that says what is wrong, -1 where the log has none. */
function verdictEnd(lines: readonly string[]): number {
  for (let at = lines.length - 1; at >= 0; at--) {
    const line = lines[at] as string;
    if (!afterVerdict.test(line)) return instruction.test(line) ? -1 : at;
  }
  return -1;
}

/** Verdicts of the first passes name the instruction themselves: `unreachable insn 2`. */
function instructionOf(message: string): number | undefined {
  const match = /\b(?:insn|insns\[)\s?(\d+)/.exec(message);
  return match === null ? undefined : Number(match[1]);
}

function lastInstruction(lines: readonly string[], end: number): number | undefined {
  for (let at = end - 1; at >= 0; at--) {
    const match = instruction.exec(lines[at] as string);
    if (match !== null) return Number(match[1]);
  }
  return undefined;
}

/** The last source line shown, as `file:line: text` where the log names the file. */
function lastSource(lines: readonly string[], end: number): string | undefined {
  for (let at = end - 1; at >= 0; at--) {
    const match = /^; (.*?)(?: @ (\S+:\d+))?$/.exec(lines[at] as string);
    if (match === null) continue;
    const text = (match[1] as string).trim();
    return match[2] === undefined ? text : `${match[2]}: ${text}`;
  }
  return undefined;
}
