// Compiles everything (sources, tests, scripts, benchmarks) into dist/, from scratch only
// when asked, so that a stale file cannot hide a deleted source.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');

/**
 * The command line in a few files instead of a hundred, each of which costs Node 0.4 ms. As deep
 * below the root as `src/cli`, whose code looks for package.json.
 */
const bundle = join(dist, 'bundle/cli');

async function bundleCommandLine() {
  const { build } = await import('esbuild');
  rmSync(bundle, { recursive: true, force: true });
  await build({
    entryPoints: [join(dist, 'bin/tsbpf.js')],
    outdir: bundle,
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
}

/** Deletes compiled files whose source is gone. */
function prune(dir) {
  if (!existsSync(dir)) return;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) prune(path);
    else {
      if (path === stamp || path.startsWith(bundle)) continue;
      const base = path.slice(dist.length + 1).replace(/\.(d\.ts|js\.map|js)$/, '.ts');
      if (!existsSync(join(root, base))) rmSync(path);
    }
  }
}

/** Written after a build without errors; what is older than it is compiled. */
const stamp = join(dist, '.built');

/** Whether a file, or anything below a folder, is newer than the last build; folders tell of deletions. */
function isNewer(path, than) {
  const stat = statSync(path);
  if (stat.mtimeMs >= than) return true;
  if (!stat.isDirectory()) return false;
  return readdirSync(path).some((name) => isNewer(join(path, name), than));
}

const sources = ['bin', 'src', 'test', 'scripts', 'bench', 'tsconfig.json', 'package-lock.json'];

function isBuilt() {
  if (!existsSync(stamp)) return false;
  const { mtimeMs } = statSync(stamp);
  return !sources.some((name) => isNewer(join(root, name), mtimeMs));
}

prune(dist);
if (isBuilt()) process.exit(0);
const started = new Date();
const tsc = join(root, 'node_modules/typescript/bin/tsc');
const run = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], {
  stdio: 'inherit',
});
// Dated at the start: a source that was written meanwhile is compiled the next time.
if (run.status === 0) {
  await bundleCommandLine();
  writeFileSync(stamp, started.toISOString());
  utimesSync(stamp, started, started);
}
process.exit(run.status ?? 1);
