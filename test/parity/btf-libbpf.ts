// Compares our declarations, definitions and typed values with those of libbpf's btf_dump.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';
import type { Btf } from '../../src/btf/btf.ts';
import { CDump } from '../../src/btf/dump/c.ts';
import { DataDump, type DataOptions } from '../../src/btf/dump/data.ts';
import { sizeOf } from '../../src/btf/graph.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { encodeText } from '../../src/bytes/text.ts';
import { BpfError } from '../../src/errors.ts';
import { Random } from '../fuzz/random.ts';
import { attempt, readBtf } from './btf-dump.ts';
import type { Differences } from './compare.ts';

const launcher = join(dirname(authoritiesRoot), 'run');
const library = join(authoritiesRoot, 'usr/lib/x86_64-linux-gnu/libbpf.so.1');
const source = join(projectRoot, 'test/parity/libbpf-btf-dump.c');
const harness = join(dirname(authoritiesRoot), 'bin/libbpf-btf-dump');

/** Why libbpf cannot be compared with here; undefined where it can. Builds the harness. */
export function missingHarness(): string | undefined {
  if (!existsSync(library)) return `no libbpf in ${authoritiesRoot}: run scripts/authorities.sh`;
  if (existsSync(harness) && statSync(harness).mtimeMs > statSync(source).mtimeMs) return undefined;
  mkdirSync(dirname(harness), { recursive: true });
  // The library wants a newer C library than the system's; it is started with its own.
  const link = [library, '-Wl,--allow-shlib-undefined'];
  const headers = `-I${join(authoritiesRoot, 'usr/include')}`;
  const built = spawnSync('cc', ['-O2', '-Wall', headers, source, '-o', harness, ...link]);
  return built.status === 0 ? undefined : 'no C compiler';
}

/** Asks the harness many questions; undefined for those on which libbpf crashed or hung. */
function askLibbpf(questions: readonly string[]): readonly (string | undefined)[] {
  const answers: (string | undefined)[] = [];
  while (answers.length < questions.length) {
    const input = `${questions.slice(answers.length).join('\n')}\n`;
    const options = { input, maxBuffer: 1 << 28, timeout: 60_000, killSignal: 'SIGKILL' as const };
    const done = spawnSync(launcher, [harness], { ...options, encoding: 'utf8' });
    answers.push(...done.stdout.split('\n').slice(0, -1));
    if (answers.length < questions.length) answers.push(undefined);
  }
  return answers;
}

/** The C dump of all types in memory: libbpf's time in milliseconds, the best of some. */
export function timeLibbpf(file: string, rounds: number): number {
  const answers = askLibbpf(Array.from({ length: rounds }, () => `time ${file}`));
  return Math.min(...answers.map((answer) => Number(answer?.split(' ')[0]) / 1e6));
}

/** Declarations and definitions of single types against libbpf's. */
export function compareTypes(file: string, ids: readonly TypeId[]): Differences {
  const btf = readBtf(file);
  if (btf instanceof BpfError) throw btf;
  const cases = ids.flatMap((id) => [
    {
      question: `declare ${file} ${id} name 0 0`,
      ours: () => new CDump(btf).declare(id, { name: 'name' }),
    },
    {
      question: `declare ${file} ${id} - 2 1`,
      ours: () => new CDump(btf).declare(id, { indent: 2, stripModifiers: true }),
    },
    { question: `define ${file} ${id}`, ours: () => new CDump(btf).define(id) },
  ]);
  const answers = askLibbpf(cases.map((each) => each.question));
  return cases.flatMap(({ question, ours }, i) => {
    const expected = answers[i];
    if (expected === undefined) return [];
    const text = attempt(ours);
    if (text instanceof BpfError) return expected.startsWith('-') ? [] : [text.message];
    const actual = `0 ${toHex(encodeText(text))}`;
    return actual === expected ? [] : [`${question.slice(0, 100)}: ${describe(actual, expected)}`];
  });
}

function describe(ours: string, theirs: string): string {
  let at = 0;
  while (ours[at] === theirs[at]) at++;
  const first = theirs.indexOf(' ') + 1;
  const start = first + Math.max(0, ((at - first) & ~1) - 120);
  const text = (answer: string): string => {
    const part = Buffer.from(answer.slice(start, at + 80), 'hex').toString();
    return `${answer.split(' ')[0]} ${JSON.stringify(part)}`;
  };
  return `${text(ours)}, not ${text(theirs)}`;
}

const flagSets = ['-', 'c', 'n', 'z', 's', 'cz', 'cn', 'cs', 'zs', 'nz', 'xz', 'cnzs'] as const;

function dataOptions(flags: string, indentLevel: number): DataOptions {
  return {
    compact: flags.includes('c'),
    skipNames: flags.includes('n'),
    emitZeroes: flags.includes('z'),
    emitStrings: flags.includes('s'),
    indentLevel,
    ...(flags.includes('x') ? { indent: '  ' } : {}),
  };
}

const results = new Map([
  ['too-short', -7],
  ['invalid', -22],
  ['unsupported', -95],
]);

/** Values of types, of random bytes, as text against libbpf's. */
export function compareData(file: string, ids: readonly TypeId[], seed: number): Differences {
  const btf = readBtf(file);
  if (btf instanceof BpfError) throw btf;
  const random = new Random(seed, ids.length);
  const cases = ids.map((id) => {
    const bytes = randomValue(random, btf, id);
    const flags = random.pick(flagSets);
    const level = random.below(3);
    const hex = bytes.length === 0 ? '-' : toHex(bytes);
    return { id, bytes, flags, level, question: `data ${file} ${id} ${flags} ${level} ${hex}` };
  });
  const answers = askLibbpf(cases.map((each) => each.question));
  return cases.flatMap(({ id, bytes, flags, level, question }, i) => {
    const expected = answers[i];
    if (expected === undefined) return [];
    const ours = new DataDump(btf).print(id, bytes, dataOptions(flags, level));
    const result = ours.problem === undefined ? ours.size : results.get(ours.problem);
    const actual = `${result} ${toHex(encodeText(ours.text))}`;
    return actual === expected ? [] : [`${question.slice(0, 100)}: ${describe(actual, expected)}`];
  });
}

/** Bytes for a value: many zeros, some text, now and then too few. */
function randomValue(random: Random, btf: Btf, id: TypeId): Uint8Array {
  const size = Math.min(btf.kindOf(id) === BTF_KIND.DATASEC ? 256 : sizeOfValue(btf, id), 4096);
  const bytes = new Uint8Array(random.once(8) ? random.below(size + 1) : size);
  const style = random.below(4);
  for (let i = 0; i < bytes.length; i++) {
    if (style === 0) bytes[i] = random.u32();
    else if (style === 1) bytes[i] = random.once(3) ? random.u32() : 0;
    else if (style === 2) bytes[i] = random.once(5) ? 0 : 0x20 + random.below(95);
    else bytes[i] = random.once(16) ? random.below(8) : 0;
  }
  return bytes;
}

function sizeOfValue(btf: Btf, id: TypeId): number {
  const size = attempt(() => sizeOf(btf, id));
  return size instanceof BpfError ? 16 : size;
}
