import test from 'ava';
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import { BpfError } from '../../src/errors.ts';
import { adjustMap, ringBufferSize } from '../../src/loader/maps.ts';
import { makeMap } from '../relocs/specs.ts';

const host = { pageSize: 4096, cpuCount: 6 };

const sizes: readonly [size: number, rounded: number][] = [
  [0, 0],
  [1, 4096],
  [4096, 4096],
  [4097, 8192],
  [12_288, 16_384],
  [0x8000_0000, 0x8000_0000],
  [0x8000_0001, 0x8000_0001],
  [0xffff_ffff, 0xffff_ffff],
];

for (const [size, rounded] of sizes) {
  test(`a ring buffer of ${size} bytes gets ${rounded}`, (t) => {
    t.is(ringBufferSize(size, host.pageSize), rounded);
  });
}

test('a perf array without a size has an entry for each cpu, and no types', (t) => {
  const map = adjustMap(
    makeMap('events', {
      type: BPF_MAP_TYPE.PERF_EVENT_ARRAY,
      maxEntries: 0,
      keyType: 3 as never,
      valueType: 4 as never,
    }),
    host,
  );
  t.is(map.maxEntries, 6);
  t.is(map.keyType, undefined);
  t.is(map.valueType, undefined);
});

test('inner templates are adjusted too', (t) => {
  const inner = makeMap('outer.inner', { type: BPF_MAP_TYPE.RINGBUF, maxEntries: 5000 });
  const outer = makeMap('outer', { type: BPF_MAP_TYPE.HASH_OF_MAPS, inner });
  t.is(adjustMap(outer, host).inner?.maxEntries, 8192);
});

test('a map without a size is refused by name, but for types that have none', (t) => {
  t.throws(() => adjustMap(makeMap('counts', { maxEntries: 0 }), host), {
    instanceOf: BpfError,
    message: "'counts' has max_entries 0; set its size before loading",
  });
  const storage = makeMap('storage', { type: BPF_MAP_TYPE.TASK_STORAGE, maxEntries: 0 });
  t.is(adjustMap(storage, host).maxEntries, 0);
});
