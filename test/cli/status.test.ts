// Exit statuses, and where messages go: a sentence on standard error, or JSON on standard output.
import test from 'ava';
import { objectPath, parseLine, printableText, tsbpf } from './support.ts';

const counter = objectPath('v3/xdp_counter');

const good: readonly (readonly string[])[] = [
  ['--help'],
  ['help', 'run'],
  ['run', '--help'],
  ['object', 'image', '--help'],
  ['version'],
  ['--version'],
];

for (const argv of good) {
  test(`tsbpf ${argv.join(' ')}`, async (t) => {
    const { status, out, err } = await tsbpf(...argv);
    t.deepEqual({ status, err }, { status: 0, err: '' });
    t.true(out.length > 5);
  });
}

/** Status, words of the message, command line. */
const bad: readonly (readonly [status: 1 | 2, words: RegExp, ...argv: string[]])[] = [
  [2, /unknown command 'inspet'\n\(Did you mean inspect\?\)/, 'inspet', counter],
  [2, /unknown command 'imgae'\n\(Did you mean image\?\)/, 'object', 'imgae', counter],
  [2, /unknown option '--packt'\n\(Did you mean --packet\?\)/, 'run', counter, '--packt', '00'],
  [2, /missing required argument 'object'/, 'inspect'],
  [2, /too many arguments/, 'inspect', counter, counter],
  [2, /too many arguments/, 'version', 'now'],
  [2, /choices are vm, kernel/, 'run', counter, '--backend', 'jvm'],
  [2, /argument missing/, 'run', counter, '--packet'],
  [
    2,
    /--packet: neither hex digits nor a readable file: .*ENOENT/,
    'run',
    counter,
    '--packet',
    'zz',
  ],
  [2, /--packet: neither hex digits nor/, 'run', counter, '--packet', ''],
  [2, /--context: neither hex digits nor/, 'run', counter, '--context', 'nowhere'],
  [2, /the xdp program 'count_packets' needs a packet: give one with --packet/, 'run', counter],
  [2, /sched_cls program 'rewrite' needs a packet/, 'run', objectPath('v3/tc_rewrite')],
  [2, /--repeat: a whole number from 1 to 2147483647/, 'run', counter, '--repeat', '0'],
  [2, /--repeat: a whole number/, 'run', counter, '--repeat', '2147483648'],
  [2, /--repeat: a whole number/, 'run', counter, '--repeat', '1e3'],
  [2, /--repeat: a whole number/, 'run', counter, '--repeat=-1'],
  [1, /read 'nowhere\.o': ENOENT/, 'inspect', 'nowhere.o'],
  [1, /read 'fixtures': EISDIR/, 'inspect', 'fixtures'],
  [1, /not an ELF file/, 'inspect', 'package.json'],
  [1, /no program 'count'; it has count_packets/, 'explain', counter, '--program', 'count'],
  [1, /no program 'count'/, 'object', 'image', counter, '--program', 'count'],
  [1, /several programs, name one/, 'run', objectPath('v3/atomics')],
  [1, /in_socket_filter, .* and \d+ more$/m, 'run', objectPath('v3/all_sections')],
  [
    1,
    /no type 'nothing' in its BTF/,
    'run',
    counter,
    '--packet',
    '00'.repeat(64),
    '--event',
    'nothing',
  ],
  [1, /at least 14 bytes/, 'run', counter, '--packet', '00'],
  [1, /is not BTF/, 'explain', counter, '--btf', 'package.json'],
  [1, /no section \.BTF/, 'explain', counter, '--btf', 'fixtures/invalid/btf_missing.o'],
];

for (const [status, words, ...argv] of bad) {
  test(`${argv.map((word) => `'${word.slice(0, 40)}'`).join(' ')}: ${words.source}`, async (t) => {
    const text = await tsbpf(...argv);
    t.deepEqual({ status: text.status, out: text.out }, { status, out: '' });
    t.regex(text.err, words);
    t.regex(text.err, /^Error: /);
    t.regex(text.err, printableText);
    t.notRegex(text.err, /^ +at |TypeError|RangeError/m);

    const json = await tsbpf('-j', ...argv);
    t.deepEqual({ status: json.status, err: json.err }, { status, err: '' });
    const { error } = parseLine(t, json.out) as { readonly error: string };
    t.true(text.err.replaceAll('\n', ' ').startsWith(`Error: ${error}`), error);
    const pretty = await tsbpf('-p', ...argv);
    t.is(pretty.out, `{\n    "error": ${JSON.stringify(error)}\n}\n`);
  });
}

test('without a command: the help, on standard error', async (t) => {
  const { status, out, err } = await tsbpf();
  t.deepEqual({ status, out }, { status: 2, out: '' });
  t.regex(err, /^Usage: tsbpf/);
  const json = await tsbpf('object', '--json');
  t.is(json.status, 2);
  const group = await tsbpf('object');
  t.is(group.status, 2);
  t.regex(group.err, /image/);
  t.regex((await tsbpf('-j')).out, /^\{"error":"no command is given/);
});

test('what a user mistypes is printed escaped', async (t) => {
  const { status, err } = await tsbpf('\u001b[31mred\u202e');
  t.is(status, 2);
  t.regex(err, printableText);
});

test('the version in each form, wherever the options stand', async (t) => {
  const { out } = await tsbpf('version');
  const version = /^tsbpf v(\d+\.\d+\.\d+)\n$/.exec(out)?.[1];
  for (const argv of [['-V'], ['--version'], ['version', '-d']]) {
    t.is((await tsbpf(...argv)).out, out);
  }
  for (const argv of [
    ['-j', 'version'],
    ['version', '-j'],
    ['--version', '--json'],
  ]) {
    t.is((await tsbpf(...argv)).out, `{"version":"${version}"}\n`);
  }
  t.is((await tsbpf('-p', '-j', '-V')).out, `{\n    "version": "${version}"\n}\n`);
});

test('--debug adds the stack of an error, on standard error only', async (t) => {
  const { status, out, err } = await tsbpf('inspect', 'nowhere.o', '-j', '--debug');
  t.is(status, 1);
  parseLine(t, out);
  t.regex(err, /^ +at /m);
});
