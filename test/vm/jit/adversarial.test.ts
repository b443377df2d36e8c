// Programs that no verifier would let through. Whatever they do, memory outside of the VM's
// window stays as it is, the host's stack is not exhausted, and both engines end the same way.
import test from 'ava';
import { BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { BpfError } from '../../../src/errors.ts';
import { createVm } from '../../../src/vm/index.ts';
import { type HelperFunction, type LoadedProgram, windows } from '../../../src/vm/machine.ts';
import {
  addImm,
  aluImm,
  aluReg,
  assemble,
  atomic,
  type Code,
  call,
  callHelper,
  callRegister,
  exit,
  functionAddress,
  goto,
  imageOf,
  jumpImm,
  load,
  loadSigned,
  movImm,
  movReg,
  type Size,
  store,
  storeImm,
  wide,
} from '../engine/assemble.ts';
import type { TestMachine } from '../engine/machine.ts';
import { programMaps } from '../random-programs.ts';
import { agree, outcome } from './agree.ts';
import { machines, runningOn } from './machines.ts';

const main = BigInt(windows.main >>> 0) << 32n;

const accesses: readonly (readonly [name: string, size: Size, code: (off: number) => Code])[] = [
  ...([1, 2, 4, 8] as const).flatMap((size) => [
    [`load ${size}`, size, (off: number) => [load(size, 0, 2, off)]] as const,
    [`store ${size}`, size, (off: number) => [store(size, 2, 1, off)]] as const,
    [`constant store ${size}`, size, (off: number) => [storeImm(size, 2, -1, off)]] as const,
  ]),
  ...([1, 2, 4] as const).map(
    (size) =>
      [`signed load ${size}`, size, (off: number) => [loadSigned(size, 0, 2, off)]] as const,
  ),
  ...([4, 8] as const).flatMap((size) =>
    [0, 1, 0xe1, 0xf1].map(
      (op) =>
        [`atomic ${op} ${size}`, size, (off: number) => [atomic(size, op, 2, 1, off)]] as const,
    ),
  ),
];

test('wild pointers trap alike, with the same report', (t) => {
  const pointers = [
    0n,
    8n,
    0xffff_ffff_ffff_ffffn,
    0x7fff_ffff_ffff_ffffn,
    main,
    main + 8n,
    main - 4n,
    main + 0xffff_fffcn,
    main + 0x3_ffffn,
    BigInt(windows.context >>> 0) << 32n,
    BigInt(windows.code >>> 0) << 32n,
  ];
  const on = machines();
  for (const [name, , code] of accesses) {
    for (const pointer of pointers) {
      for (const off of [0, 4, -4, 0x7fff, -0x8000]) {
        const result = agree(t, [wide(2, pointer), movImm(0, 0), ...code(off), exit()], {
          on,
        });
        t.regex(result, /^access/, `${name} at ${pointer} + ${off}`);
      }
    }
  }
});

test('accesses that straddle the ends of memory trap, the last ones inside do not', (t) => {
  const on = machines();
  for (const [name, size, code] of accesses) {
    const writes = !name.includes('load');
    for (const [engine, machine] of on) {
      const { memory } = machine;
      const low = writes ? memory.storeLow : memory.mainLow;
      for (const [at, valid] of [
        [low - 1, false],
        [low - size, false],
        [low, true],
        [low + 3, true],
        [memory.mainEnd - size, true],
        [memory.mainEnd - size + 1, false],
        [memory.mainEnd - 1, size === 1],
        [memory.mainEnd, false],
      ] as const) {
        const program = machine.prepare([
          wide(2, machine.address(at)),
          movImm(0, 0),
          movImm(1, 0),
          ...code(0),
          exit(),
        ]);
        const result = outcome(machine, runningOn(engine, program));
        t.is(result.startsWith('r0'), valid, `${engine}: ${name} at ${at}: ${result}`);
      }
    }
  }
});

test('pointer arithmetic that overflows does not come back into memory', (t) => {
  const far: readonly (readonly [Code, RegExp])[] = [
    // The lower half wraps around, the upper half is one too high.
    [[movReg(2, 1), wide(3, 0x1_0000_0000n), aluReg(64, 'add', 2, 3), load(1, 0, 2, 0)], /^access/],
    [
      [movReg(2, 1), wide(3, -0x1_0000_0000n), aluReg(64, 'add', 2, 3), load(1, 0, 2, 0)],
      /^access/,
    ],
    // All the way around is where it was.
    [
      [
        movReg(2, 1),
        wide(3, 1n << 63n),
        aluReg(64, 'add', 2, 3),
        aluReg(64, 'add', 2, 3),
        load(1, 0, 2, 0),
      ],
      /^r0 0/,
    ],
    [[movReg(2, 1), aluImm(64, 'lsh', 2, 32), store(8, 2, 1, 0)], /^access/],
    [[movReg(2, 1), aluImm(32, 'add', 2, 0), store(8, 2, 1, 0)], /^access/],
    [[movReg(2, 10), addImm(2, 0x7fff_0000), store(8, 2, 1, 0)], /^access/],
    [[movReg(2, 10), aluImm(64, 'mul', 2, 3), store(8, 2, 1, 0)], /^access/],
    // Far out of the frame, though still in the stack of the CPU.
    [
      [
        movReg(2, 10),
        movImm(3, -4096),
        aluReg(64, 'add', 2, 3),
        store(8, 2, 1, 0),
        load(8, 0, 2, 0),
      ],
      /^r0/,
    ],
    [[store(8, 10, 1, 8), load(8, 0, 10, 8)], /^(r0|access)/],
  ];
  for (const [code, expected] of far) {
    t.regex(agree(t, [movImm(0, 0), ...code, exit()]), expected);
  }
});

test('a pointer that loops add to leaves memory and traps', (t) => {
  const walk = (step: number): Code => [
    movImm(0, 0),
    movReg(2, 1),
    addImm(2, step),
    load(1, 3, 2, 0),
    goto(-3),
  ];
  t.regex(agree(t, walk(4096)), /^access/);
  t.regex(agree(t, walk(-4096)), /^access/);
});

test('counters that miss their limit run out of budget', (t) => {
  const loops: readonly Code[] = [
    // Steps over the limit.
    [movImm(1, 0), addImm(1, 3), jumpImm(64, 'ne', 1, 10, -2), movImm(0, 0), exit()],
    // Starts behind it.
    [movImm(1, 20), addImm(1, 1), jumpImm(32, 'ne', 1, 10, -2), movImm(0, 0), exit()],
    // Is set back in the loop.
    [
      movImm(1, 0),
      addImm(1, 1),
      aluImm(64, 'and', 1, 3),
      jumpImm(64, 'ne', 1, 10, -3),
      movImm(0, 0),
      exit(),
    ],
  ];
  for (const code of loops) t.is(agree(t, code), 'budget');
});

test('an index that leaves a counted loop early is charged as in the interpreter', (t) => {
  const code: Code = [
    movReg(6, 1),
    movImm(0, 0),
    movImm(1, 0),
    movReg(2, 6),
    aluReg(64, 'add', 2, 1),
    load(1, 3, 2, 0),
    jumpImm(64, 'eq', 3, 77, 3),
    aluReg(64, 'add', 0, 3),
    addImm(1, 1),
    jumpImm(64, 'ne', 1, 200, -7),
    exit(),
  ];
  for (const stop of [0, 1, 57, 199, 255]) {
    const least = machines().map(([engine, machine]) => {
      machine.memory.bytes[machine.buffer + stop] = 77;
      const program = runningOn(engine, machine.prepare(code));
      let [low, high] = [0, 2000];
      while (low + 1 < high) {
        const budget = (low + high) >> 1;
        if (outcome(machine, program, budget) === 'budget') low = budget;
        else high = budget;
      }
      return high;
    });
    t.is(least[0], least[1], `budget that a run to ${stop} needs`);
  }
});

test('callbacks that call themselves are stopped at 8 frames', (t) => {
  const again: HelperFunction = (run) => run.callFunction(run.cpu.half[2] as number);
  const code: Code = [
    functionAddress(1, 3),
    callHelper(0),
    movImm(0, 1),
    exit(),
    functionAddress(1, -2),
    callHelper(0),
    movImm(0, 2),
    exit(),
  ];
  t.regex(agree(t, code, { helpers: [again] }), /^call-depth; 7 < 7 < 7 < 7 < 7 < 7 < 7 < 2/);
});

test('recursion through addresses of functions is stopped at 8 frames', (t) => {
  const code: Code = [
    functionAddress(1, 2),
    callRegister(1),
    exit(),
    callRegister(1),
    movImm(0, 0),
    exit(),
  ];
  t.regex(agree(t, code), /^call-depth; 4 < 4 < 4 < 4 < 4 < 4 < 4 < 2/);
});

test("tail calls from callbacks end after 33, not with the host's stack", (t) => {
  const results = machines().map(([engine, machine]) => {
    let target: LoadedProgram | undefined;
    let made = 0;
    machine.helpers.set(1, (run) => run.callFunction(run.cpu.half[2] as number));
    machine.helpers.set(12, (run) => {
      run.cpu.regs[0] = -7n;
      if (target !== undefined && run.tailCallTo(target)) made++;
    });
    // Each program calls a callback that calls the program again in its own place.
    const code: Code = [
      functionAddress(1, 2),
      callHelper(1),
      exit(),
      callHelper(12),
      movImm(0, 5),
      exit(),
    ];
    const program = runningOn(engine, machine.prepare(code));
    target = program;
    return `${outcome(machine, program)} after ${made}`;
  });
  t.is(results[1], results[0]);
  t.regex(results[0] as string, /after 33$/);
});

test('tail calls between engines share their counter', (t) => {
  for (const [first, second] of [
    ['interpreter', 'jit'],
    ['jit', 'interpreter'],
    ['jit', 'jit'],
  ] as const) {
    const [[, machine]] = machines() as [readonly [string, TestMachine]];
    const targets: LoadedProgram[] = [];
    let made = 0;
    machine.helpers.set(12, (run) => {
      const target = targets[made % 2];
      if (target !== undefined && run.tailCallTo(target)) made++;
      else run.cpu.regs[0] = 99n;
    });
    // The call is made by a subprogram, whose caller goes on with what the last program gives.
    const code: Code = [call(2), addImm(0, 1), exit(), callHelper(12), movReg(0, 0), exit()];
    targets.push(runningOn(second, machine.prepare(code)), runningOn(first, machine.prepare(code)));
    const program = targets[1] as Parameters<TestMachine['run']>[0];
    t.is(machine.run(program), 99n + 34n, `${first}, ${second}`);
    t.is(made, 33);
  }
});

test('endless loops of every shape end with the budget', (t) => {
  const loops: readonly Code[] = [
    [goto(-1)],
    [movImm(0, 0), jumpImm(64, 'eq', 0, 0, -2), exit()],
    // Two entries: jumps into the middle of each other.
    [
      movImm(0, 0),
      jumpImm(64, 'eq', 1, 0, 1),
      addImm(0, 1),
      addImm(0, 2),
      jumpImm(64, 'ne', 0, 0, -3),
      goto(-3),
    ],
    // A loop in a subprogram.
    [call(1), exit(), goto(-1)],
  ];
  for (const code of loops) t.is(agree(t, code), 'budget');
  const forever: HelperFunction = (run) => {
    for (;;) run.callFunction(run.cpu.half[2] as number);
  };
  const code: Code = [functionAddress(1, 2), callHelper(0), exit(), movImm(0, 0), exit()];
  t.is(agree(t, code, { helpers: [forever] }), 'budget');
});

test('maps that change while they are walked do so alike', (t) => {
  // bpf_for_each_map_elem over the table; the callback deletes its own key and adds another.
  const callback: Code = [
    load(4, 6, 2, 0),
    store(4, 10, 6, -4),
    movReg(7, 1),
    movReg(2, 10),
    addImm(2, -4),
    callHelper(3),
    load(4, 6, 10, -4),
    addImm(6, 100),
    store(4, 10, 6, -4),
    storeImm(8, 10, 7, -16),
    movReg(1, 7),
    movReg(2, 10),
    addImm(2, -4),
    movReg(3, 10),
    addImm(3, -16),
    movImm(4, 0),
    callHelper(2),
    movImm(0, 0),
    exit(),
  ];
  const code: Code = [
    wide(1, 0n, 1),
    functionAddress(2, 4),
    movImm(3, 0),
    movImm(4, 0),
    callHelper(164),
    exit(),
    ...callback,
  ];
  const table = programMaps.find((map) => map.type === BPF_MAP_TYPE.HASH);
  const seen = (['interpreter', 'jit'] as const).map((engine) => {
    using vm = createVm({ engine, instructionBudget: 50_000 });
    const map = vm.createMap(table as NonNullable<typeof table>, {
      btf: undefined,
      inner: undefined,
    });
    for (let i = 0; i < 5; i++) map.update(Uint8Array.of(i, 0, 0, 0), new Uint8Array(8));
    const slots = [{ kind: 'map', insn: 0, map: 0 }] as unknown as ReturnType<
      typeof imageOf
    >['slots'];
    const program = vm.loadProgram(imageOf(assemble(code), { slots }), [map]);
    let result: string;
    try {
      result = `${program.testRun({ data: new Uint8Array(64) }).returnValue}`;
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      result = error.code;
    }
    const keys: string[] = [];
    for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
      keys.push(key.join());
    }
    return `${result}: ${keys.join(' ')}`;
  });
  t.is(seen[1], seen[0]);
});
