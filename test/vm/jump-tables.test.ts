// Indirect jumps through tables, as clang 22 compiles `switch`, on both engines.
import test from 'ava';
import { BpfError } from '../../src/errors.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import { searchFor, searchRows } from '../../src/vm/engine/jump-tables.ts';
import { createVm } from '../../src/vm/index.ts';
import { fixture } from '../support/fixtures.ts';
import { assemble, type Code, exit, imageOf, load, movImm, wide } from './engine/assemble.ts';

const engines = ['interpreter', 'jit'] as const;
const packetSize = 64;

interface Counters {
  readonly counters: number[];
}

/** `weigh` of fixtures/jump_tables.bpf.c. */
function weigh(kind: number, queue: number, device: number, { counters }: Counters): number {
  const add = (at: number, by: number): void => {
    counters[at] = ((counters[at] ?? 0) + by) >>> 0;
  };
  switch (kind) {
    case 0:
      return packetSize;
    case 1:
      return queue * 3;
    case 2:
      add(1, 1);
      return 7;
    case 3:
      return device ^ 5;
    case 4:
      add(2, 2);
      return queue;
    default:
      return 1;
  }
}

/** `two_tables`: XDP_DROP is 1, XDP_PASS 2, XDP_TX 3. */
function twoTables(queue: number, device: number, state: Counters): number {
  const { counters } = state;
  let total = 0;
  switch (queue & 7) {
    case 0:
      total = device;
      break;
    case 1:
      counters[3] = ((counters[3] ?? 0) + 1) >>> 0;
      total = 4;
      break;
    case 2:
      total = packetSize;
      break;
    case 3:
      counters[4] = ((counters[4] ?? 0) - 1) >>> 0;
      break;
    case 4:
      total = device << 2;
      break;
    case 5:
      return 1;
  }
  switch (device & 7) {
    case 1:
      counters[5] = ((counters[5] ?? 0) + total) >>> 0;
      break;
    case 2:
      total ^= 3;
      break;
    case 3:
      total += weigh(total & 7, queue, device, state);
      break;
    case 4:
      counters[6] = total;
      break;
    case 5:
      total = 9;
      break;
  }
  return (total & 1) === 1 ? 2 : 3;
}

for (const name of ['v4/jump_tables', 'be/jump_tables'] as const) {
  for (const engine of engines) {
    test(`switches do what C says: ${name}, ${engine}`, (t) => {
      const interfaces = Array.from({ length: 7 }, (_, i) => {
        return { index: i + 1, name: `eth${i}`, queues: 16 };
      });
      using vm = createVm({ engine, interfaces });
      const { inUse } = vm.stats();
      const object = loadObject(openObject(fixture(name), { name }), { backend: vm });
      const little = name.startsWith('v4');
      const state: Counters = { counters: new Array(8).fill(0) };
      const data = new Uint8Array(packetSize);
      for (let queue = 0; queue < 9; queue++) {
        for (let device = 1; device <= 7; device++) {
          const context = new Uint8Array(24);
          const view = new DataView(context.buffer);
          view.setUint32(4, packetSize, little);
          view.setUint32(12, device, little);
          view.setUint32(16, queue, little);
          const run = (program: string): number =>
            object.program(program).testRun({ data, context }).returnValue;
          t.is(run('two_tables'), twoTables(queue, device, state), `${queue} ${device}`);
          const shared = weigh(device, queue, device, state) > 4 ? 2 : 1;
          t.is(run('shared_table'), shared, `${queue} ${device}, shared`);
        }
      }
      const bytes = object.maps.get('.bss')?.lookup(new Uint8Array(4)) as Uint8Array;
      const view = new DataView(bytes.buffer);
      t.deepEqual(
        state.counters.map((_, i) => view.getUint32(4 * i, little)),
        state.counters,
      );
      object.close();
      t.is(vm.stats().inUse, inUse, 'tables are given back');
    });
  }
}

/** r1 = the table's entry at `index`; goto *r1; then targets that return 10, 20, 30. */
function tableProgram(index: number): Code {
  return [
    ...wide(1, 0n, 2),
    load(8, 1, 1, 8 * index),
    { code: 0x0d, dst: 1 },
    movImm(0, 10),
    exit(),
    movImm(0, 20),
    exit(),
    movImm(0, 30),
    exit(),
  ];
}

for (const engine of engines) {
  test(`jumps to entries of the table only: ${engine}`, (t) => {
    const targets = [8, 4, 6, 4];
    const slot = { kind: 'jump-table', insn: 0, targets, offset: 0 };
    const run = (code: Code): number => {
      using vm = createVm({ engine });
      const image = imageOf(assemble(code), { slots: [slot as never] });
      return vm.loadProgram(image, []).testRun({ data: new Uint8Array(packetSize) }).returnValue;
    };
    t.deepEqual(
      targets.map((_, index) => run(tableProgram(index))),
      [30, 10, 20, 10],
    );
    const trap = (code: Code) => t.throws(() => run(code), { instanceOf: BpfError })?.message ?? '';
    // Numbers that are no entry: next to one, 0, and behind all.
    for (const number of [0, 3, 6, 8, 10, 1000, -1]) {
      const code: Code = [...wide(1, 0n, 2), movImm(1, number), ...tableProgram(0).slice(3)];
      t.regex(trap(code), /indirect jump to what is in none of the jump tables/, `${number}`);
    }
  });
}

test('an indirect jump without a table is refused, and so are far too many', (t) => {
  using vm = createVm();
  const refuse = (code: Code, slots: readonly unknown[]): string =>
    t.throws(
      () => vm.loadProgram(imageOf(assemble(code), { slots: slots as readonly never[] }), []),
      { instanceOf: BpfError },
    )?.message ?? '';
  t.regex(refuse([{ code: 0x0d, dst: 1 }, exit()], []), /indirect jump without a jump table/);
  const many = 4000;
  const filler: Code = Array.from({ length: many }, () => ({ code: 0x0d, dst: 1 }));
  const targets = Array.from({ length: many }, (_, i) => i + 2);
  const slot = { kind: 'jump-table', insn: 0, targets, offset: 0 };
  t.regex(refuse([...wide(1, 0n, 2), ...filler, exit()], [slot]), /so many targets/);
});

test('the search finds every target, and nothing else', (t) => {
  for (let count = 0; count < 40; count++) {
    const targets = Array.from({ length: count }, (_, i) => 3 * i + 1);
    const rows = searchFor(targets);
    t.is(rows.length, searchRows(count));
    const find = (value: number): number | undefined => {
      for (let at = 0; ; ) {
        const row = rows[at];
        if (row === undefined || row.kind === 'trap') return undefined;
        if (row.kind === 'goto') return row.target;
        const jumps = row.kind === 'at-least' ? value >= row.value : value !== row.value;
        at = jumps ? row.row : at + 1;
      }
    };
    for (let value = 0; value < 3 * count + 4; value++) {
      const expected = targets.includes(value - 1) ? value - 1 : undefined;
      t.is(find(value), expected, `${value} of ${count}`);
    }
  }
});
