// Builds fixtures/*.bpf.c for each variant, and fixtures/invalid, and writes their manifests.
//
//   node dist/scripts/build-fixtures.js           rebuilds what is committed
//   node dist/scripts/build-fixtures.js --check   rebuilds elsewhere and compares bytes
//
// The objects hold no path of the machine that built them: sources are compiled in a
// folder of their own under one fixed name, and DWARF is cut off. With another version of
// clang than the recorded one, --check reports differences and fails on none.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
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
  { name: 'v3', target: 'bpfel', cpu: 'v3' },
  { name: 'v4', target: 'bpfel', cpu: 'v4' },
  { name: 'be', target: 'bpfeb', cpu: 'v3' },
] as const;

type Variant = (typeof variants)[number];

/** Sources that use instructions of cpu v4 by hand: no v3 object, and big-endian as v4. */
const needV4: ReadonlySet<string> = new Set(['cpuv4']);

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
  readonly flags: readonly string[];
  readonly objects: readonly ObjectEntry[];
}

function compilerVersion(): string {
  return execFileSync(clang, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
}

function sourceNames(): readonly string[] {
  const files = readdirSync(fixtures).filter((file) => file.endsWith('.bpf.c'));
  return files.map((file) => file.slice(0, -'.bpf.c'.length)).sort();
}

function variantsOf(name: string): readonly Variant[] {
  return variants.filter((variant) => !(needV4.has(name) && variant.name === 'v3'));
}

function clangObject(
  source: string,
  target: string,
  cpu: string,
  output: string,
  folder: string,
): void {
  const input = `fixtures/${source}`;
  execFileSync(clang, [...flags, '-target', target, `-mcpu=${cpu}`, '-c', input, '-o', output], {
    cwd: dirname(folder),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  execFileSync(strip, ['-g', output], { stdio: 'inherit' });
}

function compile(name: string, variant: Variant, folder: string): string {
  const cpu = needV4.has(name) ? 'v4' : variant.cpu;
  const output = join(folder, variant.name, `${name}.o`);
  clangObject(`${name}.bpf.c`, variant.target, cpu, output, folder);
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
  const symbols = symbolsOf(object).filter((symbol) => symbol.Binding.Name === 'Global');
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
  const manifest: Manifest = { compiler: compilerVersion(), flags, objects };
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
  const recorded = JSON.parse(readFileSync(join(fixtures, 'manifest.json'), 'utf8')) as Manifest;
  const different = differences(built, folder);
  for (const path of different) console.log(`differs: fixtures/${path}`);
  const same = built.length - different.filter((path) => built.includes(path)).length;
  if (recorded.compiler !== compilerVersion()) {
    console.log(`recorded: ${recorded.compiler}; here: ${compilerVersion()}; reported only`);
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
