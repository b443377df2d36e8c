// `tsbpf run` and `tsbpf explain` with the machine's kernel.
import type { ExecutionContext } from 'ava';
import { toHex } from '../../src/bytes/hex.ts';
import type { ExplainReport } from '../../src/cli/commands/explain.ts';
import type { RunReport } from '../../src/cli/commands/run.ts';
import { pinToFirstCpu } from '../both/outcome.ts';
import { arp, counting, ipv4, startingWith, words } from '../both/packets.ts';
import { objectPath, parseLine, printableText, tsbpf } from '../cli/support.ts';
import { expectInventory, kernelTest, takeInventory } from '../support/kernel.ts';

/** Command lines that both backends take, by what is special about them. */
const cases: Readonly<Record<string, readonly string[]>> = {
  'hash and per-CPU array': ['xdp_counter', '--packet', toHex(ipv4({ protocol: 17 }))],
  'a packet that is rewritten': ['tc_rewrite', '--packet', toHex(ipv4({ protocol: 17 }))],
  'per-CPU maps': ['percpu', '--packet', toHex(arp), '--repeat', '5'],
  'maps of maps': ['map_in_map', '--packet', toHex(startingWith(64, 1, 2))],
  'tail calls': [
    ...['tail_calls', '--program', 'tail_entry', '--packet', toHex(startingWith(64, 1))],
  ],
  'a ring buffer': [
    ...['ringbuf_xdp', '--packet', toHex(counting(64)), '--repeat', '3'],
    ...['--event', 'packet_event'],
  ],
  'a context': ['syscall_prog', '--context', toHex(words(6n, 7n, 0n, 0n, 1n << 32n))],
};

async function report(
  t: ExecutionContext,
  [name = '', ...argv]: readonly string[],
  backend: string,
): Promise<RunReport> {
  const line = ['-j', 'run', objectPath(`v3/${name}`), ...argv, '--backend', backend];
  const { status, out, err } = await tsbpf(...line);
  t.deepEqual({ status, err }, { status: 0, err: '' }, out);
  return parseLine(t, out) as RunReport;
}

/** What must be equal: all but names, times, and copies of CPUs that did not run. */
function comparable(run: RunReport): unknown {
  const maps = run.maps.map((map) => ({
    ...map,
    elements: map.elements
      ?.map((element) => ({ ...element, values: element.values?.slice(0, 1) }))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  }));
  return { ...run, backend: '', duration: 0, trace: [], maps };
}

for (const [about, argv] of Object.entries(cases)) {
  kernelTest(`run: ${about}, as in the VM`, async (t) => {
    pinToFirstCpu();
    const before = takeInventory();
    const kernel = await report(t, argv, 'kernel');
    t.is(kernel.backend, 'kernel');
    t.deepEqual(comparable(kernel), comparable(await report(t, argv, 'vm')));
    await expectInventory(t, before);
  });
}

kernelTest('run: as text', async (t) => {
  const argv = ['run', objectPath('v3/xdp_counter'), '--packet', toHex(arp)];
  const { status, out, err } = await tsbpf(...argv, '--backend', 'kernel');
  t.deepEqual({ status, err }, { status: 0, err: '' });
  t.regex(out, /^count_packets \(xdp\) on kernel: returned 2 \(XDP_PASS\)\n/);
  t.regex(out, printableText);
});

kernelTest('run: a program that the kernel refuses, with the end of its log', async (t) => {
  const before = takeInventory();
  for (const file of ['no_exit', 'endless_loop']) {
    const argv = ['run', `fixtures/invalid/${file}.o`, '--packet', toHex(arp)];
    const { status, out, err } = await tsbpf(...argv, '--backend', 'kernel');
    t.deepEqual({ status, out }, { status: 1, out: '' });
    t.regex(err, /^Error: program 'program': .*BPF_PROG_LOAD.*the verifier stopped/);
    t.regex(err, printableText);
    t.notRegex(err, /^ +at /m);
    const json = await tsbpf(...argv, '--backend', 'kernel', '-j');
    t.is(json.status, 1);
    const { error } = parseLine(t, json.out) as { readonly error: string };
    t.is(`Error: ${error}\n`, err);
  }
  await expectInventory(t, before);
});

kernelTest("explain: against the kernel's own types", async (t) => {
  for (const btf of ['/sys/kernel/btf/vmlinux', 'kernel']) {
    const argv = ['explain', objectPath('v3/task_walk'), '--btf', btf, '-j'];
    const { status, out } = await tsbpf(...argv);
    t.is(status, 0);
    const { summary } = parseLine(t, out) as ExplainReport;
    t.true(summary.patch > 10);
    t.is(summary.fail, 0);
  }
});
