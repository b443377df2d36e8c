import { type ProgramImage, sourceLineAt } from '../../object/image.ts';
import { isConditionalJump, wordOp } from '../engine/operations.ts';
import type { LoweredProgram } from '../engine/program.ts';
import type { Observer } from './observer.ts';

/** How often the rows of one program ran. */
export interface RowCounts {
  readonly program: LoweredProgram;
  /** By row. */
  readonly runs: Float64Array;
  /** Of conditional jumps, how often they were taken. */
  readonly taken: Float64Array;
}

/**
 * Counts what runs: each row of each program, and for conditional jumps which way they went,
 * which the row that runs next tells.
 */
export class Counts implements Observer {
  readonly #programs = new Map<LoweredProgram, RowCounts>();
  #counts: RowCounts | undefined;
  /** Row of a conditional jump that has just run; -1 for anything else. */
  #jump = -1;

  /** Programs that ran, in the order in which they first did. */
  get programs(): readonly RowCounts[] {
    return [...this.#programs.values()];
  }

  /** Makes a program known that may never run. */
  add(program: LoweredProgram): void {
    this.#of(program);
  }

  onRow(program: LoweredProgram, row: number): void {
    const jump = this.#jump;
    const before = this.#counts;
    const counts = before?.program === program ? before : this.#of(program);
    if (jump >= 0 && counts === before && row !== jump + 1) {
      counts.taken[jump] = (counts.taken[jump] as number) + 1;
    }
    counts.runs[row] = (counts.runs[row] as number) + 1;
    this.#counts = counts;
    this.#jump = isConditionalJump(wordOp(program.code.words[row] as number)) ? row : -1;
  }

  onEnd(): void {
    this.#jump = -1;
  }

  #of(program: LoweredProgram): RowCounts {
    let counts = this.#programs.get(program);
    if (counts === undefined) {
      const { length } = program.code;
      counts = { program, runs: new Float64Array(length), taken: new Float64Array(length) };
      this.#programs.set(program, counts);
    }
    return counts;
  }
}

/** A line of C in a program: from one record of its line info up to the next. */
export interface LineRange {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 where unknown. */
  readonly column: number;
  readonly text: string;
  /** Rows of the lowered form, the last one excluded; never empty. */
  readonly from: number;
  readonly to: number;
}

/** The lines of a program, in the order of their rows; code that cannot be reached has none. */
export function linesOf({ image, code }: LoweredProgram): readonly LineRange[] {
  const ranges: LineRange[] = [];
  let row = 0;
  image.lineInfo.forEach((record, at) => {
    const end = image.lineInfo[at + 1]?.insn ?? image.insns.length;
    while (row < code.length && (code.source[row] as number) < record.insn) row++;
    const from = row;
    while (row < code.length && (code.source[row] as number) < end) row++;
    const place = row > from ? sourceLineAt(image, record.insn) : undefined;
    if (place !== undefined) ranges.push({ ...place, from, to: row });
  });
  return ranges;
}

/** Function of an image that an instruction is in. */
export function functionAt(image: ProgramImage, insn: number): string {
  return image.functions.find((fn) => insn >= fn.start && insn < fn.end)?.name ?? image.name;
}
