import test, { type ExecutionContext } from 'ava';
import {
  BPF_ANY,
  BPF_EXIST,
  BPF_F_MMAPABLE,
  BPF_F_NO_PREALLOC,
  BPF_F_RDONLY_PROG,
  BPF_MAP_TYPE,
  BPF_NOEXIST,
} from '../../src/abi/bpf.ts';
import { BpfError } from '../../src/errors.ts';
import { countCpus } from '../../src/kernel/cpus.ts';
import { createKernelBackend, type KernelBackend } from '../../src/kernel/index.ts';
import { kernelName } from '../../src/kernel/map-types.ts';
import { kernelTest, mapOf, u32, u64 } from '../support/kernel.ts';

function withKernel(title: string, fn: (t: ExecutionContext, kernel: KernelBackend) => void): void {
  kernelTest(title, (t) => {
    using kernel = createKernelBackend();
    fn(t, kernel);
  });
}

/** Runs `work`, which must fail with the errno. */
function throwsErrno(t: ExecutionContext, errno: string, work: () => void): BpfError {
  const error = t.throws(work, { instanceOf: BpfError }) as BpfError;
  t.is(error.detail.code, 'errno', error.message);
  if (error.detail.code === 'errno') t.is(error.detail.errno, errno, error.message);
  return error;
}

withKernel('array: every index is there, and only those', (t, kernel) => {
  const map = kernel.createMap(mapOf(), { btf: undefined });
  t.deepEqual(map.lookup(u32(0)), u64(0n));
  map.update(u32(3), u64(0x1122334455667788n));
  t.deepEqual(map.lookup(u32(3)), u64(0x1122334455667788n));
  t.is(map.lookup(u32(4)), undefined);
  t.deepEqual(map.nextKey(undefined), u32(0));
  t.deepEqual(map.nextKey(u32(2)), u32(3));
  t.is(map.nextKey(u32(3)), undefined);
  throwsErrno(t, 'E2BIG', () => map.update(u32(4), u64(1n)));
  throwsErrno(t, 'EEXIST', () => map.update(u32(0), u64(1n), BPF_NOEXIST));
  throwsErrno(t, 'EINVAL', () => map.delete(u32(0)));
  throwsErrno(t, 'EINVAL', () => map.update(u32(0), u32(1)));
  throwsErrno(t, 'EINVAL', () => map.lookup(u64(0n)));
});

withKernel('hash: update flags, delete, walk, full', (t, kernel) => {
  const map = kernel.createMap(mapOf({ type: BPF_MAP_TYPE.HASH, maxEntries: 2 }), {
    btf: undefined,
  });
  t.is(map.lookup(u32(1)), undefined);
  t.is(map.nextKey(undefined), undefined);
  throwsErrno(t, 'ENOENT', () => map.update(u32(1), u64(1n), BPF_EXIST));
  map.update(u32(1), u64(10n), BPF_NOEXIST);
  map.update(u32(2), u64(20n), BPF_ANY);
  throwsErrno(t, 'EEXIST', () => map.update(u32(1), u64(1n), BPF_NOEXIST));
  throwsErrno(t, 'E2BIG', () => map.update(u32(3), u64(30n)));
  throwsErrno(t, 'EINVAL', () => map.update(u32(1), u64(30n), 99));
  const keys: number[] = [];
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    keys.push(key[0] as number);
  }
  t.deepEqual(keys.sort(), [1, 2]);
  t.true(map.delete(u32(1)));
  t.false(map.delete(u32(1)));
});

withKernel('per-CPU: a value has a copy for each possible CPU', (t, kernel) => {
  for (const type of [BPF_MAP_TYPE.PERCPU_ARRAY, BPF_MAP_TYPE.PERCPU_HASH]) {
    const map = kernel.createMap(mapOf({ type, valueSize: 4 }), { btf: undefined });
    t.is(map.valueSize, 4);
    t.is(map.userValueSize, 8 * kernel.cpuCount);
    const value = new Uint8Array(map.userValueSize);
    for (let cpu = 0; cpu < kernel.cpuCount; cpu++) value.set(u32(cpu + 7), 8 * cpu);
    map.update(u32(1), value);
    t.deepEqual(map.lookup(u32(1)), value);
    throwsErrno(t, 'EINVAL', () => map.update(u32(1), u32(0)));
  }
});

withKernel('LPM trie and LRU hash take their own keys and flags', (t, kernel) => {
  const trie = kernel.createMap(
    mapOf({ type: BPF_MAP_TYPE.LPM_TRIE, keySize: 8, flags: BPF_F_NO_PREALLOC }),
    { btf: undefined },
  );
  const prefix = (bits: number, ...bytes: number[]) => Uint8Array.of(...u32(bits), ...bytes);
  trie.update(prefix(8, 10, 0, 0, 0), u64(8n));
  trie.update(prefix(16, 10, 1, 0, 0), u64(16n));
  t.deepEqual(trie.lookup(prefix(32, 10, 1, 2, 3)), u64(16n));
  t.deepEqual(trie.lookup(prefix(32, 10, 2, 2, 3)), u64(8n));
  const lru = kernel.createMap(mapOf({ type: BPF_MAP_TYPE.LRU_HASH, maxEntries: 64 }), {
    btf: undefined,
  });
  for (let i = 0; i < 1000; i++) lru.update(u32(i), u64(BigInt(i)));
  t.deepEqual(lru.lookup(u32(999)), u64(999n));
});

withKernel('queue: no keys, peek by lookup', (t, kernel) => {
  const none = new Uint8Array(0);
  const map = kernel.createMap(mapOf({ type: BPF_MAP_TYPE.QUEUE, keySize: 0 }), {
    btf: undefined,
  });
  t.is(map.lookup(none), undefined);
  map.update(none, u64(5n));
  map.update(none, u64(6n));
  t.deepEqual(map.lookup(none), u64(5n));
});

