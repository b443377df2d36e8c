import type { Terminal } from './terminal.ts';
import { asksForVersion, versionText } from './version.ts';

/**
 * Runs one command line (without `node` and the script) and returns the exit status.
 * What users cause becomes one sentence on standard error, or `{"error": …}` on standard
 * output where JSON was asked for; defects of ours are thrown.
 */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  // Answered before the parser of command lines is loaded: that takes longer than Node's start.
  const version = asksForVersion(argv);
  if (version !== undefined) {
    terminal.out(versionText(version));
    return 0;
  }
  if (argv[0] === 'vm' && argv[1] === 'exec') {
    const { vmExec } = await import('./commands/vm-exec.ts');
    return vmExec(argv.slice(2), terminal);
  }
  const { runCommandLine } = await import('./program.ts');
  return runCommandLine(argv, terminal);
}
