// One table of runs, two backends: what a program returns, what is left of its packet and
// context, and what it leaves in maps and ring buffers must be the same in the VM and in
// the machine's kernel.
import type { Backend, BackendMap, TestRunInput } from '../../src/backend/backend.ts';
import { createKernelBackend, kernelBtf } from '../../src/kernel/index.ts';
import { loadObject } from '../../src/loader/load.ts';
import type { LoadedObject } from '../../src/loader/loaded.ts';
import { openObject } from '../../src/object/open.ts';
import type { MapSpec } from '../../src/object/spec.ts';
import { createVm } from '../../src/vm/index.ts';
import { type FixtureVariant, fixture, fixtureEntries } from '../support/fixtures.ts';
import { kernelTest } from '../support/kernel.ts';
import { allContents, contentsOf, outcomeOf, pinToFirstCpu, resultText } from './outcome.ts';
import { arp, counting, ipv4, ipv6, skBuff, startingWith, words, xdpMd } from './packets.ts';

/** Programs of one object, run one after the other on the same maps. */
interface Case {
  readonly object: string;
  /** What is special about it, for the title. */
  readonly about?: string;
  readonly runs: readonly Run[];
  /** CO-RE against the running kernel on both sides, not against the VM's own types. */
  readonly kernelTypes?: boolean;
  /** Programs that are loaded; those that are run by default. */
  readonly programs?: readonly string[];
  /** Before the first run. */
  readonly prepare?: (object: LoadedObject, backend: Backend) => readonly BackendMap[];
}

type Run = readonly [program: string, input: TestRunInput];

const data = counting(64);

/** Every program with the same packet. */
const each = (programs: readonly string[], packet = data): readonly Run[] =>
  programs.map((program) => [program, { data: packet }]);

/** The program with each packet. */
const over = (program: string, packets: readonly Uint8Array[]): readonly Run[] =>
  packets.map((packet) => [program, { data: packet }]);

const packets = [
  ipv4({ protocol: 17 }),
  ipv4({ protocol: 6, destinationPort: 23 }),
  ipv4({ protocol: 6, destinationPort: 443 }),
  ipv4({ protocol: 1 }),
  ipv6(),
  ipv6([5]),
  ipv6([100, 200]),
  arp,
  counting(14),
  ipv4({ protocol: 17 }).subarray(0, 30),
];

const cases: readonly Case[] = [
  { object: 'xdp_counter', runs: over('count_packets', [...packets, ...packets.slice(0, 3)]) },
  { object: 'demo', runs: over('count_packets', packets) },
  ...packets.map((packet, at) => ({
    object: 'xdp_parser',
    about: `packet ${at}`,
    runs: over('parse_packet', [packet]),
  })),
  {
    object: 'tc_rewrite',
    runs: [
      ...over('rewrite', [...packets, ipv4({ protocol: 17, ttl: 1 }), ipv4({ protocol: 6 })]),
      ...over('rewrite', [ipv4({ protocol: 17, destinationPort: 8, ttl: 2 })]),
    ],
  },
  {
    object: 'tc_rewrite',
    about: 'with a context',
    runs: [
      ['rewrite', { data: ipv4({ protocol: 17 }), context: skBuff({ mark: 5 }) }],
      ['rewrite', { data: arp, context: skBuff({ mark: 0xffff_ffff, priority: 3 }) }],
    ],
  },
  { object: 'globals', runs: [1, 2, 3, 4].flatMap(() => each(['use_globals', 'use_strings'])) },
  {
    object: 'globals',
    about: 'variables set from outside',
    runs: each(['use_globals', 'use_strings', 'use_globals']),
    prepare: (object) => {
      object.global('counter').bytes.set([100]);
      object.global('words').bytes.set([9, 1, 9, 2]);
      object.global('greeting').bytes.set(new TextEncoder().encode('hello, world\0'));
      return [];
    },
  },
  { object: 'loop_callback', runs: each(['run_loops', 'loop_too_long']) },
  { object: 'long_loop', runs: each(['sort_values', 'count_steps']) },
  { object: 'long_code', runs: each(['mix', 'mix', 'mix']) },
  { object: 'atomics', runs: each(['atomics64', 'atomics32', 'atomics64']) },
  { object: 'queues', runs: each(['use_queue', 'use_stack', 'use_filter', 'use_queue']) },
  {
    object: 'cpuv4',
    runs: each(['signed_arithmetic', 'sign_extension', 'byte_swaps', 'far_jump']),
  },
  {
    object: 'compute',
    runs: each(
      [
        ...['empty', 'integer_loop', 'fibonacci', 'fnv1a', 'checksum', 'copy_bytes'],
        ...['word_hash', 'sieve', 'sort_numbers', 'parse_headers'],
      ],
      counting(1500),
    ),
  },
  { object: 'compute', about: 'headers', runs: over('parse_headers', packets) },
  {
    object: 'tail_calls',
    programs: ['tail_red', 'tail_green', 'tail_forever', 'tail_entry'],
    runs: [0, 1, 2, 3, 4, 5, 200].map((first) => ['tail_entry', { data: startingWith(64, first) }]),
  },
  {
    object: 'map_in_map',
    runs: over(
      'count_inside',
      [0, 1, 0, 2, 1, 77].map((which, at) => startingWith(64, which, at)),
    ),
  },
  {
    object: 'map_in_map',
    about: 'an inner map stored from outside',
    runs: over('count_inside', [startingWith(64, 0, 1)]),
    prepare: (object, backend) => {
      const inner = backend.createMap(innerOf(object, 'later'), { btf: object.spec.btf });
      object.map('later').setMap(new Uint8Array(4), inner);
      return [inner];
    },
  },
  { object: 'percpu', runs: over('count_percpu', [...packets, ...packets]) },
  {
    object: 'map_work',
    runs: each([
      ...['map_empty', 'hash_overwrite', 'array_lookup', 'hash_lookup', 'hash_delete_insert'],
      ...['percpu_array_update', 'ring_reserve', 'helper_calls', 'loop_callbacks', 'hash_lookup'],
    ]),
  },
  { object: 'printk', runs: each(['say', 'say']) },
  {
    object: 'raw_tp_ringbuf',
    runs: [1n, 2n, 3n].flatMap((value): Run[] => [
      ['on_newtask', { context: words(value, 0xffff_ffff_ffff_ffffn) }],
      ['on_newtask_copy', { context: words(value, 7n) }],
    ]),
  },
  {
    object: 'ringbuf_xdp',
    runs: over(
      'capture',
      Array.from({ length: 10 }, (_, i) => counting(64, i)),
    ),
  },
  {
    object: 'ringbuf_xdp',
    about: 'a ring that overflows',
    runs: [['capture', { data, repeat: 100 }]],
  },
  {
    object: 'syscall_prog',
    runs: [0n, 1n, 2n].map((operation) => [
      'calculate',
      { context: words(6n, 7n, 99n, 98n, operation << 32n) },
    ]),
  },
  { object: 'task_walk', runs: [['describe_types', { context: words(0n) }]], kernelTypes: true },
  { object: 'callbacks', runs: each(['count_rounds']) },
  { object: 'linkage', runs: each(['first', 'second', 'third', 'weak_program']) },
  { object: 'cpu_levels', runs: each(['compare_levels']) },
  { object: 'no_license', runs: each(['count', 'count']) },
  ...(
    [
      ['core_enums', 'read_enumerators'],
      ['core_poison', 'guarded'],
      ['core_types', 'look_at_types'],
    ] as const
  ).map(([object, program]) => ({
    object,
    kernelTypes: true,
    runs: [[program, { context: words(1n, 2n) }]] as readonly Run[],
  })),
  {
    object: 'xdp_sections',
    about: 'calls across sections, which libbpf refuses',
    runs: over('drop_short', [counting(40), counting(60), counting(1500)]),
  },
  {
    object: 'compute',
    about: 'input that no program sees',
    runs: [
      ['empty', { data: counting(3) }],
      ['empty', {}],
      ['empty', { data, context: xdpMd({ data_end: 64 }) }],
      ['empty', { data, context: xdpMd({ data_end: 65 }) }],
      ['empty', { data, context: xdpMd({ data: 8, data_end: 64, data_meta: 4 }) }],
      ['empty', { data, context: xdpMd({ data: 8, data_end: 64, data_meta: 8 }) }],
    ],
  },
];

