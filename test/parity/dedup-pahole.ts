// Compares our deduplication with pahole's: it writes the types of several source files from
// their debug information, once for all of them, which it deduplicates, and once for each.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot } from '../../scripts/paths.ts';
import type { Btf } from '../../src/btf/btf.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf } from '../../src/btf/dedup/dedup.ts';
import { dumpC } from '../../src/btf/dump/c.ts';
import { BpfError } from '../../src/errors.ts';
import { buildUnit, CTypes, chooseUnit } from '../btf/c-types.ts';
import { Random } from '../fuzz/random.ts';
import { readBtf } from './btf-dump.ts';
import type { Differences } from './compare.ts';
import { countKinds } from './dedup-linked.ts';

const launcher = join(dirname(authoritiesRoot), 'run');
const seed = 20_250_103;
const setCount = 5;
const fileCount = 4;

/** Why pahole cannot be compared with here; undefined where it can. */
export function missingPahole(): string | undefined {
  for (const program of ['gcc', 'ld']) {
    if (spawnSync(program, ['--version']).status !== 0) return `no ${program}`;
  }
  const started = spawnSync(launcher, ['pahole', '--version'], { encoding: 'utf8' });
  return started.status === 0 ? undefined : `pahole does not start: ${started.stderr?.trim()}`;
}

/** Random types of C in several files, compiled for this machine. */
export function comparePahole(folder: string): Differences {
  const differences: Differences = [];
  for (let set = 0; set < setCount; set++) {
    const objects = compileFiles(new Random(seed, set), folder);
    const all = join(folder, 'all.o');
    run('ld', ['-r', ...objects, '-o', all]);
    const theirs = countKinds(encode(all));
    const ours = countKinds(dedupBtf(objects.map(encode).reduce(appendBtf)));
    if (ours !== theirs) differences.push(`set ${set}: ${ours}, not ${theirs}`);
  }
  return differences;
}

function compileFiles(random: Random, folder: string): readonly string[] {
  const types = new CTypes(random, 200);
  return Array.from({ length: fileCount }, (_, i) => {
    const source = join(folder, `pahole-${i}.c`);
    const object = join(folder, `pahole-${i}.o`);
    writeFileSync(source, sourceOf(buildUnit(types, chooseUnit(types, random, 40), { random }), i));
    run('gcc', ['-g', '-w', '-c', source, '-o', object]);
    return object;
  });
}

/** The types, and a function for each struct and union, so that the compiler describes it. */
function sourceOf(btf: Btf, file: number): string {
  // gcc knows no `preserve_access_index`, which lines with a `#` are about.
  const header = dumpC(btf).replace(/^#.*$/gm, '');
  const tags = [...header.matchAll(/^((?:struct|union) \w+) \{/gm)].map((match) => match[1]);
  const uses = tags.map((tag, i) => `int use_${file}_${i}(${tag} *p) { return p != 0; }`);
  return `${header}\n${uses.join('\n')}\n`;
}

function encode(object: string): Btf {
  const out = `${object}.btf`;
  run(launcher, ['pahole', '-J', '--btf_encode_detached', out, object]);
  const btf = readBtf(out);
  if (btf instanceof BpfError) throw btf;
  return btf;
}

function run(command: string, args: readonly string[]): void {
  const done = spawnSync(command, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
}
