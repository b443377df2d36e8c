// Every input of fixtures/invalid gives exactly the error that its manifest names, at the
// stage that it names, in words that a terminal can show.
import test from 'ava';
import { BpfError } from '../../src/errors.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { createVm } from '../../src/vm/index.ts';
import { type InvalidEntry, invalidEntries, invalidFixture } from '../support/fixtures.ts';

/** Goes through the stages; the one that throws, and what it threw. */
function firstFailure(file: string): { readonly stage: string; readonly error: unknown } {
  let stage: InvalidEntry['stage'] = 'open';
  try {
    const spec = openObject(invalidFixture(file), { name: 'invalid' });
    stage = 'load';
    using vm = createVm({ instructionBudget: 100_000 });
    using object = loadObject(spec, { backend: vm });
    stage = 'run';
    for (const { program } of object.programs) program.testRun({ data: new Uint8Array(64) });
    return { stage: 'none', error: undefined };
  } catch (error) {
    return { stage, error };
  }
}

const entries = invalidEntries();

test('there are enough of them', (t) => {
  t.true(entries.length >= 40);
});

for (const { file, damage, code, stage } of entries) {
  test(`${file}: ${damage}`, (t) => {
    const failure = firstFailure(file);
    const { error } = failure;
    if (!(error instanceof BpfError)) return t.fail(`no BpfError but ${String(error)}`);
    t.deepEqual({ code: error.code, stage: failure.stage }, { code, stage }, error.message);
    t.regex(error.message, /^[\p{L}\p{N}\p{P}\p{S} ]+$/u);
    t.true(error.message.length > 20);
    return undefined;
  });
}
