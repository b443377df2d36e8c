import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { builtinBtf } from '../../src/vm/index.ts';
import { objectPath, tsbpf, tsbpfInColor } from './support.ts';

/** A file with the types that are built in, and one with hardly any. */
function kernels(t: ExecutionContext): { readonly rich: string; readonly poor: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const poor = new BtfBuilder();
  poor.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const files = { rich: join(folder, 'rich.btf'), poor: join(folder, 'poor.btf') };
  writeFileSync(files.rich, builtinBtf().bytes);
  writeFileSync(files.poor, poor.finish());
  return files;
}

const walk = objectPath('v3/task_walk');
const counter = objectPath('v3/xdp_counter');

test('a matrix of objects and kernels, and what stands in the way', async (t) => {
  const { rich, poor } = kernels(t);
  const { out, status } = await tsbpf('compat', counter, walk, '--btf', rich, `old=${poor}`);
  t.is(status, 1);
  const lines = out.split('\n');
  t.deepEqual(lines.slice(0, 3), [
    '                           rich  old',
    `${counter}  yes   yes`,
    `${walk}    yes   no`,
  ]);
  t.true(lines.includes(`${walk} on old`));
  t.regex(
    out,
    / {4}field: struct task_struct\.\S+: .*\n {8}.* @ \.\/fixtures\/task_walk\.bpf\.c:\d+\n/,
  );
});

test('all load: status 0', async (t) => {
  const { rich } = kernels(t);
  const { out, status } = await tsbpf('compat', counter, '--btf', `now=${rich}`);
  t.is(status, 0);
  t.is(out, `                           now\n${counter}  yes\n`);
});

test('the same as JSON', async (t) => {
  const { rich, poor } = kernels(t);
  const { out, status } = await tsbpf('-j', 'compat', walk, '--btf', rich, poor);
  t.is(status, 1);
  const report = JSON.parse(out);
  t.deepEqual(report.kernels, ['rich', 'poor']);
  const [yes, no] = report.objects[0].results;
  t.true(yes.loads);
  t.false(no.loads);
  const [problem] = no.programs.flatMap((each: { problems: unknown[] }) => each.problems);
  t.like(problem, { kind: 'field' });
  t.is(typeof problem.places[0].line, 'number');
});

test('trouble has a status of its own', async (t) => {
  const { rich } = kernels(t);
  t.is((await tsbpf('compat', 'no/such/file.o', '--btf', rich)).status, 2);
  t.is((await tsbpf('compat', counter, '--btf', 'name=')).status, 2);
  t.is((await tsbpf('compat', counter, '--btf', counter)).status, 0);
});

test('a terminal is told how far it got when there is much to do', async (t) => {
  const { rich } = kernels(t);
  const many = Array.from({ length: 25 }, () => counter);
  const shown = await tsbpfInColor('compat', ...many, '--btf', rich);
  t.regex(shown.err, /25\/25 fixtures\/v3\/xdp_counter\.o\r/);
  t.is((await tsbpf('compat', ...many, '--btf', rich)).err, '');
  t.is((await tsbpfInColor('compat', counter, '--btf', rich)).err, '');
});
