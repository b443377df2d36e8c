import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { matchesGlob } from '../../src/cli/commands/btf-find.ts';
import { builtinBtf } from '../../src/vm/index.ts';
import { objectPath, parseLine, printableText, tsbpf } from './support.ts';

const directory = mkdtempSync(join(tmpdir(), 'tsbpf-btf-tools-'));
test.after.always(() => rmSync(directory, { recursive: true }));

/** A file with `struct task_struct` of one member at a bit offset. */
function file(name: string, offset: number, enumerator = 'A'): string {
  const builder = new BtfBuilder();
  const type = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const members = ['pid', 'tgid', 'flags', 'state'].map((member, i) => ({
    name: member,
    type,
    bitOffset: offset + 32 * i,
  }));
  builder.add({ kind: 'struct', name: 'task_struct', size: 64, members });
  builder.add({ kind: 'enum', name: 'other\u001b', values: [{ name: enumerator, value: 1n }] });
  const path = join(directory, name);
  writeFileSync(path, builder.finish());
  return path;
}

const a = file('a', 0);
const b = file('b', 64);
const c = file('c', 0, 'B');

test('btf diff: text and exit statuses of diff(1)', async (t) => {
  t.deepEqual(await tsbpf('btf', 'diff', a, a), { status: 0, out: 'no differences\n', err: '' });
  const moved = await tsbpf('btf', 'diff', a, b);
  t.is(moved.status, 1);
  t.regex(moved.out, /~ struct task_struct\n {4}~ 4 members, pid to state: moved by \+8 bytes\n/);
  t.regex(moved.out, /0 removed, 0 added, 1 changed\n$/);
  const renamed = await tsbpf('btf', 'diff', a, c);
  t.regex(renamed.out, printableText);
  t.regex(renamed.out, /~ enum other\\x1b\n {4}- A = 1\n {4}\+ B = 1\n/);
  t.is((await tsbpf('btf', 'diff', a, join(directory, 'absent'))).status, 2);
  t.is((await tsbpf('btf', 'diff', a)).status, 2);
});

test('btf diff: JSON', async (t) => {
  const { out, status } = await tsbpf('-j', 'btf', 'diff', a, b);
  t.is(status, 1);
  t.like(parseLine(t, out), {
    removed: [],
    changed: [
      {
        kind: 'struct',
        name: 'task_struct',
        details: {
          0: {
            what: 'member-changed',
            old: { name: 'pid', bits_offset: 0 },
            new: { name: 'pid', bits_offset: 64 },
            moved: true,
            retyped: false,
            resized: false,
          },
        },
      },
    ],
  });
});

test('btf diff: only what relocations of an object touch', async (t) => {
  const touched = ['--only-touched', objectPath('v3/task_walk')];
  t.is((await tsbpf('btf', 'diff', a, b, ...touched)).status, 1);
  t.is((await tsbpf('btf', 'diff', a, c, ...touched)).status, 0);
  t.is((await tsbpf('btf', 'diff', a, c)).status, 1);
});

test('btf find', async (t) => {
  const one = await tsbpf('btf', 'find', 'task_struct', '--btf', a);
  t.is(one.out, '[2]  STRUCT  task_struct  size=64\n');
  t.is((await tsbpf('btf', 'find', 'int*', '--btf', a)).out, '[1]  INT  int  size=4\n');
  t.is((await tsbpf('btf', 'find', '*', '--kind', 'enum', '--btf', a)).out.includes('task'), false);
  t.is((await tsbpf('btf', 'find', 'x', '--btf', a)).out, 'no type matches\n');
  t.is((await tsbpf('btf', 'find', 'x', '--kind', 'class', '--btf', a)).status, 2);
  const json = await tsbpf('-j', 'btf', 'find', 'task_*', '--btf', a);
  t.deepEqual(parseLine(t, json.out), [{ id: 2, kind: 'STRUCT', name: 'task_struct', size: 64 }]);
});

test('patterns', (t) => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['', '', true],
    ['', '*', true],
    ['abc', 'a*c', true],
    ['abc', 'a?c', true],
    ['abc', 'a?', false],
    ['abcbc', '*bc', true],
    ['abcb', '*bc', false],
    ['a.c', 'a.c', true],
    ['abc', 'a.c', false],
    ['a'.repeat(5000), `${'*a'.repeat(500)}b`, false],
  ];
  for (const [name, pattern, expected] of rows) t.is(matchesGlob(name, pattern), expected, pattern);
});

interface Relocation {
  readonly kind: string;
  readonly verdict: string;
  readonly to: number;
}

test('gen min_core_btf: relocations resolve against what was kept', async (t) => {
  const target = join(directory, 'target');
  writeFileSync(target, builtinBtf().bytes);
  const output = join(directory, 'min');
  const object = objectPath('v3/task_walk');
  const made = await tsbpf('gen', 'min_core_btf', target, output, object);
  t.deepEqual(made, { status: 0, out: '', err: '' });
  const small = parseBtf(new Uint8Array(readFileSync(output)));
  t.true(small.endId < builtinBtf().endId);
  t.regex(dumpRaw(small), /STRUCT 'task_struct'/);
  const verdicts = async (btf: string): Promise<unknown> => {
    const { out } = await tsbpf('-j', 'explain', object, '--btf', btf);
    const { relocations } = parseLine(t, out) as { relocations: readonly Relocation[] };
    // Ids of types are others in a smaller BTF.
    const kept = relocations.filter(({ kind }) => kind !== 'target_type_id');
    return kept.map(({ verdict, to }) => [verdict, to]);
  };
  t.deepEqual(await verdicts(output), await verdicts(target));
  t.is((await tsbpf('gen', 'min_core_btf', target, directory, object)).status, 1);
  const image = join(directory, 'vmlinuz');
  writeFileSync(image, Buffer.concat([Buffer.alloc(0x202), Buffer.from('HdrS')]));
  const refused = await tsbpf('gen', 'min_core_btf', image, output, object);
  t.is(refused.status, 1);
  t.regex(refused.err, /kernel image \(x86 bzImage\).*extract-vmlinux/);
});

test('gen min_core_btf: a module with the part of its base that it needs', async (t) => {
  const object = objectPath('v3/task_walk');
  const [base, split, output, baseOutput] = ['base', 'split', 'small', 'small-base'].map((name) =>
    join(directory, name),
  ) as [string, string, string, string];
  const kernel = builtinBtf();
  writeFileSync(base, kernel.bytes);
  const builder = new BtfBuilder({ base: kernel });
  builder.add({ kind: 'struct', name: 'of_module', size: 4, members: [] });
  writeFileSync(split, builder.finish());
  const words = ['gen', 'min_core_btf', split, output, object, '--base-output', baseOutput];
  const made = await tsbpf(...words, '-B', base);
  t.deepEqual(made, { status: 0, out: '', err: '' });
  const small = parseBtf(new Uint8Array(readFileSync(baseOutput)));
  t.regex(dumpRaw(small), /STRUCT 'task_struct'/);
  t.is(parseBtf(new Uint8Array(readFileSync(output)), { base: small }).endId, small.endId);
  const alone = await tsbpf(
    'gen',
    'min_core_btf',
    base,
    output,
    object,
    '--base-output',
    baseOutput,
  );
  t.is(alone.status, 1);
  t.regex(alone.err, /stands on no base/);
});
