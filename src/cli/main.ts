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
  const { runCommandLine } = await import('./program.ts');
  return runCommandLine(argv, terminal);
}
