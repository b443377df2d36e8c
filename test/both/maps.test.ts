// The same calls on maps of both backends: values, absent keys and errno values are equal.
import {
  BPF_F_MMAPABLE,
  BPF_F_NO_COMMON_LRU,
  BPF_F_NO_PREALLOC,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_MAP_TYPE,
} from '../../src/abi/bpf.ts';
import type { Backend, BackendMap } from '../../src/backend/backend.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import type { MapSpec } from '../../src/object/spec.ts';
import { createVm } from '../../src/vm/index.ts';
import { kernelTest, mapOf, u32, u64 } from '../support/kernel.ts';
import { contentsOf, outcomeOf, pinToFirstCpu } from './outcome.ts';

type Step = readonly [what: string, work: (map: BackendMap) => unknown];

const lookup = (key: Uint8Array): Step => [`lookup ${key}`, (map) => map.lookup(key)];
const hashes: ReadonlySet<number> = new Set([BPF_MAP_TYPE.HASH, BPF_MAP_TYPE.LRU_HASH]);

/** The order of a hash is its own: of its next key only whether there is one. */
const next = (key?: Uint8Array): Step => [
  `next ${key}`,
  (map) => {
    const found = map.nextKey(key);
    return hashes.has(map.type) ? found !== undefined : found;
  },
];
const remove = (key: Uint8Array): Step => [`delete ${key}`, (map) => map.delete(key)];
const update = (key: Uint8Array, value: Uint8Array, flags?: number): Step => [
  `update ${key} ${flags}`,
  (map) => map.update(key, value, flags),
];
const freeze: Step = ['freeze', (map) => map.freeze()];
const view: Step = ['view', (map) => map.view()];
const consume: Step = ['consume', (map) => map.consume(() => {})];
const contents: Step = ['contents', (map) => contentsOf(map)];

const take = (key: Uint8Array, flags?: number): Step => [
  `take ${key} ${flags}`,
  (map) => map.lookupAndDelete(key, flags),
];
const updateMany = (keys: readonly Uint8Array[], value: Uint8Array, flags?: number): Step => [
  `update ${keys.length} ${flags}`,
  (map) => map.updateBatch(joined(keys), joined(keys.map(() => value)), flags),
];
const removeMany = (...keys: readonly Uint8Array[]): Step => [
  `delete ${keys.join(' ')}`,
  (map) => map.deleteBatch(joined(keys)),
];
/** All elements in batches; how they fall into batches is the backend's. */
const readMany = (count: number, takes: boolean, flags?: number): Step => [
  `${takes ? 'take' : 'read'} by ${count} ${flags}`,
  (map) => {
    const found: string[] = [];
    let from: Uint8Array | undefined;
    for (let calls = 0; calls < 100; calls++) {
      const batch = takes
        ? map.lookupAndDeleteBatch(from, count, flags)
        : map.lookupBatch(from, count, flags);
      const size = batch.values.length / batch.count;
      for (let i = 0; i < batch.count; i++) {
        const key = batch.keys.subarray(i * map.keySize, (i + 1) * map.keySize);
        found.push(`${key}: ${batch.values.subarray(i * size, (i + 1) * size)}`);
      }
      if (batch.next === undefined) return found.sort();
      from = batch.next;
    }
    return 'no end';
  },
];

/** Values of per-CPU maps are as long as there are CPUs: whether the sizes fit is what can be compared. */
const batchSizes: Step = [
  'sizes of a batch',
  (map) => {
    const { count, keys, values } = map.lookupBatch(undefined, 64);
    return [count, keys.length, values.length === count * map.userValueSize];
  },
];

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const one = u64(1n);
const many: readonly Step[] = [
  readMany(64, false),
  updateMany([u32(0), u32(1), u32(2)], one),
  readMany(64, false),
  readMany(0, false),
  removeMany(u32(1), u32(77), u32(2)),
  contents,
  updateMany([u32(1), u32(2), u32(3), u32(4), u32(5)], one),
  contents,
  updateMany([u32(1)], one, 1),
  updateMany([u32(1)], one, 100),
  readMany(64, false, 1),
  readMany(64, true),
  contents,
  take(u32(0)),
  update(u32(0), one),
  take(u32(0)),
  take(u32(0)),
  take(u32(0), 1),
  freeze,
  take(u32(0)),
  updateMany([u32(1)], one),
  removeMany(u32(1)),
  readMany(64, true),
  readMany(64, false),
];
const common: readonly Step[] = [
  lookup(u32(0)),
  lookup(u32(3)),
  lookup(u32(4)),
  update(u32(1), one),
  update(u32(1), one, 1),
  update(u32(2), one, 1),
  update(u32(3), one, 2),
  update(u32(9), one, 2),
  update(u32(4), one),
  update(u32(5), one),
  update(u32(6), one),
  update(u32(7), one),
  update(u32(1), one, 3),
  update(u32(1), one, 4),
  update(u32(1), one, 100),
  contents,
  next(),
  next(u32(3)),
  remove(u32(1)),
  remove(u32(1)),
  remove(u32(77)),
  contents,
  consume,
  freeze,
  update(u32(1), one),
  remove(u32(2)),
  lookup(u32(1)),
  view,
  freeze,
];

