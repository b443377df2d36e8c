// What the VM's engine costs by itself: lowering, the fixed cost of a run and of a call, and
// nanoseconds an instruction for some kinds of work, without objects, maps and helpers.
import { prepareProgram } from '../src/vm/engine/engine.ts';
import {
  addImm,
  aluImm,
  aluReg,
  assemble,
  type Code,
  call,
  exit,
  imageOf,
  jumpImm,
  jumpReg,
  load,
  movImm,
  movReg,
  store,
  wide,
} from '../test/vm/engine/assemble.ts';
import { TestMachine } from '../test/vm/engine/machine.ts';
import { type BenchOptions, type Group, interleaved, type Row, timed } from './measure.ts';

const turns = 100_000;

/** A loop that runs `body` `turns` times, with the count in r1; the buffer's address is in r6. */
function loop(body: Code): Code {
  const length = body.flat().length;
  const back = -(length + 2);
  return [
    movReg(6, 1),
    movReg(7, 1),
    wide(8, 0x100_0000_01b3n),
    movImm(0, 0),
    movImm(1, turns),
    ...body,
    addImm(1, -1),
    jumpImm(64, 'ne', 1, 0, back),
    exit(),
  ];
}

/** Programs with the number of instructions that each turn executes. */
const programs: readonly { readonly name: string; readonly code: Code; readonly each: number }[] = [
  {
    name: 'arithmetic, 64 bits',
    code: loop([
      aluReg(64, 'add', 0, 1),
      aluImm(64, 'xor', 0, 0x5555),
      aluReg(64, 'mul', 0, 8),
      aluImm(64, 'and', 0, -2),
    ]),
    each: 6,
  },
  {
    name: 'arithmetic, 32 bits',
    code: loop([
      aluReg(32, 'add', 0, 1),
      aluImm(32, 'xor', 0, 0x5555),
      aluReg(32, 'mul', 0, 8),
      aluImm(32, 'lsh', 0, 1),
    ]),
    each: 6,
  },
  {
    name: 'shifts, 64 bits',
    code: loop([
      aluImm(64, 'lsh', 0, 3),
      aluImm(64, 'rsh', 0, 2),
      aluReg(64, 'lsh', 0, 1),
      aluImm(64, 'arsh', 0, 1),
    ]),
    each: 6,
  },
  {
    name: 'division, 64 bits',
    code: loop([movReg(2, 8), aluReg(64, 'div', 2, 1), aluImm(64, 'mod', 2, 7)]),
    each: 5,
  },
  {
    name: 'memory',
    code: loop([load(8, 2, 6, 0), store(8, 6, 2, 8), load(1, 3, 6, 1), store(4, 6, 3, 16)]),
    each: 6,
  },
  {
    name: 'memory, misaligned',
    code: loop([load(8, 2, 6, 1), store(8, 6, 2, 9), load(4, 3, 6, 1), store(4, 6, 3, 17)]),
    each: 6,
  },
  {
    name: 'jumps',
    code: loop([
      jumpReg(64, 'gt', 0, 1, 0),
      jumpImm(32, 'eq', 1, 7, 0),
      jumpReg(64, 'slt', 6, 0, 0),
      jumpImm(64, 'set', 1, 1, 0),
    ]),
    each: 6,
  },
  {
    name: 'calls',
    code: [...loop([call(3)]), movImm(0, 1), exit()],
    each: 5,
  },
];

async function perInstruction(
  machine: TestMachine,
  { quick }: BenchOptions,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const { name, code, each } of programs) {
    const program = machine.prepare(code);
    const sample = (): number =>
      timed(() => void machine.run(program, { budget: 1e9 })) / (turns * each);
    const times = await interleaved(
      sample,
      undefined,
      quick ? { rounds: 1, warmUp: 1 } : { rounds: 11, warmUp: 4 },
    );
    rows.push({ name: `engine/${name}/instruction`, ...times, peerName: '', goal: undefined });
  }
  return rows;
}

async function fixedCosts(machine: TestMachine, options: BenchOptions): Promise<readonly Row[]> {
  const runs = options.quick ? 100 : 20_000;
  const empty = machine.prepare([movImm(0, 2), exit()]);
  const rounds = options.quick ? { rounds: 1, warmUp: 1 } : { rounds: 11, warmUp: 4 };
  const run = (): number =>
    timed(() => {
      for (let i = 0; i < runs; i++) machine.run(empty);
    }) / runs;
  const rows: Row[] = [];
  const fixed = await interleaved(run, undefined, rounds);
  rows.push({ name: 'engine/empty program/run', ...fixed, peerName: '', goal: undefined });
  for (const length of options.quick ? [1000] : [1000, 10_000, 20_000, 40_000]) {
    const filler = Array.from({ length: length - 1 }, (_, i) => aluImm(64, 'add', 0, i));
    const image = imageOf(assemble([...filler, exit()]));
    const lower = (): number => timed(() => void prepareProgram(image, machine.environment));
    const times = await interleaved(lower, undefined, rounds);
    rows.push({ name: `engine/lower/${length}`, ...times, peerName: '', goal: undefined });
  }
  return rows;
}

async function rows(options: BenchOptions): Promise<readonly Row[]> {
  const machine = new TestMachine(4096);
  return [...(await perInstruction(machine, options)), ...(await fixedCosts(machine, options))];
}

export const engineGroup: Group = { name: 'engine', rows };
