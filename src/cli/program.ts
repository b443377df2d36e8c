import { Command, CommanderError, Option } from 'commander';
import { BpfError } from '../errors.ts';
import type { RunArguments } from './commands/run.ts';
import { toJson } from './json.ts';
import { openLog } from './log.ts';
import type { CommandContext, OutputOptions, Terminal } from './terminal.ts';
import { UsageError } from './usage.ts';
import { versionText } from './version.ts';

/** Exit statuses: all well; the command failed; the command line was wrong. */
const exitStatus = { ok: 0, failed: 1, usage: 2 } as const;

type GlobalOptions = OutputOptions & { readonly debug: boolean };

/** What `main` does for every command line but those that ask for the version only. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const output = outputWanted(argv);
  const status: { ok: number; failed: number } = { ...exitStatus };
  const program = createProgram(terminal, output, status);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return status.ok;
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(error, output, terminal);
    if (!(error instanceof BpfError) && !(error instanceof UsageError)) throw error;
    reportError(error, globalOptions(program), terminal);
    return error instanceof UsageError ? exitStatus.usage : status.failed;
  }
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

/** `-j` and `-p` are accepted before and after the command's words. */
function globalOptions(command: Command): GlobalOptions {
  const values = command.optsWithGlobals() as Partial<GlobalOptions>;
  const pretty = values.pretty ?? false;
  return { json: pretty || (values.json ?? false), pretty, debug: values.debug ?? false };
}

async function contextOf(command: Command, terminal: Terminal): Promise<CommandContext> {
  const { debug, ...output } = globalOptions(command);
  return { terminal, output, log: await openLog(debug) };
}

function addGlobalOptions(command: Command): Command {
  return command
    .option('-j, --json', 'print JSON')
    .option('-p, --pretty', 'print indented JSON')
    .option('-d, --debug', 'log what happens to standard error');
}

