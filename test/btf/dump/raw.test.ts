import test from 'ava';
import { parseBtf } from '../../../src/btf/btf.ts';
import { dumpJson } from '../../../src/btf/dump/json.ts';
import { dumpRaw } from '../../../src/btf/dump/raw.ts';
import { BtfBuilder } from '../../../src/btf/encode.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import { decodeText } from '../../../src/bytes/text.ts';
import { toJson } from '../../../src/cli/json.ts';
import { dataFile, throwsBpfError } from '../support.ts';

for (const [file, golden] of [
  ['shapes.el.btf', 'shapes.raw'],
  ['shapes.eb.btf', 'shapes.raw'],
  ['layouts.btf', 'layouts.raw'],
] as const) {
  test(`${file} as text, as bpftool prints it`, (t) => {
    t.is(dumpRaw(parseBtf(dataFile(file))), decodeText(dataFile(golden)));
  });
}

test('as data, as bpftool -j prints it', (t) => {
  const json = `${toJson(dumpJson(parseBtf(dataFile('shapes.el.btf'))))}\n`;
  t.is(json, decodeText(dataFile('shapes.golden')));
});

test('kinds and attributes that clang does not write', (t) => {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'odd', size: 4, signed: true, bool: true });
  builder.add({ kind: 'type-tag', name: 'noreturn', target: int, attribute: true });
  builder.add({ kind: 'decl-tag', name: 'weak', target: int, attribute: true, component: 2 });
  const values = [{ name: 'A', value: 0xffffffffn }];
  builder.add({ kind: 'enum', name: '', size: 4, signed: false, values });
  const btf = parseBtf(builder.finish());
  const expected = `[1] INT 'odd' size=4 bits_offset=0 nr_bits=32 encoding=UNKN
[2] TYPE_TAG 'noreturn' type_id=1
[3] DECL_TAG 'weak' type_id=1 component_idx=2
[4] ENUM '(anon)' encoding=UNSIGNED size=4 vlen=1
	'A' val=4294967295
`;
  t.is(dumpRaw(btf), expected);
  // bpftool's JSON extends the sign of what has none.
  const value = dumpJson(btf, { roots: [4 as TypeId] }).types[0]?.['values'];
  t.deepEqual(value, [{ name: 'A', val: 0xffffffffffffffffn }]);
});

test('only some types, in the order asked for, and void', (t) => {
  const btf = parseBtf(dataFile('layouts.btf'));
  const roots = [2, 0] as TypeId[];
  const text = dumpRaw(btf, { roots });
  t.is(text, `${decodeText(dataFile('layouts.raw')).split('\n')[1]}\n[0] UNKNOWN '(anon)'\n`);
  t.deepEqual(dumpJson(btf, { roots: [0 as TypeId] }).types, [
    { id: 0, kind: 'UNKNOWN', name: '(anon)' },
  ]);
  throwsBpfError(t, () => dumpRaw(btf, { roots: [9999 as TypeId] }), 'btf-no-type');
  throwsBpfError(t, () => dumpJson(btf, { roots: [9999 as TypeId] }), 'btf-no-type');
});

test('of a split BTF only its own types', (t) => {
  const base = parseBtf(dataFile('layouts.btf'));
  const builder = new BtfBuilder({ base });
  const id = builder.add({ kind: 'ptr', target: 1 as TypeId });
  const split = parseBtf(builder.finish(), { base });
  t.is(dumpRaw(split), `[${id}] PTR '(anon)' type_id=1\n`);
  t.is(dumpRaw(split, { roots: [1 as TypeId] }), dumpRaw(base, { roots: [1 as TypeId] }));
  t.is(dumpJson(split).types.length, 1);
});
