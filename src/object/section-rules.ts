import { BPF_ATTACH_TYPE as A, BPF_PROG_TYPE as T } from '../abi/bpf.ts';

/** What else a section name says about its programs; bits of {@link SectionRule.flags}. */
export const SECTION_FLAG = {
  /** A kernel without `expected_attach_type` takes the program with 0 there. */
  ATTACH_OPTIONAL: 1,
  /** The name was one that attach types could be looked up by before libbpf 1.0. */
  ATTACHABLE: 2,
  /** Loading needs the BTF id of the attach target. */
  ATTACH_BTF: 4,
  /** `BPF_F_SLEEPABLE` is set. */
  SLEEPABLE: 8,
  /** `BPF_F_XDP_HAS_FRAGS` is set. */
  XDP_FRAGS: 16,
  /** Loaded as a multi-uprobe where the kernel has those. */
  USDT: 32,
} as const;

const F = SECTION_FLAG;

/** One line of libbpf's table of section names. */
export interface SectionRule {
  readonly name: string;
  /** `optional-suffix`: the name alone or followed by `/` and a target. */
  readonly match: 'exact' | 'optional-suffix';
  /** `BPF_PROG_TYPE`. */
  readonly type: number;
  /** `BPF_ATTACH_TYPE` expected at load, 0 where none. */
  readonly attachType: number;
  /** Bits of {@link SECTION_FLAG}. */
  readonly flags: number;
}

/**
 * All section names of libbpf (its `section_defs`, up to 1.8), in its order: the first rule
 * that matches wins.
 */
