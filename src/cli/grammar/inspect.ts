import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, contextOf } from './shared.ts';

/** `tsbpf inspect` */
export function addInspect(program: Command, terminal: Terminal): void {
  addGlobalOptions(program.command('inspect'))
    .description('print the programs, maps, variables and externs of an object')
    .argument('<object>', 'BPF object file made by clang')
    .addHelpText('after', '\nExample:\n  $ tsbpf inspect fixtures/v3/xdp_counter.o\n')
    .action(async (file: string, _options: unknown, command: Command) => {
      const { inspectCommand } = await import('../commands/inspect.ts');
      inspectCommand(file, await contextOf(command, terminal));
    });
}
