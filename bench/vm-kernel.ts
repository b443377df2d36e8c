// The programs of fixtures/compute.bpf.c and fixtures/map_work.bpf.c in the VM, compiled and
// in the interpreter, against the kernel's JIT through BPF_PROG_TEST_RUN. All say how long one
// run takes on average. The time of the empty program is each one's fixed cost and is taken
// off, except from programs so short that little more than noise would be left. Best of the
// samples: a machine that does something else at times makes both slower, never faster.
import type { Backend, BackendProgram } from '../src/backend/backend.ts';
import { BpfError } from '../src/errors.ts';
import { createKernelBackend, kernelSupport } from '../src/kernel/index.ts';
import { loadObject } from '../src/loader/load.ts';
import type { LoadedObject } from '../src/loader/loaded.ts';
import { openObject } from '../src/object/open.ts';
import { createVm, type EngineChoice } from '../src/vm/index.ts';
import { fixture } from '../test/support/fixtures.ts';
import { type BenchOptions, type Group, type Row, timed } from './measure.ts';
import { udpPacket } from './packets.ts';

const peerName = 'kernel, JIT';
const data = udpPacket();

interface Object {
  /** What its programs have in common, for the mean. */
  readonly title: string;
  readonly fixture: 'v3/compute' | 'v3/map_work';
  /** The program that does nothing. */
  readonly empty: string;
  /** Most that a compiled program may take, in times of the kernel's. */
  readonly goals: Readonly<Record<string, number>>;
  /** The same for those that have no goal of their own. */
  readonly goal: number;
}

const objects: readonly Object[] = [
  { title: 'computation', fixture: 'v3/compute', empty: 'empty', goals: {}, goal: 1.8 },
  {
    title: 'maps and helpers',
    fixture: 'v3/map_work',
    empty: 'map_empty',
    goals: {
      array_lookup: 2,
      hash_lookup: 0.3,
      hash_overwrite: 0.3,
      hash_delete_insert: 0.2,
    },
    goal: 1.8,
  },
];

/** Programs with a parser's worth of work, whose fixed cost is most of their time. */
const ratioless: ReadonlySet<string> = new Set(['parse_headers']);

type Engine = Exclude<EngineChoice, 'auto'>;

/** The empty program runs as often as others: what a call of `testRun` costs is part of what is taken off. */
function repeats(name: string, engine: Engine | 'kernel'): number {
  // A thousand samples fill the ring.
  if (name === 'ring_reserve') return 2;
  return engine === 'interpreter' ? 10 : 200;
}

function load(object: Object, backend: Backend): LoadedObject {
  const loaded = loadObject(openObject(fixture(object.fixture), { name: object.fixture }), {
    backend,
  });
  const table = loaded.mapList.find((map) => map?.name === 'table');
  const key = new Uint32Array(1);
  for (let i = 0; i < (table?.maxEntries ?? 0); i++) {
    key[0] = i;
    table?.update(new Uint8Array(key.buffer), new Uint8Array(8));
  }
  return loaded;
}

interface Contender {
  readonly engine: Engine | 'kernel';
  readonly object: LoadedObject;
}

/** Best mean time of a run, in nanoseconds; the contenders take turns. */
async function measure(
  name: string,
  contenders: readonly Contender[],
  { quick }: BenchOptions,
): Promise<readonly number[]> {
  const best = contenders.map(() => Number.POSITIVE_INFINITY);
  const [warmUp, rounds] = quick ? [1, 1] : [6, 12];
  for (let round = 0; round < warmUp + rounds; round++) {
    for (const [i, { engine, object }] of contenders.entries()) {
      const { duration } = sample(object, object.program(name), repeats(name, engine));
      if (round >= warmUp) best[i] = Math.min(best[i] as number, duration);
    }
    // V8 puts faster code in place between two turns of the event loop.
    await new Promise((resolve) => setTimeout(resolve, round < warmUp ? 5 : 0));
  }
  return best;
}

function sample(object: LoadedObject, program: BackendProgram, repeat: number) {
  for (const map of object.mapList) if (map?.name === 'ring') map.consume(() => undefined);
  for (;;) {
    try {
      return program.testRun({ data, repeat });
    } catch (error) {
      // A signal, such as that of a peer's process that ends, stops a series of runs in the kernel.
      if (!(error instanceof BpfError) || !/EINTR/.test(error.message)) throw error;
    }
  }
}

