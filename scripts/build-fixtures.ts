// Builds fixtures/*.bpf.c for each variant, and fixtures/invalid, and writes their manifests.
//
//   node dist/scripts/build-fixtures.js           rebuilds what is committed
//   node dist/scripts/build-fixtures.js --check   rebuilds elsewhere and compares bytes
//
// The objects hold no path of the machine that built them: sources are compiled in a
// folder of their own under one fixed name, and DWARF is cut off. With another version of
// clang than the recorded one, --check reports differences and fails on none. Objects that
// need clang 22 are built with the one that scripts/clang-22.sh fetches; without it, the
// committed ones stand.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type KernelUse, kernelUse } from './fixture-facts.ts';
import { type InvalidInput, invalidInputs } from './invalid-inputs.ts';
import { projectRoot } from './paths.ts';

const clang = process.env['CLANG'] ?? 'clang-19';
const strip = process.env['LLVM_STRIP'] ?? 'llvm-strip-19';
const readelf = process.env['LLVM_READELF'] ?? 'llvm-readelf-19';
const clang22 = join(projectRoot, '.cache/clang-22/run');
const fixtures = join(projectRoot, 'fixtures');

const flags = [
  '-O2',
  '-g',
  '-Wall',
  '-Werror',
  '-Wno-unused-const-variable',
  // Relative to where clang runs, so that it finds the sources again and puts their lines
  // into BTF, and no path of this machine gets in.
  '-ffile-compilation-dir=.',
  '-Ifixtures/include',
] as const;

/** Folder below fixtures/ and what its objects are compiled for. */
const variants = [
  { name: 'v1', target: 'bpfel', cpu: 'v1' },
  { name: 'v2', target: 'bpfel', cpu: 'v2' },
  { name: 'v3', target: 'bpfel', cpu: 'v3' },
  { name: 'v4', target: 'bpfel', cpu: 'v4' },
  { name: 'be', target: 'bpfeb', cpu: 'v3' },
] as const;

type Variant = (typeof variants)[number];

/** Sources that use instructions of cpu v4 by hand: no v3 object, and big-endian as v4. */
const needV4: ReadonlySet<string> = new Set(['cpuv4', 'jump_tables']);

/** Sources that say something else with a newer clang, and options that bring it about. */
const needClang22: ReadonlyMap<string, readonly string[]> = new Map([
  ['jump_tables', ['-mllvm', '-bpf-min-jump-table-entries=4']],
]);

/** Sources about instructions, built for every level that they can be. */
const allLevels: ReadonlySet<string> = new Set(['cpu_levels']);

/** Sources about instructions that older levels lack. */
const newerLevels: ReadonlySet<string> = new Set([
  'all_sections',
  'atomics',
  'callbacks',
  'compute',
  'core_bitfields',
  'core_flavours',
  'cpuv4',
  'demo',
  'globals',
  'jump_tables',
  'long_code',
  'long_loop',
  'loop_callback',
  'map_in_map',
  'percpu',
  'printk',
  'raw_tp_ringbuf',
  'ringbuf_xdp',
  'syscall_prog',
  'tail_calls',
  'task_walk',
  'tc_rewrite',
  'tp_ringbuf',
  'xdp_counter',
  'xdp_parser',
  'xdp_sections',
]);

interface Program {
  readonly name: string;
  readonly section: string;
  readonly kernel: KernelUse;
}

interface ObjectEntry {
  readonly name: string;
  readonly programs: readonly Program[];
  readonly maps: readonly string[];
  /** SHA-256 of each variant's object. */
  readonly sha256: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly compiler: string;
  /** Of the objects that need it; empty where they were not built. */
  readonly newerCompiler: string;
  readonly flags: readonly string[];
  readonly objects: readonly ObjectEntry[];
}

function compilerVersion(program: string = clang): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
}

/** What the manifest says of clang 22, or said when the objects were built. */
function newerCompiler(): string {
  return existsSync(clang22) ? compilerVersion(clang22) : recordedManifest().newerCompiler;
}

function recordedManifest(): Manifest {
  return JSON.parse(readFileSync(join(fixtures, 'manifest.json'), 'utf8')) as Manifest;
}

function sourceNames(): readonly string[] {
  const files = readdirSync(fixtures).filter((file) => file.endsWith('.bpf.c'));
  return files.map((file) => file.slice(0, -'.bpf.c'.length)).sort();
}

function variantsOf(name: string): readonly Variant[] {
  return variants.filter(({ name: variant }) => {
    if (variant === 'v1' || variant === 'v2') return allLevels.has(name);
    if (variant === 'v4') return allLevels.has(name) || newerLevels.has(name);
    return variant === 'be' || !needV4.has(name);
  });
}

