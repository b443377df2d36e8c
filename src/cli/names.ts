import { BPF_ATTACH_TYPE, BPF_FUNC, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';

type Table = Readonly<Record<string, number>>;

/** Value to lower-case name; where names share a value, the first that is not deprecated stands. */
function invert(table: Table): ReadonlyMap<number, string> {
  const out = new Map<number, string>();
  for (const [name, value] of Object.entries(table)) {
    if (!out.has(value) && !name.endsWith('_DEPRECATED')) out.set(value, name.toLowerCase());
  }
  return out;
}

const mapTypes = invert(BPF_MAP_TYPE);
const progTypes = invert(BPF_PROG_TYPE);
const attachTypes = invert(BPF_ATTACH_TYPE);
const helpers = invert(BPF_FUNC);

/** `hash`, `percpu_array`, …, as bpftool spells them; `type 99` for an unknown one. */
export function mapTypeName(type: number): string {
  return mapTypes.get(type) ?? `type ${type}`;
}

/** `xdp`, `sched_cls`, …, as bpftool spells them. */
export function progTypeName(type: number): string {
  return progTypes.get(type) ?? `type ${type}`;
}

/** `trace_fentry`, `cgroup_inet_ingress`, …, as bpftool spells them. */
export function attachTypeName(type: number): string {
  return attachTypes.get(type) ?? `type ${type}`;
}

/** `map_lookup_elem`, …; `helper 999` for an unknown number. */
export function helperName(id: number): string {
  return helpers.get(id) ?? `helper ${id}`;
}

const xdpActions = ['XDP_ABORTED', 'XDP_DROP', 'XDP_PASS', 'XDP_TX', 'XDP_REDIRECT'];
const tcActions = [
  'TC_ACT_OK',
  'TC_ACT_RECLASSIFY',
  'TC_ACT_SHOT',
  'TC_ACT_PIPE',
  'TC_ACT_STOLEN',
  'TC_ACT_QUEUED',
  'TC_ACT_REPEAT',
  'TC_ACT_REDIRECT',
  'TC_ACT_TRAP',
];

/** What a return value means to the kernel, for the types where it is an action. */
export function actionName(progType: number, value: number): string | undefined {
  if (progType === BPF_PROG_TYPE.XDP) return xdpActions[value];
  if (progType === BPF_PROG_TYPE.SCHED_CLS || progType === BPF_PROG_TYPE.SCHED_ACT) {
    return value === 0xffff_ffff ? 'TC_ACT_UNSPEC' : tcActions[value];
  }
  return undefined;
}
