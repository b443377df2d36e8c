// Replays what fuzzing has ever found, and a small fuzzing run of its own.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { FuzzInputs } from './inputs.ts';
import { timeLimit } from './limits.ts';
import { FuzzTarget } from './target.ts';

const folder = join(projectRoot, 'test/fuzz/crashers');
const crashers = existsSync(folder)
  ? readdirSync(folder).filter((file) => file.endsWith('.o'))
  : [];

for (const file of crashers) {
  test(`crasher ${file}`, (t) => {
    const bytes = new Uint8Array(readFileSync(join(folder, file)));
    const btf = join(folder, file.replace(/\.o$/, '.btf'));
    const types = existsSync(btf) ? new Uint8Array(readFileSync(btf)) : undefined;
    using target = new FuzzTarget();
    const started = performance.now();
    t.notThrows(() => target.run(bytes, types));
    t.true(performance.now() - started < timeLimit);
  });
}

test('500 damaged fixtures give values or errors, and every stage is reached', (t) => {
  const inputs = new FuzzInputs();
  using target = new FuzzTarget();
  const reached = new Set<string>();
  for (let index = 0; index < 500; index++) {
    const { bytes, target: types } = inputs.make(42, index);
    reached.add(target.run(bytes, types));
  }
  t.true(reached.has('refused') && reached.has('ran'));
});

test('the same seed and index give the same bytes', (t) => {
  t.deepEqual(new FuzzInputs().make(7, 3), new FuzzInputs().make(7, 3));
});
