// Whole processes of the command line, as a shell starts them, against bpftool's. Its output
// goes to a file, as from `… format c > vmlinux.h`, and once to nowhere: bpftool writes in small
// pieces, which files take longer for.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../scripts/paths.ts';
import { fixturePath } from '../test/support/fixtures.ts';
import { type BenchOptions, type Group, interleaved, type Row, timed } from './measure.ts';

const vmlinux = '/sys/kernel/btf/vmlinux';
const program = join(projectRoot, 'dist/bundle/cli/tsbpf.js');
const bpftool = join(authoritiesRoot, 'usr/sbin/bpftool');
const launcher = join(dirname(authoritiesRoot), 'run');

/** The fixture with the most relocations. */
const largest = fixturePath('v3/task_walk.o');

/** Goals are the newest Node's: 20 starts and warms up more slowly. */
const isNewest = Number(process.versions.node.split('.')[0]) > 20;

function run(command: string, args: readonly string[], output: string): number {
  const out = openSync(output, 'w');
  try {
    return timed(() => {
      const { status } = spawnSync(command, args, { stdio: ['ignore', out, 'ignore'] });
      if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
    });
  } finally {
    closeSync(out);
  }
}

const ours = (args: readonly string[], output: string): number =>
  run(process.execPath, [program, ...args], output);

async function dumpRow(
  name: string,
  output: string,
  goal: number | undefined,
  { quick }: BenchOptions,
): Promise<Row> {
  const words = ['btf', 'dump', 'file', vmlinux, 'format', 'c'];
  const theirs = (): number => run(launcher, ['bpftool', ...words], output);
  const times = await interleaved(
    () => ours(words, output),
    existsSync(bpftool) ? theirs : undefined,
    quick ? { rounds: 1, warmUp: 0 } : { rounds: 15, warmUp: 2 },
  );
  return { name, ...times, peerName: 'bpftool 7.8', goal };
}

async function explainRow(folder: string, { quick }: BenchOptions): Promise<Row> {
  const words = ['explain', largest, '--btf', vmlinux];
  const output = join(folder, 'explained');
  const times = await interleaved(
    () => ours(words, output),
    () => 150e6,
    quick ? { rounds: 1, warmUp: 0 } : { rounds: 9, warmUp: 1 },
  );
  const goal = isNewest ? 1 : undefined;
  return { name: 'cli/explain of the largest object', ...times, peerName: '150 ms', goal };
}

async function rows(options: BenchOptions): Promise<readonly Row[]> {
  if (!existsSync(vmlinux)) return [];
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-bench-'));
  try {
    const goal = isNewest ? 1 : undefined;
    return [
      await dumpRow('cli/C dump of vmlinux to a file', join(folder, 'vmlinux.h'), goal, options),
      await dumpRow('cli/C dump of vmlinux to nowhere', '/dev/null', undefined, options),
      await explainRow(folder, options),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const cliGroup: Group = { name: 'cli', rows };
