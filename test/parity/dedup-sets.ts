// Sets of files for comparing deduplication: kernels, fixtures, and random types as several
// source files would have them, alone and on a base.
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf, dedupBtfWithIds } from '../../src/btf/dedup/dedup.ts';
import { writeBtf } from '../../src/btf/dedup/write.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { mapIds, mapNames } from '../../src/btf/places.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { buildUnit, CTypes, chooseUnit, countTogether } from '../btf/c-types.ts';
import { Random } from '../fuzz/random.ts';
import { readBtf } from './btf-dump.ts';
import { randomBtf } from './btf-random.ts';
import type { Differences } from './compare.ts';
import { compareDedup } from './dedup.ts';

const seed = 20_250_102;

/** Random sets, and the source files in each. */
const setCount = 40;
const unitCount = 4;

/** What was compared, and how; where it could not be, the reason. */
export interface Comparison {
  readonly title: string;
  readonly differences: Differences | string;
}

/** Each kernel twice, all together, and the others on the first. */
export function* kernelSets(kernels: readonly string[], folder: string): Generator<Comparison> {
  for (const file of kernels) {
    const differences = compareDedup([file, file]);
    const title = `dedup of ${file} twice`;
    yield { title, differences: joined(differences, exactlyOne(file)) };
  }
  if (kernels.length < 2) return;
  yield { title: 'dedup of all kernels', differences: compareDedup(kernels) };
  const [base, ...others] = kernels as readonly [string, ...string[]];
  for (const file of others) {
    const title = `dedup of ${file} on ${base}`;
    yield { title, differences: compareOnBase([file], base, folder) };
  }
}

function joined(a: Differences | string, b: Differences): Differences | string {
  return typeof a === 'string' ? a : [...a, ...b];
}

/**
 * Of two copies of a file the second must become the first, variables and sections aside, as
 * many as the file alone gives: that of Linux 7.2 has some prototypes twice.
 */
function exactlyOne(file: string): Differences {
  const btf = read(file);
  const once = dedupBtfWithIds(btf);
  const twice = dedupBtfWithIds(appendBtf(btf, btf));
  let places = 0;
  let others = 0;
  for (let id = 1; id < btf.endId; id++) {
    const kind = btf.kindOf(id as TypeId);
    const second = twice.ids[id + btf.endId - 1];
    if (kind === BTF_KIND.VAR || kind === BTF_KIND.DATASEC) places++;
    else if (twice.ids[id] !== once.ids[id] || second !== once.ids[id]) others++;
  }
  const found: Differences = [];
  if (others > 0) found.push(`${others} types of the second copy are not those of the first`);
  const wanted = once.btf.endId + places;
  if (twice.btf.endId !== wanted) found.push(`${twice.btf.endId} types, not ${wanted}`);
  return found;
}

/** Fixtures of one byte order: any two, one twice included, and all together. */
export function* fixtureSets(files: readonly string[], title: string): Generator<Comparison> {
  const withTypes = files.filter((file) => !(readBtf(file) instanceof BpfError));
  const differences: Differences = [];
  for (const [i, one] of withTypes.entries()) {
    for (const other of withTypes.slice(i)) {
      const found = compareDedup([one, other]);
      const names = `${basename(one)}, ${basename(other)}`;
      for (const each of [found].flat()) differences.push(`${names}: ${each}`);
    }
  }
  yield { title: `dedup of pairs of ${title}`, differences };
  yield { title: `dedup of all ${title}`, differences: compareDedup(withTypes) };
}

/** Fixtures on a kernel, as the types of a module would be. */
export function fixturesOnBase(
  files: readonly string[],
  title: string,
  base: string,
  folder: string,
): Comparison {
  const withTypes = files.filter((file) => !(readBtf(file) instanceof BpfError));
  const differences = compareOnBase(withTypes, base, folder);
  return { title: `dedup of ${title} on ${base}`, differences };
}

/** Puts files that stand alone on a base, and deduplicates them there. */
function compareOnBase(
  files: readonly string[],
  baseFile: string,
  folder: string,
): Differences | string {
  const base = read(baseFile);
  const onBase = files.map((file, i) => {
    const path = join(folder, `on-base-${i}.btf`);
    writeFileSync(path, placeOn(read(file), base).bytes);
    return path;
  });
  return compareDedup(onBase, baseFile);
}

/** The same types with ids and strings behind those of a base, none of which it uses. */
function placeOn(btf: Btf, base: Btf): Btf {
  const words = btf.words.slice();
  const ids = Uint32Array.from({ length: btf.endId }, (_, id) =>
    id === 0 ? 0 : id + base.endId - 1,
  );
  for (const [i, start] of btf.offsets.entries()) {
    const end = btf.offsets[i + 1] ?? words.length;
    mapIds(words, start, end, ids);
    mapNames(words, start, end, (name) => (name === 0 ? 0 : name + base.strings.end));
  }
  const like = parseBtf(new BtfBuilder({ base }).finish(), { base, name: btf.name });
  return writeBtf(like, { words, strings: btf.strings.bytes });
}

/**
 * Random types of C in several source files: it is known how many there are together. All of
 * them alone, and the last two on the others.
 */
export function* randomUnitSets(folder: string): Generator<Comparison> {
  for (let set = 0; set < setCount; set++) {
    const random = new Random(seed, set);
    const types = new CTypes(random, 20 + random.below(200));
    const units = Array.from({ length: unitCount }, () =>
      chooseUnit(types, random, 5 + random.below(40)),
    );
    const files = units.map((unit, i) => {
      const path = join(folder, `set-${set}-${i}.btf`);
      writeFileSync(path, buildUnit(types, unit, { random }).bytes);
      return path;
    });
    const together = dedupBtf(files.map(read).reduce(appendBtf));
    const wanted = 1 + countTogether(units);
    const counted = together.endId === wanted ? [] : [`${together.endId} types, not ${wanted}`];
    const title = `dedup of random source files, set ${set}`;
    yield { title, differences: joined(compareDedup(files), counted) };
    const base = join(folder, `set-${set}-base.btf`);
    writeFileSync(base, dedupBtf(files.slice(0, 2).map(read).reduce(appendBtf)).bytes);
    yield {
      title: `${title}, on a base`,
      differences: compareOnBase(files.slice(2), base, folder),
    };
  }
}

/** Random types that no compiler writes; libbpf cannot take all of them. */
export function* twistedSets(folder: string): Generator<Comparison> {
  const differences: Differences = [];
  const refusals: string[] = [];
  const note = (title: string, found: Differences | string): void => {
    if (typeof found === 'string') refusals.push(`${title}: ${found}`);
    else for (const each of found) differences.push(`${title}: ${each}`);
  };
  for (let i = 0; i < setCount; i++) {
    const made = randomBtf(seed, i);
    const [base, split, other] = [made.base, made.split, made.other].map((bytes, part) => {
      const path = join(folder, `twisted-${i}-${part}.btf`);
      writeFileSync(path, bytes);
      return path;
    }) as [string, string, string];
    note(`${i} twice`, compareDedup([base, base]));
    note(`${i} split`, compareDedup([split, other], base));
  }
  yield { title: 'dedup of twisted random types', differences };
  if (refusals.length === 0) return;
  const title = `dedup of ${refusals.length} of ${2 * setCount} sets of twisted random types`;
  yield { title, differences: `tags are pointed to, which libbpf refuses (${refusals[0]})` };
}

function read(file: string): Btf {
  const btf = readBtf(file);
  if (btf instanceof BpfError) throw btf;
  return btf;
}
