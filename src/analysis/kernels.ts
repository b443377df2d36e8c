import { BPF_ATTACH_TYPE, BPF_FUNC, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import { essentialName } from '../btf/graph.ts';
import type { InstructionGroup, ObjectFeature, Requirement } from './requirements.ts';

/** Version of a kernel: `6.12` is `[6, 12]`. */
export type KernelVersion = readonly [major: number, minor: number];

type Table = ReadonlyMap<number, KernelVersion>;

/** `3.19: 1 2 3-5` in lines, as a table by number. */
function table(text: string): Table {
  const found = new Map<number, KernelVersion>();
  for (const line of text.trim().split('\n')) {
    const [version = '', ids = ''] = line.split(':');
    const [major = 0, minor = 0] = version.trim().split('.').map(Number);
    for (const range of ids.trim().split(' ')) {
      const [first = 0, last = first] = range.split('-').map(Number);
      for (let id = first; id <= last; id++) found.set(id, [major, minor]);
    }
  }
  return found;
}

/** Helpers by `BPF_FUNC_*`: the release that brought each, from the kernel's history. */
export const helperVersions: Table = table(`
  3.19: 1-3
  4.1: 4-11
  4.2: 12-16
  4.3: 17-22
  4.4: 23-25
  4.5: 26
  4.6: 27-30
  4.8: 31-36
  4.9: 37-41
  4.10: 42-44
  4.11: 45
  4.12: 46 47
  4.13: 48-50
  4.14: 51-53
  4.15: 54-57
  4.16: 58 59
  4.17: 60-64
  4.18: 65-80
  4.19: 81-83
  4.20: 84-90
  5.0: 91 92
  5.1: 93-98
  5.2: 99-108
  5.3: 109
  5.4: 110
  5.5: 111-115
  5.6: 116-118
  5.7: 119-124
  5.8: 125-135
  5.9: 136-141
  5.10: 142-155
  5.11: 156-162
  5.12: 163
  5.13: 164 165
  5.14: 166-168
  5.15: 169-175
  5.16: 176-179
  5.17: 180-185
  5.18: 186-193
  5.19: 194-203
  6.0: 204-207
  6.1: 208 209
  6.2: 210 211
`);

/** Program types. */
export const programTypeVersions: Table = table(`
  3.19: ${BPF_PROG_TYPE.SOCKET_FILTER}
  4.1: ${BPF_PROG_TYPE.KPROBE} ${BPF_PROG_TYPE.SCHED_CLS} ${BPF_PROG_TYPE.SCHED_ACT}
  4.7: ${BPF_PROG_TYPE.TRACEPOINT}
  4.8: ${BPF_PROG_TYPE.XDP}
  4.9: ${BPF_PROG_TYPE.PERF_EVENT}
  4.10: ${BPF_PROG_TYPE.CGROUP_SKB} ${BPF_PROG_TYPE.CGROUP_SOCK} ${BPF_PROG_TYPE.LWT_IN} ${BPF_PROG_TYPE.LWT_OUT} ${BPF_PROG_TYPE.LWT_XMIT}
  4.13: ${BPF_PROG_TYPE.SOCK_OPS}
  4.14: ${BPF_PROG_TYPE.SK_SKB}
  4.15: ${BPF_PROG_TYPE.CGROUP_DEVICE}
  4.17: ${BPF_PROG_TYPE.SK_MSG} ${BPF_PROG_TYPE.RAW_TRACEPOINT} ${BPF_PROG_TYPE.CGROUP_SOCK_ADDR}
  4.18: ${BPF_PROG_TYPE.LWT_SEG6LOCAL} ${BPF_PROG_TYPE.LIRC_MODE2}
  4.19: ${BPF_PROG_TYPE.SK_REUSEPORT}
  4.20: ${BPF_PROG_TYPE.FLOW_DISSECTOR}
  5.2: ${BPF_PROG_TYPE.CGROUP_SYSCTL} ${BPF_PROG_TYPE.RAW_TRACEPOINT_WRITABLE}
  5.3: ${BPF_PROG_TYPE.CGROUP_SOCKOPT}
  5.5: ${BPF_PROG_TYPE.TRACING}
  5.6: ${BPF_PROG_TYPE.STRUCT_OPS} ${BPF_PROG_TYPE.EXT}
  5.7: ${BPF_PROG_TYPE.LSM}
  5.9: ${BPF_PROG_TYPE.SK_LOOKUP}
  5.14: ${BPF_PROG_TYPE.SYSCALL}
  6.4: ${BPF_PROG_TYPE.NETFILTER}
`);

/** Attach types; those before 5.5 came with their program types, or are listed with them. */
export const attachTypeVersions: Table = table(`
  4.10: 0-2
  4.13: 3
  4.14: 4 5
  4.15: 6
  4.17: 7-13
  4.18: 14-16
  4.20: 17
  5.2: 18-20
  5.3: 21 22
  5.5: 23-25
  5.7: 26 27
  5.8: 28-33
  5.9: 34-37
  5.13: ${BPF_ATTACH_TYPE.SK_SKB_VERDICT}
  5.14: 39 40
  5.15: ${BPF_ATTACH_TYPE.PERF_EVENT}
  5.18: ${BPF_ATTACH_TYPE.TRACE_KPROBE_MULTI}
  6.0: ${BPF_ATTACH_TYPE.LSM_CGROUP}
  6.4: 44 45
  6.6: 46-48
  6.7: 49-55
  6.10: ${BPF_ATTACH_TYPE.TRACE_KPROBE_SESSION}
  6.13: ${BPF_ATTACH_TYPE.TRACE_UPROBE_SESSION}
  7.0: 58
  7.2: 59-61
`);

/** Map types. */
export const mapTypeVersions: Table = table(`
  3.19: ${BPF_MAP_TYPE.HASH} ${BPF_MAP_TYPE.ARRAY}
  4.2: ${BPF_MAP_TYPE.PROG_ARRAY}
  4.3: ${BPF_MAP_TYPE.PERF_EVENT_ARRAY}
  4.6: ${BPF_MAP_TYPE.PERCPU_HASH} ${BPF_MAP_TYPE.PERCPU_ARRAY} ${BPF_MAP_TYPE.STACK_TRACE}
  4.8: ${BPF_MAP_TYPE.CGROUP_ARRAY}
  4.10: ${BPF_MAP_TYPE.LRU_HASH} ${BPF_MAP_TYPE.LRU_PERCPU_HASH}
  4.11: ${BPF_MAP_TYPE.LPM_TRIE}
  4.12: ${BPF_MAP_TYPE.ARRAY_OF_MAPS} ${BPF_MAP_TYPE.HASH_OF_MAPS}
  4.14: ${BPF_MAP_TYPE.DEVMAP} ${BPF_MAP_TYPE.SOCKMAP}
  4.15: ${BPF_MAP_TYPE.CPUMAP}
  4.18: ${BPF_MAP_TYPE.XSKMAP} ${BPF_MAP_TYPE.SOCKHASH}
  4.19: ${BPF_MAP_TYPE.CGROUP_STORAGE} ${BPF_MAP_TYPE.REUSEPORT_SOCKARRAY}
  4.20: ${BPF_MAP_TYPE.PERCPU_CGROUP_STORAGE} ${BPF_MAP_TYPE.QUEUE} ${BPF_MAP_TYPE.STACK}
  5.2: ${BPF_MAP_TYPE.SK_STORAGE}
  5.4: ${BPF_MAP_TYPE.DEVMAP_HASH}
  5.6: ${BPF_MAP_TYPE.STRUCT_OPS}
  5.8: ${BPF_MAP_TYPE.RINGBUF}
  5.10: ${BPF_MAP_TYPE.INODE_STORAGE}
  5.11: ${BPF_MAP_TYPE.TASK_STORAGE}
  5.16: ${BPF_MAP_TYPE.BLOOM_FILTER}
  6.1: ${BPF_MAP_TYPE.USER_RINGBUF}
  6.2: ${BPF_MAP_TYPE.CGRP_STORAGE}
  6.9: ${BPF_MAP_TYPE.ARENA}
  6.19: ${BPF_MAP_TYPE.INSN_ARRAY}
  7.2: ${BPF_MAP_TYPE.RHASH}
`);

/** Flags of maps by the number of their bit: `BPF_F_NO_PREALLOC` is 0. */
export const mapFlagVersions: Table = table(`
  4.6: 0
  4.10: 1
  4.14: 2
  4.15: 3 4
  4.17: 5
  5.0: 6
  5.2: 7 8
  5.4: 9
  5.5: 10
  5.10: 11 12
  6.4: 13
  6.5: 14
  6.9: 15-18
  6.19: 19
`);

/** Instructions. */
export const instructionVersions: Readonly<Record<InstructionGroup, KernelVersion>> = {
  'jump-less': [4, 14],
  alu32: [5, 1],
  'fetching-atomics': [5, 12],
  v4: [6, 6],
  'may-goto': [6, 9],
  'address-space-cast': [6, 9],
  'load-acquire': [6, 15],
  'indirect-jump': [6, 19],
};

/** Abilities that the loader needs. */
export const featureVersions: Readonly<Record<ObjectFeature, KernelVersion>> = {
  btf: [4, 18],
  'global-data': [5, 2],
  'bpf-to-bpf-calls': [4, 16],
  'global-functions': [5, 6],
  callbacks: [5, 13],
  'bounded-loops': [5, 3],
  kfuncs: [5, 13],
  'module-kfuncs': [5, 16],
  'typed-ksyms': [5, 10],
  'struct-ops': [5, 6],
  arena: [6, 9],
  exceptions: [6, 7],
  sleepable: [5, 10],
};

/**
 * Kernel functions that programs often call; the release that brought each. Others are not
 * known: only a kernel's own types say whether it has them.
 */
export const kfuncVersions: ReadonlyMap<string, KernelVersion> = new Map(
  Object.entries({
    '6.1': 'bpf_lookup_user_key bpf_lookup_system_key bpf_key_put bpf_verify_pkcs7_signature',
    '6.2':
      'bpf_obj_new_impl bpf_obj_drop_impl bpf_list_pop_front bpf_list_pop_back ' +
      'bpf_rcu_read_lock bpf_rcu_read_unlock bpf_task_acquire bpf_task_release bpf_task_from_pid bpf_cgroup_acquire ' +
      'bpf_cgroup_release bpf_cast_to_kern_ctx bpf_rdonly_cast',
    '6.3': 'bpf_rbtree_first bpf_rbtree_remove bpf_cpumask_create',
    '6.4':
      'bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy bpf_dynptr_from_skb ' +
      'bpf_dynptr_from_xdp bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_refcount_acquire_impl ' +
      'bpf_list_push_front_impl bpf_list_push_back_impl bpf_rbtree_add_impl',
    '6.5': 'bpf_dynptr_adjust bpf_dynptr_size bpf_dynptr_clone',
    '6.7': 'bpf_throw bpf_iter_task_new bpf_iter_css_new bpf_percpu_obj_new_impl',
    '6.9': 'bpf_arena_alloc_pages bpf_arena_free_pages',
    '6.10': 'bpf_wq_init bpf_wq_start bpf_preempt_disable bpf_preempt_enable',
    '6.12': 'bpf_copy_from_user_str',
    '6.13': 'bpf_get_kmem_cache',
    '6.14': 'bpf_local_irq_save bpf_local_irq_restore',
    '6.15': 'bpf_res_spin_lock bpf_res_spin_unlock bpf_dynptr_copy',
  }).flatMap(([version, names]) => {
    const [major = 0, minor = 0] = version.split('.').map(Number);
    return names.split(' ').map((name) => [name, [major, minor]] as const);
  }),
);

/** On kernels without these, loaders put the helper in their place that reads from anywhere. */
const olderHelpers: ReadonlyMap<number, number> = new Map([
  [BPF_FUNC.probe_read_user, BPF_FUNC.probe_read],
  [BPF_FUNC.probe_read_kernel, BPF_FUNC.probe_read],
  [BPF_FUNC.probe_read_user_str, BPF_FUNC.probe_read_str],
  [BPF_FUNC.probe_read_kernel_str, BPF_FUNC.probe_read_str],
]);

/** The helper that does on any kernel, or the one itself. */
export function olderHelper(id: number): number {
  return olderHelpers.get(id) ?? id;
}

/** Below 0 where `a` is older than `b`. */
export function compareVersions(a: KernelVersion, b: KernelVersion): number {
  return a[0] - b[0] || a[1] - b[1];
}

/** The release that brought what is needed; undefined where the tables do not know. */
export function versionOf(need: Requirement): KernelVersion | undefined {
  switch (need.kind) {
    case 'program-type':
      return later(programTypeVersions.get(need.type), attachTypeOf(need));
    case 'map-type':
      return mapTypeVersions.get(need.type);
    case 'map-flag':
      return mapFlagVersions.get(Math.log2(need.flag));
    case 'helper':
      return helperVersions.get(olderHelper(need.id));
    case 'kfunc':
      return need.weak ? undefined : kfuncVersions.get(essentialName(need.name));
    case 'ksym':
      return undefined;
    case 'instructions':
      return instructionVersions[need.group];
    case 'feature':
      return featureVersions[need.feature];
  }
}

/** Most programs expect no attach type, which is 0, a type of its own for cgroups only. */
function attachTypeOf(need: Extract<Requirement, { kind: 'program-type' }>) {
  return need.attachType === 0 ? undefined : attachTypeVersions.get(need.attachType);
}

function later(
  a: KernelVersion | undefined,
  b: KernelVersion | undefined,
): KernelVersion | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareVersions(a, b) >= 0 ? a : b;
}

/** The oldest kernel that has everything, and what it is that older ones lack. */
export interface MinimumKernel {
  readonly version: KernelVersion;
  /** Those that came with this very version. */
  readonly because: readonly Requirement[];
  /** What no table knows the version of: kernel functions and symbols that are not weak. */
  readonly unknown: readonly Requirement[];
}

/** The oldest kernel that has all of what is needed; the first with BPF where nothing is. */
export function minimumKernel(needs: readonly Requirement[]): MinimumKernel {
  let version: KernelVersion = [3, 19];
  const known = needs.flatMap((need) => {
    const of = versionOf(need);
    return of === undefined ? [] : [[need, of] as const];
  });
  for (const [, of] of known) if (compareVersions(of, version) > 0) version = of;
  return {
    version,
    because: known.filter(([, of]) => compareVersions(of, version) === 0).map(([need]) => need),
    unknown: needs.filter(
      (need) => versionOf(need) === undefined && !('weak' in need && need.weak),
    ),
  };
}

/** `6.12` */
export function formatVersion([major, minor]: KernelVersion): string {
  return `${major}.${minor}`;
}
