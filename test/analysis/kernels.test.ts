// The tables of versions against the types of real kernels.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import {
  attachTypeVersions,
  compareVersions,
  helperVersions,
  type KernelVersion,
  mapFlagVersions,
  mapTypeVersions,
  programTypeVersions,
} from '../../src/analysis/kernels.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';

const kernels: readonly (readonly [KernelVersion, string])[] = [
  [[6, 1], join(projectRoot, '.cache/kernels/6.1/vmlinux.btf')],
  [[6, 12], join(projectRoot, '.cache/kernels/6.12/vmlinux.btf')],
  [[7, 2], join(projectRoot, '.cache/kernels/7.2/vmlinux.btf')],
];

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
  });
}
