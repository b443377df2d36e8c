import type { Compatibility, CompatProblem, KernelDescription } from '../../analysis/compat.ts';
import { checkCompatibility } from '../../analysis/compat.ts';
import { readTypes } from '../backends.ts';
import { readInput } from '../files.ts';
import { openObjectFile } from '../input.ts';
import { renderCompat } from '../render/compat.ts';
import { type CommandContext, printReport, type Terminal } from '../terminal.ts';
import { UsageError } from '../usage.ts';

/** Exit statuses: all objects load into all kernels; some do not; the question cannot be answered. */
export const compatStatus = { loads: 0, fails: 1, trouble: 2 } as const;

/** What `tsbpf compat` prints: a row for each object, a column for each kernel. */
export type CompatReport = {
  readonly kernels: readonly string[];
  readonly objects: readonly {
    readonly file: string;
    readonly results: readonly CompatResult[];
  }[];
};

export type CompatResult = {
  readonly kernel: string;
  readonly loads: boolean;
  readonly problems: readonly ReportedProblem[];
  readonly programs: readonly {
    readonly name: string;
    readonly autoload: boolean;
    readonly loads: boolean;
    readonly problems: readonly ReportedProblem[];
  }[];
};

export type ReportedProblem = {
  readonly kind: string;
  readonly reason: string;
  readonly places: readonly {
    readonly function: string;
    readonly insn: number;
    readonly file: string | undefined;
    readonly line: number | undefined;
    readonly text: string | undefined;
  }[];
};

export interface CompatOptions {
  readonly btf?: readonly string[] | undefined;
  readonly kconfig?: string | undefined;
}

/** Cells from which on a terminal is told how far it got. */
const manyCells = 20;

/** `tsbpf compat OBJ… --btf [NAME=]FILE…`; true where everything loads everywhere. */
export async function compatCommand(
  files: readonly string[],
  options: CompatOptions,
  context: CommandContext,
): Promise<boolean> {
  const kconfig = options.kconfig === undefined ? undefined : readText(options.kconfig);
  const kernels: KernelDescription[] = [];
  for (const source of options.btf ?? ['kernel']) kernels.push(await kernelOf(source, kconfig));
  const progress = new Progress(context.terminal, files.length * kernels.length);
  const objects = files.map((file) => {
    const spec = openObjectFile(file, context.log);
    const results = kernels.map((kernel) => {
      progress.next(file);
      return reported(checkCompatibility(spec, kernel));
    });
    return { file, results };
  });
  progress.end();
  const report: CompatReport = { kernels: kernels.map(({ name }) => name), objects };
  printReport(context, report, renderCompat);
  return objects.every(({ results }) => results.every(({ loads }) => loads));
}

function readText(path: string): string {
  return new TextDecoder().decode(readInput(path));
}

/** A kernel by the file of its types, with a name before `=` or else the file's. */
async function kernelOf(source: string, kconfig: string | undefined): Promise<KernelDescription> {
  const equals = source.indexOf('=');
  const path = source.slice(equals + 1);
  const name = equals > 0 ? source.slice(0, equals) : nameOf(path);
  if (path === '') throw new UsageError(`--btf: '${source}' names no file`);
  const btf = await readTypes(path);
  if (path !== 'kernel') return { name, btf, kconfig };
  const { kernelModuleBtf, kernelModuleNames } = await import('../../kernel/kernel-btf.ts');
  const modules = () =>
    kernelModuleNames().map((module) => ({ name: module, btf: kernelModuleBtf(module) }));
  return { name, btf, modules, kconfig };
}

/** `6.12` for `kernels/6.12/vmlinux.btf`, `vmlinux-6.12` for `vmlinux-6.12.btf`. */
function nameOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  const file = (parts.at(-1) ?? path).replace(/\.(btf|o|ko)$/, '');
  return file === 'vmlinux' ? (parts.at(-2) ?? file) : file;
}

function reported({ kernel, loads, problems, programs }: Compatibility): CompatResult {
  return {
    kernel,
    loads,
    problems: problems.map(reportedProblem),
    programs: programs.map((program) => ({
      name: program.name,
      autoload: program.autoload,
      loads: program.loads,
      problems: program.problems.map(reportedProblem),
    })),
  };
}

function reportedProblem({ kind, reason, places }: CompatProblem): ReportedProblem {
  return {
    kind,
    reason,
    places: places.map(({ functionName, insn, source }) => ({
      ...{ function: functionName, insn, file: source?.file },
      ...{ line: source?.line, text: source?.text },
    })),
  };
}

/** A line on the terminal that says how far a long check got, and goes when it ends. */
class Progress {
  readonly #terminal: Terminal | undefined;
  readonly #cells: number;
  #done = 0;

  constructor(terminal: Terminal, cells: number) {
    // A terminal that shows colour can also go back to the start of the line.
    this.#terminal = terminal.color && cells >= manyCells ? terminal : undefined;
    this.#cells = cells;
  }

  next(what: string): void {
    this.#done++;
    const text = `${this.#done}/${this.#cells} ${what.replace(/[^\x20-\x7e]/g, '?')}`;
    this.#terminal?.err(`\r\u001b[K${text.slice(0, 70)}`);
  }

  end(): void {
    this.#terminal?.err('\r\u001b[K');
  }
}
