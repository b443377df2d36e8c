import test from 'ava';
import { BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { MemoryFault } from '../../../src/vm/machine.ts';
import { addressOf, HelperBench, loadCode, specOf, u32, u64 } from '../bench.ts';
import { exit, movImm } from '../engine/assemble.ts';

test('time stands still until it is moved', (t) => {
  using bench = new HelperBench({
    clock: { monotonic: 10_000_001n, suspended: 5n, realtime: 100n },
  });
  t.is(bench.call('ktime_get_ns'), 10_000_001n);
  t.is(bench.call('ktime_get_boot_ns'), 10_000_006n);
  t.is(bench.call('ktime_get_coarse_ns'), 8_000_000n);
  t.is(bench.call('ktime_get_tai_ns'), 37_000_000_100n);
  bench.vm.clock.advance(9);
  t.is(bench.call('ktime_get_ns'), 10_000_010n);
  t.throws(() => bench.vm.clock.advance(-1), { instanceOf: RangeError });
});

test('random numbers are those of the seed', (t) => {
  const numbers = (seed: number) => {
    using bench = new HelperBench({ seed });
    return Array.from({ length: 5 }, () => bench.call('get_prandom_u32'));
  };
  t.deepEqual(numbers(1), numbers(1));
  t.notDeepEqual(numbers(1), numbers(2));
  t.true(numbers(3).every((n) => n >= 0n && n < 1n << 32n));
  t.is(new Set(numbers(4)).size, 5);
});

test('the current task', (t) => {
  using bench = new HelperBench({
    task: { pid: 43, tgid: 42, uid: 1000, gid: 100, comm: 'worker', cgroupId: 99n },
  });
  t.is(bench.call('get_current_pid_tgid'), (42n << 32n) | 43n);
  t.is(bench.call('get_current_uid_gid'), (100n << 32n) | 1000n);
  t.is(bench.call('get_current_cgroup_id'), 99n);
  const to = bench.place(new Uint8Array(16).fill(1));
  t.is(bench.call('get_current_comm', to, 16), 0n);
  t.deepEqual(bench.text(to), 'worker');
  t.is(bench.call('get_current_comm', to, 4), 0n);
  t.deepEqual(bench.text(to), 'wor');
  const task = bench.vm.task.object;
  t.is(bench.call('get_current_task'), BigInt.asIntN(64, task?.address ?? 0n));
  t.is(bench.call('get_current_task_btf'), bench.call('get_current_task'));
  t.deepEqual([task?.get('pid'), task?.get('tgid'), task?.get('comm')], [43n, 42n, 'worker']);
  bench.vm.setTask({ pid: 7 });
  t.is(bench.call('get_current_pid_tgid'), (7n << 32n) | 7n);
});

test('CPU and NUMA node', (t) => {
  using bench = new HelperBench();
  t.is(bench.call('get_smp_processor_id'), 0n);
  t.is(bench.call('get_numa_node_id'), 0n);
});

test('map helpers take pointers and give pointers or errno', (t) => {
  using bench = new HelperBench();
  const { vm } = bench;
  const map = vm.createMap(specOf(), { btf: undefined });
  const pointer = addressOf(map.header);
  const key = bench.place(u32(5));
  const value = bench.place(u64(77n));
  t.is(bench.call('map_lookup_elem', pointer, key), 0n);
  t.is(bench.call('map_update_elem', pointer, key, value, 2), -2n);
  t.is(bench.call('map_update_elem', pointer, key, value, 0), 0n);
  t.is(bench.call('map_update_elem', pointer, key, value, 1n << 33n), -22n);
  const found = BigInt.asUintN(64, bench.call('map_lookup_elem', pointer, key));
  t.deepEqual(bench.read(found, 8), u64(77n));
  t.is(bench.call('map_delete_elem', pointer, key), 0n);
  t.is(bench.call('map_delete_elem', pointer, key), -2n);
  t.throws(() => bench.call('map_lookup_elem', pointer + 8n, key), { instanceOf: MemoryFault });
  t.throws(() => bench.call('map_lookup_percpu_elem', pointer, key, 0), {
    instanceOf: MemoryFault,
  });
});

test('per-CPU values of another CPU', (t) => {
  using bench = new HelperBench({ cpuCount: 2 });
  const map = bench.vm.createMap(specOf({ type: BPF_MAP_TYPE.PERCPU_HASH }), { btf: undefined });
  map.update(u32(1), u64(10n, 20n));
  const key = bench.place(u32(1));
  const at = (cpu: number) => bench.call('map_lookup_percpu_elem', addressOf(map.header), key, cpu);
  t.deepEqual(bench.read(at(1), 8), u64(20n));
  t.is(at(2), 0n);
});

test('programs may not do with maps what the verifier forbids', (t) => {
  using bench = new HelperBench();
  const key = bench.place(u32(0));
  const value = bench.place(u64(0n));
  const inner = bench.vm.createMap(specOf(), { btf: undefined });
  for (const type of [
    BPF_MAP_TYPE.PROG_ARRAY,
    BPF_MAP_TYPE.ARRAY_OF_MAPS,
    BPF_MAP_TYPE.HASH_OF_MAPS,
  ]) {
    const map = bench.vm.createMap(specOf({ type, valueSize: 4 }), { btf: undefined, inner });
    const pointer = addressOf(map.header);
    t.throws(() => bench.call('map_update_elem', pointer, key, value, 0), {
      instanceOf: MemoryFault,
    });
    t.throws(() => bench.call('map_delete_elem', pointer, key), { instanceOf: MemoryFault });
  }
});

test('spin locks notice deadlocks', (t) => {
  using bench = new HelperBench();
  const lock = bench.place(u32(0));
  t.is(bench.call('spin_lock', lock), 0n);
  t.throws(() => bench.call('spin_lock', lock), { message: /deadlock/ });
  t.is(bench.call('spin_unlock', lock), 0n);
  t.throws(() => bench.call('spin_unlock', lock), { message: /not held/ });
});

test('tail calls: to a program, to nothing, beyond the array', (t) => {
  using bench = new HelperBench();
  const { vm } = bench;
  const map = vm.createMap(specOf({ type: BPF_MAP_TYPE.PROG_ARRAY, valueSize: 4 }), {
    btf: undefined,
  });
  const program = loadCode(vm, [movImm(0, 1), exit()]);
  map.setProgram(u32(1), program);
  const pointer = addressOf(map.header);
  t.is(bench.call('tail_call', 0, pointer, 0), -2n);
  t.is(bench.call('tail_call', 0, pointer, 4), -7n);
  t.is(bench.tailCalled, undefined);
  bench.call('tail_call', 0, pointer, 1);
  t.is(bench.tailCalled, program.lowered);
});

test('ring buffer helpers', (t) => {
  using bench = new HelperBench();
  const spec = specOf({ type: BPF_MAP_TYPE.RINGBUF, keySize: 0, valueSize: 0, maxEntries: 4096 });
  const map = bench.vm.createMap(spec, { btf: undefined });
  const ring = addressOf(map.header);
  const data = bench.place(u64(1n, 2n));
  t.is(bench.call('ringbuf_output', ring, data, 16, 0), 0n);
  t.is(bench.call('ringbuf_output', ring, data, 16, 4), -22n);
  t.is(bench.call('ringbuf_reserve', ring, 4088, 0), 0n);
  t.is(bench.call('ringbuf_reserve', ring, 8, 1), 0n);
  const sample = BigInt.asUintN(64, bench.call('ringbuf_reserve', ring, 8, 0));
  t.is(bench.call('ringbuf_query', ring, 0), 40n);
  t.is(bench.call('ringbuf_submit', sample, 0), 0n);
  t.throws(() => bench.call('ringbuf_submit', sample, 0), { message: /not a reserved sample/ });
  t.throws(() => bench.call('ringbuf_discard', data, 0), { message: /not a reserved sample/ });
  const samples: Uint8Array[] = [];
  t.is(
    map.consume((each) => samples.push(each)),
    2,
  );
  t.deepEqual(samples, [u64(1n, 2n), new Uint8Array(8)]);
});
