// Runs ava and says in a few lines how it went.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type Counts, formatCounts, readTap } from './counts.ts';
import { projectRoot } from './paths.ts';

export interface AvaOptions {
  /** The Node to run under; this one by default. */
  readonly node?: string | undefined;
  /** Configuration file instead of the package's own `ava` section. */
  readonly config?: string | undefined;
  /** Milliseconds. */
  readonly timeout?: number | undefined;
}

/** Runs one suite; prints failures, titles of skipped tests, and the counts. */
export function runAva(title: string, options: AvaOptions = {}): Counts {
  console.log(`${title} …`);
  const cli = join(projectRoot, 'node_modules/ava/entrypoints/cli.mjs');
  const config = options.config === undefined ? [] : ['--config', options.config];
  const started = performance.now();
  const run = spawnSync(options.node ?? process.execPath, [cli, '--tap', ...config], {
    cwd: projectRoot,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: options.timeout ?? 600_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const report = readTap(run.stdout);
  for (const failure of report.failures) console.log(`✘ ${failure}`);
  for (const skipped of report.skipped) console.log(`- ${skipped}`);
  const counts = orFailure(report.counts, run.status);
  if (counts.failed > 0 && report.failures.length === 0) {
    console.log(`${run.stdout}${run.stderr}${run.error?.message ?? ''}`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${title}: ${formatCounts(counts)} (${seconds} s)`);
  return counts;
}

/** A run that ends badly without a failing test (a crash, no tests at all) is one failure. */
function orFailure(counts: Counts, status: number | null): Counts {
  const silent = counts.failed === 0 && (status !== 0 || counts.passed === 0);
  return silent ? { ...counts, failed: 1 } : counts;
}
