import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, btfOption, contextOf } from './shared.ts';

/** `tsbpf prog …` */
export function addProg(program: Command, terminal: Terminal): void {
  const prog = program.command('prog').description('work on programs');
  addGlobalOptions(prog.command('dump'))
    .description('print programs at each stage on their way to an engine')
    .argument('<words...>', 'file OBJ [PROGRAM] [stage bpf | lowered | wasm]')
    .addOption(btfOption())
    .addHelpText('after', examples)
    .action(async (words: readonly string[], options: { btf?: string }, command: Command) => {
      const { progDumpCommand } = await import('../commands/prog-dump.ts');
      await progDumpCommand(words, options.btf, await contextOf(command, terminal));
    });
}

const examples = `
Examples:
  $ tsbpf prog dump file fixtures/v3/xdp_parser.o
  $ tsbpf prog dump file fixtures/v3/compute.o fibonacci stage lowered
  $ tsbpf prog dump file fixtures/v3/compute.o fibonacci stage wasm
`;
