import { Command, CommanderError } from 'commander';
import { BpfError } from '../errors.ts';
import { addBtf, addBtfTools } from './grammar/btf.ts';
import { addCompat } from './grammar/compat.ts';
import { addExplain } from './grammar/explain.ts';
import { addGen } from './grammar/gen.ts';
import { addInspect } from './grammar/inspect.ts';
import { addObject } from './grammar/object.ts';
import { addProg } from './grammar/prog.ts';
import { addRun } from './grammar/run.ts';
import {
  addGlobalOptions,
  type ExitStatuses,
  type GlobalOptions,
  globalOptions,
} from './grammar/shared.ts';
import { addVm } from './grammar/vm.ts';
import { toJson } from './json.ts';
import type { OutputOptions, Terminal } from './terminal.ts';
import { UsageError } from './usage.ts';
import { versionText } from './version.ts';

/** Exit statuses: all well; the command failed; the command line was wrong. */
const exitStatus = { ok: 0, failed: 1, usage: 2 } as const;

/** What `main` does for every command line but those that ask for the version only. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const output = outputWanted(argv);
  const status: ExitStatuses = { ...exitStatus };
  const program = createProgram(terminal, output, status);
  try {
    await program.parseAsync(inFull(program, argv), { from: 'user' });
    return status.ok;
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(error, output, terminal);
    if (!(error instanceof BpfError) && !(error instanceof UsageError)) throw error;
    reportError(error, globalOptions(program), terminal);
    return error instanceof UsageError ? exitStatus.usage : status.failed;
  }
}

/**
 * The command line with the names of commands in full: like bpftool's, they may be cut short
 * (`b d f demo.o` for `btf dump file demo.o`); the first one that fits is meant.
 */
function inFull(program: Command, argv: readonly string[]): string[] {
  let { commands } = program;
  return argv.map((word) => {
    if (word === '' || word.startsWith('-')) return word;
    const isNamed = (each: Command): boolean =>
      each.name() === word || each.aliases().includes(word);
    const meant = commands.find(isNamed) ?? commands.find((each) => each.name().startsWith(word));
    commands = meant?.commands ?? [];
    return meant?.name() ?? word;
  });
}

/** `-j` and `-p` by the words alone, for command lines that cannot be parsed. */
function outputWanted(argv: readonly string[]): OutputOptions {
  const end = argv.indexOf('--');
  const words = end < 0 ? argv : argv.slice(0, end);
  const has = (letter: string, long: string) =>
    words.some((word) => word === long || (/^-[a-z]+$/.test(word) && word.includes(letter)));
  const pretty = has('p', '--pretty');
  return { json: pretty || has('j', '--json'), pretty };
}

/** The parser has printed its message already, except where JSON is wanted. */
function reportUsage(error: CommanderError, output: OutputOptions, terminal: Terminal): number {
  if (error.exitCode === 0) return exitStatus.ok;
  if (output.json) {
    const missing = error.code === 'commander.help';
    const text = missing
      ? 'no command is given; tsbpf --help lists them'
      : usageText(error.message);
    printError(text.replaceAll('\n', ' '), output, terminal);
  }
  return exitStatus.usage;
}

/** The parser's message in the form of ours; what a user typed may hold anything. */
function usageText(message: string): string {
  const printable = message.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) =>
    char === '\n' ? char : `\\u{${char.codePointAt(0)?.toString(16)}}`,
  );
  return printable.replace(/^error: /, '');
}

function printError(message: string, output: OutputOptions, terminal: Terminal): void {
  if (output.json) terminal.out(`${toJson({ error: message }, output.pretty ? 4 : 0)}\n`);
  else terminal.err(`Error: ${message}\n`);
}

function reportError(error: Error, options: GlobalOptions, terminal: Terminal): void {
  printError(error.message, options, terminal);
  if (options.debug && error.stack !== undefined) terminal.err(`${error.stack}\n`);
}

/** `status` is for commands whose exit statuses mean something else. */
function createProgram(terminal: Terminal, output: OutputOptions, status: ExitStatuses): Command {
  const program = addGlobalOptions(new Command('tsbpf'))
    .description('Inspect, explain, relocate and run BPF objects, without root and without Linux.')
    .version(versionText({ json: false, pretty: false }).trimEnd(), '-V, --version')
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: output.json ? () => undefined : terminal.err,
      outputError: (message, write) => write(`Error: ${usageText(message)}`),
    })
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', mainExamples);
  addInspect(program, terminal);
  addExplain(program, terminal);
  addCompat(program, terminal, status);
  addRun(program, terminal);
  addObject(program, terminal);
  addBtfTools(addBtf(program, terminal), terminal, status);
  addProg(program, terminal);
  addGen(program, terminal);
  addVm(program);
  program
    .command('version')
    .description('print the version')
    .action((_options: unknown, command: Command) => {
      terminal.out(versionText(globalOptions(command)));
    });
  return program;
}

const mainExamples = `
Examples:
  $ tsbpf inspect xdp_counter.o          what is in an object
  $ tsbpf explain task_walk.o            each CO-RE relocation, in words
  $ tsbpf run xdp_counter.o --packet ip.bin
  $ tsbpf -p object image xdp_parser.o   final instructions, as JSON
`;