function innerOf(object: LoadedObject, name: string): MapSpec {
  const inner = object.spec.maps.find((map) => map.name === name)?.inner;
  if (inner === undefined) throw new Error(`no template in ${name}`);
  return inner;
}

/** Loads the object, runs the programs, and tells what came of it. */
function observe(entry: Case, variant: FixtureVariant, backend: Backend): unknown {
  const wanted = new Set(entry.programs ?? entry.runs.map(([program]) => program));
  using object = loadObject(
    openObject(fixture(`${variant}/${entry.object}`), { name: entry.object }),
    {
      backend,
      autoload: ({ name }) => wanted.has(name),
      targetBtf: entry.kernelTypes === true ? kernelBtf() : undefined,
    },
  );
  const extra = entry.prepare?.(object, backend) ?? [];
  const runs = entry.runs.map(([program, input]) =>
    outcomeOf(() => resultText(object.program(program).testRun(input))),
  );
  const inside = extra.map(contentsOf);
  for (const map of extra) map.close();
  return { runs, maps: allContents(object), inside };
}

for (const entry of cases) {
  const about = entry.about === undefined ? '' : `, ${entry.about}`;
  for (const variant of ['v3', 'v4'] as const) {
    const known = fixtureEntries().find(({ name }) => name === entry.object);
    if (known?.sha256[variant] === undefined) continue;
    kernelTest(`${variant}/${entry.object}${about}`, (t) => {
      pinToFirstCpu();
      using vm = createVm();
      using kernel = createKernelBackend();
      t.deepEqual(observe(entry, variant, vm), observe(entry, variant, kernel));
    });
  }
}

kernelTest('every program with a test run is in the table', (t) => {
  const covered = new Set(
    cases.flatMap(({ object, runs }) => runs.map(([name]) => `${object}/${name}`)),
  );
  // Read the kernel's own tasks, which the VM cannot know; reached by tail calls.
  const elsewhere = ['task_walk/walk_argument', 'task_walk/walk_current'];
  const reached = ['tail_calls/tail_red', 'tail_calls/tail_green', 'tail_calls/tail_forever'];
  const missing = fixtureEntries().flatMap(({ name: object, programs }) =>
    programs
      .filter(({ kernel }) => kernel === 'test_run')
      .map(({ name }) => `${object}/${name}`)
      .filter((name) => !covered.has(name) && ![...elsewhere, ...reached].includes(name)),
  );
  t.deepEqual(missing, []);
});
