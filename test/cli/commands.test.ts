// Each command on committed objects, as text and as JSON, against goldens.
import test from 'ava';
import { BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { progTypeName } from '../../src/cli/names.ts';
import { ipv4 } from '../both/packets.ts';
import { expectGolden, objectPath, printableText, tsbpf, tsbpfInColor } from './support.ts';

const packet = toHex(ipv4({ protocol: 17 }));

/** Command lines by the name of their golden. */
const cases: Readonly<Record<string, readonly string[]>> = {
  'inspect-xdp_counter': ['inspect', objectPath('v3/xdp_counter')],
  'inspect-xdp_parser': ['inspect', objectPath('v3/xdp_parser')],
  'inspect-globals': ['inspect', objectPath('v3/globals')],
  'inspect-map_in_map': ['inspect', objectPath('v3/map_in_map')],
  'inspect-tail_calls-be': ['inspect', objectPath('be/tail_calls')],
  'explain-task_walk': ['explain', objectPath('v3/task_walk')],
  'explain-walk_btf': ['explain', objectPath('v3/task_walk'), '--program', 'walk_btf'],
  'explain-none': ['explain', objectPath('v3/xdp_counter')],
  'image-tail_calls': ['object', 'image', objectPath('v3/tail_calls')],
  'image-walk_btf': ['object', 'image', objectPath('v3/task_walk'), '--program', 'walk_btf'],
  'run-xdp_counter': ['run', objectPath('v3/xdp_counter'), '--packet', packet],
  'run-printk': ['run', objectPath('v3/printk'), '--packet', packet],
};

/** Their JSON is long and says the same of each relocation. */
const textOnly = new Set(['explain-task_walk']);

/** Times differ from run to run. */
function withoutTimes(text: string): string {
  return text.replace(/("duration": ?)\d+/, '$10').replace(/of \d+ ns each/, 'of 0 ns each');
}

for (const [name, argv] of Object.entries(cases)) {
  test(`${name} as text`, async (t) => {
    const { status, out, err } = await tsbpf(...argv);
    t.deepEqual({ status, err }, { status: 0, err: '' });
    t.regex(out, printableText);
    expectGolden(t, `${name}.text.golden`, withoutTimes(out));
  });

  test(`${name} as JSON`, async (t) => {
    const line = await tsbpf(...argv, '-j');
    t.deepEqual({ status: line.status, err: line.err }, { status: 0, err: '' });
    t.regex(line.out, /^\{.*\}\n$/);
    const pretty = await tsbpf('-p', ...argv);
    t.deepEqual(JSON.parse(withoutTimes(pretty.out)), JSON.parse(withoutTimes(line.out)));
    t.regex(pretty.out, /^\{\n {4}"/);
    if (!textOnly.has(name)) expectGolden(t, `${name}.json.golden`, withoutTimes(pretty.out));
  });
}

test('indented JSON has steps of four spaces', async (t) => {
  const { out } = await tsbpf('-p', 'inspect', objectPath('v3/xdp_parser'));
  for (const line of out.split('\n')) t.is((/^ */.exec(line)?.[0].length ?? 0) % 4, 0);
  const plain = `${JSON.stringify(JSON.parse(out), undefined, 4)}\n`;
  t.is(out, plain, 'no 64-bit integers in this one, so JSON.stringify prints the same');
});

test('options stand before or after the words of the command', async (t) => {
  const object = objectPath('v3/xdp_counter');
  const line = (await tsbpf('-j', 'inspect', object)).out;
  t.is((await tsbpf('inspect', '-j', object)).out, line);
  t.is((await tsbpf('inspect', object, '--json')).out, line);
  const pretty = (await tsbpf('--pretty', 'inspect', object)).out;
  t.is((await tsbpf('inspect', object, '-j', '-p')).out, pretty);
  t.is((await tsbpf('-jp', 'inspect', object)).out, pretty);
  const image = (await tsbpf('-j', 'object', 'image', object)).out;
  t.is((await tsbpf('object', 'image', object, '-j')).out, image);
});

test('64-bit integers are exact in JSON', async (t) => {
  const { out } = await tsbpf('-j', 'run', objectPath('v3/compute'), ...compute);
  t.regex(out, /"return_value":\d+/);
  const globals = ['run', objectPath('v3/atomics'), '--program', 'atomics64', '--packet', packet];
  const { out: json } = await tsbpf('-j', ...globals);
  const digits = [...json.matchAll(/(?<![\w"])-?\d{17,}/g)].map(([text]) => BigInt(text));
  t.true(digits.length > 0, json);
  t.true(digits.some((value) => BigInt(Number(value)) !== value));
});

const compute = ['--program', 'fnv1a', '--packet', packet];

test('the attach type is printed where it says more than the type', async (t) => {
  const { out } = await tsbpf('inspect', objectPath('v3/all_sections'));
  t.notRegex(out, /\b(\w+), \1\b/);
  t.regex(out, /kprobe, trace_kprobe_multi/);
  const { out: json } = await tsbpf('-j', 'inspect', objectPath('v3/xdp_counter'));
  t.is(JSON.parse(json).programs[0].attach_type, progTypeName(BPF_PROG_TYPE.XDP));
});

test('colour on a terminal that shows it, and only in text', async (t) => {
  const argv = ['inspect', objectPath('v3/xdp_counter')];
  const plain = await tsbpf(...argv);
  const color = await tsbpfInColor(...argv);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what a colour starts with
  const sequences = /\u001b\[\d+m/g;
  t.notRegex(plain.out, sequences);
  t.is(color.out.replace(sequences, ''), plain.out);
  t.not(color.out, plain.out);
  t.is((await tsbpfInColor('-j', ...argv)).out, (await tsbpf('-j', ...argv)).out);
});
