// Relocates every fixture that has CO-RE relocations against the types of four kernels, and
// compares the instructions, or the refusal, with what libbpf makes of it with
// `btf_custom_path`.
//
//   node dist/scripts/parity-core.js [WORD...]    only fixtures whose paths contain a word
//
// A line per comparison, `N passed, N failed, N skipped` at the end; status 1 on failure.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '../src/backend/backend.ts';
import { type Btf, parseBtf } from '../src/btf/btf.ts';
import { BpfError } from '../src/errors.ts';
import { createKernelBackend } from '../src/kernel/index.ts';
import { needsTarget, type PreparedObject, prepareObject } from '../src/loader/prepare.ts';
import { openObject } from '../src/object/open.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import { compareImages } from '../test/parity/compare.ts';
import { buildDump, type Dump, dumpObject, missingAuthority } from '../test/parity/dump.ts';
import { formatCounts } from './counts.ts';
import { projectRoot } from './paths.ts';

/** A kernel's types, for us and for libbpf. */
interface Kernel {
  readonly name: string;
  readonly file: string;
  readonly btf: Btf;
}

const fixtures = join(projectRoot, 'fixtures');
const kernels = join(projectRoot, '.cache/kernels');
const counts = { passed: 0, failed: 0, skipped: 0 };

function skip(title: string, reason: string): void {
  counts.skipped++;
  console.log(`ok - ${title} # SKIP ${reason}`);
}

function report(title: string, differences: readonly string[]): void {
  if (differences.length === 0) counts.passed++;
  else counts.failed++;
  console.log(`${differences.length === 0 ? 'ok' : 'not ok'} - ${title}`);
  for (const each of differences.slice(0, 20)) console.log(`  ${each}`);
}

/** The machine's kernel and those that scripts/kernels.sh fetches. */
function findKernels(): readonly Kernel[] {
  const places = [
    ['running kernel', '/sys/kernel/btf/vmlinux'],
    ...['6.1', '6.12', '7.2'].map((name) => [name, join(kernels, name, 'vmlinux.btf')] as const),
  ] as const;
  return places.flatMap(([name, file]) => {
    if (!existsSync(file)) {
      skip(`types of ${name}`, `no ${file}`);
      return [];
    }
    const btf = parseBtf(new Uint8Array(readFileSync(file)), { name: 'vmlinux' });
    return [{ name, file, btf }];
  });
}

/** The objects with relocations, opened; those that we refuse are other suites' concern. */
function* objects(words: readonly string[]): Generator<readonly [path: string, spec: ObjectSpec]> {
  const paths = readdirSync(fixtures, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.o') && !path.startsWith('invalid'))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
    .sort();
  for (const path of paths) {
    const file = join(fixtures, path);
    const spec = attempt(() => openObject(new Uint8Array(readFileSync(file)), { file }));
    if (!(spec instanceof BpfError) && needsTarget(spec)) yield [path, spec];
  }
}

function attempt<T>(work: () => T): T | BpfError {
  try {
    return work();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

function compare(title: string, ours: PreparedObject | BpfError, dump: Dump): void {
  if (dump.stage === 'refused' || /failed to create|failed to mmap/.test(dump.log)) {
    skip(title, 'libbpf does not get as far as relocating it here');
    return;
  }
  const fails = dump.stage === 'opened';
  if (ours instanceof BpfError) {
    report(`${title}: refused`, fails ? [] : [`libbpf takes it; we say: ${ours.message}`]);
    return;
  }
  if (fails) report(title, [`libbpf fails: ${dump.log.trim()}`]);
  else report(`${title}: images`, compareImages(ours.images, dump));
}

function main(words: readonly string[]): void {
  const missing = missingAuthority();
  if (missing !== undefined) {
    skip('libbpf parity of CO-RE', missing);
    return;
  }
  buildDump();
  using machine: Backend = createKernelBackend();
  const targets = findKernels();
  for (const [path, spec] of objects(words)) {
    for (const { name, file, btf } of targets) {
      const ours = attempt(() => prepareObject(spec, { targetBtf: btf, machine }));
      compare(`${path} against ${name}`, ours, dumpObject(join(fixtures, path), file));
    }
  }
}

main(process.argv.slice(2));
console.log(formatCounts(counts));
process.exitCode = counts.failed > 0 ? 1 : 0;
