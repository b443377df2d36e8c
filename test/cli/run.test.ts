// `tsbpf run` in the VM: what goes in (packets, contexts, types) and what comes out of each
// kind of map.
import test, { type ExecutionContext } from 'ava';
import { toHex } from '../../src/bytes/hex.ts';
import type { RunMap, RunReport } from '../../src/cli/commands/run.ts';
import { arp, counting, ipv4, startingWith, words } from '../both/packets.ts';
import { objectPath, parseLine, printableText, Scratch, tsbpf } from './support.ts';

const packet = toHex(counting(64));

/** The report of a run that must go well; integers of more than 53 bits are rounded. */
async function run(
  t: ExecutionContext,
  name: string,
  ...more: readonly string[]
): Promise<RunReport> {
  const { status, out, err } = await tsbpf('-j', 'run', objectPath(`v3/${name}`), ...more);
  t.deepEqual({ status, err }, { status: 0, err: '' }, out);
  return parseLine(t, out) as RunReport;
}

function mapNamed(report: RunReport, name: string): RunMap {
  const found = report.maps.find((map) => map.name === name);
  if (found === undefined) throw new Error(`no map ${name}`);
  return found;
}

test('a packet from a file and the same from hex digits', async (t) => {
  using scratch = new Scratch();
  const bytes = ipv4({ protocol: 17 });
  const path = scratch.write('packet.bin', bytes);
  const fromFile = await run(t, 'xdp_counter', '--packet', path);
  const spaced = toHex(bytes).replace(/(.{4})/g, '$1 ');
  const fromHex = await run(t, 'xdp_counter', '--packet', spaced);
  t.deepEqual({ ...fromFile, duration: 0 }, { ...fromHex, duration: 0 });
  t.is(fromFile.data_out, toHex(bytes));
  t.is(fromFile.action, 'XDP_PASS');
  const [element, ...others] = mapNamed(fromFile, 'by_protocol').elements ?? [];
  t.is(others.length, 0);
  t.is(element?.key, 17);
  t.deepEqual(Object.values(element?.value ?? {}), [1, bytes.length]);
});

test('a packet that the program rewrites', async (t) => {
  const bytes = ipv4({ protocol: 17 });
  const report = await run(t, 'tc_rewrite', '--packet', toHex(bytes));
  t.is(report.type, 'sched_cls');
  t.not(report.data_out, toHex(bytes));
  const { out } = await tsbpf('run', objectPath('v3/tc_rewrite'), '--packet', toHex(bytes));
  t.regex(out, printableText);
  t.regex(out, /^ {2}0000 {2}([0-9a-f]{2} ){15}[0-9a-f]{2}$/m);
});

test('a context that the program reads and writes', async (t) => {
  const context = (operation: bigint) => toHex(words(6n, 7n, 0n, 0n, operation << 32n));
  const sum = await run(t, 'syscall_prog', '--context', context(0n));
  t.deepEqual([sum.return_value, sum.ctx_out?.slice(32, 34)], [0, '0d']);
  const product = await run(t, 'syscall_prog', '--context', context(1n));
  t.is(product.ctx_out?.slice(32, 34), '2a');
  t.is((await run(t, 'syscall_prog', '--context', context(9n))).return_value, 22);
});

test('repeated runs', async (t) => {
  const argv = ['--packet', toHex(arp), '--repeat', '0x10'];
  const report = await run(t, 'percpu', ...argv);
  t.is(report.repeat, 16);
  t.deepEqual(mapNamed(report, '.bss').variables, { all_packets: 16 });
  const { out } = await tsbpf('run', objectPath('v3/percpu'), ...argv);
  t.regex(out, /, 16 runs of \d+ ns each\n/);
});

test('per-CPU maps give the copy of each CPU', async (t) => {
  const report = await run(t, 'percpu', '--packet', toHex(arp));
  const [first] = mapNamed(report, 'totals').elements ?? [];
  t.is(first?.value, undefined);
  t.deepEqual(first?.values?.[0], { cpu: 0, value: { packets: 1, bytes: 60, largest: 60 } });
  t.deepEqual(
    first?.values?.map(({ cpu }) => cpu),
    first?.values?.map((_, cpu) => cpu),
  );
});

