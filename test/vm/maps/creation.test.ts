import test from 'ava';
import {
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_F_NO_PREALLOC,
  BPF_F_NUMA_NODE,
  BPF_F_PRESERVE_ELEMS,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_F_WRONLY_PROG,
  BPF_F_ZERO_SEED,
  BPF_MAP_TYPE as T,
} from '../../../src/abi/bpf.ts';
import type { MapSpec } from '../../../src/object/spec.ts';
import { createVm } from '../../../src/vm/index.ts';
import { outcome, specOf } from '../bench.ts';

const most = 0xffff_ffff;
const ring = { type: T.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 4096 };

/** Specs and what Linux 6.18 says to them; the same rows hold on a kernel. */
const rows: readonly (readonly [Partial<MapSpec>, string])[] = [
  [{ type: T.ARRAY }, 'ok'],
  [{ type: T.ARRAY, keySize: 8 }, 'EINVAL'],
  [{ type: T.ARRAY, valueSize: 0 }, 'EINVAL'],
  [{ type: T.ARRAY, maxEntries: 0 }, 'EINVAL'],
  [{ type: T.ARRAY, valueSize: 0x8000_0000 }, 'E2BIG'],
  [{ type: T.ARRAY, maxEntries: most }, 'ENOMEM'],
  [{ type: T.ARRAY, maxEntries: most, valueSize: 0x7fff_ffff }, 'ENOMEM'],
  [{ type: T.ARRAY, flags: BPF_F_MMAPABLE | BPF_F_NUMA_NODE | BPF_F_INNER_MAP }, 'ok'],
  [{ type: T.ARRAY, flags: BPF_F_NO_PREALLOC }, 'EINVAL'],
  [{ type: T.ARRAY, flags: BPF_F_PRESERVE_ELEMS }, 'EINVAL'],
  [{ type: T.ARRAY, flags: BPF_F_RDONLY | BPF_F_WRONLY }, 'EINVAL'],
  [{ type: T.ARRAY, flags: BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG }, 'EINVAL'],
  [{ type: T.ARRAY, flags: BPF_F_NUMA_NODE, numaNode: 3 }, 'EINVAL'],
  [{ type: T.ARRAY, extra: 1n }, 'EINVAL'],
  [{ type: T.ARRAY, maxEntries: 1.5 }, 'EINVAL'],
  [{ type: T.ARRAY, maxEntries: -1 }, 'EINVAL'],
  [{ type: T.PERCPU_ARRAY, valueSize: 32_768 }, 'ok'],
  [{ type: T.PERCPU_ARRAY, valueSize: 32_769 }, 'E2BIG'],
  [{ type: T.PERCPU_ARRAY, flags: BPF_F_MMAPABLE }, 'EINVAL'],
  [{ type: T.PERCPU_ARRAY, flags: BPF_F_NUMA_NODE }, 'EINVAL'],
  [{ type: T.PROG_ARRAY, valueSize: 4 }, 'ok'],
  [{ type: T.PROG_ARRAY, valueSize: 8 }, 'EINVAL'],
  [{ type: T.PROG_ARRAY, valueSize: 4, flags: BPF_F_RDONLY_PROG }, 'EINVAL'],
  [{ type: T.HASH }, 'ok'],
  [{ type: T.HASH, keySize: 0 }, 'EINVAL'],
  [{ type: T.HASH, valueSize: 0 }, 'EINVAL'],
  [{ type: T.HASH, maxEntries: 0 }, 'EINVAL'],
  [{ type: T.HASH, flags: BPF_F_MMAPABLE }, 'EINVAL'],
  [{ type: T.HASH, flags: BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED }, 'ok'],
  [{ type: T.HASH, keySize: 512, valueSize: 4_194_304 }, 'E2BIG'],
  [{ type: T.HASH, keySize: most, valueSize: most }, 'E2BIG'],
  [{ type: T.HASH, maxEntries: 0x0800_0001 }, 'E2BIG'],
  [{ type: T.HASH, maxEntries: most, flags: BPF_F_NO_PREALLOC }, 'E2BIG'],
  [{ type: T.HASH, maxEntries: 0x0800_0000 }, 'ENOMEM'],
  [{ type: T.PERCPU_HASH, valueSize: 32_776 }, 'E2BIG'],
  [{ type: T.PERCPU_HASH, flags: BPF_F_NUMA_NODE }, 'EINVAL'],
  [ring, 'ok'],
  [{ ...ring, maxEntries: 12_288 }, 'EINVAL'],
  [{ ...ring, maxEntries: 2048 }, 'EINVAL'],
  [{ ...ring, maxEntries: 0 }, 'EINVAL'],
  [{ ...ring, maxEntries: 0x8000_0000 }, 'ENOMEM'],
  [{ ...ring, keySize: 4 }, 'EINVAL'],
  [{ ...ring, flags: BPF_F_MMAPABLE }, 'EINVAL'],
  [{ type: T.ARRAY_OF_MAPS, valueSize: 4 }, 'EBADF'],
  [{ type: T.HASH_OF_MAPS, valueSize: 4 }, 'EBADF'],
  [{ type: T.HASH_OF_MAPS }, 'EINVAL'],
  [{ type: 999 }, 'EINVAL'],
];

for (const [more, expected] of rows) {
  const title = Object.entries(more).map(([name, value]) => `${name}=${value}`);
  test(`create ${title.join(' ')}: ${expected}, and nothing stays allocated`, (t) => {
    const before = vm.stats().inUse;
    const result = outcome(() => vm.createMap(specOf(more), { btf: undefined }).close());
    t.is(result ?? 'ok', expected);
    t.is(vm.stats().inUse, before);
  });
}

const vm = createVm();

test('templates that cannot be inner maps are refused', (t) => {
  const outer = specOf({ type: T.ARRAY_OF_MAPS, valueSize: 4 });
  const make = (inner: Partial<MapSpec>) => {
    const template = vm.createMap(specOf(inner), { btf: undefined });
    const result = outcome(() => vm.createMap(outer, { btf: undefined, inner: template }));
    template.close();
    return result;
  };
  t.is(make({ type: T.PROG_ARRAY, valueSize: 4 }), 'ENOTSUPP');
  const template = vm.createMap(specOf(), { btf: undefined });
  const nested = vm.createMap(outer, { btf: undefined, inner: template });
  t.is(
    outcome(() => vm.createMap(outer, { btf: undefined, inner: nested })),
    'EINVAL',
  );
  nested.close();
  template.close();
});

test('a map that the memory limit does not allow gives ENOMEM and can be made smaller', (t) => {
  using small = createVm({ memoryLimit: 2_000_000 });
  const before = small.stats().inUse;
  t.is(
    outcome(() => small.createMap(specOf({ maxEntries: 100_000 }), { btf: undefined })),
    'ENOMEM',
  );
  t.is(small.stats().inUse, before);
  t.notThrows(() => small.createMap(specOf({ maxEntries: 10_000 }), { btf: undefined }));
});
