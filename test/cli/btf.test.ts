import { join } from 'node:path';
import test from 'ava';
import { dumpC } from '../../src/btf/dump/c.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
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
  ['an id that is no number', ['btf', 'dump', 'file', path, 'root_id', 'x']],
] as const) {
  test(`${title} is a usage error`, async (t) => {
    const { status, err } = await tsbpf(...words);
    t.is(status, 2);
    t.regex(err, /^Error: /);
  });
}

test('the dump of a file without types is one clear error', async (t) => {
  const { status, err } = await tsbpf('btf', 'dump', 'file', join(path, '../../manifest.json'));
  t.is(status, 1);
  t.regex(err, /^Error: .*is not BTF/);
});
