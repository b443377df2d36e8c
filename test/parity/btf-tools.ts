// Compares distilling, relocating, reordering and searching of BTF with libbpf's.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { dedupBtf } from '../../src/btf/dedup/dedup.ts';
import { dumpC } from '../../src/btf/dump/c.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { findBtf } from '../../src/btf/file.ts';
import { distillBase } from '../../src/btf/relocate/distill.ts';
import { relocateBtf } from '../../src/btf/relocate/relocate.ts';
import {
  findSorted,
  namedStart,
  permuteBtf,
  permuteBtfExt,
  sortBtf,
} from '../../src/btf/tools/permute.ts';
import { encodeBtf } from '../../src/btf/tools/reencode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { Random } from '../fuzz/random.ts';
import { attempt, compareDumps, readBtf } from './btf-dump.ts';
import type { Differences } from './compare.ts';

const launcher = join(dirname(authoritiesRoot), 'run');
const library = join(authoritiesRoot, 'usr/lib/x86_64-linux-gnu/libbpf.so.1');
const harness = join(dirname(authoritiesRoot), 'bin/libbpf-btf-tools');
const source = join(projectRoot, 'test/parity/libbpf-btf-tools.c');
const moduleSource = join(projectRoot, 'test/parity/module.bpf.c');

/** Why libbpf cannot be compared with here; undefined where it can. Builds the harness. */
export function missingToolsHarness(): string | undefined {
  if (!existsSync(library)) return `no libbpf in ${authoritiesRoot}: run scripts/authorities.sh`;
  if (existsSync(harness) && statSync(harness).mtimeMs > statSync(source).mtimeMs) return undefined;
  mkdirSync(dirname(harness), { recursive: true });
  // The library wants a newer C library than the system's; it is started with its own.
  const link = [library, '-Wl,--allow-shlib-undefined'];
  const headers = `-I${join(authoritiesRoot, 'usr/include')}`;
  const built = spawnSync('cc', ['-O2', '-Wall', headers, source, '-o', harness, ...link]);
  return built.status === 0 ? undefined : 'no C compiler';
}

/** Answers of the harness, one for each question. */
function ask(questions: readonly string[]): readonly number[] {
  const input = `${questions.join('\n')}\n`;
  const done = spawnSync(launcher, [harness], { input, encoding: 'utf8', timeout: 60_000 });
  const answers = done.stdout.split('\n').slice(0, -1).map(Number);
  if (answers.length === questions.length) return answers;
  throw new Error(`${questions[answers.length]}: libbpf ends with ${done.status} ${done.stderr}`);
}

function parseFile(path: string, base?: Btf): Btf {
  const btf = readBtf(path, base);
  if (btf instanceof BpfError) throw btf;
  return btf;
}

/** Without what only a header or a layout section says, which libbpf writes anew. */
function contents(btf: Btf): Buffer {
  return Buffer.from(encodeBtf(btf, { layout: false }));
}

function differs(what: string, ours: Btf, theirs: Btf): Differences {
  if (contents(ours).equals(contents(theirs))) return [];
  return [`${what}: other bytes, ${ours.endId} and ${theirs.endId} types`];
}

/** Types of a module, split BTF on a kernel's, and a program that reads them. */
export interface ModuleFiles {
  readonly kernel: string;
  /** Raw split BTF. */
  readonly split: string;
  readonly program: string;
}

/** Compiles module.bpf.c with the types of a kernel, and puts its own on those. */
export function makeModule(kernel: string, clang: string, folder: string): ModuleFiles {
  const base = parseFile(kernel);
  writeFileSync(join(folder, 'vmlinux.h'), dumpC(base));
  const object = join(folder, 'module.o');
  const program = join(folder, 'walk.o');
  compile(clang, folder, object, []);
  compile(clang, folder, program, ['-DWALK']);
  const own = parseFile(object);
  const builder = new BtfBuilder({ base });
  const shift = base.endId - 1;
  for (let id = 1 as TypeId; id < own.endId; id++) {
    builder.copy(own, id, (old) => (old === 0 ? 0 : old + shift));
  }
  const split = join(folder, 'module.btf');
  writeFileSync(split, dedupBtf(parseBtf(builder.finish(), { base })).bytes);
  return { kernel, split, program };
}