/** What creating and using a map gives; a map that is not made gives its errno only. */
function observe(backend: Backend, spec: MapSpec, steps: readonly Step[]): unknown {
  const made: BackendMap[] = [];
  const { inner } = spec;
  const template = inner && backend.createMap(inner, { btf: undefined });
  const created = outcomeOf(() => {
    made.push(backend.createMap(spec, { btf: undefined, inner: template }));
    return 'created';
  });
  template?.close();
  const [map] = made;
  if (map === undefined) return created;
  const outcomes = steps.map(([what, work]) => [what, outcomeOf(() => work(map))]);
  map.close();
  return outcomes;
}

function compare(title: string, spec: MapSpec, steps: readonly Step[] = common): void {
  kernelTest(title, (t) => {
    pinToFirstCpu();
    using vm = createVm();
    using kernel = createKernelBackend();
    t.deepEqual(observe(vm, spec, steps), observe(kernel, spec, steps));
  });
}

compare('array', mapOf());
compare('keys and values of wrong sizes', mapOf(), [
  lookup(u64(0n)),
  update(u32(1), u32(1)),
  update(u64(1n), one),
  next(u64(3n)),
  remove(u64(1n)),
]);
compare('array of odd values', mapOf({ valueSize: 5 }), [
  update(u32(1), Uint8Array.of(1, 2, 3, 4, 5)),
  contents,
]);
compare('memory-mappable array', mapOf({ flags: BPF_F_MMAPABLE }));
compare('a view of an array', mapOf({ flags: BPF_F_MMAPABLE }), [
  view,
  update(u32(1), one),
  view,
  contents,
]);
compare('array that programs only read', mapOf({ flags: BPF_F_RDONLY_PROG }));
compare('array that user space only reads', mapOf({ flags: BPF_F_RDONLY }));
compare('array that user space only writes', mapOf({ flags: BPF_F_WRONLY }), [
  update(u32(1), one),
  lookup(u32(1)),
  next(),
]);
compare('hash', mapOf({ type: BPF_MAP_TYPE.HASH }));
compare(
  'hash that allocates on demand',
  mapOf({ type: BPF_MAP_TYPE.HASH, flags: BPF_F_NO_PREALLOC }),
);
compare(
  'ring buffer',
  mapOf({ type: BPF_MAP_TYPE.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 4096 }),
  [
    consume,
    lookup(new Uint8Array(0)),
    update(new Uint8Array(0), new Uint8Array(0)),
    remove(new Uint8Array(0)),
    next(),
    view,
  ],
);
compare('batches of an array', mapOf(), many);
compare('batches of a hash', mapOf({ type: BPF_MAP_TYPE.HASH }), many);
compare('batches of a prog array', mapOf({ type: BPF_MAP_TYPE.PROG_ARRAY, valueSize: 4 }), [
  readMany(4, false),
  readMany(4, true),
  removeMany(u32(0)),
  take(u32(0)),
]);
compare(
  'batches of an array of maps',
  mapOf({ type: BPF_MAP_TYPE.ARRAY_OF_MAPS, valueSize: 4, inner: mapOf() }),
  [readMany(4, false), readMany(4, true), removeMany(u32(0)), take(u32(0))],
);
compare(
  'batches of a hash of maps',
  mapOf({ type: BPF_MAP_TYPE.HASH_OF_MAPS, valueSize: 4, inner: mapOf() }),
  [readMany(4, false), readMany(4, true), removeMany(u32(0)), take(u32(0))],
);
compare('prog array', mapOf({ type: BPF_MAP_TYPE.PROG_ARRAY, valueSize: 4 }), [
  lookup(u32(0)),
  lookup(u32(9)),
  remove(u32(0)),
  remove(u32(9)),
  next(),
  next(u32(3)),
  consume,
  view,
]);
compare('map of maps', mapOf({ type: BPF_MAP_TYPE.HASH_OF_MAPS, valueSize: 4, inner: mapOf() }), [
  lookup(u32(0)),
  remove(u32(0)),
  next(),
  view,
]);

/** A key of a trie over IPv4 addresses. */
function prefix(length: number, ...address: readonly number[]): Uint8Array {
  const key = new Uint8Array(8);
  key.set(u32(length));
  key.set(address, 4);
  return key;
}

