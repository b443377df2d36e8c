// Compares how many types of each kind are left when bpftool links two objects, which
// deduplicates their BTF, with how many our deduplication leaves.
import { spawnSync } from 'node:child_process';
import { basename, dirname, join } from 'node:path';
import { authoritiesRoot } from '../../scripts/paths.ts';
import type { Btf } from '../../src/btf/btf.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf } from '../../src/btf/dedup/dedup.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { readBtf } from './btf-dump.ts';
import type { Differences } from './compare.ts';

const launcher = join(dirname(authoritiesRoot), 'run');

/** Linking merges what these describe: symbols, sections, and what is said of them. */
const ofSymbols: ReadonlySet<number> = new Set([
  BTF_KIND.FUNC,
  BTF_KIND.VAR,
  BTF_KIND.DATASEC,
  BTF_KIND.DECL_TAG,
]);

/** Every two of the objects, except those that cannot be linked since both define a symbol. */
export function compareLinked(files: readonly string[], folder: string): Differences {
  const out = join(folder, 'linked.o');
  const differences: Differences = [];
  let linked = 0;
  for (const [i, one] of files.entries()) {
    for (const other of files.slice(i + 1)) {
      const done = spawnSync(launcher, ['bpftool', 'gen', 'object', out, one, other]);
      if (done.status !== 0) continue;
      linked++;
      const theirs = countKinds(read(out));
      const ours = countKinds(dedupBtf(appendBtf(read(one), read(other))));
      if (ours === theirs) continue;
      differences.push(`${basename(one)}, ${basename(other)}: ${ours}, not ${theirs}`);
    }
  }
  if (linked === 0) differences.push('bpftool could link none of them');
  return differences;
}

/** `KIND:COUNT` of every kind that does not describe symbols. */
export function countKinds(btf: Btf): string {
  const counts = new Map<number, number>();
  for (let id = btf.firstId; id < btf.endId; id++) {
    const kind = btf.kindOf(id as TypeId);
    if (!ofSymbols.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const sorted = [...counts].sort((a, b) => a[0] - b[0]);
  return sorted.map(([kind, count]) => `${kind}:${count}`).join(' ');
}

function read(file: string): Btf {
  const btf = readBtf(file);
  if (btf instanceof BpfError) throw btf;
  return btf;
}
