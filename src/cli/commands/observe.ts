import { writeFileSync } from 'node:fs';
import { BpfError } from '../../errors.ts';
import type { LoadedObject } from '../../loader/loaded.ts';
import type { TraceLevel, Vm } from '../../vm/index.ts';
import { renderProfile } from '../render/profile.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage.ts';

/** What is to be found out about a run. */
export interface ObserveOptions {
  /** File for coverage: istanbul's JSON if it ends in `.json`, lcov's tracefile otherwise. */
  readonly coverage?: string | undefined;
  /** File for a profile, JSON if it ends in `.json`; true for standard error. */
  readonly profile?: string | true | undefined;
  readonly trace?: string | true | undefined;
}

/** Watches a run; told what was loaded, it writes what was found when it ends. */
export interface Observation {
  readonly loaded: (object: LoadedObject) => void;
  readonly finish: () => void;
}

const levels: readonly TraceLevel[] = ['insn', 'line', 'helper'];

/** Starts to watch the runs of a VM as the options of `tsbpf run` ask. */
export async function observe(
  vm: Vm | undefined,
  options: ObserveOptions,
  terminal: Terminal,
): Promise<Observation | undefined> {
  const { coverage: coverageFile, profile: profileTo, trace: level } = options;
  if (coverageFile === undefined && profileTo === undefined && level === undefined) {
    return undefined;
  }
  if (vm === undefined) {
    throw new UsageError('--coverage, --profile and --trace are for the VM: use --backend vm');
  }
  const { Coverage, formatTrace, Profile, Trace, VmProgram } = await import('../../vm/index.ts');
  const coverage = coverageFile === undefined ? undefined : new Coverage();
  const profile = profileTo === undefined ? undefined : new Profile();
  if (coverage !== undefined) vm.observe(coverage);
  if (profile !== undefined) vm.observe(profile);
  if (level !== undefined) {
    const trace = new Trace(levelOf(level), (event) =>
      terminal.err(`${printable(formatTrace(event))}\n`),
    );
    vm.observe(trace);
  }
  return {
    loaded: (object) => {
      for (const { program } of object.programs) {
        if (program instanceof VmProgram) coverage?.add(program.lowered);
      }
    },
    finish: () => {
      if (coverage !== undefined && coverageFile !== undefined) {
        const json = coverageFile.endsWith('.json');
        write(coverageFile, json ? JSON.stringify(coverage.istanbul()) : coverage.lcov());
      }
      if (profile === undefined) return;
      const report = profile.report();
      if (profileTo === undefined || profileTo === true) terminal.err(renderProfile(report));
      else if (profileTo.endsWith('.json'))
        write(profileTo, `${JSON.stringify(report, undefined, 4)}\n`);
      else write(profileTo, renderProfile(report));
    },
  };
}

function levelOf(level: string | true): TraceLevel {
  const found = levels.find((each) => each === (level === true ? 'line' : level));
  if (found === undefined) throw new UsageError(`--trace is one of ${levels.join(', ')}`);
  return found;
}

/** Source lines and names come from the object. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => (char === '\t' ? ' ' : '?'));
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BpfError({ code: 'unwritable-file', path, reason }, { cause: error });
  }
}
