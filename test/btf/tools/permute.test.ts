import test from 'ava';
import { parseBtf } from '../../../src/btf/btf.ts';
import { parseBtfExt } from '../../../src/btf/ext.ts';
import { findBtf } from '../../../src/btf/file.ts';
import {
  findSorted,
  namedStart,
  permuteBtf,
  permuteBtfExt,
  sortBtf,
  sortedIds,
} from '../../../src/btf/tools/permute.ts';
import { BTF_KIND, type TypeId } from '../../../src/btf/types.ts';
import { fixture } from '../../support/fixtures.ts';
import { throwsBpfError } from '../support.ts';

function partsOf(name: 'v3/task_walk' | 'be/task_walk') {
  const { btf, ext } = findBtf(fixture(name), name);
  if (ext === undefined) throw new Error(`${name} has no .BTF.ext`);
  return { btf: parseBtf(btf, { name }), ext };
}

for (const name of ['v3/task_walk', 'be/task_walk'] as const) {
  test(`${name}: functions and relocations keep their types, lines stay`, (t) => {
    const { btf, ext } = partsOf(name);
    const newIds = sortedIds(btf);
    const sorted = permuteBtf(btf, newIds);
    const before = parseBtfExt(ext, { btf, name });
    const after = parseBtfExt(permuteBtfExt(btf, newIds, ext), { btf: sorted, name });
    t.deepEqual(after.lineInfo, before.lineInfo);
    const renamed = (type: TypeId): TypeId =>
      (type === 0 ? 0 : newIds[type - btf.firstId]) as TypeId;
    for (const [section, records] of before.funcInfo) {
      const moved = records.map((record) => ({ ...record, type: renamed(record.type) }));
      t.deepEqual(after.funcInfo.get(section), moved);
      for (const { type } of moved) t.is(sorted.kindOf(type), BTF_KIND.FUNC);
    }
    for (const [section, records] of before.coreRelocations) {
      const moved = records.map((record) => ({ ...record, type: renamed(record.type) }));
      t.deepEqual(after.coreRelocations.get(section), moved);
    }
    t.true(before.coreRelocations.size > 0);
  });
}

test('sorted types are found by halving, as by their table', (t) => {
  const { btf } = partsOf('v3/task_walk');
  const sorted = sortBtf(btf);
  t.is(namedStart(btf), undefined);
  t.is(sortBtf(sorted), sorted);
  const start = namedStart(sorted);
  if (start === undefined) return t.fail();
  for (let id = start; id < sorted.endId; id++) {
    const name = sorted.nameOf(id);
    t.is(findSorted(sorted, start, name, sorted.kindOf(id)), sorted.find(name, sorted.kindOf(id)));
  }
  t.is(findSorted(sorted, start, 'not there'), undefined);
  t.is(findSorted(sorted, start, 'task_struct', BTF_KIND.UNION), undefined);
});

test('an order that is none, and a damaged .BTF.ext', (t) => {
  const { btf, ext } = partsOf('v3/task_walk');
  throwsBpfError(t, () => permuteBtfExt(btf, [1, 2], ext), 'btf-permutation');
  const newIds = sortedIds(btf);
  throwsBpfError(t, () => permuteBtfExt(btf, newIds.fill(1), ext), 'btf-permutation');
  throwsBpfError(t, () => permuteBtfExt(btf, sortedIds(btf), ext.subarray(0, 40)), 'btf-ext');
});
