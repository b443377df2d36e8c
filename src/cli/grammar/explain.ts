import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, btfOption, contextOf } from './shared.ts';

/** `tsbpf explain` */
export function addExplain(program: Command, terminal: Terminal): void {
  addGlobalOptions(program.command('explain'))
    .description('explain each CO-RE relocation against target types')
    .argument('<object>', 'BPF object file made by clang')
    .addOption(btfOption())
    .option('--program <name>', 'only this program')
    .addHelpText('after', explainExamples)
    .action(async (file: string, options: { btf?: string; program?: string }, command: Command) => {
      const { explainCommand } = await import('../commands/explain.ts');
      await explainCommand(file, options, await contextOf(command, terminal));
    });
}

const explainExamples = `
Examples:
  $ tsbpf explain fixtures/v3/task_walk.o
  $ tsbpf explain fixtures/v3/task_walk.o --btf /sys/kernel/btf/vmlinux
`;
