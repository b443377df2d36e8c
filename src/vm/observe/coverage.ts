import { isConditionalJump, wordOp } from '../engine/operations.ts';
import type { LoweredProgram } from '../engine/program.ts';
import { Counts, functionAt, type LineRange, linesOf, type RowCounts } from './counts.ts';
import type { Observer } from './observer.ts';

/** Opcode of a jump to where a register says. */
const indirectJump = 0x0d;

/** Coverage of one source file. */
export interface FileCoverage {
  /** As the object names it. */
  readonly path: string;
  /** By line, ascending. */
  readonly lines: readonly LineCoverage[];
  readonly functions: readonly FunctionCoverage[];
  readonly branches: readonly BranchCoverage[];
}

export interface LineCoverage {
  readonly line: number;
  readonly text: string;
  /** How often it ran. */
  readonly count: number;
  /** Instructions that come from it, and how many of them ran at all. */
  readonly instructions: number;
  readonly covered: number;
}

export interface FunctionCoverage {
  readonly name: string;
  readonly line: number;
  readonly count: number;
}

/** A conditional jump. */
export interface BranchCoverage {
  readonly line: number;
  readonly column: number;
  readonly function: string;
  /** Index of the instruction in its function. */
  readonly insn: number;
  /** How often it went on to the next instruction, and how often it jumped. */
  readonly next: number;
  readonly taken: number;
}

/**
 * Line, branch and instruction coverage of the programs of a VM, from the moment on that it
 * observes them. Lines are those of the object's line info; code that constants (or the
 * compiler) left unreachable has none. What several programs share counts together.
 *
 * @example
 * ```ts
 * const coverage = new Coverage();
 * using _ = vm.observe(coverage);
 * object.program('count_packets').testRun({ data });
 * writeFileSync('lcov.info', coverage.lcov());
 * ```
 */
export class Coverage implements Observer {
  readonly #counts = new Counts();

  /** Lines of programs count as not covered until they run. */
  add(program: LoweredProgram): void {
    this.#counts.add(program);
  }

  onRow(program: LoweredProgram, row: number): void {
    this.#counts.onRow(program, row);
  }

  onEnd(): void {
    this.#counts.onEnd();
  }

