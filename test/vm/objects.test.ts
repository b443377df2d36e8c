import test from 'ava';
import { resolveType } from '../../src/btf/graph.ts';
import { BTF_KIND } from '../../src/btf/types.ts';
import { builtinBtf, createVm } from '../../src/vm/index.ts';
import { outcome } from './bench.ts';

test('members of every kind are written by the types and read back', (t) => {
  using vm = createVm();
  const parent = vm.kernel.create('task_struct', { pid: 1, comm: 'init' });
  const mm = vm.kernel.create('mm_struct', { task_size: 0x7fff_ffff_f000n, map_count: -1 });
  const task = vm.kernel.create('task_struct', {
    pid: 42,
    tgid: 40n,
    comm: 'worker',
    real_parent: parent,
    mm,
    in_iowait: 1,
    sched_reset_on_fork: true,
    se: { vruntime: 77, load: { weight: 1024 } },
    'thread_info.cpu': 3,
    flags: 0xffff_ffff,
    prio: -5,
    files: null,
  });
  t.is(task.get('pid'), 42n);
  t.is(task.get('comm'), 'worker');
  t.is(task.get('real_parent'), parent.address);
  t.is(task.get('mm'), mm.address);
  t.deepEqual(
    ['in_iowait', 'sched_reset_on_fork', 'in_execve', 'sched_migrated'].map((name) =>
      task.get(name),
    ),
    [1n, 1n, 0n, 0n],
  );
  t.deepEqual([task.get('se.load.weight'), task.get('se.vruntime')], [1024n, 77n]);
  t.deepEqual(
    [task.get('thread_info.cpu'), task.get('prio'), task.get('flags')],
    [3n, -5n, 0xffff_ffffn],
  );
  t.is(mm.get('map_count'), -1n);
  t.true((task.get() as ReadonlyMap<string, unknown>).has('comm'));
});

test('arrays, nameless members, texts behind pointers', (t) => {
  using vm = createVm();
  const signal = vm.kernel.create('signal_struct', {
    pids: [null, 5n],
    'rlim[3].rlim_cur': 8192,
  });
  t.is(signal.get('pids[1]'), 5n);
  t.is(signal.get('rlim[3].rlim_cur'), 8192n);
  const name = vm.kernel.create('dentry', { d_name: { name: 'file.txt', len: 8 } });
  t.is(name.get('d_name.len'), 8n);
  const at = Number((name.get('d_name.name') as bigint) & 0xffff_ffffn);
  t.is(new TextDecoder().decode(vm.memory.bytes.slice(at, at + 8)), 'file.txt');
  const sock = vm.kernel.create('sock', {
    '__sk_common.skc_daddr': 0x0100007f,
    '__sk_common.skc_num': 80,
  });
  t.is(sock.get('__sk_common.skc_portpair'), BigInt(80) << 16n);
  const map = vm.kernel.create('bpf_map', { map_type: 'BPF_MAP_TYPE_RINGBUF' });
  t.is(map.get('map_type'), 'BPF_MAP_TYPE_RINGBUF');
});

test('what does not fit the types is an error, and nothing stays allocated', (t) => {
  using vm = createVm();
  const before = vm.stats().inUse;
  const rows = [
    ['no_such_struct', {}],
    ['task_struct', { no_such_member: 1 }],
    ['task_struct', { pid: 2 ** 40 }],
    ['task_struct', { pid: 1.5 }],
    ['task_struct', { pid: 'x' }],
    ['task_struct', { in_iowait: 2 }],
    ['task_struct', { comm: 'x'.repeat(17) }],
    ['task_struct', { comm: 5 }],
    ['task_struct', { se: 5 }],
    ['task_struct', { se: { nothing: 1 } }],
    ['task_struct', { 'comm[16]': 1 }],
    ['task_struct', { 'comm..': 1 }],
    ['task_struct', { mm: {} }],
    ['signal_struct', { pids: [0, 0, 0, 0, 0] }],
    ['bpf_map', { map_type: 'BPF_MAP_TYPE_NONE' }],
  ] as const;
  for (const [type, members] of rows) {
    t.is(
      outcome(() => vm.kernel.create(type, members)),
      'vm-object',
      JSON.stringify(members),
    );
  }
  t.is(vm.stats().inUse, before);
});

test('objects give their memory and their texts back', (t) => {
  using vm = createVm();
  const before = vm.stats().inUse;
  const object = vm.kernel.create('dentry', { d_name: { name: 'a' } });
  object.free();
  object.free();
  t.is(vm.stats().inUse, before);
});

test('the built-in types have what programs commonly read', (t) => {
  const btf = builtinBtf();
  const has = (type: string, members: readonly string[]) => {
    const id = btf.find(type, BTF_KIND.STRUCT);
    if (id === undefined) return false;
    const found = btf.type(resolveType(btf, id));
    return (
      found.kind === 'struct' && members.every((name) => found.members.some((m) => m.name === name))
    );
  };
  t.true(
    has('task_struct', [
      'pid',
      'tgid',
      'comm',
      'real_parent',
      'parent',
      '__state',
      'mm',
      'files',
      'cred',
      'nsproxy',
    ]),
  );
  t.true(has('sk_buff', ['len', 'data', 'protocol', 'dev']));
  t.true(has('trace_event_raw_sys_enter', ['ent', 'id', 'args']));
  t.true(has('bpf_map', ['id', 'max_entries', 'key_size']));
  t.is(btf.find('page_size_enum', BTF_KIND.ENUM) !== undefined, true);
  t.is(btf.find('tsbpf_kernel_types', BTF_KIND.VAR), undefined);
});
