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

/** Objects to compare with; the last has relocations of every kind, built into `folder`. */
export function minimalObjects(folder: string, clang: string | undefined): readonly string[] {
  const fixtures = ['v3/task_walk.o', 'v3/demo.o', 'v4/task_walk.o'].map((name) =>
    join(projectRoot, 'fixtures', name),
  );
  if (clang === undefined) return fixtures;
  const object = join(folder, 'core-kinds.o');
  const source = join(projectRoot, 'test/parity/core-kinds.bpf.c');
  spawnSync(clang, ['-O2', '-g', '-target', 'bpf', '-c', source, '-o', object]);
  return [...fixtures, object];
}

function read(file: string): Uint8Array {
  return new Uint8Array(readFileSync(file));
}

/** Undefined where our minimal BTF of `target` for `object` is bpftool's, else what is wrong. */
export function minimalDifference(target: string, object: string): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'tsbpf-minimal-'));
  try {
    const output = join(directory, 'theirs');
    const args = ['bpftool', 'gen', 'min_core_btf', target, output, object];
    const { status } = spawnSync(launcher, args, { timeout: 20_000 });
    if (status !== 0) return `bpftool gen min_core_btf fails with status ${status}`;
    const btf = parseBtf(read(target), { name: target });
    const ours = minimalBtf(btf, coreUses(openObject(read(object), { file: object }), btf));
    const same = dumpRaw(ours) === dumpRaw(parseBtf(read(output)));
    return same ? undefined : 'the minimal BTF is not the one of bpftool';
  } finally {
    rmSync(directory, { recursive: true });
  }
}