const routes: readonly Step[] = [
  lookup(prefix(32, 10, 0, 0, 1)),
  next(),
  update(prefix(8, 10), u64(8n)),
  update(prefix(16, 10, 1), u64(16n)),
  update(prefix(24, 10, 1, 2), u64(24n), 1),
  update(prefix(32, 10, 1, 2, 3), u64(32n)),
  update(prefix(24, 10, 1, 2), u64(25n), 1),
  update(prefix(24, 10, 1, 2), u64(26n), 2),
  update(prefix(25, 10, 1, 2), u64(1n), 2),
  update(prefix(33, 10), u64(1n)),
  update(prefix(8, 10), u64(1n), 3),
  update(prefix(8, 10), u64(1n), 4),
  lookup(prefix(32, 10, 9, 9, 9)),
  lookup(prefix(32, 10, 1, 9, 9)),
  lookup(prefix(32, 10, 1, 2, 9)),
  lookup(prefix(32, 10, 1, 2, 3)),
  lookup(prefix(16, 10, 1, 2, 3)),
  lookup(prefix(20, 10, 1, 2, 3)),
  lookup(prefix(4, 10)),
  lookup(prefix(32, 11, 1, 2, 3)),
  lookup(prefix(33, 10, 1, 2, 3)),
  update(prefix(0), u64(0n)),
  lookup(prefix(32, 11, 1, 2, 3)),
  update(prefix(1, 128), u64(1n)),
  update(prefix(2, 192), u64(2n)),
  update(prefix(3, 224), u64(3n)),
  update(prefix(4, 240), u64(4n)),
  next(),
  next(prefix(32, 10, 1, 2, 3)),
  next(prefix(24, 10, 1, 2)),
  next(prefix(24, 10, 1, 2, 77)),
  next(prefix(8, 10)),
  next(prefix(0)),
  next(prefix(9, 10)),
  next(prefix(40)),
  contents,
  readMany(3, false),
  readMany(3, true),
  remove(prefix(16, 10, 1)),
  remove(prefix(16, 10, 1)),
  remove(prefix(17, 10, 1)),
  remove(prefix(99, 10, 1)),
  lookup(prefix(32, 10, 1, 9, 9)),
  lookup(prefix(32, 10, 1, 2, 9)),
  remove(prefix(0)),
  contents,
  take(prefix(8, 10)),
  removeMany(prefix(8, 10), prefix(8, 10)),
  updateMany([prefix(6, 4), prefix(7, 8)], u64(1n)),
  contents,
  view,
  freeze,
  remove(prefix(7, 8)),
];
const trie = {
  type: BPF_MAP_TYPE.LPM_TRIE,
  keySize: 8,
  valueSize: 8,
  maxEntries: 8,
  flags: BPF_F_NO_PREALLOC,
};
compare('trie', mapOf(trie), routes);

const none = new Uint8Array(0);
const push = (value: bigint, flags?: number): Step => update(none, u64(value), flags);
const queueSteps: readonly Step[] = [
  lookup(none),
  take(none),
  push(1n),
  push(2n),
  push(3n, 1),
  push(3n, 3),
  lookup(none),
  push(3n),
  push(4n),
  push(5n),
  push(5n, 2),
  lookup(none),
  take(none, 1),
  take(none),
  take(none),
  lookup(none),
  remove(none),
  next(),
  lookup(u32(0)),
  update(none, u32(1)),
  readMany(4, false),
  view,
  freeze,
  push(6n),
  take(none),
  lookup(none),
];
const keyless = { keySize: 0, valueSize: 8, maxEntries: 4 };
compare('queue', mapOf({ type: BPF_MAP_TYPE.QUEUE, ...keyless }), queueSteps);
compare('stack', mapOf({ type: BPF_MAP_TYPE.STACK, ...keyless }), queueSteps);

const contains = (value: bigint): Step => [`contains ${value}`, (map) => map.contains(u64(value))];
compare('Bloom filter', mapOf({ type: BPF_MAP_TYPE.BLOOM_FILTER, ...keyless, maxEntries: 1000 }), [
  contains(1n),
  push(1n),
  contains(1n),
  contains(2n),
  push(1n, 1),
  push(1n, 2),
  lookup(none),
  take(none),
  remove(none),
  next(),
  readMany(4, false),
  ['contains too little', (map) => map.contains(u32(1))],
  freeze,
  push(3n),
  contains(1n),
]);
compare(
  'Bloom filter of 15 hash functions',
  mapOf({ type: BPF_MAP_TYPE.BLOOM_FILTER, ...keyless, extra: 15n }),
  [contains(1n), push(1n), contains(1n)],
);
compare('a hash is no Bloom filter', mapOf({ type: BPF_MAP_TYPE.HASH }), [contains(1n)]);

