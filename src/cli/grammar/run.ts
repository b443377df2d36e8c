import { type Command, Option } from 'commander';
import type { RunArguments } from '../commands/run.ts';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, btfOption, contextOf } from './shared.ts';

/** `tsbpf run` */
export function addRun(program: Command, terminal: Terminal): void {
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
    .option('--coverage <file>', 'write coverage: lcov, or the JSON of istanbul for a .json file')
    .option('--profile [file]', 'instructions by function and line, to a file or standard error')
    .option('--trace [level]', 'what runs, to standard error: insn, line (default) or helper')
    .addHelpText('after', runExamples)
    .action(async (file: string, options: RunArguments, command: Command) => {
      const { runCommand } = await import('../commands/run.ts');
      await runCommand(file, options, await contextOf(command, terminal));
    });
}

const runExamples = `
Examples:
  $ tsbpf run fixtures/v3/xdp_counter.o --packet packet.bin
  $ tsbpf run fixtures/v3/xdp_counter.o --packet 'ffffffffffff 020000000001 0806' --repeat 3
  $ tsbpf run fixtures/v3/xdp_counter.o --packet packet.bin --coverage lcov.info --profile
  $ sudo tsbpf run fixtures/v3/xdp_counter.o --packet packet.bin --backend kernel
`;