function compile(clang: string, folder: string, out: string, more: readonly string[]): void {
  const flags = ['-O2', '-g', '-w', '-target', 'bpf', `-I${folder}`, ...more];
  const done = spawnSync(clang, [...flags, '-c', moduleSource, '-o', out], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${clang}: ${done.stderr.slice(0, 1000)}`);
}

/** A module distilled, and put on its own and other kernels, by both. */
export function compareModule(
  { kernel, split }: { readonly kernel: string; readonly split: string },
  kernels: readonly string[],
  folder: string,
): Differences {
  const base = join(folder, 'distilled-base.btf');
  const rest = join(folder, 'distilled.btf');
  const [result] = ask([`distill ${split} ${kernel} ${base} ${rest}`]);
  const ours = attempt(() => distillBase(parseFile(split, parseFile(kernel))));
  if (ours instanceof BpfError) {
    return result === 0 ? [`libbpf distills it; we: ${ours.message}`] : [];
  }
  if (result !== 0) return [`libbpf refuses to distill it with ${result}`];
  const theirs = parseFile(base);
  return [
    ...differs('distilled base', ours.base, theirs),
    ...differs('split on it', ours.split, parseFile(rest, theirs)),
    ...kernels.flatMap((target) => compareRelocated(ours.split, { base, rest }, target, folder)),
  ];
}

/** A module's object file with its types in `.BTF` and `.BTF.base`, dumped by both. */
export function compareModuleDump(files: ModuleFiles, folder: string): Differences {
  const { base, split } = distillBase(parseFile(files.split, parseFile(files.kernel)));
  const [object, one, other] = ['module.ko', 'module.types', 'module.base'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  writeFileSync(one, split.bytes);
  writeFileSync(other, base.bytes);
  const made = spawnSync('llvm-objcopy-19', [
    '--remove-section=.BTF.ext',
    `--update-section=.BTF=${one}`,
    `--add-section=.BTF.base=${other}`,
    files.program,
    object,
  ]);
  if (made.status !== 0) return [`llvm-objcopy-19 fails: ${made.stderr}`];
  return [undefined, files.kernel].flatMap((kernel) =>
    compareDumps(object, kernel === undefined ? {} : { base: kernel }).flatMap(
      ({ form, differences }) =>
        (differences ?? ['bpftool crashes']).map(
          (each) => `${kernel ?? 'alone'}, ${form}: ${each}`,
        ),
    ),
  );
}

function compareRelocated(
  split: Btf,
  files: { readonly base: string; readonly rest: string },
  target: string,
  folder: string,
): Differences {
  const out = join(folder, 'relocated.btf');
  rmSync(out, { force: true });
  const [result] = ask([`relocate ${files.rest} ${files.base} ${target} ${out}`]);
  const base = parseFile(target);
  const ours = attempt(() => relocateBtf(split, base));
  if (ours instanceof BpfError) {
    return result === 0 ? [`on ${target}: libbpf puts it there; we: ${ours.message}`] : [];
  }
  if (result !== 0) return [`on ${target}: libbpf refuses it with ${result}`];
  return differs(`on ${target}`, ours, parseFile(out, base));
}

/** A file's types in a random order and sorted, with its `.BTF.ext`; then lookups. */
export function comparePermuted(file: string, seed: number, folder: string): Differences {
  const btf = parseFile(file);
  const count = btf.endId - 1;
  const random = new Random(seed, count);
  const ids = Uint32Array.from({ length: count }, (_, i) => i + 1);
  for (let i = count - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [ids[i], ids[other]] = [ids[other] as number, ids[i] as number];
  }
  const [idFile, out, extOut] = ['ids', 'permuted.btf', 'permuted.ext'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  // libbpf's map has an entry for void.
  const withVoid = new Uint32Array(count + 1);
  withVoid.set(ids, 1);
  writeFileSync(idFile, withVoid);
  const [result] = ask([`permute ${file} ${idFile} ${out} ${extOut}`]);
  if (result !== 0) return [`libbpf refuses it with ${result}`];
  const found = differs('another order', permuteBtf(btf, ids), parseFile(out));
  const { ext } = findBtf(read(file), file);
  if (ext === undefined) return found;
  const same = Buffer.from(permuteBtfExt(btf, ids, ext)).equals(readFileSync(extOut));
  return same ? found : [...found, 'another order: other .BTF.ext'];
}

/** A file's types sorted, in a file of their own. */
export function sortedFile(
  file: string,
  folder: string,
): { readonly file: string; readonly btf: Btf } {
  const btf = sortBtf(parseFile(file));
  const out = join(folder, 'sorted.btf');
  writeFileSync(out, btf.bytes);
  return { file: out, btf };
}

/** Lookups by halving in sorted types, which libbpf does as well where it sees that they are. */
export function compareFound(file: string, sorted: Btf, samples: number): Differences {
  const start = namedStart(sorted);
  if (start === undefined) return ['it is not sorted'];
  const step = Math.max(1, Math.floor(sorted.endId / samples));
  const cases: { readonly name: string; readonly id: TypeId }[] = [];
  for (let id = 1; id < sorted.endId; id += step) {
    const name = sorted.nameOf(id as TypeId);
    if (/^[!-~]+$/.test(name)) cases.push({ name, id: id as TypeId });
  }
  const answers = ask(cases.map(({ name, id }) => `find ${file} ${name} ${sorted.kindOf(id)}`));
  return cases.flatMap(({ name, id }, i) => {
    const ours = findSorted(sorted, start, name, sorted.kindOf(id));
    return ours === answers[i] ? [] : [`${name}: ${ours}, not ${answers[i]}`];
  });
}

function read(file: string): Uint8Array {
  return new Uint8Array(readFileSync(file));
}
