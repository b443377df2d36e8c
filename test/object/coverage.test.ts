// Every name that an object can use occurs in a committed fixture: section names, map types
// and flags, members of map definitions, tags, kinds of types, externs and relocations,
// bindings, instruction sets. The lists stand here as data, apart from the tables of the
// library, so that a row missing there shows, too.
import test from 'ava';
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import { openObject } from '../../src/object/open.ts';
import { matchSection } from '../../src/object/section-rules.ts';
import { CORE_RELO, type MapSpec, type ObjectSpec } from '../../src/object/spec.ts';
import { fixture, fixtureEntries, fixturePaths } from '../support/fixtures.ts';

const objects = fixturePaths()
  .filter((path) => path.startsWith('v3/') || path === 'v4/jump_tables')
  .map((path) => openObject(fixture(path), { name: path }));

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/u);
}

/** What of a list does not occur. */
function missing(wanted: readonly string[], found: Iterable<string>): readonly string[] {
  const have = new Set(found);
  return wanted.filter((name) => !have.has(name));
}

/** libbpf's section names in its order; `+` stands for the name alone or with a target. */
const sectionNames = words(`
  socket sk_reuseport/migrate sk_reuseport kprobe+ uprobe+ uprobe.s+ kretprobe+ uretprobe+
  uretprobe.s+ kprobe.multi+ kretprobe.multi+ kprobe.session+ uprobe.multi+ uretprobe.multi+
  uprobe.session+ uprobe.multi.s+ uretprobe.multi.s+ uprobe.session.s+ ksyscall+
  kretsyscall+ usdt+ usdt.s+ tc/ingress tc/egress tcx/ingress tcx/egress tc classifier
  action netkit/primary netkit/peer tracepoint+ tp+ tracepoint.s+ tp.s+ raw_tracepoint+
  raw_tp+ raw_tracepoint.s+ raw_tp.s+ raw_tracepoint.w+ raw_tp.w+ tp_btf+ tp_btf.s+ fentry+
  fmod_ret+ fexit+ fentry.s+ fmod_ret.s+ fexit.s+ fsession+ fsession.s+ fsession.multi+
  fsession.multi.s+ fentry.multi+ fexit.multi+ fentry.multi.s+ fexit.multi.s+ freplace+ lsm+
  lsm.s+ lsm_cgroup+ iter+ iter.s+ syscall xdp.frags/devmap xdp/devmap xdp.frags/cpumap
  xdp/cpumap xdp.frags xdp perf_event lwt_in lwt_out lwt_xmit lwt_seg6local sockops
  sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb sk_msg lirc_mode2
  flow_dissector cgroup_skb/ingress cgroup_skb/egress cgroup/skb cgroup/sock_create
  cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6 cgroup/bind4
  cgroup/bind6 cgroup/connect4 cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4
  cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 cgroup/recvmsg6 cgroup/recvmsg_unix
  cgroup/getpeername4 cgroup/getpeername6 cgroup/getpeername_unix cgroup/getsockname4
  cgroup/getsockname6 cgroup/getsockname_unix cgroup/sysctl cgroup/getsockopt
  cgroup/setsockopt cgroup/dev struct_ops+ struct_ops.s+ sk_lookup netfilter
`);

test('section names: each has a program, those with a plus one with a target', (t) => {
  t.is(sectionNames.length, 116);
  const programs = objects.flatMap((object) => object.programs);
  const found = programs.flatMap(({ section, attachTarget }) => {
    const rule = matchSection(section)?.rule;
    if (rule === undefined) return [];
    if (rule.match === 'exact') return [rule.name];
    return attachTarget === undefined ? [] : [`${rule.name}+`];
  });
  const withoutTarget = missing(sectionNames, found);
  // A few have no use with a target.
  const plain = new Set(programs.map(({ section }) => `${section}+`));
  t.deepEqual(
    withoutTarget.filter((name) => !plain.has(name)),
    [],
  );
});