/** The time beyond the fixed cost, where that is not most of it. */
function without(fixed: number, time: number): number {
  return time > 2 * fixed ? time - fixed : time;
}

async function objectRows(object: Object, options: BenchOptions): Promise<Row[]> {
  const budget = { instructionBudget: 1_000_000_000 };
  using compiling = createVm({ ...budget, engine: 'jit' });
  using interpreting = createVm({ ...budget, engine: 'interpreter' });
  using kernel = kernelSupport().ok ? createKernelBackend() : undefined;
  const backends: readonly (readonly [Engine | 'kernel', Backend | undefined])[] = [
    ['jit', compiling],
    ['interpreter', interpreting],
    ['kernel', kernel],
  ];
  const contenders = backends.flatMap(([engine, backend]) =>
    backend === undefined ? [] : [{ engine, object: load(object, backend) }],
  );
  const measured = new Map<string, readonly number[]>();
  const names = (contenders[0]?.object.programs ?? []).map(({ spec }) => spec.name);
  const others = names.filter((name) => name !== object.empty);
  // The empty program once more at the end: whatever runs first is measured with colder code.
  for (const name of [object.empty, ...others, object.empty]) {
    measured.set(name, await measure(name, contenders, options));
  }
  const fixed = measured.get(object.empty) as readonly number[];
  const rows: Row[] = [row(`vm/${object.empty}/jit`, fixed[0], fixed[2], undefined)];
  const ratios = { jit: [] as number[], interpreter: [] as number[] };
  for (const name of others) {
    const times = measured.get(name) as readonly number[];
    const own = times.map((time, i) => without(fixed[i] as number, time));
    const goal = ratioless.has(name) ? undefined : (object.goals[name] ?? object.goal);
    rows.push(row(`vm/${name}/jit`, own[0], own[2], goal));
    rows.push(row(`vm/${name}/interpreter`, own[1], own[2], undefined));
    if (own[2] === undefined || ratioless.has(name)) continue;
    ratios.jit.push((own[0] as number) / own[2]);
    ratios.interpreter.push((own[1] as number) / own[2]);
  }
  if (kernel !== undefined) rows.push(...means(object.title, ratios));
  for (const contender of contenders) contender.object.close();
  return rows;
}

/** Geometric means over an object's programs, as times of one nanosecond of the kernel's. */
function means(
  title: string,
  ratios: { readonly jit: number[]; readonly interpreter: number[] },
): Row[] {
  const mean = (values: readonly number[]): number =>
    Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  const goal = Number(process.versions.node.split('.')[0]) > 20 ? 1.0 : 1.15;
  return [
    row(`vm/mean of ${title}/jit`, mean(ratios.jit), 1, goal),
    row(`vm/mean of ${title}/interpreter`, mean(ratios.interpreter), 1, 65),
  ];
}

function row(
  name: string,
  ours: number | undefined,
  peer: number | undefined,
  goal: number | undefined,
): Row {
  return { name, ours: ours ?? Number.NaN, peer, peerName, goal };
}

/** What a call of `testRun` costs beyond the program, with one packet buffer for all. */
async function callCost({ quick }: BenchOptions): Promise<Row> {
  using vm = createVm({ engine: 'jit' });
  using object = load(objects[0] as Object, vm);
  const program = object.program('empty');
  const packet = data.subarray(0, 64);
  const input = { data: packet, output: new Uint8Array(packet.length) };
  const runs = quick ? 100 : 20_000;
  const times: number[] = [];
  for (let round = 0; round < (quick ? 3 : 12); round++) {
    times.push(
      timed(() => {
        for (let i = 0; i < runs; i++) program.testRun(input);
      }) / runs,
    );
  }
  const limit = { peer: 1000, peerName: 'a microsecond', goal: 1 };
  return { name: 'vm/testRun/call', ours: Math.min(...times.slice(2)), ...limit };
}

async function rows(options: BenchOptions): Promise<readonly Row[]> {
  const result: Row[] = [];
  for (const object of objects) result.push(...(await objectRows(object, options)));
  result.push(await callCost(options));
  return result;
}

export const vmKernelGroup: Group = { name: 'vm', rows };
