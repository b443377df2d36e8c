import type { LoweredProgram } from '../engine/program.ts';
import { Counts, functionAt, linesOf } from './counts.ts';
import type { Observer } from './observer.ts';

/** Instructions that ran for one line of C. */
export interface LineProfile {
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly instructions: number;
}

/** What programs spent, in instructions that ran. */
export interface ProfileReport {
  readonly instructions: number;
  readonly functions: readonly { readonly name: string; readonly instructions: number }[];
  /** The most expensive first. */
  readonly lines: readonly LineProfile[];
}

/**
 * Counts the instructions that programs execute, by function and by line of C: where a
 * program spends its time, the same on every machine.
 */
export class Profile implements Observer {
  readonly #counts = new Counts();

  onRow(program: LoweredProgram, row: number): void {
    this.#counts.onRow(program, row);
  }

  onEnd(): void {
    this.#counts.onEnd();
  }

  report(): ProfileReport {
    const functions = new Map<string, number>();
    const lines = new Map<string, LineProfile>();
    let instructions = 0;
    for (const { program, runs } of this.#counts.programs) {
      for (const [row, count] of runs.entries()) {
        const name = functionAt(program.image, program.code.source[row] as number);
        if (count > 0) functions.set(name, (functions.get(name) ?? 0) + count);
        instructions += count;
      }
      for (const { file, line, text, from, to } of linesOf(program)) {
        const key = `${line} ${file}`;
        const own = runs.subarray(from, to).reduce((sum, count) => sum + count, 0);
        const known = lines.get(key)?.instructions ?? 0;
        if (own > 0) lines.set(key, { file, line, text, instructions: known + own });
      }
    }
    return {
      instructions,
      functions: sorted([...functions].map(([name, count]) => ({ name, instructions: count }))),
      lines: sorted([...lines.values()]),
    };
  }
}

function sorted<T extends { readonly instructions: number }>(list: readonly T[]): readonly T[] {
  return list.toSorted((a, b) => b.instructions - a.instructions);
}
