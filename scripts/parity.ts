// Compares what we make of every fixture with what libbpf makes of it: maps and their
// attributes, programs, relocated instructions, func and line info, static slots.
//
//   node dist/scripts/parity.js [WORD...]    only fixtures whose paths contain a word
//
// A line per comparison, `N passed, N failed, N skipped` at the end; status 1 on failure.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend } from '../src/backend/backend.ts';
import { type Btf, parseBtf } from '../src/btf/btf.ts';
import { BpfError } from '../src/errors.ts';
import { createKernelBackend } from '../src/kernel/index.ts';
import { needsTarget, prepareObject } from '../src/loader/prepare.ts';
import { findAttachTarget, needsAttachTarget } from '../src/object/attach-btf.ts';
import type { ProgramImage } from '../src/object/image.ts';
import { openObject } from '../src/object/open.ts';
import type { ObjectSpec } from '../src/object/spec.ts';
import {
  compareImages,
  compareKconfig,
  compareMaps,
  comparePrograms,
  compareRequests,
  compareSlots,
  type Differences,
} from '../test/parity/compare.ts';
import { buildDump, type Dump, dumpObject, missingAuthority } from '../test/parity/dump.ts';
import { formatCounts } from './counts.ts';
import { projectRoot } from './paths.ts';

/** Where we knowingly differ from libbpf, by the title of the comparison. */
const knownDifferences: readonly { readonly title: RegExp; readonly reason: string }[] = [
  {
    title: /^(be|v3|v4)\/xdp_sections\.o against /,
    reason: 'libbpf wants subprograms in .text; we take them from any section',
  },
  {
    title: /^be\/task_walk\.o against own types: images/,
    reason: 'libbpf counts the shifts of bit fields in the byte order of its machine',
  },
  {
    title: /^(be|v3)\/newest_sections\.o against .*: programs/,
    reason: 'libbpf 1.7 does not know the section names of 1.8',
  },
  {
    title: /^(be|v3)\/section_names\.o against .*: images/,
    reason: 'libbpf reports a program without a type only when it loads it',
  },
  {
    title: /^be\/jump_tables\.o against kernel: not relocated/,
    reason: 'libbpf reads jump tables in the byte order of its machine',
  },
  {
    title: /^be\/kconfig\.o against kernel: kconfig/,
    reason: 'libbpf writes the values in the byte order of its machine',
  },
  {
    title: /^invalid\/rela\.o: refused/,
    reason: 'libbpf passes over relocations with addends, so that maps are missing in the code',
  },
  {
    title: /^invalid\/relocation_type\.o: refused/,
    reason: 'libbpf does not look at the type of a relocation',
  },
  {
    title: /^invalid\/symbol_section\.o: refused/,
    reason: 'libbpf passes over a function whose section does not exist',
  },
  {
    title: /^invalid\/unknown_section\.o against .*: images/,
    reason: 'libbpf reports a program without a type only when it loads it',
  },
];

/** A BTF to relocate against. */
interface Target {
  readonly name: string;
  readonly btf: Btf;
  /** For libbpf; undefined for the kernel's own. */
  readonly file: string | undefined;
  /** The running kernel, for what is not a matter of types. */
  readonly machine: Backend | undefined;
}

const fixtures = join(projectRoot, 'fixtures');
const counts = { passed: 0, failed: 0, skipped: 0 };

function report(title: string, differences: Differences): void {
  const known = knownDifferences.find((each) => each.title.test(title));
  if (known !== undefined && differences.length > 0) {
    skip(title, `known difference: ${known.reason}`);
    return;
  }
  const faults =
    known === undefined
      ? differences
      : ['is in the list of known differences, but does not differ'];
  if (faults.length === 0) {
    counts.passed++;
    console.log(`ok - ${title}`);
    return;
  }
  counts.failed++;
  console.log(`not ok - ${title}`);
  for (const each of faults.slice(0, 20)) console.log(`  ${each}`);
}

function skip(title: string, reason: string): void {
  counts.skipped++;
  console.log(`ok - ${title} # SKIP ${reason}`);
}

