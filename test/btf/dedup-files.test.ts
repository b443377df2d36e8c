// Deduplication of what source files have, and of everything that belongs to their types.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { projectRoot } from '../../scripts/paths.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf, dedupBtfWithIds } from '../../src/btf/dedup/dedup.ts';
import { type BtfExt, parseBtfExt } from '../../src/btf/ext.ts';
import { findBtf } from '../../src/btf/file.ts';
import { typeToString } from '../../src/btf/graph.ts';
import { convertEndianness, writeBtf } from '../../src/btf/tools/reencode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { Random } from '../fuzz/random.ts';
import { buildUnit, CTypes, chooseUnit, countTogether } from './c-types.ts';
import { missingType } from './dedup-check.ts';
import { dataFile, runs, throwsBpfError } from './support.ts';

test('dedup: source files with common types have each once, and every type is found again', (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 4 }), fc.boolean(), (seed, files, little) => {
      const random = new Random(seed, 0);
      const types = new CTypes(random, 10 + random.below(120));
      const units = Array.from({ length: files }, () =>
        chooseUnit(types, random, 1 + random.below(30)),
      );
      const options = { random, littleEndian: little };
      const btf = units.map((unit) => buildUnit(types, unit, options)).reduce(appendBtf);
      const result = dedupBtfWithIds(btf);
      t.is(result.btf.endId, 1 + countTogether(units));
      t.is(missingType(btf, result), undefined);
      t.is(result.btf.littleEndian, little);
    }),
    runs(100),
  );
});

test('dedup: byte order changes nothing', (t) => {
  const random = new Random(7, 7);
  const types = new CTypes(random, 100);
  const units = [chooseUnit(types, random, 30), chooseUnit(types, random, 30)];
  const btf = units.map((unit) => buildUnit(types, unit, { random })).reduce(appendBtf);
  const swapped = parseBtf(convertEndianness(btf, false));
  t.deepEqual(convertEndianness(dedupBtf(swapped), true), dedupBtf(btf).bytes);
});

/** Info size, element size and flags of each kind, as <linux/btf.h> has them. */
const sizes = [
  [0, 0],
  [4, 0],
  [0, 0],
  [12, 0],
  [0, 12],
  [0, 12],
  [0, 8],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 8],
  [4, 0],
  [0, 12],
  [0, 0],
  [4, 0],
  [0, 0],
  [0, 12],
] as const;

/** With a layout section, which has one more kind than anybody knows: of 4 bytes. */
function withLayout(btf: Btf, base?: Btf): Btf {
  const layout = Uint8Array.from([...sizes, [4, 0]].flatMap(([once, each]) => [once, each, 0, 0]));
  const { littleEndian, words } = btf;
  const bytes = writeBtf({ littleEndian, words, strings: btf.strings.bytes, layout });
  return parseBtf(bytes, { base });
}

test('dedup: a layout section stays as it is', (t) => {
  const random = new Random(8, 8);
  const types = new CTypes(random, 60);
  const units = [chooseUnit(types, random, 20), chooseUnit(types, random, 20)];
  const btf = units.map((unit) => buildUnit(types, unit, { random })).reduce(appendBtf);
  const result = dedupBtf(withLayout(btf));
  t.is(result.endId, 1 + countTogether(units));
  t.deepEqual(result.layout, withLayout(btf).layout);
  t.deepEqual(result.words, dedupBtf(btf).words);
  const both = appendBtf(withLayout(btf), btf);
  t.deepEqual(both.layout, result.layout);
  t.is(dedupBtf(both).endId, result.endId);
});

test('dedup: types of a kind that only the layout knows are refused', (t) => {
  const btf = parseBtf(dataFile('layouts.btf'));
  const unknown = Uint32Array.of(0, 20 << 24, 0, 1);
  const words = Uint32Array.from([...btf.words, ...unknown]);
  const strings = btf.strings.bytes;
  const layout = withLayout(btf).layout;
  const newer = parseBtf(writeBtf({ littleEndian: true, words, strings, layout }));
  t.is(newer.endId, btf.endId + 1);
  throwsBpfError(t, () => dedupBtf(newer), 'btf-dedup-kind');
  throwsBpfError(t, () => appendBtf(btf, newer), 'btf-dedup-kind');
});

/** Fixtures that have `.BTF.ext`. */
function objects(): readonly (readonly [name: string, btf: Btf, ext: Uint8Array])[] {
  return ['v3', 'v4', 'be'].flatMap((kind) => {
    const folder = join(projectRoot, 'fixtures', kind);
    return readdirSync(folder)
      .filter((file) => file.endsWith('.o'))
      .flatMap((file) => {
        const { btf, ext } = findBtf(new Uint8Array(readFileSync(join(folder, file))), file);
        return ext === undefined ? [] : [[`${kind}/${file}`, parseBtf(btf), ext] as const];
      });
  });
}

/** All that the records say, with types and strings spelt out. */
function meaning(btf: Btf, ext: BtfExt): unknown {
  const type = (id: number): string =>
    `${btf.nameOf(id as TypeId)} ${typeToString(btf, id as TypeId)}`;
  const of = <T, U>(sections: ReadonlyMap<string, readonly T[]>, spell: (record: T) => U) =>
    [...sections].map(([name, records]) => [name, records.map(spell)]);
  return [
    of(ext.funcInfo, (record) => [record.insnOffset, type(record.type)]),
    of(ext.lineInfo, (record) => ({
      ...record,
      fileNameOffset: btf.string(record.fileNameOffset),
      lineOffset: btf.string(record.lineOffset),
    })),
    of(ext.coreRelocations, (record) => ({ ...record, type: type(record.type) })),
  ];
}

test('dedup: functions, lines and relocations of fixtures say the same afterwards', (t) => {
  const all = objects();
  t.true(all.length > 30);
  for (const [name, btf, ext] of all) {
    const other = all.find(([of]) => of !== name && of.slice(0, 2) === name.slice(0, 2));
    const both = other === undefined ? btf : appendBtf(btf, other[1]);
    const result = dedupBtfWithIds(both, { ext });
    const before = parseBtfExt(ext, { btf, name });
    const after = parseBtfExt(result.ext ?? new Uint8Array(), { btf: result.btf, name });
    t.deepEqual(meaning(result.btf, after), meaning(btf, before), name);
  }
});
