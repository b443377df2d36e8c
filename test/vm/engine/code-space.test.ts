import test from 'ava';
import { CodeSpace, codeAddress } from '../../../src/vm/engine/code-space.ts';
import type { LoweredProgram } from '../../../src/vm/engine/program.ts';
import { exit } from './assemble.ts';
import { TestMachine } from './machine.ts';

function program(): LoweredProgram {
  return new TestMachine().prepare([exit()]);
}

test('addresses find their program and instruction, and nothing in between', (t) => {
  const space = new CodeSpace();
  const [first, second] = [program(), program()];
  const [low, high] = [space.reserve(4), space.reserve(2)];
  if (low === undefined || high === undefined) return t.fail();
  space.add({ base: high, length: 2, program: second });
  space.add({ base: low, length: 4, program: first });
  t.deepEqual(space.find(codeAddress(low, 0)), { program: first, insn: 0 });
  t.deepEqual(space.find(codeAddress(low, 3)), { program: first, insn: 3 });
  t.deepEqual(space.find(codeAddress(high, 1)), { program: second, insn: 1 });
  t.is(space.find(codeAddress(high, 2)), undefined);
  t.is(space.find(low + 4), undefined);
  t.is(space.find(0), undefined);
  t.is(space.find(-1), undefined);
});

test('addresses of a program that is gone find nothing and are not used again', (t) => {
  const space = new CodeSpace();
  const gone = program();
  const base = space.reserve(4) ?? 0;
  space.add({ base, length: 4, program: gone });
  space.remove(gone);
  t.is(space.find(base), undefined);
  t.true((space.reserve(4) ?? 0) > base);
});

test('addresses end with the lower half of the window', (t) => {
  const space = new CodeSpace();
  t.is(space.reserve(2 ** 29), undefined);
  const base = space.reserve(2 ** 29 - 2 ** 13) ?? 0;
  t.is(base, 0x1_0000);
  t.is(space.reserve(1), undefined);
});
