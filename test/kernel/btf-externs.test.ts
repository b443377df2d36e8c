import test from 'ava';
import { parseBtf } from '../../src/btf/btf.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { definedExterns } from '../../src/kernel/btf-externs.ts';
import { allBtfFeatures } from '../../src/kernel/btf-features.ts';
import { kernelForm } from '../../src/kernel/btf-load.ts';
import { openObject } from '../../src/object/open.ts';
import { fixture } from '../support/fixtures.ts';

const typesOf = (name: string) => {
  const { btf } = openObject(fixture(`v3/${name}`));
  if (btf === undefined) throw new Error('no types');
  return btf;
};

for (const name of ['kfuncs', 'ksyms', 'ksyms_untyped', 'kconfig']) {
  test(`${name}: externs are handed over as definitions, ids stay`, (t) => {
    const before = typesOf(name);
    const after = parseBtf(kernelForm(before, allBtfFeatures));
    for (let id = 1 as TypeId; id < after.endId; id = (id + 1) as TypeId) {
      const type = after.type(id);
      if (type.kind === 'func' || type.kind === 'var') t.not(type.linkage, 'extern', type.name);
      if (id >= before.endId) continue;
      t.is(after.kindOf(id), before.kindOf(id));
      t.is(after.nameOf(id), before.nameOf(id));
    }
    for (const section of ['.ksyms', '.kconfig']) {
      const id = after.find(section, BTF_KIND.DATASEC);
      const type = id === undefined ? undefined : after.type(id);
      if (type?.kind !== 'datasec') continue;
      let end = 0;
      for (const { type: variable, offset, size } of type.vars) {
        t.is(after.kindOf(variable), BTF_KIND.VAR);
        t.true(offset >= end, 'in the order of their places');
        t.true(size > 0);
        end = offset + size;
      }
      t.is(type.size, end);
    }
  });
}

test('kconfig values lie where the map has them', (t) => {
  const spec = openObject(fixture('v3/kconfig'));
  const after = parseBtf(kernelForm(typesOf('kconfig'), allBtfFeatures));
  const id = after.find('.kconfig', BTF_KIND.DATASEC) as TypeId;
  const section = after.type(id);
  if (section.kind !== 'datasec') return t.fail();
  const places = section.vars.map(({ type, offset }) => [after.nameOf(type), offset]);
  const wanted = spec.externs
    .flatMap(({ name, kconfig }) =>
      kconfig === undefined ? [] : [[name, kconfig.offset] as const],
    )
    .sort(([, a], [, b]) => a - b);
  t.is(JSON.stringify(places), JSON.stringify(wanted));
});

test('types without externs are handed over as they are', (t) => {
  const btf = typesOf('xdp_counter');
  t.is(definedExterns(btf), btf);
});
