// Names that objects bring along, made to hurt: text for people holds only printable
// characters, JSON is JSON and gives the names back as they are.
import { Buffer } from 'node:buffer';
import test, { type ExecutionContext } from 'ava';
import { decodeText } from '../../src/bytes/text.ts';
import { buildElf, codeFlags, exitCode } from '../elf/elf-builder.ts';
import { BtfBuilder } from '../object/btf-builder.ts';
import { ElfEdit } from '../support/elf-edit.ts';
import { fixture } from '../support/fixtures.ts';
import { parseLine, printableText, Scratch, tsbpf } from './support.ts';

const names: Readonly<Record<string, string | Uint8Array>> = {
  'terminal sequences': '\u001b[31mred\u001b]0;title\u0007',
  'control characters': 'a\nb\rc\td\be\u0001\u007f',
  'eight-bit controls': '\u009b31m\u0085',
  quotes: `"'\\\`$(id)`,
  'a key of every object': '__proto__',
  'another one': 'constructor',
  'bidirectional marks': '\u202egnp.\u2066exe\u200f\ufeff',
  'line separators': 'a\u2028b\u2029c',
  'no UTF-8': Uint8Array.of(0x61, 0xff, 0xfe, 0x80, 0xc3, 0x28, 0xed, 0xa0, 0x80),
  'a hundred kilobytes': 'long'.repeat(25_000),
};

function bytesOf(name: string | Uint8Array): Uint8Array {
  return typeof name === 'string' ? new TextEncoder().encode(name) : name;
}

/** `prefix` and the name. */
function joined(prefix: string, name: string | Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(prefix), bytesOf(name)]);
}

/** An object in which everything that can have a name has this one. */
function objectNamed(name: string | Uint8Array): Uint8Array {
  const btf = new BtfBuilder();
  const int = btf.int('int', 4);
  const value = btf.struct('value', 4, [[name, int, 0]]);
  const map = btf.struct('map', 32, [
    ['type', btf.uint(2), 0],
    ['max_entries', btf.uint(1), 8],
    ['key', btf.ptr(int), 16],
    ['value', btf.ptr(value), 24],
  ]);
  btf.section('.maps', 32, [[btf.variable(name, map), 0, 32]]);
  btf.section('.data', 4, [[btf.variable(joined('v', name), int), 0, 4]]);
  return buildElf({
    sections: [
      { name: 'xdp', flags: codeFlags, data: exitCode(), alignment: 8n },
      { name: joined('custom/', name), flags: codeFlags, data: exitCode(), alignment: 8n },
      { name: '.maps', flags: 3n, data: new Uint8Array(32) },
      { name: '.data', flags: 3n, data: new Uint8Array(4) },
      { name: 'license', flags: 3n, data: Buffer.concat([bytesOf(name), Buffer.of(0)]) },
      { name: '.BTF', data: btf.bytes() },
    ],
    symbols: [
      { name, type: 2, section: 1, size: 16n },
      { name: joined('f', name), type: 2, section: 2, size: 16n },
      { name, type: 1, section: 3, size: 32n },
      { name: joined('v', name), type: 1, section: 4, size: 4n },
    ],
  });
}

/** The command line as text and as JSON; what the JSON says. */
async function checkBoth(t: ExecutionContext, ...argv: readonly string[]): Promise<unknown> {
  const text = await tsbpf(...argv);
  t.regex(text.out, printableText);
  t.regex(text.err, printableText);
  t.true(text.out.length + text.err.length < 20_000, 'long names are cut');
  const json = await tsbpf(...argv, '-j');
  t.is(json.status, text.status);
  t.is(json.err, '');
  return parseLine(t, json.out);
}

for (const [title, name] of Object.entries(names)) {
  test(`names with ${title}`, async (t) => {
    using scratch = new Scratch();
    const path = scratch.write('hostile.o', objectNamed(name));
    const plain = decodeText(bytesOf(name));
    const report = (await checkBoth(t, 'inspect', path)) as InspectNames;
    t.is(report.programs[0]?.name, plain);
    t.is(report.programs[1]?.section, `custom/${plain}`);
    // Cut to what the kernel takes.
    t.is(report.license, plain.slice(0, 63));
    t.is(report.maps[0]?.name, plain);
    t.is(report.maps[1]?.variables?.[0]?.name, `v${plain}`);
    await checkBoth(t, 'explain', path);
    await checkBoth(t, 'object', 'image', path);
    await checkBoth(t, 'run', path, '--packet', '00'.repeat(64));
    if (typeof name !== 'string') return;
    const run = ['run', path, '--packet', '00'.repeat(64), '--program', name];
    const ran = (await checkBoth(t, ...run)) as {
      readonly program: string;
      readonly error?: string;
    };
    t.is(ran.program, plain, ran.error);
  });

  test(`unknown names with ${title}`, async (t) => {
    const plain = decodeText(bytesOf(name));
    await checkBoth(t, 'inspect', plain);
    await checkBoth(t, 'explain', 'fixtures/v3/task_walk.o', '--program', plain);
    await checkBoth(t, 'explain', 'fixtures/v3/task_walk.o', '--btf', plain);
  });
}

