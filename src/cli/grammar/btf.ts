import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { addGlobalOptions, btfOption, contextOf, type ExitStatuses } from './shared.ts';

/** `tsbpf btf …` */
export function addBtf(program: Command, terminal: Terminal): Command {
  const btf = program.command('btf').description('dump and list types (BTF)');
  addGlobalOptions(btf.command('dump'))
    .description("print types, in bpftool's words and byte for byte as it prints them")
    .argument('<words...>', dumpWords)
    .option('-B, --base-btf <file>', 'types that split BTF goes on')
    .addHelpText('after', dumpExamples)
    .action(async (words: readonly string[], options: { baseBtf?: string }, command: Command) => {
      const { btfDumpCommand } = await import('../commands/btf-dump.ts');
      await btfDumpCommand(words, options.baseBtf, await contextOf(command, terminal));
    });
  addGlobalOptions(btf.command('show'))
    .alias('list')
    .description('list the types that the running kernel holds, and who uses them')
    .argument('[words...]', 'id ID for one only')
    .addHelpText('after', showExamples)
    .action(async (words: readonly string[], _options: unknown, command: Command) => {
      const { btfShowCommand } = await import('../commands/btf-show.ts');
      await btfShowCommand(words, await contextOf(command, terminal));
    });
  return btf;
}

const dumpWords =
  'file FILE [file FILE]... | id ID | prog PROG | map MAP [key | value | kv | all], ' +
  'format raw | c [unsorted], root_id ID';

const showExamples = `
Examples:
  $ sudo tsbpf btf show
  $ sudo tsbpf -p btf show id 1
`;

const dumpExamples = `
Examples:
  $ tsbpf btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h
  $ tsbpf btf dump file fixtures/v3/demo.o root_id 7
  $ tsbpf -j btf dump file fixtures/v3/demo.o
  $ tsbpf btf dump file /sys/kernel/btf/veth -B /sys/kernel/btf/vmlinux
  $ sudo tsbpf btf dump map name counters value format c
  $ sudo tsbpf btf dump prog id 42
`;

/** What bpftool lacks: `btf diff` and `btf find` */
export function addBtfTools(btf: Command, terminal: Terminal, status: ExitStatuses): void {
  addGlobalOptions(btf.command('diff'))
    .description('compare types by kind and name; exit status 0: same, 1: different, 2: trouble')
    .argument('<old>', 'raw BTF, an ELF file with .BTF, or kernel')
    .argument('<new>', 'the same')
    .option('--only-touched <objects...>', 'only types that CO-RE relocations of objects look at')
    .addHelpText('after', diffExamples)
    .action(
      async (old: string, now: string, options: { onlyTouched?: string[] }, command: Command) => {
        const { btfDiffCommand, diffStatus } = await import('../commands/btf-diff.ts');
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
      const { btfFindCommand } = await import('../commands/btf-find.ts');
      await btfFindCommand(name, options, await contextOf(command, terminal));
    });
}

const diffExamples = `
Examples:
  $ tsbpf btf diff vmlinux-6.12.btf vmlinux-6.18.btf
  $ tsbpf btf diff old.btf /sys/kernel/btf/vmlinux --only-touched fixtures/v3/task_walk.o
`;
