import test from 'ava';
import {
  BPF_F_INNER_MAP,
  BPF_F_MMAPABLE,
  BPF_F_RDONLY,
  BPF_F_RDONLY_PROG,
  BPF_F_WRONLY,
  BPF_MAP_TYPE,
} from '../../../src/abi/bpf.ts';
import type { MapSpec } from '../../../src/object/spec.ts';
import { createVm, type Vm } from '../../../src/vm/index.ts';
import { outcome, specOf, u32, u64 } from '../bench.ts';

const array = (vm: Vm, more: Partial<MapSpec> = {}) =>
  vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY, ...more }), { btf: undefined });

for (const type of [BPF_MAP_TYPE.ARRAY, BPF_MAP_TYPE.PERCPU_ARRAY]) {
  test(`type ${type}: values and errno of every case`, (t) => {
    using vm = createVm({ cpuCount: 2 });
    const map = array(vm, { type });
    const value = type === BPF_MAP_TYPE.ARRAY ? u64(7n) : u64(7n, 8n);
    const rows: readonly (readonly [() => unknown, unknown])[] = [
      [() => map.lookup(u32(3)), new Uint8Array(value.length)],
      [() => map.lookup(u32(4)), undefined],
      [() => map.update(u32(3), value), undefined],
      [() => map.lookup(u32(3)), value],
      [() => map.update(u32(4), value), 'E2BIG'],
      [() => map.update(u32(3), value, 1), 'EEXIST'],
      [() => map.update(u32(9), value, 1), 'E2BIG'],
      [() => map.update(u32(3), value, 2), undefined],
      [() => map.update(u32(3), value, 3), 'EINVAL'],
      [() => map.update(u32(3), value, 4), 'EINVAL'],
      [() => map.delete(u32(0)), 'EINVAL'],
      [() => map.nextKey(undefined), u32(0)],
      [() => map.nextKey(u32(2)), u32(3)],
      [() => map.nextKey(u32(3)), undefined],
      [() => map.nextKey(u32(99)), u32(0)],
      [() => map.lookup(new Uint8Array(3)), 'EINVAL'],
      [() => map.update(u32(0), new Uint8Array(7)), 'EINVAL'],
      [() => map.view(), 'EINVAL'],
      [() => map.consume(() => {}), 'EINVAL'],
      [() => map.setMap(u32(0), map), 'EINVAL'],
    ];
    for (const [work, expected] of rows.filter(([work]) => isOf(type, work))) {
      t.deepEqual(outcome(work), expected, String(work));
    }
    map.close();
    t.is(
      outcome(() => map.lookup(u32(0))),
      'closed',
    );
  });
}

/** A per-CPU array has no memory mapping at all, which is another errno. */
function isOf(type: number, work: () => unknown): boolean {
  return type === BPF_MAP_TYPE.ARRAY || !String(work).includes('view');
}

test('values have a stride of 8 bytes, and user space sees the value alone', (t) => {
  using vm = createVm();
  const map = array(vm, { valueSize: 5, flags: BPF_F_MMAPABLE });
  map.update(u32(1), Uint8Array.of(1, 2, 3, 4, 5));
  t.deepEqual([...map.view().subarray(8, 16)], [1, 2, 3, 4, 5, 0, 0, 0]);
  t.is(map.view().length, 29);
  t.deepEqual(map.lookup(u32(1)), Uint8Array.of(1, 2, 3, 4, 5));
});

test('a view is live until the map is frozen', (t) => {
  using vm = createVm();
  const map = array(vm, { flags: BPF_F_MMAPABLE });
  const view = map.view();
  map.update(u32(0), u64(5n));
  t.is(view[0], 5);
  view[0] = 6;
  t.deepEqual(map.lookup(u32(0)), u64(6n));
  map.freeze();
  map.view()[0] = 99;
  t.deepEqual(map.lookup(u32(0)), u64(6n));
});

test('freezing and access flags bind user space', (t) => {
  using vm = createVm();
  const frozen = array(vm);
  frozen.freeze();
  t.is(
    outcome(() => frozen.freeze()),
    'EPERM',
  );
  t.is(
    outcome(() => frozen.update(u32(0), u64(1n))),
    'EPERM',
  );
  t.is(
    outcome(() => frozen.delete(u32(0))),
    'EPERM',
  );
  t.deepEqual(frozen.lookup(u32(0)), u64(0n));
  const readOnly = array(vm, { flags: BPF_F_RDONLY });
  t.is(
    outcome(() => readOnly.update(u32(0), u64(1n))),
    'EPERM',
  );
  t.is(
    outcome(() => readOnly.freeze()),
    'EPERM',
  );
  const writeOnly = array(vm, { flags: BPF_F_WRONLY });
  writeOnly.update(u32(0), u64(1n));
  t.is(
    outcome(() => writeOnly.lookup(u32(0))),
    'EPERM',
  );
  t.is(
    outcome(() => writeOnly.nextKey(undefined)),
    'EPERM',
  );
});

test('an array that programs only read lies where they cannot store', (t) => {
  using vm = createVm();
  const map = vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY, flags: BPF_F_RDONLY_PROG }), {
    btf: undefined,
  });
  map.update(u32(0), u64(1n));
  t.true(map.elementLookup(u32(0), 0, 0) < vm.memory.storeLow);
});

test('per-CPU values are copies for each CPU', (t) => {
  using vm = createVm({ cpuCount: 3 });
  const map = array(vm, { type: BPF_MAP_TYPE.PERCPU_ARRAY, valueSize: 4 });
  t.is(map.userValueSize, 24);
  map.update(u32(2), u64(1n, 2n, 3n));
  for (const cpu of [0, 1, 2]) {
    t.is(vm.memory.words[map.elementLookup(u32(2), 0, cpu) >>> 2], cpu + 1);
  }
});

test('big-endian programs have big-endian indices', (t) => {
  using vm = createVm();
  const btf = { littleEndian: false } as never;
  const map = vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY }), { btf });
  map.update(Uint8Array.of(0, 0, 0, 2), u64(9n));
  t.deepEqual(map.lookup(Uint8Array.of(0, 0, 0, 2)), u64(9n));
  t.deepEqual(map.nextKey(Uint8Array.of(0, 0, 0, 1)), Uint8Array.of(0, 0, 0, 2));
  t.is(map.lookup(u32(2)), undefined);
});

test('an inner array must have the template length unless it says otherwise', (t) => {
  using vm = createVm();
  const rows = [
    [0, 0, 4, undefined],
    [0, 0, 5, 'EINVAL'],
    [BPF_F_INNER_MAP, BPF_F_INNER_MAP, 5, undefined],
    [0, BPF_F_INNER_MAP, 4, 'EINVAL'],
  ] as const;
  for (const [templateFlags, flags, maxEntries, expected] of rows) {
    const inner = array(vm, { flags: templateFlags });
    const outer = vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY_OF_MAPS, valueSize: 4 }), {
      btf: undefined,
      inner,
    });
    const candidate = array(vm, { flags, maxEntries });
    t.is(
      outcome(() => outer.setMap(u32(0), candidate)),
      expected,
    );
  }
});
