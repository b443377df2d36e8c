import test from 'ava';
import { BpfError } from '../../../src/errors.ts';
import { loadObject } from '../../../src/loader/load.ts';
import { openObject } from '../../../src/object/open.ts';
import {
  Coverage,
  createVm,
  formatTrace,
  onInstruction,
  Profile,
  type Step,
  Trace,
  type TraceEvent,
  type Vm,
} from '../../../src/vm/index.ts';
import { fixture } from '../../support/fixtures.ts';

const load = (vm: Vm, name: Parameters<typeof fixture>[0]) =>
  loadObject(openObject(fixture(name), { name }), { backend: vm });

/** 64 bytes of Ethernet with a protocol. */
function frame(protocol: number): Uint8Array {
  const data = new Uint8Array(64);
  data.set([protocol >> 8, protocol & 0xff, 0x45], 12);
  return data;
}

const ipv4 = 0x0800;
const arp = 0x0806;

test('coverage: lines, functions and branches of what ran, added up over runs', (t) => {
  using vm = createVm();
  using object = load(vm, 'v3/xdp_counter');
  const coverage = new Coverage();
  const program = object.program('count_packets');
  using _ = vm.observe(coverage);
  program.testRun({ data: frame(ipv4), repeat: 3 });
  const lines = () => new Map(coverage.files()[0]?.lines.map((line) => [line.line, line]));
  t.is(coverage.files().length, 1);
  t.is(lines().get(50)?.count, 3);
  t.is(lines().get(34)?.count, 1, 'the first packet makes the element');
  t.is(lines().get(37)?.count, 2, 'others find it');
  t.is(lines().get(69)?.count, 0);
  const whole = lines().get(50);
  t.is(whole?.covered, whole?.instructions);
  program.testRun({ data: frame(arp) });
  t.is(lines().get(50)?.count, 4);
  const [file] = coverage.files();
  t.deepEqual(file?.functions, [{ name: 'count_packets', line: 50, count: 4 }]);
  const bounds = file?.branches.filter((branch) => branch.line === 57);
  t.deepEqual(
    bounds?.map(({ next, taken }) => [next, taken]),
    [[4, 0]],
  );
  t.true(
    file?.branches.some((branch) => branch.line === 59 && branch.taken > 0 && branch.next > 0),
  );
});

test('coverage starts and ends with the observation', (t) => {
  using vm = createVm();
  using object = load(vm, 'v3/xdp_counter');
  const program = object.program('count_packets');
  const coverage = new Coverage();
  program.testRun({ data: frame(ipv4) });
  const watching = vm.observe(coverage);
  program.testRun({ data: frame(ipv4) });
  watching[Symbol.dispose]();
  program.testRun({ data: frame(ipv4) });
  const line = coverage.files()[0]?.lines.find((each) => each.line === 50);
  t.is(line?.count, 1);
});

test('subprograms, callbacks and tail calls count where they are', (t) => {
  using vm = createVm();
  const coverage = new Coverage();
  using _ = vm.observe(coverage);
  using callbacks = load(vm, 'v3/callbacks');
  for (const { program } of callbacks.programs) program.testRun({ data: frame(ipv4) });
  const counts = new Map(
    coverage.files().flatMap((file) => file.functions.map((fn) => [fn.name, fn.count])),
  );
  t.true(
    [...counts.values()].every((count) => count > 0),
    JSON.stringify([...counts]),
  );
  t.true(
    [...counts.values()].some((count) => count > 1),
    'a callback runs more than once',
  );
});

test('lcov and istanbul say the same', (t) => {
  using vm = createVm();
  using object = load(vm, 'v3/xdp_parser');
  const coverage = new Coverage();
  using _ = vm.observe(coverage);
  object.program('parse_packet').testRun({ data: frame(ipv4) });
  const lcov = coverage.lcov().split('\n');
  const [path, file] = Object.entries(coverage.istanbul())[0] ?? [];
  t.true(lcov.includes(`SF:${path}`));
  const lines = lcov.filter((each) => each.startsWith('DA:'));
  t.deepEqual(
    lines.map((each) => each.replace('DA:', '')),
    Object.entries(file?.statementMap ?? {}).map(
      ([id, place]) => `${place.start.line},${file?.s[id]}`,
    ),
  );
  t.is(lcov.filter((each) => each.startsWith('FNDA:')).length, Object.keys(file?.f ?? {}).length);
  t.is(
    lcov.filter((each) => each.startsWith('BRDA:')).length,
    2 * Object.keys(file?.b ?? {}).length,
  );
  t.is(lcov.at(-2), 'end_of_record');
});