interface InspectNames {
  readonly license: string;
  readonly programs: readonly { readonly name: string; readonly section: string }[];
  readonly maps: readonly {
    readonly name: string;
    readonly variables?: readonly { readonly name: string }[];
  }[];
}

/** Writes the start of `name` over every occurrence of a text in the types' strings. */
function overwrite(object: Uint8Array, text: string, name: string | Uint8Array): Uint8Array {
  const edit = new ElfEdit(object);
  const { offset, size } = edit.section('.BTF');
  const types = Buffer.from(edit.bytes.buffer, offset, size);
  const bytes = bytesOf(name).subarray(0, text.length);
  for (let at = types.indexOf(text); at >= 0; at = types.indexOf(text, at + 1)) {
    types.set(bytes, at);
  }
  return edit.bytes;
}

for (const title of ['terminal sequences', 'bidirectional marks', 'line separators', 'no UTF-8']) {
  const name = names[title] ?? '';
  test(`source lines, files, types and members with ${title}`, async (t) => {
    using scratch = new Scratch();
    const texts = [
      './fixtures/task_walk.bpf.c',
      'report.pid = p->pid;',
      'real_parent',
      'group_leader',
    ];
    const walk = texts.reduce(
      (bytes, text) => overwrite(bytes, text, name),
      fixture('v3/task_walk'),
    );
    const path = scratch.write('walk.o', walk);
    await checkBoth(t, 'inspect', path);
    await checkBoth(t, 'explain', path, '--program', 'walk_btf');
    await checkBoth(t, 'object', 'image', path, '--program', 'walk_btf');
    const structs = overwrite(fixture('v3/xdp_counter'), 'protocol_count', name);
    const counter = scratch.write('counter.o', structs);
    await checkBoth(t, 'inspect', counter);
    await checkBoth(t, 'run', counter, '--packet', '00'.repeat(64));
  });
}

test('a file of any name', async (t) => {
  using scratch = new Scratch();
  for (const name of ['\u001b[31mred\u0007.o', '"\'\\\n.o', '\u202egnp.o', '__proto__']) {
    const path = scratch.write(name, fixture('v3/xdp_counter'));
    const report = (await checkBoth(t, 'inspect', path)) as { readonly file: string };
    t.is(report.file, path);
    await checkBoth(t, 'explain', path, '--btf', path);
    await checkBoth(t, 'object', 'image', path);
    await checkBoth(t, 'run', path, '--packet', '00'.repeat(64));
  }
});

test('a map of 200,000 elements is printed whole', async (t) => {
  using scratch = new Scratch();
  const count = 200_000;
  const btf = new BtfBuilder();
  const int = btf.int('int', 4);
  const map = btf.struct('map', 32, [
    ['type', btf.uint(2), 0],
    ['max_entries', btf.uint(count), 8],
    ['key', btf.ptr(int), 16],
    ['value', btf.ptr(int), 24],
  ]);
  btf.section('.maps', 32, [[btf.variable('large', map), 0, 32]]);
  const object = buildElf({
    sections: [
      { name: 'xdp', flags: codeFlags, data: exitCode(), alignment: 8n },
      { name: '.maps', flags: 3n, data: new Uint8Array(32) },
      { name: '.BTF', data: btf.bytes() },
    ],
    symbols: [
      { name: 'program', type: 2, section: 1, size: 16n },
      { name: 'large', type: 1, section: 2, size: 32n },
    ],
  });
  const path = scratch.write('large.o', object);
  const { status, out, err } = await tsbpf('run', path, '--packet', '00'.repeat(64));
  t.deepEqual({ status, err }, { status: 0, err: '' });
  t.true(out.includes(`large (array): ${count} elements\n`));
  t.is(out.split('\n').length > count, true);
});
