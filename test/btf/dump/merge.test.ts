import test from 'ava';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { mergeBtfs } from '../../../src/btf/dump/merge.ts';
import { dumpRaw } from '../../../src/btf/dump/raw.ts';
import { BtfBuilder } from '../../../src/btf/encode.ts';
import { BTF_KIND, type TypeId } from '../../../src/btf/types.ts';
import { dataFile, throwsBpfError } from '../support.ts';

const base = parseBtf(dataFile('layouts.btf'));
const int = base.find('int', BTF_KIND.INT) ?? (0 as TypeId);

/** A struct that every split BTF has, a pointer to it, and a struct of its own with that. */
function split(name: string): Btf {
  const builder = new BtfBuilder({ base });
  const shared = builder.add({
    kind: 'struct',
    name: 'shared',
    size: 4,
    members: [{ name: 'a', type: int, bitOffset: 0 }],
  });
  const pointer = builder.add({ kind: 'ptr', target: shared });
  const members = [{ name: 'p', type: pointer, bitOffset: 0 }];
  builder.add({ kind: 'struct', name, size: 8, members });
  return parseBtf(builder.finish(), { name, base });
}

test('several files on one base, as bpftool merges them', (t) => {
  const merged = mergeBtfs([split('only_a'), split('only_b'), split('only_a')]);
  const expected = `[182] STRUCT 'shared' size=4 vlen=1
	'a' type_id=${int} bits_offset=0
[183] PTR '(anon)' type_id=182
[184] STRUCT 'only_a' size=8 vlen=1
	'p' type_id=183 bits_offset=0
[185] STRUCT 'only_b' size=8 vlen=1
	'p' type_id=183 bits_offset=0
`;
  t.is(dumpRaw(merged), expected);
});

test('one file stays as it is; others need a common base', (t) => {
  t.is(mergeBtfs([base]), base);
  throwsBpfError(t, () => mergeBtfs([]), 'btf-build');
  throwsBpfError(t, () => mergeBtfs([base, base]), 'btf-build');
  throwsBpfError(t, () => mergeBtfs([split('only_a'), base]), 'btf-build');
});
