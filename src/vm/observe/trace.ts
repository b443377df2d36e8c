import { disassemble } from '../../asm/disassemble.ts';
import { type SourceLine, sourceLineAt } from '../../object/image.ts';
import { OP, wordOp } from '../engine/operations.ts';
import type { LoweredProgram } from '../engine/program.ts';
import type { InterpreterRun } from '../engine/run.ts';
import { helperName } from '../helpers/table.ts';
import { functionAt } from './counts.ts';
import { instructionStarts, type Observer } from './observer.ts';

/** What happened in a run. */
export type TraceEvent =
  | {
      readonly kind: 'insn';
      readonly program: string;
      readonly function: string;
      /** Index in the program. */
      readonly insn: number;
      readonly text: string;
      readonly depth: number;
    }
  | {
      readonly kind: 'line';
      readonly program: string;
      readonly function: string;
      readonly source: SourceLine;
      readonly depth: number;
    }
  | {
      readonly kind: 'helper';
      readonly program: string;
      readonly insn: number;
      readonly name: string;
      /** r1 to r5, unsigned. */
      readonly args: readonly bigint[];
      /** r0 afterwards, unsigned; undefined where the run ended in it. */
      readonly result: bigint | undefined;
      readonly source: SourceLine | undefined;
      readonly depth: number;
    };

export type TraceLevel = TraceEvent['kind'];

/**
 * Tells what runs do, as they do it: every instruction, every line of C that control gets to,
 * or every helper that is called, with its arguments and result.
 *
 * @example
 * ```ts
 * using _ = vm.observe(new Trace('line', (event) => console.log(formatTrace(event))));
 * ```
 */
export class Trace implements Observer {
  readonly #level: TraceLevel;
  readonly #take: (event: TraceEvent) => void;
  /** Instructions at which lines start. */
  readonly #starts = new Map<LoweredProgram, ReadonlySet<number>>();
  readonly #isFirst = instructionStarts();
  #place = '';
  #insn = -1;
  /** A call whose result is not there yet. */
  #call: Extract<TraceEvent, { kind: 'helper' }> | undefined;

  constructor(level: TraceLevel, take: (event: TraceEvent) => void) {
    this.#level = level;
    this.#take = take;
  }

  onRow(program: LoweredProgram, row: number, run: InterpreterRun): void {
    if (this.#level === 'helper') this.#helper(program, row, run);
    else if (this.#level === 'line') this.#line(program, row, run);
    else this.#instruction(program, row, run);
  }

  onEnd(): void {
    this.#finish(undefined);
    this.#isFirst.end();
    this.#place = '';
    this.#insn = -1;
  }

  #instruction(program: LoweredProgram, row: number, run: InterpreterRun): void {
    if (!this.#isFirst.at(program, row)) return;
    const insn = program.code.source[row] as number;
    const { image } = program;
    this.#take({
      ...{ kind: 'insn', program: image.name, function: functionAt(image, insn), insn },
      ...{ text: disassemble(image.insns, insn), depth: depthOf(run) },
    });
  }

  #line(program: LoweredProgram, row: number, run: InterpreterRun): void {
    const { image } = program;
    const insn = program.code.source[row] as number;
    const source = sourceLineAt(image, insn);
    if (source === undefined) return;
    const name = functionAt(image, insn);
    const depth = depthOf(run);
    const place = `${depth} ${source.line} ${name} ${source.file}`;
    // A loop of one line is told once for each turn: control gets to its first row again.
    const isAgain = insn <= this.#insn && this.#startsOf(program).has(insn);
    this.#insn = insn;
    if (place === this.#place && !isAgain) return;
    this.#place = place;
    this.#take({ kind: 'line', program: image.name, function: name, source, depth });
  }

  #startsOf(program: LoweredProgram): ReadonlySet<number> {
    let starts = this.#starts.get(program);
    if (starts === undefined) {
      starts = new Set(program.image.lineInfo.map((record) => record.insn));
      this.#starts.set(program, starts);
    }
    return starts;
  }

  #helper(program: LoweredProgram, row: number, run: InterpreterRun): void {
    this.#finish(BigInt.asUintN(64, run.cpu.regs[0] as bigint));
    const op = wordOp(program.code.words[row] as number);
    if (op !== OP.helper && op !== OP.tailCall) return;
    const insn = program.code.source[row] as number;
    const { image } = program;
    const args = Array.from(run.cpu.regs.subarray(1, 6), (value) => BigInt.asUintN(64, value));
    const source = sourceLineAt(image, insn);
    const name = helperName(image.insns.imm[insn] as number);
    const depth = depthOf(run);
    this.#call = {
      kind: 'helper',
      program: image.name,
      insn,
      name,
      args,
      result: undefined,
      source,
      depth,
    };
  }

  #finish(result: bigint | undefined): void {
    const call = this.#call;
    this.#call = undefined;
    if (call !== undefined) this.#take({ ...call, result });
  }
}

function depthOf(run: InterpreterRun): number {
  return run.frames.depth - run.bottom + 1;
}

/** One line of text for an event; calls inside of calls are indented. */
export function formatTrace(event: TraceEvent): string {
  const pad = '  '.repeat(Math.max(0, event.depth - 1));
  switch (event.kind) {
    case 'insn':
      return `${pad}${event.function}+${event.insn}: ${event.text}`;
    case 'line':
      return `${pad}${event.source.file}:${event.source.line}: ${event.source.text}`;
    case 'helper': {
      const args = event.args.map((arg) => `0x${arg.toString(16)}`).join(', ');
      const result =
        event.result === undefined ? 'did not return' : `0x${event.result.toString(16)}`;
      return `${pad}${event.name}(${args}) = ${result}`;
    }
  }
}
