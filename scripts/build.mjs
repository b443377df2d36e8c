// Compiles everything (sources, tests, scripts, benchmarks) into dist/, from scratch only
// when asked, so that a stale file cannot hide a deleted source.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

/** Deletes compiled files whose source is gone. */
function prune(dir) {
  if (!existsSync(dir)) return;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) prune(path);
    else {
      const base = path.slice(dist.length + 1).replace(/\.(d\.ts|js\.map|js)$/, '.ts');
      if (!existsSync(join(root, base))) rmSync(path);
    }
  }
}

prune(dist);
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const run = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], {
  stdio: 'inherit',
});
process.exit(run.status ?? 1);
