// Strings and ids that types refer to.
import test from 'ava';
import fc from 'fast-check';
import { parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { FIELD, fieldsOf, stringOffsets, typeIds } from '../../src/btf/fields.ts';
import { childIds } from '../../src/btf/graph.ts';
import { BTF_KIND, type BtfType, type TypeId } from '../../src/btf/types.ts';
import { graphs } from './arbitrary.ts';
import { dataFile, throwsBpfError } from './support.ts';

const shapes = parseBtf(dataFile('shapes.el.btf'), { name: 'shapes' });

/** The names that a type as plain data has, in stored order. */
function namesOf(type: BtfType): readonly string[] {
  const own = 'name' in type ? type.name : '';
  switch (type.kind) {
    case 'void':
      return [];
    case 'struct':
    case 'union':
      return [own, ...type.members.map(({ name }) => name)];
    case 'enum':
    case 'enum64':
      return [own, ...type.values.map(({ name }) => name)];
    case 'func-proto':
      return [own, ...type.params.map(({ name }) => name)];
    default:
      return [own];
  }
}

test('strings and ids of clang types, and of any types', (t) => {
  const check = (btf: typeof shapes): void => {
    for (let i = 0; i < btf.endId; i++) {
      const id = i as TypeId;
      t.deepEqual(
        stringOffsets(btf, id).map((offset) => btf.string(offset)),
        namesOf(btf.type(id)),
      );
      if (i === 0) continue;
      const { words, start, end, role } = fieldsOf(btf, id);
      const ids = Array.from(words.subarray(start, end)).filter((_, at) => role(at) === FIELD.ID);
      t.deepEqual(ids, [...childIds(btf.type(id))]);
    }
  };
  check(shapes);
  fc.assert(
    fc.property(graphs(), (types) => {
      const builder = new BtfBuilder();
      for (const type of types) builder.add(type);
      check(parseBtf(builder.finish()));
    }),
    { numRuns: 50 },
  );
  throwsBpfError(t, () => stringOffsets(shapes, 9999 as TypeId), 'btf-no-type');
});

test('ids of all types, of a kind, and of a split BTF itself', (t) => {
  t.is([...typeIds(shapes)].length, shapes.endId - 1);
  const structs = [...typeIds(shapes, { kind: BTF_KIND.STRUCT })];
  t.true(structs.length > 2);
  for (const id of structs) t.is(shapes.type(id).kind, 'struct');
  const builder = new BtfBuilder({ base: shapes });
  builder.add({ kind: 'ptr', target: 1 as TypeId });
  const split = parseBtf(builder.finish(), { base: shapes });
  t.deepEqual([...typeIds(split, { first: split.firstId })], [shapes.endId as TypeId]);
  t.is([...typeIds(split)].length, shapes.endId);
  t.is([...typeIds(split, { first: -7 })].length, shapes.endId);
});
