// What it takes to translate a program and to compile the module, warm: the time per size
// shows whether anything grows faster than the program does.

import { prepareProgram } from '../src/vm/engine/engine.ts';
import { moduleBytes } from '../src/vm/jit/jit.ts';
import { compileModule } from '../src/vm/webassembly.ts';
import {
  addImm,
  aluImm,
  assemble,
  type Code,
  exit,
  imageOf,
  jumpImm,
  load,
  movImm,
  movReg,
  store,
} from '../test/vm/engine/assemble.ts';
import { TestMachine } from '../test/vm/engine/machine.ts';
import { type BenchOptions, type Group, median, type Row, timed } from './measure.ts';

/** Nine instructions: arithmetic, memory and a condition that skips the last of them. */
const part = (seed: number): Code => [
  aluImm(64, 'add', 0, seed),
  aluImm(32, 'xor', 0, seed),
  load(8, 2, 6, (seed % 16) * 8),
  aluImm(64, 'mul', 2, 31),
  store(8, 10, 2, -8 - 8 * (seed % 8)),
  movReg(3, 2),
  jumpImm(64, 'gt', 3, seed, 2),
  addImm(0, 7),
  store(4, 6, 0, (seed % 32) * 4),
];

/** About `length` instructions of all of that, unlike any that was compiled before. */
function programOf(length: number, variant: number): Code {
  const parts = Array.from({ length: Math.round((length - 3) / 9) }, (_, i) => part(i + variant));
  return [movReg(6, 1), movImm(0, variant), ...parts.flat(), exit()];
}

const sizes = [
  { length: 75, limit: 1e6 },
  { length: 10_000, limit: undefined },
  { length: 20_000, limit: undefined },
  { length: 40_000, limit: undefined },
  { length: 78_000, limit: 3e9 },
] as const;

function rows({ quick }: BenchOptions): readonly Row[] {
  const machine = new TestMachine(4096);
  let variant = 0;
  return sizes.slice(0, quick ? 1 : sizes.length).map(({ length, limit }): Row => {
    const rounds = length < 1000 ? 60 : 3;
    const times = Array.from({ length: rounds }, () => {
      const image = imageOf(assemble(programOf(length, ++variant)));
      const program = prepareProgram(image, machine.environment);
      return timed(() => {
        const bytes = moduleBytes(program);
        if (bytes === undefined) throw new Error(`a program of ${length} is too large`);
        compileModule(bytes);
      });
    });
    const ours = median(times.slice(rounds >> 1));
    return {
      name: `jit/translate and compile/${length}`,
      ours,
      peer: limit,
      peerName: 'the limit',
      goal: limit && 1,
    };
  });
}

export const compileGroup: Group = { name: 'jit', rows };
