// Compares our dumps of BTF with those of bpftool and libbpf: of the running kernel, of the
// kernels that scripts/kernels.sh fetches, of every fixture, and of random types.
//
//   node dist/scripts/parity-btf.js [WORD...]    only files whose paths contain a word
//
// A line per comparison, `N passed, N failed, N skipped` at the end; status 1 on failure.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Btf } from '../src/btf/btf.ts';
import { BTF_KIND, type TypeId } from '../src/btf/types.ts';
import { BpfError } from '../src/errors.ts';
import { buildUnit, CTypes, wholeUnit } from '../test/btf/c-types.ts';
import { Random } from '../test/fuzz/random.ts';
import {
  compareCompiled,
  compareCompiledFile,
  missingClang,
  typedLayoutOf,
} from '../test/parity/btf-compile.ts';
import {
  type Compared,
  compareDumps,
  compareMerged,
  missingBpftool,
  readBtf,
} from '../test/parity/btf-dump.ts';
import { compareData, compareTypes, missingHarness } from '../test/parity/btf-libbpf.ts';
import { compareLive, missingKernel } from '../test/parity/btf-live.ts';
import { minimalDifference, minimalObjects } from '../test/parity/btf-minimal.ts';
import { randomBtf } from '../test/parity/btf-random.ts';
import { compareSanitised, hasTypes, missingSanitiseHarness } from '../test/parity/btf-sanitise.ts';
import {
  compareFound,
  compareModule,
  compareModuleDump,
  comparePermuted,
  makeModule,
  missingToolsHarness,
  sortedFile,
} from '../test/parity/btf-tools.ts';
import type { Differences } from '../test/parity/compare.ts';
import { missingDedupHarness } from '../test/parity/dedup.ts';
import { compareLinked } from '../test/parity/dedup-linked.ts';
import { comparePahole, missingPahole } from '../test/parity/dedup-pahole.ts';
import {
  type Comparison,
  fixtureSets,
  fixturesOnBase,
  kernelSets,
  randomUnitSets,
  twistedSets,
} from '../test/parity/dedup-sets.ts';
import { formatCounts } from './counts.ts';
import { projectRoot } from './paths.ts';

const clang = 'clang-19';
const seed = 20_250_101;

/** Random BTFs, alone and on a base, and how many types of a file are compared one by one. */
const randomCount = 60;
const sampleSize = 300;

/** Sets of generated types that are compiled, of about 500 types each. */
const generatedCount = 10;

/** Where we knowingly differ, by the title of the comparison and what it says. */
const knownDifferences: readonly {
  readonly title: RegExp;
  readonly difference: RegExp;
  readonly reason: string;
}[] = [
  {
    title: /^fixtures\/invalid\/section_(huge|outside)\.o: /,
    difference: /^bpftool takes it; /,
    reason: 'bpftool looks at one section alone, we check that all are inside of the file',
  },
  {
    title: /^fixtures\/invalid\/map_hostile_member\.o: json/,
    difference: /u001b/,
    reason: 'control characters in names are not escaped by bpftool, which makes it no JSON',
  },
  {
    title: /random-12-split\.btf and another: /,
    difference: /^bpftool refuses it/,
    reason: 'typedefs lead to tags, of which libbpf cannot tell whether they are equal',
  },
  {
    title: /: compiled$/,
    difference: /^struct warn_args: /,
    reason: 'it has a va_list, which is another for x86 than for BPF',
  },
  {
    title: /: distilled$/,
    difference: /^on .*: libbpf puts it there; we: .* is a \w+ there$/,
    reason: 'libbpf takes a type of the right name for a struct or union, though it is none',
  },
  {
    title: /^random 14: distilled$/,
    difference: /^on .*-kernel: libbpf refuses it/,
    reason:
      'libbpf overlooks that a union is held by value, and so a declaration that cannot be it',
  },
  {
    title: /^types without (global-func|.*decl-tag.*)$/,
    difference: /argument_tags\.o: .*not \[\d+\] FUNC_PROTO/,
    reason: 'for kernels that do not know arg:ctx, libbpf adds prototypes with the context',
  },
];

const runningKernel = '/sys/kernel/btf/vmlinux';
const kernels = join(projectRoot, '.cache/kernels');
const fixtures = join(projectRoot, 'fixtures');
const shapes = join(projectRoot, 'test/btf/data');
const counts = { passed: 0, failed: 0, skipped: 0 };

function report(title: string, found: Differences): void {
  const known = knownDifferences.filter((each) => each.title.test(title));
  const differences = found.filter((each) => !known.some((one) => one.difference.test(each)));
  if (differences.length < found.length) skip(title, `in part: ${known[0]?.reason}`);
  if (differences.length === 0) {
    counts.passed++;
    console.log(`ok - ${title}`);
    return;
  }
  counts.failed++;
  console.log(`not ok - ${title}`);
  for (const each of differences.slice(0, 10)) console.log(`  ${each}`);
}

