import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { dumpC } from '../../src/btf/dump/c.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { parseBtfFile } from '../../src/btf/file.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { fixture, fixturePath } from '../support/fixtures.ts';
import { tsbpf } from './support.ts';

const path = fixturePath('v3/demo.o');
const btf = parseBtfFile(fixture('v3/demo'), { name: 'demo' });

test('btf dump prints raw text and C', async (t) => {
  t.is((await tsbpf('btf', 'dump', 'file', path)).out, dumpRaw(btf));
  t.is((await tsbpf('btf', 'dump', 'file', path, 'format', 'c')).out, dumpC(btf));
});

test('words may be abbreviated and come in any order', async (t) => {
  const expected = dumpC(btf, { roots: [7 as TypeId], unsorted: true });
  const words = ['btf', 'dump', 'f', path, 'root_id', '7', 'form', 'c', 'uns'];
  t.is((await tsbpf(...words)).out, expected);
});

test('names of commands may be cut short', async (t) => {
  const expected = dumpRaw(btf);
  t.is((await tsbpf('b', 'd', 'f', path)).out, expected);
  t.is((await tsbpf('-d', 'bt', 'dum', 'file', path)).out, expected);
  t.is((await tsbpf('ve')).out, (await tsbpf('version')).out);
  const { status, err } = await tsbpf('btf', 'd2');
  t.is(status, 2);
  t.regex(err, /unknown command 'd2'/);
});

test('btf dump prints JSON in the raw format', async (t) => {
  const { out, status } = await tsbpf('-j', 'btf', 'dump', 'file', path);
  t.is(status, 0);
  const types = (JSON.parse(out) as { readonly types: readonly { readonly id: number }[] }).types;
  t.is(types.length, btf.endId - 1);
});

for (const [title, words] of [
  ['no source', ['btf', 'dump']],
  ['an unknown source', ['btf', 'dump', 'disk', 'x']],
  ['a missing file name', ['btf', 'dump', 'file']],
  ['an unknown format', ['btf', 'dump', 'file', path, 'format', 'q']],
  ['a word too many', ['btf', 'dump', 'file', path, 'format', 'raw', 'more']],
  ['the same root twice', ['btf', 'dump', 'file', path, 'root_id', '1', 'root_id', '1']],
  ['files without a base', ['btf', 'dump', 'file', path, 'file', path]],
  ['roots of the types of a key', ['btf', 'dump', 'map', 'id', '1', 'key', 'root_id', '1']],
  ['a map by its tag', ['btf', 'dump', 'map', 'tag', '1']],
  ['a word too many after show', ['btf', 'show', 'id', '1', 'more']],
  ['an id that is no number', ['btf', 'dump', 'file', path, 'root_id', 'x']],
] as const) {
  test(`${title} is a usage error`, async (t) => {
    const { status, err } = await tsbpf(...words);
    t.is(status, 2);
    t.regex(err, /^Error: /);
  });
}

test('there is no JSON of C', async (t) => {
  const { status, out } = await tsbpf('-j', 'btf', 'dump', 'file', path, 'format', 'c');
  t.is(status, 2);
  t.deepEqual(JSON.parse(out), {
    error: 'there is no JSON of types in C; leave out -j, or use format raw',
  });
});

test('several files are merged on a base', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-test-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const base = builder.finish();
  const onBase = parseBtf(base, { name: 'base' });
  const split = (name: string): Uint8Array => {
    const own = new BtfBuilder({ base: onBase });
    const pointer = own.add({ kind: 'ptr', target: int });
    own.add({ kind: 'typedef', name, target: pointer });
    own.add({ kind: 'typedef', name: 'both', target: pointer });
    return own.finish();
  };
  const files = { base, one: split('one'), two: split('two') };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  const words = ['one', 'two'].flatMap((name) => ['file', join(folder, name)]);
  const { out, err } = await tsbpf('btf', 'dump', ...words, '-B', join(folder, 'base'));
  t.is(err, '');
  t.is(
    out,
    [
      "[2] PTR '(anon)' type_id=1",
      "[3] TYPEDEF 'one' type_id=2",
      "[4] TYPEDEF 'both' type_id=2",
      "[5] TYPEDEF 'two' type_id=2",
      '',
    ].join('\n'),
  );
});

test('the dump of a file without types is one clear error', async (t) => {
  const { status, err } = await tsbpf('btf', 'dump', 'file', join(path, '../../manifest.json'));
  t.is(status, 1);
  t.regex(err, /^Error: .*is not BTF/);
});
