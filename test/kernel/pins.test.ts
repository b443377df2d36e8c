import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { support } from '../support/kernel.ts';

/** Runs a shell script where mounts are its own. */
function inNamespace(script: string, args: readonly string[]): SpawnSyncReturns<string> {
  const shell = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  return spawnSync('unshare', [...shell, ...args], { encoding: 'utf8', timeout: 30_000 });
}

const mount = 'mount -t bpf bpf "$1"';

/** Why bpffs cannot be mounted here; undefined where it can. */
function missingBpffs(): string | undefined {
  if (!support.ok) return `no kernel: ${support.reason}`;
  const { status, stderr, error } = inNamespace(mount, [tmpdir()]);
  return status === 0 ? undefined : `no bpffs: ${error?.message ?? stderr.trim()}`;
}

const missing = missingBpffs();
const title = 'maps are pinned in bpffs, found again, compared, and unpinned';

(missing === undefined ? test.serial : test.skip)(
  missing === undefined ? title : `${title} (${missing})`,
  (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tsbpf-pins-'));
    t.teardown(() => {
      rmSync(folder, { recursive: true, force: true });
      rmSync('/tmp/tsbpf-no-bpffs', { recursive: true, force: true });
    });
    const child = join(projectRoot, 'dist/test/support/pin-child.js');
    const script = `${mount} && exec "$2" "$3" "$1"`;
    const { status, stdout, stderr } = inNamespace(script, [folder, process.execPath, child]);
    t.is(status, 0, `${stdout}${stderr}`);
    const seen = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    t.deepEqual(seen['values'], [0, 1, 2], 'later objects see what earlier ones counted');
    t.like(seen, { stays: true, unpinned: true, kept: true, gone: true });
    t.regex(String(seen['differs']), /max entries 5 {19}4 {2}\(differs\)/);
    t.regex(String(seen['program']), /what is pinned there is no map/);
    t.regex(String(seen['fails']), /create \(BPF_MAP_CREATE\) of map 'broken'/);
    t.regex(String(seen['elsewhere']), /'\/tmp\/tsbpf-no-bpffs' is not on bpffs; mount it/);
  },
);