export const sectionRules: readonly SectionRule[] = [
  exact('socket', T.SOCKET_FILTER),
  exact('sk_reuseport/migrate', T.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE, F.ATTACHABLE),
  exact('sk_reuseport', T.SK_REUSEPORT, A.SK_REUSEPORT_SELECT, F.ATTACHABLE),
  prefix('kprobe', T.KPROBE),
  prefix('uprobe', T.KPROBE),
  prefix('uprobe.s', T.KPROBE, 0, F.SLEEPABLE),
  prefix('kretprobe', T.KPROBE),
  prefix('uretprobe', T.KPROBE),
  prefix('uretprobe.s', T.KPROBE, 0, F.SLEEPABLE),
  prefix('kprobe.multi', T.KPROBE, A.TRACE_KPROBE_MULTI),
  prefix('kretprobe.multi', T.KPROBE, A.TRACE_KPROBE_MULTI),
  prefix('kprobe.session', T.KPROBE, A.TRACE_KPROBE_SESSION),
  prefix('uprobe.multi', T.KPROBE, A.TRACE_UPROBE_MULTI),
  prefix('uretprobe.multi', T.KPROBE, A.TRACE_UPROBE_MULTI),
  prefix('uprobe.session', T.KPROBE, A.TRACE_UPROBE_SESSION),
  prefix('uprobe.multi.s', T.KPROBE, A.TRACE_UPROBE_MULTI, F.SLEEPABLE),
  prefix('uretprobe.multi.s', T.KPROBE, A.TRACE_UPROBE_MULTI, F.SLEEPABLE),
  prefix('uprobe.session.s', T.KPROBE, A.TRACE_UPROBE_SESSION, F.SLEEPABLE),
  prefix('ksyscall', T.KPROBE),
  prefix('kretsyscall', T.KPROBE),
  prefix('usdt', T.KPROBE, 0, F.USDT),
  prefix('usdt.s', T.KPROBE, 0, F.USDT | F.SLEEPABLE),
  exact('tc/ingress', T.SCHED_CLS, A.TCX_INGRESS),
  exact('tc/egress', T.SCHED_CLS, A.TCX_EGRESS),
  exact('tcx/ingress', T.SCHED_CLS, A.TCX_INGRESS),
  exact('tcx/egress', T.SCHED_CLS, A.TCX_EGRESS),
  exact('tc', T.SCHED_CLS),
  exact('classifier', T.SCHED_CLS),
  exact('action', T.SCHED_ACT),
  exact('netkit/primary', T.SCHED_CLS, A.NETKIT_PRIMARY),
  exact('netkit/peer', T.SCHED_CLS, A.NETKIT_PEER),
  prefix('tracepoint', T.TRACEPOINT),
  prefix('tp', T.TRACEPOINT),
  prefix('tracepoint.s', T.TRACEPOINT, 0, F.SLEEPABLE),
  prefix('tp.s', T.TRACEPOINT, 0, F.SLEEPABLE),
  prefix('raw_tracepoint', T.RAW_TRACEPOINT),
  prefix('raw_tp', T.RAW_TRACEPOINT),
  prefix('raw_tracepoint.s', T.RAW_TRACEPOINT, 0, F.SLEEPABLE),
  prefix('raw_tp.s', T.RAW_TRACEPOINT, 0, F.SLEEPABLE),
  prefix('raw_tracepoint.w', T.RAW_TRACEPOINT_WRITABLE),
  prefix('raw_tp.w', T.RAW_TRACEPOINT_WRITABLE),
  prefix('tp_btf', T.TRACING, A.TRACE_RAW_TP, F.ATTACH_BTF),
  prefix('tp_btf.s', T.TRACING, A.TRACE_RAW_TP, F.ATTACH_BTF | F.SLEEPABLE),
  prefix('fentry', T.TRACING, A.TRACE_FENTRY, F.ATTACH_BTF),
  prefix('fmod_ret', T.TRACING, A.MODIFY_RETURN, F.ATTACH_BTF),
  prefix('fexit', T.TRACING, A.TRACE_FEXIT, F.ATTACH_BTF),
  prefix('fentry.s', T.TRACING, A.TRACE_FENTRY, F.ATTACH_BTF | F.SLEEPABLE),
  prefix('fmod_ret.s', T.TRACING, A.MODIFY_RETURN, F.ATTACH_BTF | F.SLEEPABLE),
  prefix('fexit.s', T.TRACING, A.TRACE_FEXIT, F.ATTACH_BTF | F.SLEEPABLE),
  prefix('fsession', T.TRACING, A.TRACE_FSESSION, F.ATTACH_BTF),
  prefix('fsession.s', T.TRACING, A.TRACE_FSESSION, F.ATTACH_BTF | F.SLEEPABLE),
  prefix('fsession.multi', T.TRACING, A.TRACE_FSESSION_MULTI),
  prefix('fsession.multi.s', T.TRACING, A.TRACE_FSESSION_MULTI, F.SLEEPABLE),
  prefix('fentry.multi', T.TRACING, A.TRACE_FENTRY_MULTI),
  prefix('fexit.multi', T.TRACING, A.TRACE_FEXIT_MULTI),
  prefix('fentry.multi.s', T.TRACING, A.TRACE_FENTRY_MULTI, F.SLEEPABLE),
  prefix('fexit.multi.s', T.TRACING, A.TRACE_FEXIT_MULTI, F.SLEEPABLE),
  prefix('freplace', T.EXT, 0, F.ATTACH_BTF),
  prefix('lsm', T.LSM, A.LSM_MAC, F.ATTACH_BTF),
  prefix('lsm.s', T.LSM, A.LSM_MAC, F.ATTACH_BTF | F.SLEEPABLE),
  prefix('lsm_cgroup', T.LSM, A.LSM_CGROUP, F.ATTACH_BTF),
  prefix('iter', T.TRACING, A.TRACE_ITER, F.ATTACH_BTF),
  prefix('iter.s', T.TRACING, A.TRACE_ITER, F.ATTACH_BTF | F.SLEEPABLE),
  exact('syscall', T.SYSCALL, 0, F.SLEEPABLE),
  exact('xdp.frags/devmap', T.XDP, A.XDP_DEVMAP, F.XDP_FRAGS),
  exact('xdp/devmap', T.XDP, A.XDP_DEVMAP, F.ATTACHABLE),
  exact('xdp.frags/cpumap', T.XDP, A.XDP_CPUMAP, F.XDP_FRAGS),
  exact('xdp/cpumap', T.XDP, A.XDP_CPUMAP, F.ATTACHABLE),
  exact('xdp.frags', T.XDP, A.XDP, F.XDP_FRAGS),
  exact('xdp', T.XDP, A.XDP, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('perf_event', T.PERF_EVENT),
  exact('lwt_in', T.LWT_IN),
  exact('lwt_out', T.LWT_OUT),
  exact('lwt_xmit', T.LWT_XMIT),
  exact('lwt_seg6local', T.LWT_SEG6LOCAL),
  exact('sockops', T.SOCK_OPS, A.CGROUP_SOCK_OPS, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('sk_skb/stream_parser', T.SK_SKB, A.SK_SKB_STREAM_PARSER, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact(
    'sk_skb/stream_verdict',
    T.SK_SKB,
    A.SK_SKB_STREAM_VERDICT,
    F.ATTACHABLE | F.ATTACH_OPTIONAL,
  ),
  exact('sk_skb/verdict', T.SK_SKB, A.SK_SKB_VERDICT, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('sk_skb', T.SK_SKB),
  exact('sk_msg', T.SK_MSG, A.SK_MSG_VERDICT, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('lirc_mode2', T.LIRC_MODE2, A.LIRC_MODE2, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('flow_dissector', T.FLOW_DISSECTOR, A.FLOW_DISSECTOR, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact(
    'cgroup_skb/ingress',
    T.CGROUP_SKB,
    A.CGROUP_INET_INGRESS,
    F.ATTACHABLE | F.ATTACH_OPTIONAL,
  ),
  exact('cgroup_skb/egress', T.CGROUP_SKB, A.CGROUP_INET_EGRESS, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('cgroup/skb', T.CGROUP_SKB),
  exact('cgroup/sock_create', T.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE, F.ATTACHABLE),
  exact('cgroup/sock_release', T.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE, F.ATTACHABLE),
  exact('cgroup/sock', T.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  exact('cgroup/post_bind4', T.CGROUP_SOCK, A.CGROUP_INET4_POST_BIND, F.ATTACHABLE),
  exact('cgroup/post_bind6', T.CGROUP_SOCK, A.CGROUP_INET6_POST_BIND, F.ATTACHABLE),
  exact('cgroup/bind4', T.CGROUP_SOCK_ADDR, A.CGROUP_INET4_BIND, F.ATTACHABLE),
  exact('cgroup/bind6', T.CGROUP_SOCK_ADDR, A.CGROUP_INET6_BIND, F.ATTACHABLE),
  exact('cgroup/connect4', T.CGROUP_SOCK_ADDR, A.CGROUP_INET4_CONNECT, F.ATTACHABLE),
  exact('cgroup/connect6', T.CGROUP_SOCK_ADDR, A.CGROUP_INET6_CONNECT, F.ATTACHABLE),
  exact('cgroup/connect_unix', T.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT, F.ATTACHABLE),
  exact('cgroup/sendmsg4', T.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_SENDMSG, F.ATTACHABLE),
  exact('cgroup/sendmsg6', T.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_SENDMSG, F.ATTACHABLE),
  exact('cgroup/sendmsg_unix', T.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_SENDMSG, F.ATTACHABLE),
  exact('cgroup/recvmsg4', T.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_RECVMSG, F.ATTACHABLE),
  exact('cgroup/recvmsg6', T.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_RECVMSG, F.ATTACHABLE),
  exact('cgroup/recvmsg_unix', T.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_RECVMSG, F.ATTACHABLE),
  exact('cgroup/getpeername4', T.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETPEERNAME, F.ATTACHABLE),
  exact('cgroup/getpeername6', T.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETPEERNAME, F.ATTACHABLE),
  exact('cgroup/getpeername_unix', T.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETPEERNAME, F.ATTACHABLE),
  exact('cgroup/getsockname4', T.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETSOCKNAME, F.ATTACHABLE),
  exact('cgroup/getsockname6', T.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETSOCKNAME, F.ATTACHABLE),
  exact('cgroup/getsockname_unix', T.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETSOCKNAME, F.ATTACHABLE),
  exact('cgroup/sysctl', T.CGROUP_SYSCTL, A.CGROUP_SYSCTL, F.ATTACHABLE),
  exact('cgroup/getsockopt', T.CGROUP_SOCKOPT, A.CGROUP_GETSOCKOPT, F.ATTACHABLE),
  exact('cgroup/setsockopt', T.CGROUP_SOCKOPT, A.CGROUP_SETSOCKOPT, F.ATTACHABLE),
  exact('cgroup/dev', T.CGROUP_DEVICE, A.CGROUP_DEVICE, F.ATTACHABLE | F.ATTACH_OPTIONAL),
  prefix('struct_ops', T.STRUCT_OPS),
  prefix('struct_ops.s', T.STRUCT_OPS, 0, F.SLEEPABLE),
  exact('sk_lookup', T.SK_LOOKUP, A.SK_LOOKUP, F.ATTACHABLE),
  exact('netfilter', T.NETFILTER, A.NETFILTER),
];

function exact(name: string, type: number, attachType = 0, flags = 0): SectionRule {
  return { name, match: 'exact', type, attachType, flags };
}

function prefix(name: string, type: number, attachType = 0, flags = 0): SectionRule {
  return { name, match: 'optional-suffix', type, attachType, flags };
}

/** What a section name means. */
export interface SectionMatch {
  readonly rule: SectionRule;
  /** What follows the rule's name and a slash; undefined where nothing does. */
  readonly target: string | undefined;
}

// Two look-ups instead of 116 comparisons a program. The result is that of the first match
// in the table: no name occurs twice and names with an optional suffix contain no slash.
const byName = new Map(sectionRules.map((rule) => [rule.name, rule]));

/**
 * The rule for a section name without the leading `?` (see {@link splitAutoload}), or
 * undefined where libbpf knows none.
 */
export function matchSection(section: string): SectionMatch | undefined {
  const whole = byName.get(section);
  if (whole !== undefined) return { rule: whole, target: undefined };
  const slash = section.indexOf('/');
  if (slash < 0) return undefined;
  const rule = byName.get(section.slice(0, slash));
  if (rule?.match !== 'optional-suffix') return undefined;
  return { rule, target: section.slice(slash + 1) };
}

/** Takes off the `?` that says that a section's programs are not loaded unless asked for. */
export function splitAutoload(section: string): {
  readonly section: string;
  readonly autoload: boolean;
} {
  return section.startsWith('?')
    ? { section: section.slice(1), autoload: false }
    : { section, autoload: true };
}

/** What the writer of an unknown section name may have meant. */
export interface SectionHint {
  /** Set where the name is that of a rule that takes no target: the name to use. */
  readonly withoutTarget: string | undefined;
  /** Names of rules that differ by a letter or two, the nearest only, with the target kept. */
  readonly similar: readonly string[];
}

/** Longer names are not compared: no rule's name has even half as many characters. */
const longestCompared = 64;

/** Suggestions for a section name that {@link matchSection} does not know. */
export function suggestSections(section: string): SectionHint {
  const head = cutTarget(section);
  const exactRule = byName.get(head);
  if (exactRule?.match === 'exact' && head !== section) {
    return { withoutTarget: head, similar: [] };
  }
  return { withoutTarget: undefined, similar: similarNames(section) };
}

/** The name up to its first slash. */
function cutTarget(section: string): string {
  const slash = section.indexOf('/');
  return slash < 0 ? section : section.slice(0, slash);
}

function similarNames(section: string): readonly string[] {
  const head = cutTarget(section);
  const target = section.slice(head.length);
  const found: { readonly name: string; readonly distance: number }[] = [];
  for (const rule of sectionRules) {
    // Where the rule's name has a slash of its own, or takes no target, the whole is compared.
    const takesTarget = rule.match === 'optional-suffix';
    const typed = takesTarget ? head : section;
    if (typed.length > longestCompared) continue;
    const distance = editDistance(typed, rule.name);
    if (distance > Math.max(1, Math.floor(rule.name.length / 4))) continue;
    found.push({ name: takesTarget ? rule.name + target : rule.name, distance });
  }
  const nearest = Math.min(...found.map((candidate) => candidate.distance));
  return found
    .filter((candidate) => candidate.distance === nearest)
    .slice(0, 3)
    .map((candidate) => candidate.name);
}

/**
 * Optimal string alignment distance: insertions, deletions, substitutions and exchanges of
 * neighbours, one each.
 */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(at(above, j) + 1, at(row, j - 1) + 1, at(above, j - 1) + cost);
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (exchanged) best = Math.min(best, at(before, j - 2) + 1);
      row.push(best);
    }
    before = above;
    above = row;
  }
  return at(above, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? 0;
}