test('maps of maps are told, the maps inside are shown', async (t) => {
  const report = await run(t, 'map_in_map', '--packet', toHex(startingWith(64, 1, 2)));
  t.is(mapNamed(report, 'counters').note, 'holds programs or maps');
  t.is(mapNamed(report, 'counters').elements, undefined);
  const odd = mapNamed(report, 'odd').elements ?? [];
  t.deepEqual(
    odd.map(({ value }) => value).filter((value) => value !== 0),
    [1],
  );
});

test('tail calls find their programs', async (t) => {
  const argv = ['--program', 'tail_entry', '--packet', toHex(startingWith(64, 0))];
  const report = await run(t, 'tail_calls', ...argv);
  t.is(report.program, 'tail_entry');
  t.is(report.maps.find(({ type }) => type === 'prog_array')?.note, 'holds programs or maps');
  const bss = mapNamed(report, '.bss').variables as Readonly<Record<string, number>>;
  t.is(Object.values(bss).filter((value) => value > 0).length > 0, true);
});

test('ring buffer samples by the type that is named, else as bytes', async (t) => {
  const argv = ['--packet', packet, '--repeat', '3'];
  for (const type of ['packet_event', 'struct packet_event']) {
    const { events } = mapNamed(await run(t, 'ringbuf_xdp', ...argv, '--event', type), 'packets');
    const start = Array.from(counting(32));
    t.deepEqual(
      events,
      [0, 1, 2].map((number) => ({ length: 64, number, start })) as unknown as typeof events,
    );
  }
  const { events } = mapNamed(await run(t, 'ringbuf_xdp', ...argv), 'packets');
  t.is(events?.length, 3);
  const bytes = (events?.[1] ?? []) as readonly string[];
  t.deepEqual(bytes.slice(0, 8), [
    ...['0x40', '0x00', '0x00', '0x00'],
    ...['0x01', '0x00', '0x00', '0x00'],
  ]);
  const { out } = await tsbpf('run', objectPath('v3/ringbuf_xdp'), ...argv);
  t.regex(out, /^packets \(ringbuf\): 3 events\n {2}40 00 00 00 00 00 00 00 00 01 02/m);
});

test('variables of data sections, and lines that the program printed', async (t) => {
  const report = await run(t, 'printk', '--packet', packet);
  const { text, length } = mapNamed(report, '.bss').variables as Readonly<Record<string, unknown>>;
  t.is(text, '-7|   42|beef  |1234567890||z|%|-1234567890123');
  t.is(length, 47);
  t.deepEqual(report.trace.slice(0, 3), ['plain', 'length 64', '-3 123456789abc 7']);
});

test('both cpu versions and both byte orders', async (t) => {
  const outs = await Promise.all(
    ['v3', 'v4', 'be'].map(async (variant) => {
      const argv = ['run', objectPath(`${variant}/xdp_counter`), '--packet', packet, '-j'];
      return tsbpf(...argv);
    }),
  );
  const [v3, v4, be] = outs.map(({ out }) => out.replace(/^.*"program"/, ''));
  t.is(v4?.replace(/"duration":\d+/, ''), v3?.replace(/"duration":\d+/, ''));
  t.is(outs[2]?.status === 0 || /endian/.test(be ?? ''), true, be);
});

test('a program that traps: one sentence with its line', async (t) => {
  const budget = ['run', 'fixtures/invalid/endless_loop.o', '--packet', packet];
  const { status, out, err } = await tsbpf(...budget);
  t.deepEqual({ status, out }, { status: 1, out: '' });
  t.regex(err, /^Error: [^\n]+\n$/);
});

test('queues and stacks are shown in the order in which values come out', async (t) => {
  const packet = '00'.repeat(64);
  const run = async (program: string) => {
    const object = objectPath('v3/queues');
    const { out } = await tsbpf('-j', 'run', object, '--program', program, '--packet', packet);
    return new Map(
      (JSON.parse(out).maps as { name: string; events?: unknown; note?: string }[]).map((map) => [
        map.name,
        map.events ?? map.note,
      ]),
    );
  };
  t.deepEqual((await run('use_queue')).get('queue'), [4]);
  t.deepEqual((await run('use_stack')).get('stack'), [2]);
  t.regex(String((await run('use_filter')).get('seen')), /cannot be listed/);
});
