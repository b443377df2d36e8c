import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, contextOf } from './shared.ts';

/** `tsbpf explain` */
export function addExplain(program: Command, terminal: Terminal): void {
  addGlobalOptions(program.command('explain'))
    .description(
      'explain each CO-RE relocation, extern, attach target and struct of callbacks against target types',
    )
    .argument('<object>', 'BPF object file made by clang')
    .option(
      '--btf <files...>',
      'target types: raw BTF, an ELF file with .BTF, or kernel (default: those built in); a report for each',
    )
    .option('--program <name>', 'only this program')
    .addHelpText('after', explainExamples)
    .action(
      async (file: string, options: { btf?: string[]; program?: string }, command: Command) => {
        const { explainCommand } = await import('../commands/explain.ts');
        await explainCommand(file, options, await contextOf(command, terminal));
      },
    );
}

const explainExamples = `
Examples:
  $ tsbpf explain fixtures/v3/task_walk.o
  $ tsbpf explain fixtures/v3/task_walk.o --btf /sys/kernel/btf/vmlinux
  $ tsbpf explain fixtures/v3/kfuncs.o --btf vmlinux-6.1.btf vmlinux-6.12.btf
`;
