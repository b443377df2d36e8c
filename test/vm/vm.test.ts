import test from 'ava';
import { BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import type { InsnIndex } from '../../src/asm/insns.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import type { MapIndex } from '../../src/object/spec.ts';
import { builtinBtf, createVm } from '../../src/vm/index.ts';
import { fixture } from '../support/fixtures.ts';
import { addressOf, loadCode, outcome, specOf, u32, u64 } from './bench.ts';
import {
  assemble,
  callHelper,
  exit,
  imageOf,
  load,
  movImm,
  movReg,
  storeImm,
  wide,
} from './engine/assemble.ts';

test('a map pointer leads to the kernel structure, laid out by the target types', (t) => {
  using vm = createVm();
  const map = vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY, maxEntries: 5 }), { btf: undefined });
  const code = assemble([...wide(1, 0n, 1), load(4, 0, 1, 16), exit()]);
  const image = imageOf(code, {
    slots: [{ kind: 'map', insn: 0 as InsnIndex, map: 0 as MapIndex }],
  });
  const program = vm.loadProgram(image, [map]);
  t.is(program.testRun({ data: new Uint8Array(64) }).returnValue, 5);
});

test('values of one-element arrays are addressed directly, others are refused', (t) => {
  using vm = createVm();
  const image = (offset: number) =>
    imageOf(assemble([...wide(1, BigInt(offset) << 32n, 2), load(4, 0, 1, 0), exit()]), {
      slots: [{ kind: 'map-value', insn: 0 as InsnIndex, map: 0 as MapIndex, offset }],
    });
  const make = (more: Parameters<typeof specOf>[0]) =>
    vm.createMap(specOf(more), { btf: undefined });
  const map = make({ type: BPF_MAP_TYPE.ARRAY, maxEntries: 1 });
  map.update(u32(0), u64(0x11_0000_0022n));
  t.is(vm.loadProgram(image(0), [map]).testRun({ data: new Uint8Array(64) }).returnValue, 0x22);
  t.is(vm.loadProgram(image(4), [map]).testRun({ data: new Uint8Array(64) }).returnValue, 0x11);
  const before = vm.stats().inUse;
  t.is(
    outcome(() => vm.loadProgram(image(8), [map])),
    'EINVAL',
  );
  t.is(
    outcome(() => vm.loadProgram(image(0), [make({ type: BPF_MAP_TYPE.ARRAY })])),
    'ENOTSUPP',
  );
  t.is(
    outcome(() => vm.loadProgram(image(0), [make({})])),
    'EINVAL',
  );
  t.true(vm.stats().inUse > before, 'the maps themselves are still open');
});

test('a map lives as long as a program uses it', (t) => {
  using vm = createVm();
  const before = vm.stats().inUse;
  const map = vm.createMap(specOf(), { btf: undefined });
  const image = imageOf(assemble([...wide(1, 0n, 1), movImm(0, 0), exit()]), {
    slots: [{ kind: 'map', insn: 0 as InsnIndex, map: 0 as MapIndex }],
  });
  const program = vm.loadProgram(image, [map]);
  map.close();
  t.is(vm.mapAt(map.header), map);
  t.is(
    outcome(() => vm.loadProgram(image, [map])),
    'closed',
  );
  program.close();
  t.is(vm.mapAt(map.header), undefined);
  t.is(vm.stats().inUse, before);
});

test('a load that fails leaves nothing behind', (t) => {
  using vm = createVm();
  const before = vm.stats();
  const prog = vm.createMap(specOf({ type: BPF_MAP_TYPE.PROG_ARRAY, valueSize: 4 }), {
    btf: undefined,
  });
  prog.setProgram(u32(0), loadCode(vm, [movImm(0, 0), exit()]));
  const image = imageOf(assemble([...wide(2, 0n, 1), movImm(0, 0), exit()]), {
    type: BPF_PROG_TYPE.KPROBE,
    slots: [{ kind: 'map', insn: 0 as InsnIndex, map: 0 as MapIndex }],
  });
  t.is(
    outcome(() => vm.loadProgram(image, [prog])),
    'EINVAL',
  );
  t.is(outcome(() => loadCode(vm, [callHelper(9999), exit()])) === undefined, false);
  prog.close();
  t.is(vm.stats().inUse, before.inUse);
});

test('closing the VM closes everything, and everything says so', (t) => {
  const vm = createVm();
  const map = vm.createMap(specOf(), { btf: undefined });
  const program = loadCode(vm, [movImm(0, 0), exit()]);
  vm.close();
  vm.close();
  t.is(
    outcome(() => map.lookup(u32(0))),
    'closed',
  );
  t.is(
    outcome(() => program.testRun({ data: new Uint8Array(64) })),
    'closed',
  );
  t.is(
    outcome(() => vm.createMap(specOf(), { btf: undefined })),
    'closed',
  );
  t.true([...vm.stats().byLabel.keys()].every((label) => label.includes('of CPU')));
});

