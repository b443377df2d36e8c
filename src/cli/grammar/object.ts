import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, btfOption, contextOf } from './shared.ts';

/** `tsbpf object …` */
export function addObject(program: Command, terminal: Terminal): void {
  const object = program.command('object').description('work on object files');
  addGlobalOptions(object.command('image'))
    .description('print the final instructions of each program, with slots and source lines')
    .argument('<object>', 'BPF object file made by clang')
    .addOption(btfOption())
    .option('--program <name>', 'only this program')
    .addHelpText('after', '\nExample:\n  $ tsbpf object image fixtures/v3/xdp_parser.o\n')
    .action(async (file: string, options: { btf?: string; program?: string }, command: Command) => {
      const { imageCommand } = await import('../commands/image.ts');
      await imageCommand(file, options, await contextOf(command, terminal));
    });
}
