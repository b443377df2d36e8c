import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { patchDataSections } from '../../src/btf/datasec.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { bpftoolJson } from './bpftool-json.ts';
import { dataFile, throwsBpfError } from './support.ts';

for (const order of ['el', 'eb']) {
  test(`sizes and offsets change, and nothing else: ${order}`, (t) => {
    const btf = parseBtf(dataFile(`shapes.${order}.btf`), { name: 'shapes', pointerSize: 8 });
    const before = bpftoolJson(btf);
    const bss = btf.find('.bss', BTF_KIND.DATASEC) as TypeId;
    const data = btf.find('.data', BTF_KIND.DATASEC) as TypeId;
    const patched = patchDataSections(btf, [
      {
        id: bss,
        size: 168,
        offsets: new Map([
          [1, 0],
          [0, 128],
          [2, 136],
        ]),
      },
      { id: data, size: 32, offsets: new Map() },
    ]);
    const section = patched.type(bss);
    if (section.kind !== 'datasec') return t.fail();
    t.is(section.size, 168);
    t.deepEqual(
      section.vars.map((v) => [v.offset, v.size]),
      [
        [128, 4],
        [0, 128],
        [136, 16],
        [0, 16],
      ],
    );
    t.is(patched.sizeOrTypeOf(data), 32);
    t.is(patched.name, 'shapes');
    const changed = bpftoolJson(patched).filter((type, index) => type !== before[index]);
    t.is(changed.length, 2);
    t.deepEqual(bpftoolJson(btf), before);
  });
}

test('without fixes it is the same BTF', (t) => {
  const btf = parseBtf(dataFile('shapes.el.btf'));
  t.is(patchDataSections(btf, []), btf);
});

test('only data sections of the BTF itself can be changed', (t) => {
  const base = parseBtf(dataFile('shapes.el.btf'));
  const btf = parseBtf(new BtfBuilder({ base }).finish(), { base });
  const bss = base.find('.bss', BTF_KIND.DATASEC) as TypeId;
  const none = new Map<number, number>();
  const refused = (
    fix: { id: TypeId; size: number; offsets: ReadonlyMap<number, number> },
    of = base,
  ) => throwsBpfError(t, () => patchDataSections(of, [fix]), 'btf-datasec-fix');
  refused({ id: bss, size: 4, offsets: none }, btf);
  refused({ id: 1 as TypeId, size: 4, offsets: none });
  refused({ id: 1000 as TypeId, size: 4, offsets: none });
  refused({ id: bss, size: -1, offsets: none });
  refused({ id: bss, size: 4, offsets: new Map([[4, 0]]) });
  refused({ id: bss, size: 4, offsets: new Map([[0, 2 ** 32]]) });
});