function listObjects(words: readonly string[]): readonly string[] {
  return readdirSync(fixtures, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.o'))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
    .sort();
}

/** The value, or the error that an object's author would see. */
function attempt<T>(work: () => T): T | BpfError {
  try {
    return work();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

function kernelTarget(machine: Backend): Target | undefined {
  const file = '/sys/kernel/btf/vmlinux';
  if (!existsSync(file)) return undefined;
  const btf = parseBtf(new Uint8Array(readFileSync(file)), { name: 'vmlinux' });
  return { name: 'kernel', btf, file: undefined, machine };
}

/** An object's own types as a target: nothing moves. */
function ownTarget(name: string, path: string, kernel: Target | undefined): Target | undefined {
  if (!existsSync(path)) return undefined;
  const spec = attempt(() => openObject(new Uint8Array(readFileSync(path)), { file: path }));
  if (spec instanceof BpfError || spec.btf === undefined) return undefined;
  return { name, btf: spec.btf, file: path, machine: kernel?.machine };
}

/** Targets to try: the kernel; where types matter also the object's own, and one that lacks most. */
function targetsFor(spec: ObjectSpec, path: string, kernel: Target | undefined): readonly Target[] {
  const none = ownTarget('hardly any types', join(fixtures, 'v3/printk.o'), kernel);
  const targets = needsTarget(spec)
    ? [kernel, ownTarget('own types', path, kernel), none]
    : [kernel];
  return targets.filter((target) => target !== undefined);
}

function compareObject(path: string, kernel: Target | undefined): void {
  const file = join(fixtures, path);
  const bytes = new Uint8Array(readFileSync(file));
  const spec = attempt(() => openObject(bytes, { file }));
  if (spec instanceof BpfError) {
    compareRefusal(path, spec, dumpObject(file));
    return;
  }
  for (const target of targetsFor(spec, file, kernel)) {
    compareTarget(path, spec, target, dumpObject(file, target.file));
  }
}

function compareRefusal(path: string, error: BpfError, dump: Dump): void {
  const agreed = dump.stage === 'refused' || dump.stage === 'opened';
  report(`${path}: refused`, agreed ? [] : [`libbpf takes it; we say: ${error.message}`]);
}

function compareTarget(path: string, spec: ObjectSpec, target: Target, dump: Dump): void {
  const title = `${path} against ${target.name}`;
  if (dump.stage === 'refused') {
    report(title, [`libbpf refuses it: ${dump.log.trim()}`]);
    return;
  }
  report(`${title}: maps`, compareMaps(spec, dump));
  report(`${title}: programs`, comparePrograms(spec, dump));
  const prepared = attempt(() =>
    prepareObject(spec, {
      targetBtf: target.file === undefined ? undefined : target.btf,
      machine: target.machine,
    }),
  );
  const refused = prepared instanceof BpfError ? prepared.message : undefined;
  if (dump.stage === 'opened' && /failed to create|failed to mmap/.test(dump.log)) {
    skip(`${title}: images`, 'the kernel does not take its maps, so that libbpf stops there');
    return;
  }
  if (dump.stage === 'opened') {
    const agreed = refused !== undefined;
    report(`${title}: not relocated`, agreed ? [] : [`libbpf fails: ${dump.log.trim()}`]);
    return;
  }
  if (prepared instanceof BpfError) {
    report(`${title}: images (${dump.stage})`, [prepared.message]);
    return;
  }
  report(`${title}: images (${dump.stage})`, compareImages(prepared.images, dump));
  report(
    `${title}: requests`,
    compareRequests(prepared.images, dump, (image) => attachId(image, target)),
  );
  if (spec.externs.some((extern) => extern.kind === 'kconfig')) {
    report(`${title}: kconfig`, compareKconfig(prepared.spec, dump));
  }
  if (spec.maps.some((map) => map.values.length > 0)) {
    report(`${title}: slots`, compareSlots(spec, dump));
  }
}

/** The `attach_btf_id` of a program in the kernel's own types; 0 where it has none. */
function attachId(image: ProgramImage, { machine }: Target): number {
  if (image.structOps !== undefined) return image.structOps.type;
  if (machine === undefined || !needsAttachTarget(image.type)) return 0;
  const types = { kernel: machine.targetBtf(), modules: () => machine.host.modules() };
  const found = attempt(() => findAttachTarget(image, types));
  return found instanceof BpfError ? 0 : found.id;
}

function main(words: readonly string[]): void {
  const missing = missingAuthority();
  if (missing !== undefined) {
    skip('libbpf parity', missing);
    return;
  }
  buildDump();
  using machine = createKernelBackend();
  const kernel = kernelTarget(machine);
  if (kernel === undefined) skip('the kernel as a target', 'no /sys/kernel/btf/vmlinux');
  for (const path of listObjects(words)) {
    compareObject(path, kernel);
  }
}

main(process.argv.slice(2));
console.log(formatCounts(counts));
process.exitCode = counts.failed > 0 ? 1 : 0;
