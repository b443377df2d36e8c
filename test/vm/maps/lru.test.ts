import test from 'ava';
import { BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { createVm, type Vm, type VmMap } from '../../../src/vm/index.ts';
import { specOf, u32, u64 } from '../bench.ts';

const types = [BPF_MAP_TYPE.LRU_HASH, BPF_MAP_TYPE.LRU_PERCPU_HASH] as const;

function make(vm: Vm, type: number, maxEntries: number): VmMap {
  return vm.createMap(specOf({ type, maxEntries }), { btf: undefined });
}

function keysOf(map: VmMap): ReadonlySet<number> {
  const keys = new Set<number>();
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    keys.add(new DataView(key.buffer).getUint32(0, true));
  }
  return keys;
}

for (const type of types) {
  const put = (map: VmMap, key: number): void => {
    map.update(u32(key), new Uint8Array(map.userValueSize).fill(key));
  };

  test(`type ${type}: a full map makes room, and never grows`, (t) => {
    using vm = createVm({ cpuCount: 2 });
    const { inUse } = vm.stats();
    const map = make(vm, type, 100);
    const full = vm.stats().inUse;
    for (let i = 0; i < 5000; i++) {
      put(map, i);
      t.true(map.lookup(u32(i)) !== undefined, `key ${i} was just put in`);
    }
    const keys = keysOf(map);
    t.is(keys.size, 100);
    t.is(vm.stats().inUse, full, 'all elements were reserved');
    t.true(keys.has(4999));
    map.close();
    t.is(vm.stats().inUse, inUse);
  });

  test(`type ${type}: what programs use stays, what user space looks at does not`, (t) => {
    using vm = createVm();
    const map = make(vm, type, 50);
    for (let i = 0; i < 50; i++) put(map, i);
    // Once round: all are old now.
    put(map, 50);
    const useAll = (): void => {
      for (let i = 10; i < 20; i++) map.elementLookup(u32(i), 0, 0);
      for (let i = 30; i < 40; i++) map.lookup(u32(i));
    };
    const before = [...keysOf(map)].filter((key) => key >= 10 && key < 20);
    for (let i = 51; i < 90; i++) {
      useAll();
      put(map, i);
    }
    const after = keysOf(map);
    for (const key of before) t.true(after.has(key), `key ${key} was in use all the time`);
    t.false(
      [30, 31, 32].some((key) => after.has(key)),
      'reading from outside is no use',
    );
  });
}

test('values that a program holds stay as they are when the key is updated', (t) => {
  using vm = createVm();
  const map = make(vm, BPF_MAP_TYPE.LRU_HASH, 10);
  map.update(u32(1), u64(1n));
  const held = map.elementLookup(u32(1), 0, 0);
  map.update(u32(1), u64(2n));
  t.is(vm.memory.view.getBigUint64(held, true), 1n);
  t.deepEqual(map.lookup(u32(1)), u64(2n));
});
