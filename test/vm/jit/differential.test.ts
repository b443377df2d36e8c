import test from 'ava';
import { createVm } from '../../../src/vm/index.ts';
import { difference, Runner } from '../compare-engines.ts';
import { randomProgram, seededRandom } from '../random-programs.ts';

const packet = Uint8Array.from({ length: 64 }, (_, i) => i);

test('random programs end the same in the interpreter and compiled', (t) => {
  const next = seededRandom(20_261_120);
  const interpreter = new Runner('interpreter', () => createVm({ engine: 'interpreter' }));
  const compiled = new Runner('jit', () => createVm({ engine: 'jit' }));
  let loaded = 0;
  for (let i = 0; i < 400; i++) {
    const image = randomProgram(next, { callbacks: true });
    const expected = interpreter.outcome(image, packet);
    const outcome = compiled.outcome(image, packet);
    if (expected !== outcome) t.fail(`program ${i}: ${difference(expected ?? '', outcome ?? '')}`);
    if (expected !== undefined) loaded++;
  }
  t.is(loaded, 400);
  interpreter.close();
  compiled.close();
});
