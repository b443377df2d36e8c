import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { objectPath, tsbpf } from './support.ts';

const counter = objectPath('v3/xdp_counter');
const packet = `ffffffffffff0200000000010800${'45'.padEnd(100, '0')}`;
const run = ['run', counter, '--packet', packet] as const;

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tsbpf-test-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

test('--coverage writes lcov, or the JSON of istanbul', async (t) => {
  const [lcov, json] = ['lcov.info', 'coverage.json'].map((name) => join(folder(t), name));
  const plain = await tsbpf('-j', ...run);
  const covered = await tsbpf('-j', ...run, '--coverage', lcov as string);
  const [a, b] = [plain, covered].map(({ out }) => ({ ...JSON.parse(out), duration: 0 }));
  t.deepEqual(b, a);
  t.regex(readFileSync(lcov as string, 'utf8'), /^TN:\nSF:\.\/fixtures\/xdp_counter\.bpf\.c\n/);
  await tsbpf(...run, '--coverage', json as string);
  const report = JSON.parse(readFileSync(json as string, 'utf8'));
  t.deepEqual(Object.keys(report), ['./fixtures/xdp_counter.bpf.c']);
});

test('--profile goes to standard error, or to a file', async (t) => {
  const { err } = await tsbpf(...run, '--profile');
  t.regex(err, /^\d+ instructions\n *\d+ +100\.0% +count_packets\n/);
  t.regex(err, /xdp_counter\.bpf\.c:62 +if \(\(void \*\)\(ip \+ 1\) > end\)/);
  const [text, json] = ['profile.txt', 'profile.json'].map((name) => join(folder(t), name));
  await tsbpf(...run, '--profile', text as string);
  t.is(readFileSync(text as string, 'utf8'), err);
  await tsbpf(...run, '--profile', json as string);
  t.is(typeof JSON.parse(readFileSync(json as string, 'utf8')).lines[0].instructions, 'number');
});

test('--trace tells what runs, at three levels', async (t) => {
  const lines = await tsbpf(...run, '--trace');
  t.regex(lines.err, /^\.\/fixtures\/xdp_counter\.bpf\.c:50: int count_packets/);
  const insns = await tsbpf(...run, '--trace', 'insn');
  t.regex(insns.err, /^count_packets\+0: w0 = 0x1\n/);
  const helpers = await tsbpf(...run, '--trace', 'helper');
  t.regex(helpers.err, /^bpf_map_lookup_elem\(/);
  t.is(helpers.out.replace(/\d+ ns/, ''), lines.out.replace(/\d+ ns/, ''));
});

test('what cannot be observed is an error', async (t) => {
  t.is((await tsbpf(...run, '--trace', 'everything')).status, 2);
  const unwritable = await tsbpf(...run, '--coverage', join(folder(t), 'no', 'such', 'folder'));
  t.is(unwritable.status, 1);
  t.regex(unwritable.err, /^Error: write .*ENOENT/);
});