function clangObject(
  source: string,
  target: string,
  cpu: string,
  output: string,
  folder: string,
  newer: readonly string[] | undefined = undefined,
): void {
  const input = `fixtures/${source}`;
  const options = [...flags, ...(newer ?? []), '-target', target, `-mcpu=${cpu}`];
  execFileSync(newer === undefined ? clang : clang22, [...options, '-c', input, '-o', output], {
    cwd: dirname(folder),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  execFileSync(strip, ['-g', output], { stdio: 'inherit' });
}

function compile(name: string, variant: Variant, folder: string): string {
  const cpu = needV4.has(name) ? 'v4' : variant.cpu;
  const path = `${variant.name}/${name}.o`;
  const output = join(folder, path);
  const newer = needClang22.get(name);
  if (newer !== undefined && !existsSync(clang22)) {
    console.log(`kept as it is, for want of clang 22 (scripts/clang-22.sh): fixtures/${path}`);
    cpSync(join(fixtures, path), output);
  } else clangObject(`${name}.bpf.c`, variant.target, cpu, output, folder, newer);
  return output;
}

function buildInvalid(input: InvalidInput, folder: string): void {
  const output = join(folder, 'invalid', `${input.name}.o`);
  if (input.make === undefined) {
    clangObject(`invalid/${input.name}.bpf.c`, 'bpfel', 'v3', output, folder);
  } else {
    const original = readFileSync(join(folder, `${input.make.from}.o`));
    writeFileSync(output, input.make.change(new Uint8Array(original)));
  }
}

interface ElfSymbol {
  readonly Name: { readonly Name: string };
  readonly Binding: { readonly Name: string };
  readonly Type: { readonly Name: string };
  readonly Section: { readonly Name: string };
}

function symbolsOf(object: string): readonly ElfSymbol[] {
  const text = execFileSync(readelf, ['-s', '--elf-output-style=JSON', object], {
    encoding: 'utf8',
  });
  const files = JSON.parse(text) as readonly {
    readonly Symbols: readonly { readonly Symbol: ElfSymbol }[];
  }[];
  return (files[0]?.Symbols ?? []).map((entry) => entry.Symbol);
}

function describeObject(name: string, object: string, sha256: Record<string, string>): ObjectEntry {
  const symbols = symbolsOf(object).filter(({ Binding }) => Binding.Name !== 'Local');
  const programs = symbols
    .filter((symbol) => symbol.Type.Name === 'Function' && symbol.Section.Name !== '.text')
    .map((symbol) => ({ name: symbol.Name.Name, section: symbol.Section.Name }))
    .map((program) => ({ ...program, kernel: kernelUse(name, program.section) }));
  const maps = symbols.filter((symbol) => symbol.Section.Name === '.maps');
  return { name, programs, maps: maps.map((symbol) => symbol.Name.Name), sha256 };
}

function copySources(folder: string): void {
  const isSource = (path: string): boolean => path.endsWith('.bpf.c') || path.endsWith('.h');
  for (const path of readdirSync(fixtures, { recursive: true, encoding: 'utf8' })) {
    if (isSource(path)) cpSync(join(fixtures, path), join(folder, path));
  }
  for (const output of [...variants.map((variant) => variant.name), 'invalid']) {
    mkdirSync(join(folder, output), { recursive: true });
  }
}

function buildObject(name: string, folder: string): ObjectEntry {
  const hashes: Record<string, string> = {};
  const outputs = variantsOf(name).map((variant) => {
    const output = compile(name, variant, folder);
    hashes[variant.name] = createHash('sha256').update(readFileSync(output)).digest('hex');
    return output;
  });
  return describeObject(name, outputs[0] ?? '', hashes);
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** Everything that is committed, built into `folder`; the result is the paths of its files. */
function buildAll(folder: string): readonly string[] {
  copySources(folder);
  const objects = sourceNames().map((name) => buildObject(name, folder));
  for (const input of invalidInputs) buildInvalid(input, folder);
  const manifest: Manifest = {
    compiler: compilerVersion(),
    newerCompiler: newerCompiler(),
    flags,
    objects,
  };
  const invalid = invalidInputs.map(({ name, damage, code, stage }) => {
    return { file: `${name}.o`, damage, code, stage };
  });
  writeFileSync(join(folder, 'manifest.json'), jsonText(manifest));
  writeFileSync(join(folder, 'invalid/manifest.json'), jsonText(invalid));
  return generatedFiles(folder);
}

/** Objects and manifests below a folder, in order. */
function generatedFiles(folder: string): readonly string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => path.endsWith('.o') || path.endsWith('manifest.json')).sort();
}

function write(built: readonly string[], folder: string): void {
  for (const path of generatedFiles(fixtures)) rmSync(join(fixtures, path));
  for (const path of built) cpSync(join(folder, path), join(fixtures, path));
}

/** Committed files that are not the rebuilt ones, missing and extra ones included. */
function differences(built: readonly string[], folder: string): readonly string[] {
  const committed = generatedFiles(fixtures);
  return [...new Set([...built, ...committed])].filter((path) => {
    if (!built.includes(path) || !committed.includes(path)) return true;
    return !readFileSync(join(fixtures, path)).equals(readFileSync(join(folder, path)));
  });
}

function check(built: readonly string[], folder: string): void {
  const recorded = recordedManifest();
  const different = differences(built, folder);
  for (const path of different) console.log(`differs: fixtures/${path}`);
  const same = built.length - different.filter((path) => built.includes(path)).length;
  const here = `${compilerVersion()}, ${newerCompiler()}`;
  if (`${recorded.compiler}, ${recorded.newerCompiler}` !== here) {
    console.log(
      `recorded: ${recorded.compiler}, ${recorded.newerCompiler}; here: ${here}; reported only`,
    );
    console.log(`${same} passed, 0 failed, ${different.length} skipped`);
    return;
  }
  console.log(`${same} passed, ${different.length} failed, 0 skipped`);
  if (different.length > 0) process.exitCode = 1;
}

const top = mkdtempSync(join(tmpdir(), 'tsbpf-fixtures-'));
const folder = join(top, 'fixtures');
try {
  mkdirSync(folder);
  const built = buildAll(folder);
  if (process.argv.includes('--check')) check(built, folder);
  else write(built, folder);
} finally {
  rmSync(top, { recursive: true, force: true });
}
