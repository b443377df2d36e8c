import test from 'ava';
import {
  addImm,
  aluImm,
  aluReg,
  type Code,
  exit,
  type JUMP,
  jumpImm,
  jumpReg,
  load,
  movImm,
  movReg,
  store,
  wide,
} from '../engine/assemble.ts';
import { seededRandom } from '../random-programs.ts';
import { agree, outcome } from './agree.ts';
import { machines, runningOn } from './machines.ts';

type Comparison = keyof typeof JUMP;

interface Shape {
  /** Counter: r1, by 32 or 64 bits. */
  readonly width: 32 | 64;
  readonly first: number;
  readonly step: number;
  readonly turns: number;
  /** What grows: r6. */
  readonly from: bigint;
  readonly by: number;
  /** What is compared with r7 is r6 and this. */
  readonly ahead: number;
  readonly bound: bigint;
  readonly guard: Comparison;
  /** The bound is on the left side. */
  readonly turned: boolean;
  /** Rows that only compute. */
  readonly work: number;
}

/** A counted loop that also ends where a growing number passes a bound; r0 mixes all that it saw. */
function loop(shape: Shape): Code {
  const { width, first, step, turns, guard, turned } = shape;
  const work: Code = Array.from({ length: shape.work }, (_, i) => aluImm(64, 'add', 0, i));
  const body: Code = [
    movReg(2, 6),
    addImm(2, shape.ahead),
    jumpReg(64, guard, turned ? 7 : 2, turned ? 2 : 7, 5 + shape.work),
    aluImm(64, 'mul', 0, 31),
    aluReg(64, 'add', 0, 6),
    ...work,
    addImm(6, shape.by),
    aluImm(width, 'add', 1, step),
  ];
  return [
    ...wide(6, shape.from),
    ...wide(7, shape.bound),
    movImm(0, 1),
    movImm(1, first),
    ...body,
    jumpImm(width, 'ne', 1, first + turns * step, -body.length - 1),
    aluImm(64, 'mul', 0, 7),
    aluReg(64, 'xor', 0, 1),
    aluImm(64, 'mul', 0, 7),
    aluReg(64, 'xor', 0, 2),
    exit(),
  ];
}

const edges = [0n, 1n, 7n, 1n << 31n, 1n << 32n, (1n << 63n) - 3n, 1n << 63n, (1n << 64n) - 5n];

function randomShape(next: (below: number) => number): Shape {
  const pick = <T>(of: readonly T[]): T => of[next(of.length)] as T;
  const from = BigInt.asUintN(64, (pick(edges) as bigint) + BigInt(next(40)) - 20n);
  const near = from + BigInt(next(600)) - 40n;
  const step = pick([1, 1, 2, 3, 4, 7, -1, -2]);
  const turns = 1 + next(pick([3, 8, 90]));
  const first = step < 0 ? -step * turns + next(3) : next(50);
  return {
    width: pick([32, 64]),
    first,
    step,
    turns,
    from,
    by: pick([1, 2, 4, 8, 3, 12, 100]),
    ahead: pick([0, 1, 4, -4, 12]),
    bound: BigInt.asUintN(64, next(4) === 0 ? (pick(edges) as bigint) : near),
    guard: pick(['gt', 'ge', 'lt', 'le', 'eq', 'sgt'] as const),
    turned: next(2) === 0,
    work: next(12),
  };
}

test('loops with a bound besides their counter end at the same turn in both engines', (t) => {
  const next = seededRandom(31);
  const on = machines();
  for (let i = 0; i < 1500; i++) agree(t, loop(randomShape(next)), { on });
});

test('the registers of the loop itself may be what is compared', (t) => {
  const on = machines();
  for (const [guard, bound] of [
    ['gt', 0],
    ['gt', 1],
    ['ge', 37],
    ['gt', 37],
    ['ge', 100],
    ['gt', 200],
  ] as const) {
    for (const width of [32, 64] as const) {
      const counter: Code = [
        movImm(0, 0),
        movImm(1, 0),
        jumpImm(64, guard, 1, bound, 4),
        aluReg(64, 'add', 0, 1),
        aluImm(64, 'mul', 0, 3),
        aluImm(width, 'add', 1, 1),
        jumpImm(width, 'ne', 1, 100, -5),
        exit(),
      ];
      agree(t, counter, { on });
    }
  }
});

test('a sum of a pointer and a counter is compared', (t) => {
  const on = machines();
  for (const length of [0, 1, 8, 63, 64, 65, 200]) {
    agree(
      t,
      [
        movReg(6, 1),
        movReg(7, 1),
        addImm(7, length),
        movImm(0, 0),
        movImm(1, 0),
        movReg(2, 6),
        aluReg(64, 'add', 2, 1),
        movReg(3, 2),
        addImm(3, 1),
        jumpReg(64, 'gt', 3, 7, 5),
        load(1, 4, 2, 0),
        store(1, 2, 1, 0),
        aluReg(64, 'add', 0, 4),
        addImm(1, 1),
        jumpImm(64, 'ne', 1, 64, -10),
        exit(),
      ],
      { on },
    );
  }
});

test('an access that traps in a turn that need not ask is reported alike', (t) => {
  for (const bound of [100, 5000, 1_000_000]) {
    const code: Code = [
      movReg(6, 1),
      movReg(7, 1),
      addImm(7, bound),
      movImm(0, 0),
      movImm(1, 0),
      movReg(2, 6),
      addImm(2, 4096),
      jumpReg(64, 'gt', 2, 7, 4),
      store(8, 6, 1, 0),
      addImm(6, 4096),
      addImm(1, 1),
      jumpImm(64, 'ne', 1, 500, -7),
      exit(),
    ];
    agree(t, code);
  }
});

test('such loops are charged what the interpreter charges', (t) => {
  const next = seededRandom(32);
  for (let i = 0; i < 40; i++) {
    const code = loop(randomShape(next));
    const least = machines().map(([engine, machine]) => {
      const program = runningOn(engine, machine.prepare(code));
      let [low, high] = [0, 4000];
      while (low + 1 < high) {
        const budget = (low + high) >> 1;
        if (outcome(machine, program, budget) === 'budget') low = budget;
        else high = budget;
      }
      return high;
    });
    t.is(least[1], least[0], `program ${i}`);
  }
});