const lru = { type: BPF_MAP_TYPE.LRU_HASH, maxEntries: 2000 };
compare('hash that evicts', mapOf(lru), common);
compare('batches of a hash that evicts', mapOf(lru), many);

const refused: readonly (readonly [string, Partial<MapSpec>])[] = [
  ['array with an odd key', { keySize: 3 }],
  ['array without entries', { maxEntries: 0 }],
  ['array without a value', { valueSize: 0 }],
  ['array with a flag of hashes', { flags: BPF_F_NO_PREALLOC }],
  ['array that is both read-only and write-only', { flags: BPF_F_RDONLY | BPF_F_WRONLY }],
  ['hash without a key', { type: BPF_MAP_TYPE.HASH, keySize: 0 }],
  ['hash with an enormous key', { type: BPF_MAP_TYPE.HASH, keySize: 1 << 23 }],
  ['memory-mappable hash', { type: BPF_MAP_TYPE.HASH, flags: BPF_F_MMAPABLE }],
  ['memory-mappable per-CPU array', { type: BPF_MAP_TYPE.PERCPU_ARRAY, flags: BPF_F_MMAPABLE }],
  ['ring buffer with a key', { type: BPF_MAP_TYPE.RINGBUF, valueSize: 0, maxEntries: 4096 }],
  ['prog array with wide values', { type: BPF_MAP_TYPE.PROG_ARRAY }],
  ['map of maps without a template', { type: BPF_MAP_TYPE.ARRAY_OF_MAPS, valueSize: 4 }],
  ['trie without its flag', { ...trie, flags: 0 }],
  ['trie with a short key', { ...trie, keySize: 4 }],
  ['trie with a long key', { ...trie, keySize: 261 }],
  ['trie without a value', { ...trie, valueSize: 0 }],
  ['trie of enormous values', { ...trie, valueSize: 1 << 23 }],
  ['trie without entries', { ...trie, maxEntries: 0 }],
  ['hash that evicts, on demand', { ...lru, flags: BPF_F_NO_PREALLOC }],
  ['hash that evicts, without a value', { ...lru, valueSize: 0 }],
  ['hash that evicts, memory-mappable', { ...lru, flags: BPF_F_MMAPABLE }],
  ['hash with lists by CPU', { type: BPF_MAP_TYPE.HASH, flags: BPF_F_NO_COMMON_LRU }],
  ['queue with a key', { type: BPF_MAP_TYPE.QUEUE }],
  ['queue without entries', { type: BPF_MAP_TYPE.QUEUE, keySize: 0, maxEntries: 0 }],
  ['stack without a value', { type: BPF_MAP_TYPE.STACK, keySize: 0, valueSize: 0 }],
  ['stack with a flag of hashes', { type: BPF_MAP_TYPE.STACK, keySize: 0, flags: 1 }],
  ['queue of enormous values', { type: BPF_MAP_TYPE.QUEUE, keySize: 0, valueSize: 1 << 23 }],
  ['Bloom filter with a key', { type: BPF_MAP_TYPE.BLOOM_FILTER }],
  ['Bloom filter of 16 hashes', { type: BPF_MAP_TYPE.BLOOM_FILTER, keySize: 0, extra: 16n }],
  ['queue with map_extra', { type: BPF_MAP_TYPE.QUEUE, keySize: 0, extra: 1n }],
  ['a flag that nobody knows', { flags: 1 << 30 }],
];
for (const [title, more] of refused) compare(`creation: ${title}`, mapOf(more));

const percpuTypes = [
  BPF_MAP_TYPE.PERCPU_ARRAY,
  BPF_MAP_TYPE.PERCPU_HASH,
  BPF_MAP_TYPE.LRU_PERCPU_HASH,
];
for (const type of percpuTypes) {
  kernelTest(`per-CPU map of type ${type}`, (t) => {
    using vm = createVm();
    using kernel = createKernelBackend();
    const outcomes = [vm, kernel].map((backend) => {
      const value = new Uint8Array(8 * backend.cpuCount);
      value.set(u64(7n));
      const steps = [
        update(u32(1), value),
        update(u32(1), value, 1),
        update(u32(2), value, 2),
        update(u32(3), new Uint8Array(7)),
        remove(u32(2)),
        remove(u32(0)),
        updateMany([u32(0), u32(2), u32(3)], value),
        contents,
        batchSizes,
        ['take', (map: BackendMap) => map.lookupAndDelete(u32(2))?.subarray(0, 8)] as Step,
        removeMany(u32(3), u32(3)),
        contents,
      ];
      return observe(backend, mapOf({ type, ...(type > 6 && { maxEntries: 2000 }) }), steps);
    });
    t.deepEqual(outcomes[0], outcomes[1]);
  });
}