  /** By file, in the order of their names. */
  files(): readonly FileCoverage[] {
    const files = new Map<string, FileBuilder>();
    for (const counts of this.#counts.programs) addProgram(files, counts);
    return [...files.values()]
      .map((file) => file.build())
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** The tracefile format of lcov 1.x (geninfo(1)), which most tools read. */
  lcov(): string {
    return this.files().map(lcovOf).join('');
  }

  /** The JSON of istanbul (`coverage-final.json`): one object with the files by path. */
  istanbul(): Readonly<Record<string, IstanbulFile>> {
    return Object.fromEntries(this.files().map((file) => [file.path, istanbulOf(file)]));
  }
}

/** One file, with what several programs say of it added up. */
class FileBuilder {
  readonly #path: string;
  readonly #lines = new Map<number, LineCoverage>();
  readonly #functions = new Map<string, FunctionCoverage>();
  readonly #branches = new Map<string, BranchCoverage>();

  constructor(path: string) {
    this.#path = path;
  }

  line(found: LineCoverage): void {
    const known = this.#lines.get(found.line);
    if (known === undefined) this.#lines.set(found.line, found);
    else {
      const covered = Math.max(known.covered, found.covered);
      const instructions = Math.max(known.instructions, found.instructions);
      const count = known.count + found.count;
      this.#lines.set(found.line, { ...known, count, instructions, covered });
    }
  }

  fn(found: FunctionCoverage): void {
    const known = this.#functions.get(found.name);
    const count = found.count + (known?.count ?? 0);
    this.#functions.set(found.name, { ...found, count });
  }

  branch(found: BranchCoverage): void {
    const key = `${found.function} ${found.insn}`;
    const known = this.#branches.get(key);
    const next = found.next + (known?.next ?? 0);
    const taken = found.taken + (known?.taken ?? 0);
    this.#branches.set(key, { ...found, next, taken });
  }

  build(): FileCoverage {
    return {
      path: this.#path,
      lines: [...this.#lines.values()].sort((a, b) => a.line - b.line),
      functions: [...this.#functions.values()].sort((a, b) => a.line - b.line),
      branches: [...this.#branches.values()].sort((a, b) => a.line - b.line || a.insn - b.insn),
    };
  }
}

function addProgram(files: Map<string, FileBuilder>, counts: RowCounts): void {
  const { program, runs, taken } = counts;
  const { code, image } = program;
  const fileOf = (path: string): FileBuilder => {
    const file = files.get(path) ?? new FileBuilder(path);
    files.set(path, file);
    return file;
  };
  const ranges = linesOf(program);
  for (const [path, lines] of byLine(ranges, runs))
    for (const line of lines) fileOf(path).line(line);
  const entries = new Map(code.functions.map((fn) => [fn.start, fn]));
  const starts = new Map(image.functions.map((fn) => [fn.name, fn.start as number]));
  for (const { file, line, column, from, to } of ranges) {
    for (let row = from; row < to; row++) {
      const entry = entries.get(row);
      if (entry !== undefined) {
        fileOf(file).fn({ name: entry.name, line, count: runs[row] as number });
      }
      if (!isConditionalJump(wordOp(code.words[row] as number))) continue;
      const insn = code.source[row] as number;
      // The search for where an indirect jump goes is no branch of the program's.
      if (image.insns.code[insn] === indirectJump) continue;
      const name = functionAt(image, insn);
      const jumped = taken[row] as number;
      fileOf(file).branch({
        ...{ line, column, function: name, insn: insn - (starts.get(name) ?? 0) },
        ...{ next: (runs[row] as number) - jumped, taken: jumped },
      });
    }
  }
}

/** Lines of one program: a line that is in several places ran as often as the busiest of them. */
function byLine(
  ranges: readonly LineRange[],
  runs: Float64Array,
): ReadonlyMap<string, readonly LineCoverage[]> {
  const files = new Map<string, Map<number, LineCoverage>>();
  for (const { file, line, text, from, to } of ranges) {
    const lines = files.get(file) ?? new Map<number, LineCoverage>();
    files.set(file, lines);
    const known = lines.get(line) ?? { line, text, count: 0, instructions: 0, covered: 0 };
    let covered = 0;
    for (let row = from; row < to; row++) if ((runs[row] as number) > 0) covered++;
    lines.set(line, {
      ...known,
      count: Math.max(known.count, runs[from] as number),
      instructions: known.instructions + to - from,
      covered: known.covered + covered,
    });
  }
  return new Map([...files].map(([file, lines]) => [file, [...lines.values()]]));
}

function lcovOf({ path, lines, functions, branches }: FileCoverage): string {
  const hit = (counts: readonly number[]): number => counts.filter((count) => count > 0).length;
  const ways = branches.flatMap(({ next, taken }) => [next, taken]);
  const records = [
    'TN:',
    `SF:${oneLine(path)}`,
    ...functions.map(({ name, line }) => `FN:${line},${oneLine(name)}`),
    ...functions.map(({ name, count }) => `FNDA:${count},${oneLine(name)}`),
    `FNF:${functions.length}`,
    `FNH:${hit(functions.map(({ count }) => count))}`,
    ...branches.flatMap(({ line, next, taken }, block) =>
      [next, taken].map((count, way) => {
        // A jump that never ran has `-` for its ways.
        return `BRDA:${line},${block},${way},${next + taken === 0 ? '-' : count}`;
      }),
    ),
    `BRF:${ways.length}`,
    `BRH:${hit(ways)}`,
    ...lines.map(({ line, count }) => `DA:${line},${count}`),
    `LF:${lines.length}`,
    `LH:${hit(lines.map(({ count }) => count))}`,
    'end_of_record',
  ];
  return `${records.join('\n')}\n`;
}

/** Names come from objects, and records are lines. */
function oneLine(text: string): string {
  return text.replace(/[\r\n]/g, ' ');
}

interface IstanbulPlace {
  readonly start: { readonly line: number; readonly column: number };
  readonly end: { readonly line: number; readonly column: number };
}

/** One file in istanbul's JSON (istanbul-lib-coverage). */
export interface IstanbulFile {
  readonly path: string;
  readonly statementMap: Readonly<Record<string, IstanbulPlace>>;
  readonly s: Readonly<Record<string, number>>;
  readonly fnMap: Readonly<
    Record<
      string,
      { readonly name: string; readonly decl: IstanbulPlace; readonly loc: IstanbulPlace }
    >
  >;
  readonly f: Readonly<Record<string, number>>;
  readonly branchMap: Readonly<
    Record<
      string,
      {
        readonly type: string;
        readonly loc: IstanbulPlace;
        readonly locations: readonly IstanbulPlace[];
      }
    >
  >;
  readonly b: Readonly<Record<string, readonly number[]>>;
}

function istanbulOf({ path, lines, functions, branches }: FileCoverage): IstanbulFile {
  const ends = new Map(lines.map(({ line, text }) => [line, text.length]));
  const whole = (line: number): IstanbulPlace => ({
    start: { line, column: 0 },
    end: { line, column: ends.get(line) ?? 0 },
  });
  const numbered = <T, V>(list: readonly T[], value: (each: T) => V): Record<string, V> =>
    Object.fromEntries(list.map((each, at) => [String(at), value(each)]));
  return {
    path,
    statementMap: numbered(lines, ({ line }) => whole(line)),
    s: numbered(lines, ({ count }) => count),
    fnMap: numbered(functions, ({ name, line }) => ({
      name,
      decl: whole(line),
      loc: whole(line),
    })),
    f: numbered(functions, ({ count }) => count),
    branchMap: numbered(branches, ({ line }) => {
      return { type: 'if', loc: whole(line), locations: [whole(line), whole(line)] };
    }),
    b: numbered(branches, ({ next, taken }) => [next, taken]),
  };
}
