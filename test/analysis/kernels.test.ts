// The tables of versions against the types of real kernels.
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { BPF_FUNC } from '../../src/abi/bpf.ts';
import { requirementsOf } from '../../src/analysis/collect.ts';
import {
  attachTypeVersions,
  compareVersions,
  helperVersions,
  type KernelVersion,
  kfuncVersions,
  mapFlagVersions,
  mapTypeVersions,
  programTypeVersions,
} from '../../src/analysis/kernels.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { openObject } from '../../src/object/open.ts';
import type { ObjectSpec } from '../../src/object/spec.ts';

const kernels: readonly (readonly [KernelVersion, string])[] = [
  [[6, 1], join(projectRoot, '.cache/kernels/6.1/vmlinux.btf')],
  [[6, 12], join(projectRoot, '.cache/kernels/6.12/vmlinux.btf')],
  [[7, 2], join(projectRoot, '.cache/kernels/7.2/vmlinux.btf')],
  // The running kernel's, where its release is one that the tables know of.
  ...(runningVersion() === '6.18' ? [[[6, 18], '/sys/kernel/btf/vmlinux'] as const] : []),
];

/** `6.18` of `6.18.1-cloud-amd64`. */
function runningVersion(): string {
  return release().split('.').slice(0, 2).join('.');
}

/** Whether a kernel has a function that programs may call, by its types. */
function hasFunction(btf: Btf, name: string): boolean {
  return btf.find(name, BTF_KIND.FUNC) !== undefined;
}

/** Values of an enumeration, without the count at its end and the number that means none. */
function valuesOf(btf: Btf, name: string): ReadonlySet<number> {
  const id = btf.find(name, BTF_KIND.ENUM);
  const type = id === undefined ? undefined : btf.type(id);
  if (type?.kind !== 'enum') throw new Error(`no enum ${name}`);
  return new Set(
    type.values
      .filter((each) => !/^__|_UNSPEC$|unspec$/.test(each.name))
      .map((each) => Number(each.value)),
  );
}

/** Bits of `BPF_F_*` for maps, in the enumeration without a name that has them all. */
function flagBits(btf: Btf): ReadonlySet<number> {
  for (let id = btf.firstId; id < btf.endId; id++) {
    const type = btf.type(id as TypeId);
    if (type.kind !== 'enum' || type.name !== '') continue;
    if (!type.values.some((each) => each.name === 'BPF_F_NO_PREALLOC')) continue;
    return new Set(type.values.map((each) => Math.log2(Number(each.value))));
  }
  throw new Error('no map flags');
}

for (const [version, file] of kernels) {
  const name = version.join('.');
  const run = existsSync(file) ? test : test.skip;
  run(`the tables agree with the types of ${name}`, (t) => {
    const btf = parseBtf(new Uint8Array(readFileSync(file)), { name });
    const compared = [
      ['helpers', helperVersions, valuesOf(btf, 'bpf_func_id')],
      ['program types', programTypeVersions, valuesOf(btf, 'bpf_prog_type')],
      ['attach types', attachTypeVersions, valuesOf(btf, 'bpf_attach_type')],
      ['map types', mapTypeVersions, valuesOf(btf, 'bpf_map_type')],
      ['map flags', mapFlagVersions, flagBits(btf)],
    ] as const;
    for (const [what, table, has] of compared) {
      const said = [...table].filter(([, of]) => compareVersions(of, version) <= 0);
      t.deepEqual(
        said.map(([id]) => id).sort((a, b) => a - b),
        [...has].sort((a, b) => a - b),
        `${what} of ${name}`,
      );
    }
    for (const [kfunc, since] of kfuncVersions) {
      t.is(hasFunction(btf, kfunc), compareVersions(since, version) <= 0, `${kfunc} of ${name}`);
    }
  });
}

// Helpers of the releases that no kernel above tells apart, by the merge of each one's commit.
const olderHelpers = [
  ['tcp_gen_syncookie', [5, 4]],
  ['probe_read_kernel', [5, 5]],
  ['tcp_send_ack', [5, 6]],
  ['jiffies64', [5, 6]],
  ['read_branch_records', [5, 7]],
  ['xdp_output', [5, 7]],
  ['sk_assign', [5, 7]],
  ['seq_printf', [5, 8]],
  ['sk_ancestor_cgroup_id', [5, 8]],
  ['csum_level', [5, 8]],
  ['skc_to_tcp6_sock', [5, 9]],
] as const;

for (const [name, since] of olderHelpers) {
  test(`${name} came with ${since.join('.')}`, (t) => {
    t.deepEqual(helperVersions.get(BPF_FUNC[name]), since);
  });
}

test('weak kernel functions and variables ask for no kernel that has such things', (t) => {
  const file = join(projectRoot, 'fixtures/v3/ksyms.o');
  const spec = openObject(new Uint8Array(readFileSync(file)), { name: 'ksyms' });
  const features = (of: ObjectSpec): readonly string[] =>
    requirementsOf(of).flatMap((need) => (need.kind === 'feature' ? [need.feature] : []));
  t.true(features(spec).includes('typed-ksyms'));
  const externs = spec.externs.map((each) => ({ ...each, weak: true }));
  t.false(features({ ...spec, externs }).includes('typed-ksyms'));
});