function skip(title: string, reason: string): void {
  counts.skipped++;
  console.log(`ok - ${title} # SKIP ${reason}`);
}

function kernelFiles(): readonly string[] {
  const fetched = existsSync(kernels)
    ? readdirSync(kernels, { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.btf'))
        .map((path) => join(kernels, path))
    : [];
  if (fetched.length === 0) skip('other kernels', 'not fetched: run scripts/kernels.sh');
  if (!existsSync(runningKernel)) skip('the running kernel', `no ${runningKernel}`);
  return [...(existsSync(runningKernel) ? [runningKernel] : []), ...fetched.sort()];
}

function fixtureFiles(): readonly string[] {
  const objects = readdirSync(fixtures, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.o'))
    .map((path) => join(fixtures, path));
  const types = readdirSync(shapes)
    .filter((path) => path.endsWith('.btf'))
    .map((path) => join(shapes, path));
  return [...types.sort(), ...objects.sort()];
}

function compareFile(
  file: string,
  options: { base?: string; roots?: readonly number[] } = {},
): void {
  const suffix = options.roots === undefined ? '' : ` from ${options.roots.join(', ')}`;
  reportForms(titleOf(file), compareDumps(file, options), suffix);
}

function reportForms(name: string, compared: readonly Compared[], suffix: string): void {
  for (const { form, differences } of compared) {
    const title = `${name}: ${form}${suffix}`;
    if (differences === undefined) skip(title, 'bpftool crashes, or does not end');
    else report(title, differences);
  }
}

function titleOf(file: string): string {
  return file.replace(`${projectRoot}/`, '').replace(`${tmpdir()}/`, '');
}

/** Some ids, spread evenly. */
function sample(btf: Btf, count: number): readonly TypeId[] {
  const step = Math.max(1, Math.floor((btf.endId - btf.firstId) / count));
  const ids: TypeId[] = [];
  for (let id = btf.firstId; id < btf.endId; id += step) ids.push(id as TypeId);
  return ids;
}

/** What has values: not functions, nor tags. */
function withValues(btf: Btf, ids: readonly TypeId[]): readonly TypeId[] {
  const without: readonly number[] = [BTF_KIND.FUNC, BTF_KIND.FUNC_PROTO, BTF_KIND.DECL_TAG];
  return ids.filter((id) => !without.includes(btf.kindOf(id)));
}

function compareWithLibbpf(file: string): void {
  const btf = readBtf(file);
  if (btf instanceof BpfError) return;
  report(`${titleOf(file)}: single types`, compareTypes(file, sample(btf, sampleSize)));
  // libbpf prints values in the byte order of its machine.
  if (!btf.littleEndian) return;
  const ids = withValues(btf, sample(btf, 4 * sampleSize));
  report(`${titleOf(file)}: values`, compareData(file, ids, seed));
}

function compareRandom(folder: string, harness: string | undefined): void {
  for (let i = 0; i < randomCount; i++) {
    const base = join(folder, `random-${i}.btf`);
    const split = join(folder, `random-${i}-split.btf`);
    const other = join(folder, `random-${i}-other.btf`);
    const made = randomBtf(seed, i);
    writeFileSync(base, made.base);
    writeFileSync(split, made.split);
    writeFileSync(other, made.other);
    compareFile(base);
    compareFile(split, { base });
    reportForms(`${titleOf(split)} and another`, compareMerged([split, other], base), '');
    if (harness === undefined) compareWithLibbpf(base);
  }
}

function compareMinimal(targets: readonly string[], compiler: string | undefined): void {
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-parity-'));
  try {
    for (const target of targets) {
      const objects = minimalObjects(folder, compiler);
      for (const chosen of [...objects.map((object) => [object]), objects]) {
        const difference = minimalDifference(target, chosen);
        const what = chosen.length === 1 ? titleOf(chosen[0] as string) : 'all of these';
        const title = `${titleOf(target)}: minimal for ${what}`;
        report(title, difference === undefined ? [] : [difference]);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Comparisons that could not be made have a reason instead of differences. */
function reportDedup(comparisons: Iterable<Comparison>): void {
  for (const { title, differences } of comparisons) {
    const short = titleOf(title);
    if (typeof differences === 'string') skip(short, differences);
    else report(short, differences);
  }
}

function compareDedups(kernels: readonly string[]): void {
  const missing = missingDedupHarness();
  if (missing !== undefined) {
    skip('dedup', missing);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-parity-'));
  try {
    for (const kind of ['v3', 'v4', 'be']) {
      const files = fixtureFiles().filter((file) => file.startsWith(join(fixtures, `${kind}/`)));
      reportDedup(fixtureSets(files, `fixtures/${kind}`));
    }
    const objects = fixtureFiles().filter((file) => file.startsWith(join(fixtures, 'v3/')));
    report('types of linked fixtures/v3', compareLinked(objects, folder));
    const noPahole = missingPahole();
    if (noPahole !== undefined) skip('types that pahole leaves', noPahole);
    else report('types that pahole leaves', comparePahole(folder));
    reportDedup(randomUnitSets(folder));
    reportDedup(twistedSets(folder));
    // Last: starting programs takes longer once the process has become large.
    reportDedup(kernelSets(kernels, folder));
    if (kernels[0] !== undefined)
      reportDedup([fixturesOnBase(objects, 'fixtures/v3', kernels[0], folder)]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Modules on each kernel, distilled and put on the others; random types on random bases. */
function compareTools(kernels: readonly string[], compiler: string | undefined): void {
  const missing = missingToolsHarness();
  if (missing !== undefined) {
    skip('BTF tools', missing);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-parity-'));
  try {
    for (const kernel of compiler === undefined ? [] : kernels) {
      const module = makeModule(kernel, compiler as string, folder);
      report(`module on ${titleOf(kernel)}: distilled`, compareModule(module, kernels, folder));
      report(`module on ${titleOf(kernel)}: in a file`, compareModuleDump(module, folder));
      const sorted = sortedFile(kernel, folder);
      report(`${titleOf(kernel)}: sorted`, compareFound(sorted.file, sorted.btf, 4 * sampleSize));
      report(`${titleOf(kernel)}: in another order`, comparePermuted(kernel, seed, folder));
    }
    const objects = fixtureFiles().filter((file) => file.startsWith(join(fixtures, 'v3/')));
    for (const file of objects.filter(hasTypes)) {
      report(`${titleOf(file)}: in another order`, comparePermuted(file, seed, folder));
    }
    for (let i = 0; i < randomCount; i++) {
      const files = ['kernel', 'split', 'other'].map((name) => join(folder, `random-${name}`));
      const [kernel, split, other] = files as [string, string, string];
      const made = randomBtf(seed, i);
      writeFileSync(kernel, made.base);
      writeFileSync(split, made.split);
      writeFileSync(other, randomBtf(seed + 1, i).base);
      report(`random ${i}: distilled`, compareModule({ kernel, split }, [kernel, other], folder));
    }
    compareSanitising(objects.filter(hasTypes), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What libbpf hands to kernels that lack parts of BTF. */
function compareSanitising(objects: readonly string[], folder: string): void {
  const missing = missingSanitiseHarness();
  if (missing !== undefined) {
    skip('types for old kernels', missing);
    return;
  }
  for (const { lacking, differences } of compareSanitised(objects, folder)) {
    report(`types without ${lacking}`, differences);
  }
}

/** What the running kernel holds, by the command line. */
function compareRunning(): void {
  const missing = missingKernel();
  if (missing !== undefined) skip('live', missing);
  else for (const { title, differences } of compareLive()) report(title, differences);
}

/** Generated types, dumped as C and compiled: a few hundred at a time. */
function compareGenerated(): void {
  for (let i = 0; i < generatedCount; i++) {
    const random = new Random(seed, i);
    const types = new CTypes(random, 400);
    const btf = buildUnit(types, wholeUnit(types), { random, littleEndian: i % 2 === 0 });
    report(`generated types ${i}: compiled`, compareCompiled(btf, clang, typedLayoutOf));
  }
}

function main(words: readonly string[]): void {
  const missing = missingBpftool();
  if (missing !== undefined) {
    skip('BTF parity', missing);
    return;
  }
  const harness = missingHarness();
  if (harness !== undefined) skip('single types and values', harness);
  const noClang = missingClang(clang);
  if (noClang !== undefined) skip('compiling C dumps', noClang);
  const isChosen = (file: string): boolean =>
    words.length === 0 || words.some((word) => file.includes(word));
  const kernels = kernelFiles();
  const chosen = [...kernels, ...fixtureFiles()].filter(isChosen);
  for (const file of chosen) {
    compareFile(file);
    if (!(readBtf(file) instanceof BpfError)) compareFile(file, { roots: [1, 3, 2] });
    if (harness === undefined) compareWithLibbpf(file);
    if (noClang === undefined && !(readBtf(file) instanceof BpfError)) {
      report(`${titleOf(file)}: compiled`, compareCompiledFile(file, clang));
    }
  }
  if (isChosen('minimal')) {
    compareMinimal(kernels, noClang === undefined ? clang : undefined);
  }
  if (isChosen('live')) compareRunning();
  if (isChosen('dedup')) compareDedups(kernels);
  if (isChosen('tools')) compareTools(kernels, noClang === undefined ? clang : undefined);
  if (isChosen('generated') && noClang === undefined) compareGenerated();
  if (!isChosen('random')) return;
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-parity-'));
  try {
    compareRandom(folder, harness);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

main(process.argv.slice(2));
console.log(formatCounts(counts));
process.exitCode = counts.failed > 0 ? 1 : 0;
