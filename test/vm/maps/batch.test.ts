import test from 'ava';
import {
  BPF_F_ALL_CPUS,
  BPF_F_CPU,
  BPF_F_NO_PREALLOC,
  BPF_MAP_TYPE,
} from '../../../src/abi/bpf.ts';
import type { MapSpec } from '../../../src/object/spec.ts';
import { createVm, type Vm } from '../../../src/vm/index.ts';
import { outcome, specOf, u32, u64 } from '../bench.ts';

const make = (vm: Vm, more: Partial<MapSpec>) => vm.createMap(specOf(more), { btf: undefined });

/** Flags that choose a CPU. */
const onCpu = (cpu: number): number => BPF_F_CPU + cpu * 2 ** 32;

for (const type of [BPF_MAP_TYPE.PERCPU_ARRAY, BPF_MAP_TYPE.PERCPU_HASH]) {
  test(`type ${type}: one CPU's value, and one value for all CPUs`, (t) => {
    using vm = createVm({ cpuCount: 3 });
    const map = make(vm, { type });
    map.update(u32(1), u64(5n), BPF_F_ALL_CPUS);
    t.deepEqual(map.lookup(u32(1)), u64(5n, 5n, 5n));
    map.update(u32(1), u64(9n), onCpu(1));
    t.deepEqual(map.lookup(u32(1)), u64(5n, 9n, 5n));
    t.deepEqual(map.lookup(u32(1), onCpu(1)), u64(9n));
    t.is(map.updateBatch(Uint8Array.of(...u32(2), ...u32(3)), u64(6n, 7n), onCpu(2)), 2);
    t.deepEqual(map.lookup(u32(3)), u64(0n, 0n, 7n));
    const rows: readonly (readonly [() => unknown, string])[] = [
      [() => map.lookup(u32(1), onCpu(3)), 'ERANGE'],
      [() => map.lookup(u32(1), 2 ** 32), 'EINVAL'],
      [() => map.lookup(u32(1), BPF_F_ALL_CPUS), 'EINVAL'],
      [() => map.update(u32(1), u64(1n), BPF_F_CPU | BPF_F_ALL_CPUS), 'EINVAL'],
      [() => map.update(u32(1), u64(1n, 2n, 3n), BPF_F_ALL_CPUS), 'EINVAL'],
    ];
    for (const [work, expected] of rows) t.is(outcome(work), expected, String(work));
  });
}

test('other maps have no values by CPU', (t) => {
  using vm = createVm();
  const map = make(vm, { type: BPF_MAP_TYPE.HASH });
  t.is(
    outcome(() => map.update(u32(1), u64(1n), BPF_F_ALL_CPUS)),
    'EINVAL',
  );
  t.is(
    outcome(() => map.lookup(u32(1), onCpu(0))),
    'EINVAL',
  );
});

for (const flags of [0, BPF_F_NO_PREALLOC]) {
  test(`batches see every element once while others go, flags ${flags}`, (t) => {
    using vm = createVm();
    const map = make(vm, { type: BPF_MAP_TYPE.HASH, flags, maxEntries: 2000 });
    for (let i = 0; i < 1000; i++) map.update(u32(i), u64(BigInt(i)));
    const seen = new Set<number>();
    let from: Uint8Array | undefined;
    do {
      const batch = map.lookupBatch(from, 37);
      const keys = new Uint32Array(batch.keys.buffer);
      for (const key of keys) {
        t.false(seen.has(key), `key ${key} twice`);
        seen.add(key);
      }
      // The last key of the batch goes: the cursor does not need it.
      const last = keys.at(-1);
      if (last !== undefined) map.delete(u32(last));
      // New ones make the table grow.
      map.update(u32(10_000 + seen.size), u64(1n));
      from = batch.next;
    } while (from !== undefined);
    for (let i = 0; i < 1000; i++) t.true(seen.has(i), `key ${i}`);
  });
}

test('a batch that is refused half way says how far it got', (t) => {
  using vm = createVm();
  const map = make(vm, { type: BPF_MAP_TYPE.HASH, maxEntries: 2 });
  const keys = Uint8Array.of(...u32(1), ...u32(2), ...u32(3));
  const error = t.throws(() => map.updateBatch(keys, u64(1n, 2n, 3n)));
  t.is(error.message, "update element of map 'test_map': E2BIG (7): after 2 of 3 elements");
  t.is(
    outcome(() => map.updateBatch(u32(1), u64(1n, 2n))),
    'EINVAL',
  );
  t.is(
    outcome(() => map.deleteBatch(new Uint8Array(5))),
    'EINVAL',
  );
});