test('a profile has every instruction that ran', (t) => {
  using vm = createVm();
  using object = load(vm, 'v3/compute');
  const profile = new Profile();
  let steps = 0;
  using first = vm.observe(profile);
  using second = vm.observe(onInstruction(() => void steps++));
  object.program('fibonacci').testRun({ data: frame(ipv4) });
  const { instructions, functions, lines } = profile.report();
  t.deepEqual(functions, [{ name: 'fibonacci', instructions }]);
  t.is(instructions, steps);
  t.true(instructions > 7000);
  t.is(
    lines.reduce((sum, line) => sum + line.instructions, 0),
    instructions,
  );
  t.truthy([first, second]);
});

test('steps give registers and depth, and may look at memory', (t) => {
  using vm = createVm();
  using object = load(vm, 'v3/xdp_parser');
  const depths = new Set<number>();
  const registers: bigint[] = [];
  const look = ({ depth, registers: live, insn }: Step): void => {
    depths.add(depth);
    if (insn === 1) registers.push(live[0] as bigint);
  };
  using _ = vm.observe(onInstruction(look));
  const data = frame(ipv4);
  const { returnValue } = object.program('parse_packet').testRun({ data });
  t.true(depths.has(1) && depths.has(2));
  t.is(registers.length, 1);
  using other = createVm();
  using same = load(other, 'v3/xdp_parser');
  t.is(same.program('parse_packet').testRun({ data }).returnValue, returnValue);
});

test('traces: instructions, lines, helpers with arguments and results', (t) => {
  const trace = (level: TraceEvent['kind']): readonly string[] => {
    using vm = createVm();
    using object = load(vm, 'v3/xdp_counter');
    const events: TraceEvent[] = [];
    using _ = vm.observe(new Trace(level, (event) => events.push(event)));
    object.program('count_packets').testRun({ data: frame(ipv4) });
    return events.map(formatTrace);
  };
  t.deepEqual(trace('insn').slice(0, 2), [
    'count_packets+0: w0 = 0x1',
    'count_packets+1: r7 = *(u32 *)(r1 + 0x0)',
  ]);
  t.deepEqual(trace('line').slice(0, 2), [
    './fixtures/xdp_counter.bpf.c:50: int count_packets(struct xdp_md *ctx)',
    './fixtures/xdp_counter.bpf.c:52: void *data = (void *)(long)ctx->data;',
  ]);
  const helpers = trace('helper');
  t.is(helpers.length, 3);
  t.regex(helpers[1] ?? '', /^bpf_map_lookup_elem\(0x[0-9a-f]+, .*\) = 0x0$/);
  t.regex(helpers[2] ?? '', /^bpf_map_update_elem\(.*, 0x1, 0x0\) = 0x0$/);
});

test('a run that traps is observed up to there, and the next one from its start', (t) => {
  using vm = createVm({ instructionBudget: 500 });
  using object = load(vm, 'v3/compute');
  const coverage = new Coverage();
  using _ = vm.observe(coverage);
  const program = object.program('integer_loop');
  t.throws(() => program.testRun({ data: frame(ipv4) }), { instanceOf: BpfError });
  t.throws(() => program.testRun({ data: frame(ipv4) }), { instanceOf: BpfError });
  const [fn] = coverage.files()[0]?.functions ?? [];
  t.is(fn?.count, 2);
});

test('big-endian objects are observed in the same way', (t) => {
  const lines = (name: Parameters<typeof fixture>[0]) => {
    using vm = createVm();
    using object = load(vm, name);
    const coverage = new Coverage();
    using _ = vm.observe(coverage);
    object.program('count_packets').testRun({ data: frame(ipv4) });
    return coverage.files()[0]?.lines.map(({ line, count }) => [line, count > 0]);
  };
  t.deepEqual(lines('be/xdp_counter'), lines('v3/xdp_counter'));
});