const mapTypes = words(`
  HASH ARRAY PROG_ARRAY PERF_EVENT_ARRAY PERCPU_HASH PERCPU_ARRAY STACK_TRACE CGROUP_ARRAY
  LRU_HASH LRU_PERCPU_HASH LPM_TRIE ARRAY_OF_MAPS HASH_OF_MAPS DEVMAP SOCKMAP CPUMAP XSKMAP
  SOCKHASH CGROUP_STORAGE REUSEPORT_SOCKARRAY PERCPU_CGROUP_STORAGE QUEUE STACK SK_STORAGE
  DEVMAP_HASH STRUCT_OPS RINGBUF INODE_STORAGE TASK_STORAGE BLOOM_FILTER USER_RINGBUF
  CGRP_STORAGE ARENA INSN_ARRAY RHASH
`);

function allMaps(object: ObjectSpec): readonly MapSpec[] {
  return object.maps.flatMap((map) => (map.inner === undefined ? [map] : [map, map.inner]));
}

test('map types', (t) => {
  const names = new Map(Object.entries(BPF_MAP_TYPE).map(([name, value]) => [value, name]));
  const found = objects.flatMap(allMaps).map(({ type }) => names.get(type as never) ?? '');
  t.deepEqual(missing(mapTypes, found), []);
});

/** From bit 0 on. */
const mapFlags = words(`
  NO_PREALLOC NO_COMMON_LRU NUMA_NODE RDONLY WRONLY STACK_BUILD_ID ZERO_SEED RDONLY_PROG
  WRONLY_PROG CLONE MMAPABLE PRESERVE_ELEMS INNER_MAP LINK PATH_FD VTYPE_BTF_OBJ_FD TOKEN_FD
  SEGV_ON_FAULT NO_USER_CONV RB_OVERWRITE
`);

test('flags of maps', (t) => {
  const maps = objects.flatMap(allMaps);
  const found = mapFlags.filter((_, bit) => maps.some(({ flags }) => (flags & (1 << bit)) !== 0));
  t.deepEqual(missing(mapFlags, found), []);
});

test('members of map definitions', (t) => {
  const members = words(
    'type max_entries map_flags numa_node key_size key value_size value values pinning map_extra',
  );
  const found = objects.flatMap(({ btf, maps }) => {
    if (btf === undefined || maps.length === 0) return [];
    const names: string[] = [];
    for (let id = btf.firstId; id < btf.endId; id++) {
      const type = btf.type(id as never);
      if (type.kind !== 'struct' || type.members[0]?.name !== 'type') continue;
      names.push(...type.members.map((member) => member.name));
    }
    return names;
  });
  t.deepEqual(missing(members, found), []);
});

/** Kinds as our types spell them; names of tags where a kind has those. */
const kinds = words(`
  int ptr array struct union enum fwd typedef volatile const restrict func func-proto var
  datasec float decl-tag type-tag enum64
`);

const tags = words(`
  kptr kptr_untrusted percpu_kptr uptr kptr_user
  arg:ctx arg:nonnull arg:nullable arg:trusted arg:untrusted arg:arena
  exception_callback:on_exception
`);

test('kinds of types, and tags', (t) => {
  const found = new Set<string>();
  const foundTags = new Set<string>();
  for (const { btf } of objects) {
    for (let id = btf?.firstId ?? 0; id < (btf?.endId ?? 0); id++) {
      const type = btf?.type(id as never);
      if (type === undefined) continue;
      found.add(type.kind);
      if (type.kind === 'decl-tag' || type.kind === 'type-tag') foundTags.add(type.name);
    }
  }
  t.deepEqual(missing(kinds, found), []);
  t.deepEqual(missing(tags, foundTags), []);
});

test('tags that the specification reports', (t) => {
  const pointers = objects.flatMap((object) => object.maps.flatMap((map) => map.pointers ?? []));
  const pointerTags = words('kptr kptr_untrusted percpu_kptr uptr');
  t.deepEqual(
    missing(
      pointerTags,
      pointers.map(({ tag }) => tag),
    ),
    [],
  );
  const functions = objects.flatMap((object) => object.functions);
  const argumentTags = functions.flatMap((fn) => fn.argumentTags ?? []).map(({ tag }) => tag);
  t.deepEqual(missing(words('ctx nonnull nullable trusted untrusted arena'), argumentTags), []);
});

