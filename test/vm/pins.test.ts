import test from 'ava';
import { BPF_F_LINK, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { BpfError } from '../../src/errors.ts';
import { loadObject } from '../../src/loader/load.ts';
import type { MapSpec } from '../../src/object/spec.ts';
import { VmHost } from '../../src/vm/host.ts';
import { createVm } from '../../src/vm/index.ts';
import { exit, makeMap, makeProgram, makeSpec } from '../relocs/specs.ts';

const key = new Uint8Array(4);
const none = { btf: undefined };

const pinned = makeMap('counts', { pinning: 'by-name' });

function specOf(...maps: readonly MapSpec[]) {
  return { ...makeSpec([], { maps }), programs: [] };
}

test('objects of one VM share a pinned map, also one after the other', (t) => {
  using vm = createVm();
  const first = loadObject(specOf(pinned), { backend: vm });
  first.map('counts').update(key, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  using second = loadObject(specOf(pinned), { backend: vm });
  t.is(second.map('counts').lookup(key)?.[0], 1);
  first.close();
  t.is(second.map('counts').lookup(key)?.[1], 2);
  second.close();
  using third = loadObject(specOf(pinned), { backend: vm });
  t.is(third.map('counts').lookup(key)?.[2], 3);
  t.throws(() => first.map('counts'), { message: 'the object was closed' });
});

test('other folders and other VMs have maps of their own', (t) => {
  using vm = createVm();
  using other = createVm();
  using first = loadObject(specOf(pinned), { backend: vm });
  first.map('counts').update(key, new Uint8Array(8).fill(1));
  for (const options of [{ backend: other }, { backend: vm, pinRoot: '/elsewhere' }]) {
    using object = loadObject(specOf(pinned), options);
    t.is(object.map('counts').lookup(key)?.[0], 0);
  }
});

test('a map is freed with its last handle, program and pin', (t) => {
  using vm = createVm();
  const before = vm.stats().inUse;
  const map = vm.createMap(pinned, none);
  vm.pins.pin('/a', map);
  vm.pins.pin('/b', map);
  t.throws(() => vm.pins.pin('/a', map), { message: /EEXIST/ });
  map.close();
  map.close();
  t.throws(() => map.lookup(key), { message: "map 'counts' is closed" });
  const opened = vm.pins.open('/a')?.map;
  t.is(opened?.lookup(key)?.length, 8);
  t.is(vm.pins.open('/none'), undefined);
  vm.pins.unpin('/a');
  vm.pins.unpin('/b');
  vm.pins.unpin('/b');
  t.is(opened?.lookup(key)?.length, 8);
  opened?.close();
  t.is(vm.stats().inUse, before);
});

test('closing a VM frees what is pinned', (t) => {
  const vm = createVm();
  const map = vm.createMap(pinned, none);
  vm.pins.pin('/a', map);
  map.close();
  vm.close();
  t.is(vm.pins.open('/a'), undefined);
});

test('a map of another VM cannot be pinned', (t) => {
  using vm = createVm();
  using other = createVm();
  t.throws(() => vm.pins.pin('/a', other.createMap(pinned, none)), {
    instanceOf: BpfError,
  });
});

const ops = makeMap('ops', { type: BPF_MAP_TYPE.STRUCT_OPS, valueSize: 32 });

/** A struct_ops program that returns 7. */
function callback() {
  const rows = [[0xb7, 0, 0, 0, 7], exit] as const;
  const type = { type: BPF_PROG_TYPE.STRUCT_OPS, section: 'struct_ops' };
  return makeSpec([{ name: 'call', rows }], { programs: [makeProgram('call', 0, type)] });
}

test('a struct of callbacks holds its programs, which can be run', (t) => {
  using vm = createVm();
  const object = loadObject(callback(), { backend: vm });
  const program = object.program('call');
  const map = vm.createMap(ops, none);
  const value = new Uint8Array(32).fill(5, 8);
  map.setStructOps(value, [{ offset: 16, program }]);
  const stored = new DataView((map.lookup(key) as Uint8Array).buffer);
  t.is(stored.getUint32(4, true), 1, 'in use');
  t.is(stored.getUint8(8), 5);
  t.is(stored.getBigUint64(16, true), 1n, "the program's id");
  t.is(program.testRun().returnValue, 7);
  t.throws(() => map.setStructOps(value, []), { message: /EBUSY/ });
  t.throws(() => map.update(key, value), { instanceOf: BpfError });
  t.true(map.delete(key));
  t.throws(() => map.delete(key), { instanceOf: BpfError });
  object.close();
  t.not(vm.loadedProgram(1), undefined, 'the map keeps the program');
  map.close();
  t.is(vm.loadedProgram(1), undefined);
});

test('a linked struct is made ready and ends with its link', (t) => {
  using vm = createVm();
  using map = vm.createMap({ ...ops, flags: BPF_F_LINK }, none);
  map.setStructOps(new Uint8Array(32), []);
  t.is(map.lookup(key)?.[4], 3);
  t.throws(() => map.delete(key), { message: /EOPNOTSUPP/ });
});

for (const [title, more, message] of [
  ['two entries', { maxEntries: 2 }, /max_entries must be 1/],
  ['a long key', { keySize: 8 }, /key_size must be 4/],
  ['no value', { valueSize: 0 }, /value_size must not be 0/],
  ['a strange flag', { flags: 1 }, /only the flag BPF_F_LINK/],
] as const) {
  test(`a struct of callbacks with ${title} is refused`, (t) => {
    using vm = createVm();
    t.throws(() => vm.createMap({ ...ops, ...more }, none), { instanceOf: BpfError, message });
  });
}

test('other maps are no structs of callbacks and no arenas', (t) => {
  using vm = createVm();
  using map = vm.createMap(pinned, none);
  t.throws(() => map.setStructOps(new Uint8Array(8), []), { instanceOf: BpfError });
  t.throws(() => map.write(0, new Uint8Array(1)), { instanceOf: BpfError });
});

test('the host of a VM says what it was told', (t) => {
  t.is(new VmHost().kernelVersion(), 0x061200);
  t.is(new VmHost({ kernelVersion: '5.4.300' }).kernelVersion(), 0x0504ff);
  t.throws(() => new VmHost({ kernelVersion: 'new' }), { instanceOf: RangeError });
  t.true(new VmHost().has('cookie'));
  t.false(new VmHost({ lacks: ['cookie'] }).has('cookie'));
  t.is(new VmHost().kconfig(), undefined);
  t.is(new VmHost({ symbols: new Map() }).symbols(new Set(['__proto__'])).size, 0);
});
