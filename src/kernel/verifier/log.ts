import { parseRegisters, type RegisterState } from './registers.ts';
import { parseReport, type VerifierReport } from './report.ts';

/** What the verifier wrote about a program, line by line. */
export interface VerifierLog {
  /** Instructions in the order in which the verifier went through them. */
  readonly steps: readonly VerifierStep[];
  /**
   * Why the program was refused: the last line of the classic form, such as
   * `R1 invalid mem access 'scalar'`; undefined where it was accepted.
   */
  readonly verdict: string | undefined;
  /** The explanation that kernels from 7.3 on add to the verdict. */
  readonly report: VerifierReport | undefined;
  readonly statistics: VerifierStatistics | undefined;
}

/** One instruction on one path. */
export interface VerifierStep {
  /** Index in 8-byte slots of the whole program. */
  readonly insn: number;
  /** The instruction in the kernel's notation: `r0 = *(u64 *)(r1 +0)`. */
  readonly text: string;
  /** Index of the line in the log, from 0. */
  readonly line: number;
  /** Index of the step before it on the same path; undefined at the entry. */
  readonly previous: number | undefined;
  /** C source that the log shows for it. */
  readonly source: LogSource | undefined;
  /** Registers as the log shows them for this step; only what changed, from kernel 5.18 on. */
  readonly registers: readonly RegisterState[];
}

/** A line of C as the log quotes it. */
export interface LogSource {
  readonly text: string;
  /** `bad.c:12`; kernels before 6.9 do not say. */
  readonly place: string | undefined;
}

/** The line `processed … insns`. */
export interface VerifierStatistics {
  /** Instructions that the verifier went through, on all paths. */
  readonly insns: number;
  readonly limit: number;
  readonly totalStates: number;
  readonly peakStates: number;
  /** Bytes of stack per function, where the log says so (level 4). */
  readonly stackDepths: readonly number[];
  /** In microseconds, where the log says so (level 4). */
  readonly time: number | undefined;
}

/**
 * Reads a verifier's log of any level (1, 2, 4) in both forms, that of kernels up to 7.2 and
 * the redesigned one from 7.3 on, which appends a report. A log that was cut keeps what it has.
 *
 * ```
 *   ; return *p; @ bad.c:12                      source, on change only; "@ …" since 6.9
 *   7: (79) r0 = *(u64 *)(r1 +0)  ; R0_w=…       instruction, and what it changed
 *   7: R1=ctx() R10=fp0                          registers before an instruction (level 2)
 *   from 4 to 7: R0=0 R10=fp0                    a path taken up again at a branch
 *   R1 invalid mem access 'map_value_or_null'    the verdict, one or several lines
 *   processed 8 insns (limit 1000000) …          statistics
 * ```
 */
export function parseVerifierLog(log: string): VerifierLog {
  const lines = log.split('\n').map((line) => line.trimEnd());
  const reportAt = lines.findIndex((line) => line.startsWith('Verification failed: '));
  const classic = reportAt < 0 ? lines : lines.slice(0, reportAt);
  const report = reportAt < 0 ? undefined : parseReport(lines.slice(reportAt));
  return {
    steps: new StepReader().read(classic),
    verdict: findVerdict(classic),
    report,
    statistics: parseStatistics(lines),
  };
}

/** The steps from the entry of the program to the last one that the log shows. */
export function failingPath(log: VerifierLog): readonly VerifierStep[] {
  const path: VerifierStep[] = [];
  let at: number | undefined = log.steps.length - 1;
  while (at !== undefined) {
    const step: VerifierStep | undefined = log.steps[at];
    if (step === undefined) break;
    path.push(step);
    at = step.previous;
  }
  return path.reverse();
}

const instructionForm = /^(\d+): \([0-9a-f]{2}\) (.*?)(?:\s+; (.*))?$/;
const stateForm = /^(\d+): (?=(?:frame\d+: )?(?:R\d|fp))(.*)$/;
const branchForm = /^from (\d+) to (\d+)(?: \(speculative execution\))?: ?(.*)$/;
const sourceForm = /^; (.*?)(?: @ (\S+:\d+))?$/;

