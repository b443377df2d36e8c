import { readFileSync } from 'node:fs';
import test from 'ava';
import { BpfError } from '../../../src/errors.ts';
import { loadObject } from '../../../src/loader/load.ts';
import { openObject } from '../../../src/object/open.ts';
import { createVm } from '../../../src/vm/index.ts';
import { flowGraph } from '../../../src/vm/jit/flow-graph.ts';
import { accelerate, moduleBytes } from '../../../src/vm/jit/jit.ts';
import { moduleFor } from '../../../src/vm/jit/module-cache.ts';
import { compileModule } from '../../../src/vm/webassembly.ts';
import { fixturePath } from '../../support/fixtures.ts';
import {
  addImm,
  aluImm,
  type Code,
  exit,
  goto,
  jumpImm,
  load,
  mayGoto,
  movImm,
  movReg,
} from '../engine/assemble.ts';
import { TestMachine } from '../engine/machine.ts';
import { seededRandom } from '../random-programs.ts';
import { engines, machines, runningOn } from './machines.ts';

/** Random jumps within `length` instructions, forwards and backwards. */
function randomJumps(next: (below: number) => number, length: number): Code {
  const code: Code = Array.from({ length }, (_, at) => {
    const off = next(length) - at - 1;
    if (next(3) === 0) return addImm(1, 1);
    return next(4) === 0 ? goto(off) : jumpImm(64, 'set', 1, 1 << next(8), off);
  });
  return [...code, exit()];
}

/** Dominators by their definition: without a block, what it dominates is not reached. */
function naiveDominators(next: Int32Array, jump: Int32Array): number[][] {
  const reached = (without: number): Set<number> => {
    const seen = new Set<number>();
    const waiting = without === 0 ? [] : [0];
    for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
      if (seen.has(block) || block === without) continue;
      seen.add(block);
      for (const to of [next[block], jump[block]])
        if (to !== undefined && to >= 0) waiting.push(to);
    }
    return seen;
  };
  const blocks = Array.from(next, (_, block) => block);
  const without = blocks.map(reached);
  return blocks.map((block) => blocks.filter((other) => without[other]?.has(block) !== true));
}

test('dominators are those of the definition, for any graph', (t) => {
  const next = seededRandom(11);
  const machine = new TestMachine();
  let irreducible = 0;
  for (let i = 0; i < 300; i++) {
    const { code } = machine.prepare(randomJumps(next, 2 + next(24)));
    const [fn] = code.functions;
    if (fn === undefined) continue;
    const graph = flowGraph(code, fn);
    const expected = naiveDominators(graph.next, graph.jump);
    for (let block = 1; block < graph.start.length; block++) {
      const chain = [block];
      while (chain[0] !== 0) chain.unshift(graph.dominator[chain[0] as number] as number);
      t.deepEqual(chain, expected[block], `block ${block} of graph ${i}`);
    }
    if (!graph.reducible) irreducible++;
  }
  t.true(irreducible > 20 && irreducible < 280, `${irreducible} irreducible graphs`);
});

test('graphs of every shape run alike, irreducible ones too', (t) => {
  const next = seededRandom(12);
  const on = machines();
  for (let i = 0; i < 300; i++) {
    const code: Code = [movImm(1, next(256)), movImm(0, 0), ...randomJumps(next, 2 + next(30))];
    const results = on.map(([engine, machine]) => {
      try {
        const program = runningOn(
          engine,
          machine.prepare([...code.slice(0, -1), movReg(0, 1), exit()]),
        );
        return `${machine.run(program, { budget: 3000 })}`;
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        return error.detail.code === 'vm-trap' ? error.detail.reason : error.message;
      }
    });
    t.is(results[1], results[0], `graph ${i}`);
  }
});

test('may_goto ends a loop after its allowance in both engines', (t) => {
  const code: Code = [movImm(0, 0), mayGoto(2), addImm(0, 1), goto(-3), exit()];
  for (const [engine, machine] of machines()) {
    const program = runningOn(engine, machine.prepare(code));
    t.is(machine.run(program, { budget: 1e9 }), 8n * 1024n * 1024n, engine);
  }
});

test('modules of all sizes are valid, and grow with the program', (t) => {
  const machine = new TestMachine();
  const size = (length: number): number => {
    const filler = Array.from({ length }, (_, i) =>
      i % 5 === 4 ? jumpImm(64, 'eq', 0, i, 1) : aluImm(64, 'add', 0, i),
    );
    const bytes = moduleBytes(machine.prepare([movImm(0, 0), ...filler, movImm(0, 0), exit()]));
    if (bytes === undefined) throw new Error(`no module for ${length}`);
    compileModule(bytes);
    return bytes.length;
  };
  const [small, large] = [size(2000), size(8000)];
  t.true(large < 4.5 * small, `${small} and ${large} bytes`);
});

test('a module is compiled once', (t) => {
  const bytes = moduleBytes(new TestMachine().prepare([movImm(0, 7), exit()]));
  const again = moduleBytes(new TestMachine().prepare([movImm(0, 7), exit()]));
  if (bytes === undefined || again === undefined) throw new Error('no module');
  t.is(moduleFor(bytes), moduleFor(again));
});

test('auto compiles a program that has run for a while', (t) => {
  const machine = new TestMachine();
  const program = machine.prepare([
    movImm(0, 0),
    movImm(1, 2000),
    addImm(0, 1),
    addImm(1, -1),
    jumpImm(64, 'ne', 1, 0, -3),
    exit(),
  ]);
  accelerate(program, 'auto');
  let compiled = 0;
  const { accelerator } = program;
  if (accelerator === undefined) throw new Error('nothing accelerates the program');
  const codeFor = accelerator.codeFor.bind(accelerator);
  accelerator.codeFor = (run) => {
    const code = codeFor(run);
    if (code !== undefined) compiled++;
    return code;
  };
  for (let i = 0; i < 10; i++) t.is(machine.run(program), 2000n);
  t.true(compiled >= 5 && compiled < 10, `${compiled} of 10 runs were compiled`);
});

test("runs with a hook are the interpreter's", (t) => {
  const machine = new TestMachine();
  const program = runningOn('jit', machine.prepare([movImm(0, 1), addImm(0, 2), exit()]));
  const rows: number[] = [];
  t.is(machine.run(program, { hook: (_run, row) => rows.push(row) }), 3n);
  t.deepEqual(rows, [0, 1, 2]);
  t.is(machine.run(program), 3n);
});

test('trap reports name the same line, registers and memory in both engines', (t) => {
  const reports = engines.map((engine) => {
    using vm = createVm({ engine, instructionBudget: 1000 });
    using object = loadObject(openObject(readFileSync(fixturePath('invalid/endless_loop.o'))), {
      backend: vm,
    });
    const program = object.program('program');
    const error = t.throws(() => program.testRun({ data: new Uint8Array(64) }), {
      instanceOf: BpfError,
    });
    return error?.message;
  });
  t.regex(reports[0] ?? '', /endless_loop\.bpf\.c/);
  t.is(reports[1], reports[0]);
  const wild = machines().map(([engine, machine]) => {
    const program = runningOn(
      engine,
      machine.prepare([movImm(3, 5), movImm(2, 16), load(4, 0, 2, 8), exit()]),
    );
    const error = t.throws(() => machine.run(program), { instanceOf: BpfError });
    return error?.message;
  });
  t.is(wild[1], wild[0]);
});