/** `status` is for commands whose exit statuses mean something else. */
function createProgram(
  terminal: Terminal,
  output: OutputOptions,
  status: { ok: number; failed: number },
): Command {
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
  addRun(program, terminal);
  addObject(program, terminal);
  addBtfTools(addBtf(program, terminal), terminal, status);
  addGen(program, terminal);
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

function addInspect(program: Command, terminal: Terminal): void {
  addGlobalOptions(program.command('inspect'))
    .description('print the programs, maps, variables and externs of an object')
    .argument('<object>', 'BPF object file made by clang')
    .addHelpText('after', '\nExample:\n  $ tsbpf inspect fixtures/v3/xdp_counter.o\n')
    .action(async (file: string, _options: unknown, command: Command) => {
      const { inspectCommand } = await import('./commands/inspect.ts');
      inspectCommand(file, await contextOf(command, terminal));
    });
}

function addExplain(program: Command, terminal: Terminal): void {
  addGlobalOptions(program.command('explain'))
    .description('explain each CO-RE relocation against target types')
    .argument('<object>', 'BPF object file made by clang')
    .addOption(btfOption())
    .option('--program <name>', 'only this program')
    .addHelpText('after', explainExamples)
    .action(async (file: string, options: { btf?: string; program?: string }, command: Command) => {
      const { explainCommand } = await import('./commands/explain.ts');
      await explainCommand(file, options, await contextOf(command, terminal));
    });
}

const explainExamples = `
Examples:
  $ tsbpf explain fixtures/v3/task_walk.o
  $ tsbpf explain fixtures/v3/task_walk.o --btf /sys/kernel/btf/vmlinux
`;

function addRun(program: Command, terminal: Terminal): void {
  addGlobalOptions(program.command('run'))
    .description('load an object, run a program of it and print what it left in its maps')
    .argument('<object>', 'BPF object file made by clang')
    .option('--program <name>', 'program to run (needed where the object has several)')
    .option('--packet <file|hex>', 'packet for XDP, tc and socket programs')
    .option('--context <file|hex>', 'context as user space lays it out')
    .option('--repeat <n>', 'runs in a row', '1')
    .option('--event <struct>', 'type of the object that ring buffer samples are printed as')
    .addOption(btfOption())
    .addOption(
      new Option('--backend <name>', 'where to run').choices(['vm', 'kernel']).default('vm'),
    )
    .addOption(
      new Option('--engine <name>', 'what runs the program in the VM (default: auto)').choices([
        'interpreter',
        'jit',
        'auto',
      ]),
    )
    .addHelpText('after', runExamples)
    .action(async (file: string, options: RunArguments, command: Command) => {
      const { runCommand } = await import('./commands/run.ts');
      await runCommand(file, options, await contextOf(command, terminal));
    });
}

const runExamples = `
Examples:
  $ tsbpf run fixtures/v3/xdp_counter.o --packet packet.bin
  $ tsbpf run fixtures/v3/xdp_counter.o --packet 'ffffffffffff 020000000001 0806' --repeat 3
  $ sudo tsbpf run fixtures/v3/xdp_counter.o --packet packet.bin --backend kernel
`;

function addObject(program: Command, terminal: Terminal): void {
  const object = program.command('object').description('work on object files');
  addGlobalOptions(object.command('image'))
    .description('print the final instructions of each program, with slots and source lines')
    .argument('<object>', 'BPF object file made by clang')
    .addOption(btfOption())
    .option('--program <name>', 'only this program')
    .addHelpText('after', '\nExample:\n  $ tsbpf object image fixtures/v3/xdp_parser.o\n')
    .action(async (file: string, options: { btf?: string; program?: string }, command: Command) => {
      const { imageCommand } = await import('./commands/image.ts');
      await imageCommand(file, options, await contextOf(command, terminal));
    });
}

function addBtf(program: Command, terminal: Terminal): Command {
  const btf = program.command('btf').description('dump and list types (BTF)');
  addGlobalOptions(btf.command('dump'))
    .description("print types, in bpftool's words and byte for byte as it prints them")
    .argument('<words...>', 'file FILE | id ID, format raw | c [unsorted], root_id ID')
    .option('-B, --base-btf <file>', 'types that split BTF goes on')
    .addHelpText('after', dumpExamples)
    .action(async (words: readonly string[], options: { baseBtf?: string }, command: Command) => {
      const { btfDumpCommand } = await import('./commands/btf-dump.ts');
      await btfDumpCommand(words, options.baseBtf, await contextOf(command, terminal));
    });
  addGlobalOptions(btf.command('show'))
    .alias('list')
    .description('list the types that the running kernel holds')
    .addHelpText('after', '\nExample:\n  $ sudo tsbpf btf show\n')
    .action(async (_options: unknown, command: Command) => {
      const { btfShowCommand } = await import('./commands/btf-show.ts');
      await btfShowCommand(await contextOf(command, terminal));
    });
  return btf;
}

const dumpExamples = `
Examples:
  $ tsbpf btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h
  $ tsbpf btf dump file fixtures/v3/demo.o root_id 7
  $ tsbpf -j btf dump file fixtures/v3/demo.o
  $ tsbpf btf dump file /sys/kernel/btf/veth -B /sys/kernel/btf/vmlinux
`;

function addBtfTools(
  btf: Command,
  terminal: Terminal,
  status: { ok: number; failed: number },
): void {
  addGlobalOptions(btf.command('diff'))
    .description('compare types by kind and name; exit status 0: same, 1: different, 2: trouble')
    .argument('<old>', 'raw BTF, an ELF file with .BTF, or kernel')
    .argument('<new>', 'the same')
    .option('--only-touched <objects...>', 'only types that CO-RE relocations of objects look at')
    .addHelpText('after', diffExamples)
    .action(
      async (old: string, now: string, options: { onlyTouched?: string[] }, command: Command) => {
        const { btfDiffCommand, diffStatus } = await import('./commands/btf-diff.ts');
        status.failed = diffStatus.trouble;
        status.ok = await btfDiffCommand([old, now], options, await contextOf(command, terminal));
      },
    );
  addGlobalOptions(btf.command('find'))
    .description('list the types of a name')
    .argument('<name>', 'name; * and ? stand for any characters, any one character')
    .addOption(btfOption())
    .option('--kind <kind>', 'only this kind: struct, func, …')
    .addHelpText('after', '\nExample:\n  $ tsbpf btf find "task_*" --kind struct\n')
    .action(async (name: string, options: { btf?: string; kind?: string }, command: Command) => {
      const { btfFindCommand } = await import('./commands/btf-find.ts');
      await btfFindCommand(name, options, await contextOf(command, terminal));
    });
}

const diffExamples = `
Examples:
  $ tsbpf btf diff vmlinux-6.12.btf vmlinux-6.18.btf
  $ tsbpf btf diff old.btf /sys/kernel/btf/vmlinux --only-touched fixtures/v3/task_walk.o
`;

function addGen(program: Command, terminal: Terminal): void {
  const gen = program.command('gen').description('make files from objects and types');
  addGlobalOptions(gen.command('min_core_btf'))
    .description('write the part of target types that CO-RE relocations of objects need')
    .argument('<input>', 'raw BTF, an ELF file with .BTF, or kernel')
    .argument('<output>', 'file to write raw BTF to')
    .argument('<objects...>', 'BPF object files made by clang')
    .option('-B, --base-btf <file>', 'types that split BTF goes on')
    .option('--base-output <file>', 'cut the base down, too; output goes on what is written here')
    .addHelpText('after', minCoreExamples)
    .action(
      async (
        input: string,
        output: string,
        objects: readonly string[],
        options: { baseBtf?: string; baseOutput?: string },
        command: Command,
      ) => {
        const { genMinCoreBtfCommand } = await import('./commands/gen-min-core-btf.ts');
        const files = [input, output, ...objects] as const;
        const bases = { base: options.baseBtf, baseOutput: options.baseOutput };
        await genMinCoreBtfCommand(files, bases, await contextOf(command, terminal));
      },
    );
}

const minCoreExamples = `
Example:
  $ tsbpf gen min_core_btf /sys/kernel/btf/vmlinux min.btf fixtures/v3/task_walk.o
  $ tsbpf gen min_core_btf module.btf min.btf object.o -B vmlinux.btf --base-output min-base.btf
`;

function btfOption(): Option {
  return new Option(
    '--btf <file>',
    'target types: raw BTF, an ELF file with .BTF, or kernel for those of the running one (default: those of the backend)',
  );
}
