import { type Command, Option } from 'commander';
import { openLog } from '../log.ts';
import type { CommandContext, OutputOptions, Terminal } from '../terminal.ts';

export type GlobalOptions = OutputOptions & { readonly debug: boolean };

/** `-j` and `-p` are accepted before and after the command's words. */
export function globalOptions(command: Command): GlobalOptions {
  const values = command.optsWithGlobals() as Partial<GlobalOptions>;
  const pretty = values.pretty ?? false;
  return { json: pretty || (values.json ?? false), pretty, debug: values.debug ?? false };
}

/** What a command gets besides its own words. */
export async function contextOf(command: Command, terminal: Terminal): Promise<CommandContext> {
  const { debug, ...output } = globalOptions(command);
  return { terminal, output, log: await openLog(debug) };
}

/** Options that every command has. */
export function addGlobalOptions(command: Command): Command {
  return command
    .option('-j, --json', 'print JSON')
    .option('-p, --pretty', 'print indented JSON')
    .option('-d, --debug', 'log what happens to standard error');
}

/** `--btf`, for commands that need target types. */
export function btfOption(): Option {
  return new Option(
    '--btf <file>',
    'target types: raw BTF, an ELF file with .BTF, or kernel for those of the running one (default: those of the backend)',
  );
}

/** Exit statuses that a command may give a meaning of its own. */
export interface ExitStatuses {
  ok: number;
  failed: number;
}
