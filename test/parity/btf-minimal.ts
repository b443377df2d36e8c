// Compares `gen min_core_btf` with bpftool's, content for content.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';
import { parseBtf } from '../../src/btf/btf.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { minimalBtf } from '../../src/btf/tools/minimal.ts';
import { coreUses } from '../../src/cli/commands/gen-min-core-btf.ts';
import { openObject } from '../../src/object/open.ts';

const launcher = join(dirname(authoritiesRoot), 'run');

const names = [
  'v3/task_walk.o',
  'v3/demo.o',
  'v4/task_walk.o',
  'v3/core_arrays.o',
  'v3/core_bitfields.o',
  'v3/core_enums.o',
  'v3/core_flavours.o',
  'v3/core_poison.o',
  'v3/core_types.o',
];

/** Objects to compare with; the last has relocations of every kind, built into `folder`. */
export function minimalObjects(folder: string, clang: string | undefined): readonly string[] {
  const fixtures = names.map((name) => join(projectRoot, 'fixtures', name));
  if (clang === undefined) return fixtures;
  const object = join(folder, 'core-kinds.o');
  const source = join(projectRoot, 'test/parity/core-kinds.bpf.c');
  spawnSync(clang, ['-O2', '-g', '-target', 'bpf', '-c', source, '-o', object]);
  return [...fixtures, object];
}

function read(file: string): Uint8Array {
  return new Uint8Array(readFileSync(file));
}

/** Undefined where our minimal BTF of `target` for objects is bpftool's, else what is wrong. */
export function minimalDifference(target: string, objects: readonly string[]): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'tsbpf-minimal-'));
  try {
    const output = join(directory, 'theirs');
    const args = ['bpftool', 'gen', 'min_core_btf', target, output, ...objects];
    const { status } = spawnSync(launcher, args, { timeout: 20_000 });
    if (status !== 0) return `bpftool gen min_core_btf fails with status ${status}`;
    const btf = parseBtf(read(target), { name: target });
    const uses = objects.flatMap((file) => coreUses(openObject(read(file), { file }), btf));
    const ours = minimalBtf(btf, uses);
    const same = dumpRaw(ours) === dumpRaw(parseBtf(read(output)));
    return same ? undefined : 'the minimal BTF is not the one of bpftool';
  } finally {
    rmSync(directory, { recursive: true });
  }
}