test('a read-only map faults on stores and not on loads', (t) => {
  using vm = createVm();
  const map = vm.createMap(specOf({ type: BPF_MAP_TYPE.ARRAY, maxEntries: 1, flags: 128 }), {
    btf: undefined,
  });
  map.update(u32(0), u64(9n));
  const at = addressOf(map.elementLookup(u32(0), 0, 0));
  const data = new Uint8Array(64);
  t.is(loadCode(vm, [...wide(1, at), load(8, 0, 1, 0), exit()]).testRun({ data }).returnValue, 9);
  const store = loadCode(vm, [...wide(1, at), storeImm(8, 1, 1, 0), exit()]);
  t.throws(() => store.testRun({ data }), { message: /read-only/ });
});

test('wild pointers trap, BTF pointers read as zero', (t) => {
  using vm = createVm();
  const code = [...wide(1, 0x1234n), load(8, 0, 1, 0), exit()];
  t.is(
    outcome(() => loadCode(vm, code).testRun({ data: new Uint8Array(64) })),
    'vm-trap',
  );
  const traced = loadCode(vm, code, { type: BPF_PROG_TYPE.TRACING, attachType: 23 });
  t.is(traced.testRun().returnValue, 0);
  const asking = loadCode(vm, [callHelper(158), ...code], { type: BPF_PROG_TYPE.KPROBE });
  t.is(asking.testRun().returnValue, 0);
});

test('programs run on the CPU that they are told to', (t) => {
  using vm = createVm({ cpuCount: 3 });
  const program = loadCode(vm, [callHelper(8), exit()]);
  t.deepEqual(
    [0, 1, 2].map((cpu) => program.testRun({ data: new Uint8Array(64), cpu }).returnValue),
    [0, 1, 2],
  );
  t.throws(() => createVm({ cpuCount: 0 }), { instanceOf: RangeError });
});

test('arguments of a BTF tracepoint may be objects', (t) => {
  using vm = createVm();
  const task = vm.kernel.create('task_struct', { pid: 77 });
  const pid = task.get('pid');
  const offset = Number(builtinOffset('pid'));
  const code = [load(8, 1, 1, 0), load(4, 0, 1, offset), exit()];
  const program = loadCode(vm, code, { type: BPF_PROG_TYPE.TRACING, attachType: 23 });
  t.is(BigInt(program.testRun({ args: [task, 0n] }).returnValue), pid as bigint);
  t.is(program.testRun({ args: [null] }).returnValue, 0);
});

function builtinOffset(member: string): number {
  const btf = builtinBtf();
  const id = btf.find('task_struct');
  const type = id === undefined ? undefined : btf.type(id);
  if (type?.kind !== 'struct') throw new Error('no task_struct');
  return (type.members.find((each) => each.name === member)?.bitOffset ?? 0) / 8;
}

test('a compiled program walks tasks by CO-RE', (t) => {
  using vm = createVm();
  const before = vm.stats().inUse;
  const net = vm.kernel.create('net', { ns: { inum: 4026 } });
  const parent = vm.kernel.create('task_struct', { pid: 1, tgid: 1, comm: 'init' });
  const task = vm.kernel.create('task_struct', {
    pid: 43,
    tgid: 42,
    comm: 'walker',
    real_parent: parent,
    group_leader: parent,
    sched_reset_on_fork: 1,
    nsproxy: vm.kernel.create('nsproxy', { net_ns: net }),
  });
  const object = loadObject(openObject(fixture('v3/task_walk'), { name: 'task_walk' }), {
    backend: vm,
  });
  object.program('walk_btf').testRun({ context: u64(task.address, 0n) });
  const seen = object.map('task').lookup(u32(0)) ?? new Uint8Array(0);
  // pid, tgid, the parent's tgid, the leader's pid; then comm.
  t.deepEqual(
    [0, 4, 8, 12].map((at) => new DataView(seen.buffer).getInt32(at, true)),
    [43, 42, 1, 1],
  );
  t.is(new TextDecoder().decode(seen.subarray(32, 38)), 'walker');
  object.close();
  for (const label of vm.stats().byLabel.keys()) t.true(/of CPU|kernel/.test(label), label);
  t.true(vm.stats().inUse > before);
});

test('two VMs with the same options give the same results', (t) => {
  const once = () => {
    using vm = createVm({ seed: 7 });
    const code = [
      callHelper(7),
      movReg(6, 0),
      callHelper(5),
      { code: 0xaf, dst: 0, src: 6 },
      exit(),
    ];
    return loadCode(vm, code).testRun({ data: new Uint8Array(64) }).returnValue;
  };
  t.is(once(), once());
});
