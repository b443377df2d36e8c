// The program as users start it: exit statuses, closed pipes, colour, and a lean start.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { objectPath } from './support.ts';

const program = join(projectRoot, 'dist/bundle/cli/tsbpf.js');

function start(...argv: readonly string[]) {
  return spawnSync(process.execPath, [program, ...argv], { cwd: projectRoot, encoding: 'utf8' });
}

test('exit statuses', (t) => {
  const good = start('inspect', objectPath('v3/xdp_counter'));
  t.deepEqual([good.status, good.stderr], [0, '']);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: no colour where no terminal is
  t.notRegex(good.stdout, /\u001b/);
  const failed = start('inspect', 'fixtures/invalid/empty.o');
  t.deepEqual([failed.status, failed.stdout], [1, '']);
  t.regex(failed.stderr, /^Error: [^\n]+\n$/);
  const usage = start('inspet');
  t.deepEqual([usage.status, usage.stdout], [2, '']);
  const json = start('-j', 'inspect', 'fixtures/invalid/empty.o');
  t.deepEqual([json.status, json.stderr], [1, '']);
  t.regex(JSON.parse(json.stdout).error, /not an ELF file/);
});

test('output that nobody reads is no error', async (t) => {
  const argv = ['-p', 'object', 'image', objectPath('v3/long_code')];
  const child = spawn(process.execPath, [program, ...argv], { cwd: projectRoot });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const status = await new Promise((resolve) => child.on('close', resolve));
  t.deepEqual({ status, stderr }, { status: 0, stderr: '' });
});

test('large output arrives whole through a pipe', (t) => {
  const { status, stdout } = start('-j', 'object', 'image', objectPath('v3/long_code'));
  t.is(status, 0);
  t.true(stdout.length > 200_000, String(stdout.length));
  t.notThrows(() => JSON.parse(stdout));
});

test('the version is answered without loading what other commands need', (t) => {
  const { stdout, status } = start('--version');
  t.is(status, 0);
  t.regex(stdout, /^tsbpf v\d+\.\d+\.\d+\n$/);
  const loaded = ['bin/tsbpf.ts', 'src/cli/main.ts', 'src/cli/version.ts'].flatMap((file) => {
    const text = readFileSync(join(projectRoot, file), 'utf8');
    return [...text.matchAll(/^import (?!type ).* from '(.*)'/gm)].map(([, from]) => from);
  });
  t.deepEqual(loaded, [
    '../src/cli/main.ts',
    '../src/cli/write-bytes.ts',
    './version.ts',
    'node:fs',
  ]);
});

test('--debug logs JSON lines to standard error and leaves the output alone', (t) => {
  const plain = start('-j', 'inspect', objectPath('v3/xdp_counter'));
  const debug = start('-j', '-d', 'inspect', objectPath('v3/xdp_counter'));
  t.is(debug.stdout, plain.stdout);
  const lines = debug.stderr.trim().split('\n');
  t.true(lines.length > 0);
  for (const line of lines) t.is(JSON.parse(line).name, 'tsbpf');
});