withKernel('map of maps: holds an inner map by its descriptor', (t, kernel) => {
  const innerSpec = mapOf({ name: 'inner', kernelName: 'inner' });
  const spec = mapOf({ type: BPF_MAP_TYPE.ARRAY_OF_MAPS, valueSize: 4, inner: innerSpec });
  const inner = kernel.createMap(innerSpec, { btf: undefined });
  const outer = kernel.createMap(spec, { btf: undefined, inner });
  outer.setMap(u32(1), inner);
  t.not(new DataView((outer.lookup(u32(1)) as Uint8Array).buffer).getUint32(0, true), 0);
  t.is(outer.lookup(u32(0)), undefined);
  const other = kernel.createMap(mapOf({ maxEntries: 9 }), { btf: undefined });
  throwsErrno(t, 'EINVAL', () => outer.setMap(u32(2), other));
  throwsErrno(t, 'EBADF', () => kernel.createMap(spec, { btf: undefined }));
});

withKernel('creation: what the kernel refuses names the map and a cause', (t, kernel) => {
  const error = throwsErrno(t, 'EINVAL', () =>
    kernel.createMap(mapOf({ name: 'odd', keySize: 3 }), { btf: undefined }),
  );
  t.regex(error.message, /create \(BPF_MAP_CREATE\) of map 'odd': EINVAL \(22\): .*sizes/);
  throwsErrno(t, 'EINVAL', () => kernel.createMap(mapOf({ type: 999 }), { btf: undefined }));
});

withKernel('view: shows updates, takes writes, ends with the map', (t, kernel) => {
  const map = kernel.createMap(mapOf({ flags: BPF_F_MMAPABLE, valueSize: 5, maxEntries: 3 }), {
    btf: undefined,
  });
  const view = map.view();
  t.is(view.length, 21);
  t.is(map.view(), view);
  map.update(u32(1), Uint8Array.of(1, 2, 3, 4, 5));
  t.deepEqual([...view.subarray(8, 13)], [1, 2, 3, 4, 5]);
  view[16] = 9;
  t.deepEqual(map.lookup(u32(2)), Uint8Array.of(9, 0, 0, 0, 0));
  map.close();
  t.is(view.length, 0);
  const afterwards: unknown = view[16];
  t.is(afterwards, undefined);
  view[16] = 1; // must do nothing, not crash
  t.throws(() => view.set([1], 16));
  t.is((t.throws(() => map.view()) as BpfError).code, 'closed');
});

withKernel('view: only of memory-mappable arrays', (t, kernel) => {
  const map = kernel.createMap(mapOf(), { btf: undefined });
  throwsErrno(t, 'EINVAL', () => map.view());
});

withKernel('freeze: afterwards a view is a copy, writes from outside fail', (t, kernel) => {
  for (const flags of [BPF_F_MMAPABLE, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG]) {
    const map = kernel.createMap(mapOf({ flags, maxEntries: 1 }), { btf: undefined });
    map.update(u32(0), u64(77n));
    map.freeze();
    const view = map.view();
    t.deepEqual(view, u64(77n));
    view[0] = 1; // goes nowhere, and does not crash
    t.deepEqual(map.lookup(u32(0)), u64(77n));
    throwsErrno(t, 'EPERM', () => map.update(u32(0), u64(1n)));
    throwsErrno(t, 'EPERM', () => map.freeze());
  }
});

withKernel('freeze: not while a view exists; no view of what programs only read', (t, kernel) => {
  const map = kernel.createMap(mapOf({ flags: BPF_F_MMAPABLE }), { btf: undefined });
  map.view();
  t.regex(throwsErrno(t, 'EBUSY', () => map.freeze()).message, /a writable view of the map exists/);
  const flags = BPF_F_MMAPABLE | BPF_F_RDONLY_PROG;
  const constant = kernel.createMap(mapOf({ flags }), { btf: undefined });
  t.regex(throwsErrno(t, 'EACCES', () => constant.view()).message, /use update/);
});

withKernel('names: characters that the kernel refuses are replaced', (t, kernel) => {
  const map = kernel.createMap(mapOf({ kernelName: 'bad name!\u{1F600}' }), { btf: undefined });
  t.is(map.name, 'test_map');
});

withKernel('closing twice is harmless, use afterwards is an error', (t, kernel) => {
  const map = kernel.createMap(mapOf(), { btf: undefined });
  map.close();
  map.close();
  t.true(map.closed);
  const uses = [
    () => map.lookup(u32(0)),
    () => map.update(u32(0), u64(0n)),
    () => map.delete(u32(0)),
    () => map.nextKey(undefined),
    () => map.freeze(),
    () => map.consume(() => {}),
  ];
  for (const use of uses) t.is((t.throws(use) as BpfError).code, 'closed');
  const child = kernel.createMap(mapOf(), { btf: undefined });
  kernel.close();
  kernel.close();
  t.true(child.closed);
  const error = t.throws(() => kernel.createMap(mapOf(), { btf: undefined })) as BpfError;
  t.is(error.code, 'closed');
});

test('map names as the kernel wants them', (t) => {
  t.is(kernelName('a-b c.d_e'), 'a_b_c.d_e');
  t.is(kernelName('abcdefghijklmnopqrst'), 'abcdefghijklmno');
});

test('possible CPUs are counted from their list', (t) => {
  t.is(countCpus('0-1\n'), 2);
  t.is(countCpus('0\n'), 1);
  t.is(countCpus('0-3,8-11,20\n'), 9);
  t.is((t.throws(() => countCpus('')) as BpfError).code, 'kernel-unavailable');
});
