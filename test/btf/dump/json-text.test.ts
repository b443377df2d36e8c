// JSON text is written apart from the data that it stands for: both must say the same.
import test from 'ava';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { dumpJson } from '../../../src/btf/dump/json.ts';
import { dumpJsonBytes } from '../../../src/btf/dump/json-text.ts';
import { BtfBuilder } from '../../../src/btf/encode.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { decodeText } from '../../../src/bytes/text.ts';
import { toJson } from '../../../src/cli/json.ts';
import { dataFile, throwsBpfError } from '../support.ts';

function textOf(btf: Btf, indent: number, roots?: readonly TypeId[]): string {
  return decodeText(dumpJsonBytes(btf, { indent, roots, lineEnd: true }));
}

for (const file of ['shapes.el.btf', 'shapes.eb.btf', 'layouts.btf', 'members.btf']) {
  test(`${file} as JSON text, on one line and indented`, (t) => {
    const btf = parseBtf(dataFile(file));
    for (const indent of [0, 4]) t.is(textOf(btf, indent), `${toJson(dumpJson(btf), indent)}\n`);
  });
}

test('as text, as bpftool -j prints it', (t) => {
  t.is(textOf(parseBtf(dataFile('shapes.el.btf')), 0), decodeText(dataFile('shapes.golden')));
});

test('every kind, empty lists, extreme values and names that need escaping', (t) => {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'quote " \\ \u0007', size: 4, bool: true });
  builder.add({ kind: 'struct', name: 'é \u202e \udcff', size: 0, members: [] });
  builder.add({ kind: 'func-proto', returns: int, params: [] });
  builder.add({ kind: 'datasec', name: '.data', size: 0, vars: [] });
  builder.add({ kind: 'float', name: 'double', size: 8 });
  builder.add({ kind: 'fwd', name: 'later', of: 'union' });
  builder.add({ kind: 'decl-tag', name: 'tag', target: int, component: -1 });
  const small = [0xffffffffn, 0x80000000n, 0x7fffffffn].map((value) => ({ name: 'a', value }));
  builder.add({ kind: 'enum', name: '', size: 4, signed: false, values: small });
  const large = [0xffffffffffffffffn, 0n].map((value) => ({ name: 'b', value }));
  builder.add({ kind: 'enum64', name: 'e', size: 8, signed: false, values: large });
  const btf = parseBtf(builder.finish());
  for (const indent of [0, 4]) t.is(textOf(btf, indent), `${toJson(dumpJson(btf), indent)}\n`);
});

test('chosen types, void, and none', (t) => {
  const btf = parseBtf(dataFile('shapes.el.btf'));
  const roots = [3 as TypeId, 0 as TypeId, 3 as TypeId];
  t.is(textOf(btf, 0, roots), `${toJson(dumpJson(btf, { roots }))}\n`);
  for (const indent of [0, 4]) {
    t.is(textOf(btf, indent, []), `${toJson(dumpJson(btf, { roots: [] }), indent)}\n`);
  }
  throwsBpfError(t, () => dumpJsonBytes(btf, { roots: [9999 as TypeId] }), 'btf-no-type');
});

test('a long name that many types have', (t) => {
  const builder = new BtfBuilder();
  for (const name of ['n'.repeat(100_000), 'é'.repeat(50_000)]) {
    for (let i = 0; i < 2000; i++) builder.add({ kind: 'struct', name, size: 0, members: [] });
  }
  const btf = parseBtf(builder.finish());
  throwsBpfError(t, () => dumpJsonBytes(btf), 'btf-dump-limit');
});