test('kinds of CO-RE relocations', (t) => {
  const wanted = words(`
    FIELD_BYTE_OFFSET FIELD_BYTE_SIZE FIELD_EXISTS FIELD_SIGNED FIELD_LSHIFT_U64
    FIELD_RSHIFT_U64 TYPE_ID_LOCAL TYPE_ID_TARGET TYPE_EXISTS TYPE_SIZE ENUMVAL_EXISTS
    ENUMVAL_VALUE TYPE_MATCHES
  `);
  const names = Object.entries(CORE_RELO);
  const found = objects
    .flatMap((object) => object.functions)
    .flatMap((fn) => fn.coreRelocations)
    .map(({ kind }) => names.find(([, value]) => value === kind)?.[0] ?? '');
  t.deepEqual(missing(wanted, found), []);
});

test('kinds of relocations, externs, data sections and pinning', (t) => {
  const relocations = objects
    .flatMap((object) => object.functions)
    .flatMap((fn) => fn.relocations)
    .map(({ kind }) => kind);
  const references = words(
    'map map-value call function-address jump-table extern-call extern-address',
  );
  t.deepEqual(missing(references, relocations), []);
  const externs = objects.flatMap((object) => object.externs);
  const shapes = externs.map(
    ({ kind, weak, type, kconfig }) =>
      `${weak ? 'weak-' : ''}${kind}${kind === 'ksym' && type === undefined ? '-untyped' : ''}${kconfig === undefined ? '' : `-${kconfig.form}`}`,
  );
  const wanted = words(`
    kfunc weak-kfunc ksym weak-ksym ksym-untyped weak-ksym-untyped
    kconfig-bool kconfig-tristate kconfig-char kconfig-int kconfig-char-array weak-kconfig-bool
  `);
  t.deepEqual(missing(wanted, shapes), []);
  const maps = objects.flatMap((object) => object.maps);
  const sections = maps.flatMap(({ data }) => data?.kind ?? []);
  t.deepEqual(missing(words('data rodata bss kconfig arena'), sections), []);
  const pinned = maps.map(({ pinning }) => pinning);
  t.deepEqual(missing(words('none by-name'), pinned), []);
  const structs = maps.flatMap(({ structOps }) =>
    structOps === undefined ? [] : [`${structOps.autocreate ? '' : '?'}${structOps.section}`],
  );
  t.deepEqual(
    missing(words('.struct_ops .struct_ops.link ?.struct_ops ?.struct_ops.link'), structs),
    [],
  );
});

test('bindings and visibilities of functions and variables, initial values', (t) => {
  const functions = objects.flatMap((object) => object.functions);
  const shapes = functions.map(({ binding, hidden }) => `${hidden ? 'hidden-' : ''}${binding}`);
  t.deepEqual(missing(words('local global weak hidden-global'), shapes), []);
  const maps = objects.flatMap((object) => object.maps);
  const bindings = maps
    .flatMap(({ data }) => data?.variables ?? [])
    .map(({ binding }) => binding as string);
  t.deepEqual(missing(words('local global weak'), bindings), []);
  const values = maps.flatMap(({ values: list }) => list).map(({ kind }) => kind as string);
  t.deepEqual(missing(words('map program'), values), []);
});

test('sections that strings and constants are merged in, custom ones, optional ones', (t) => {
  const sections = objects
    .flatMap((object) => object.maps)
    .flatMap(({ data }) => data?.section ?? []);
  t.deepEqual(
    missing(words('.rodata.str1.1 .rodata.cst32 .data.custom .bss.own .addr_space.1'), sections),
    [],
  );
  t.true(objects.some((object) => object.programs.some((program) => !program.autoload)));
});

test('instruction sets, byte orders, and sixty objects', (t) => {
  const variants = fixtureEntries().flatMap(({ sha256 }) => Object.keys(sha256));
  t.deepEqual(missing(words('v1 v2 v3 v4 be'), variants), []);
  t.true(fixtureEntries().length >= 60);
});
