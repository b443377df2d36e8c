import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, contextOf, type ExitStatuses } from './shared.ts';

/** `tsbpf compat OBJ… --btf FILE…` */
export function addCompat(program: Command, terminal: Terminal, status: ExitStatuses): void {
  addGlobalOptions(program.command('compat'))
    .description(
      'check which kernels objects load into, by the types of the kernels; exit status 0: all, 1: not all, 2: trouble',
    )
    .argument('<objects...>', 'BPF object files')
    .option(
      '--btf <kernels...>',
      'types of kernels: [NAME=]FILE, raw BTF or an ELF file with .BTF; kernel for the running one (default)',
    )
    .option('--kconfig <file>', 'configuration of the kernels, for values declared __kconfig')
    .addHelpText('after', examples)
    .action(
      async (
        files: readonly string[],
        options: { btf?: string[]; kconfig?: string },
        command: Command,
      ) => {
        const { compatCommand, compatStatus } = await import('../commands/compat.ts');
        status.failed = compatStatus.trouble;
        const loads = await compatCommand(files, options, await contextOf(command, terminal));
        status.ok = loads ? compatStatus.loads : compatStatus.fails;
      },
    );
}

const examples = `
Examples:
  $ tsbpf compat fixtures/v3/xdp_counter.o fixtures/v3/task_walk.o
  $ tsbpf compat *.bpf.o --btf 6.1=vmlinux-6.1.btf 6.12=vmlinux-6.12.btf kernel
`;