/** Follows the paths of a log: each branch that is taken up again starts at its jump. */
class StepReader {
  readonly #steps: VerifierStep[] = [];
  /** Steps of each instruction whose other branch was not seen yet, newest last. */
  readonly #open = new Map<number, number[]>();
  #previous: number | undefined;
  #source: LogSource | undefined;
  #state: readonly RegisterState[] = [];

  read(lines: readonly string[]): readonly VerifierStep[] {
    for (const [at, line] of lines.entries()) this.#readLine(line, at);
    return this.#steps;
  }

  #readLine(line: string, at: number): void {
    const source = sourceForm.exec(line);
    if (source !== null) {
      this.#source = { text: (source[1] as string).trim(), place: source[2] };
      return;
    }
    const branch = branchForm.exec(line);
    if (branch !== null) {
      this.#previous = this.#open.get(Number(branch[1]))?.pop();
      this.#state = parseRegisters(branch[3] as string);
      return;
    }
    const instruction = instructionForm.exec(line);
    if (instruction !== null) {
      this.#addStep(instruction, at);
      return;
    }
    const state = stateForm.exec(line);
    if (state !== null) this.#addState(Number(state[1]), state[2] as string);
  }

  #addStep(match: RegExpExecArray, line: number): void {
    const insn = Number(match[1]);
    const changed = match[3] === undefined ? [] : parseRegisters(match[3]);
    const registers = [...this.#state, ...changed];
    const step = this.#steps.length;
    const { text, source } = { text: match[2] as string, source: this.#source };
    this.#steps.push({ insn, text, line, previous: this.#previous, source, registers });
    const open = this.#open.get(insn);
    if (open === undefined) this.#open.set(insn, [step]);
    else open.push(step);
    this.#previous = step;
    this.#state = [];
  }

  /** A state after its instruction repeats the number of that; else it is of the next one. */
  #addState(insn: number, text: string): void {
    const registers = parseRegisters(text);
    const last = this.#previous === undefined ? undefined : this.#steps[this.#previous];
    if (last?.insn !== insn) {
      this.#state = registers;
      return;
    }
    this.#steps[this.#previous as number] = {
      ...last,
      registers: [...last.registers, ...registers],
    };
  }
}

/** Lines after the verdict: statistics, stack depths, and hints about them. */
const afterVerdict =
  /^(?:processed \d+ insns|stack depth \d|verification time \d|peak_states|cur state:|old state:|\s*$)/;

/** Lines that say how a path went on, not how it ended. */
const noVerdict =
  /^(?:\d+: |from \d+ to \d+|; |func#\d|mark_precise: |last_idx |regs=|parent |propagating |caller:|callee:|frame\d+:|returning from |to caller |Live regs before insn|\s+\d+: |\.\.\.)/;

function findVerdict(lines: readonly string[]): string | undefined {
  for (let at = lines.length - 1; at >= 0; at--) {
    const line = lines[at] as string;
    if (!afterVerdict.test(line)) return noVerdict.test(line) ? undefined : line;
  }
  return undefined;
}

function parseStatistics(lines: readonly string[]): VerifierStatistics | undefined {
  const form = /^processed (\d+) insns \(limit (\d+)\).*?total_states (\d+) peak_states (\d+)/;
  let at = lines.length - 1;
  while (at >= 0 && !form.test(lines[at] as string)) at--;
  const match = form.exec(lines[at] ?? '');
  if (match === null) return undefined;
  const [insns, limit, totalStates, peakStates] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const depths = lines
    .map((line) => /^stack depth (\S+)/.exec(line))
    .find((found) => found !== null);
  const time = lines
    .map((line) => /^verification time (\d+) usec/.exec(line))
    .find((found) => found);
  return {
    ...{ insns, limit, totalStates, peakStates },
    stackDepths: depths?.[1]?.split('+').map(Number) ?? [],
    time: time?.[1] === undefined ? undefined : Number(time[1]),
  };
}
