import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, contextOf } from './shared.ts';

/** `tsbpf gen …` */
export function addGen(program: Command, terminal: Terminal): void {
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
        const { genMinCoreBtfCommand } = await import('../commands/gen-min-core-btf.ts');
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
