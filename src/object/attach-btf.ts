import { BPF_ATTACH_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import type { Btf } from '../btf/btf.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../btf/types.ts';
import { BpfError } from '../errors.ts';

/** How the kernel names what a kind of program attaches to. */
interface TargetRule {
  readonly prefix: string;
  readonly kind: BtfKind;
}

const functionRule: TargetRule = { prefix: '', kind: BTF_KIND.FUNC };

/** libbpf's `btf_get_kernel_prefix_kind`. */
const rules: ReadonlyMap<number, TargetRule> = new Map([
  [BPF_ATTACH_TYPE.TRACE_RAW_TP, { prefix: 'btf_trace_', kind: BTF_KIND.TYPEDEF }],
  [BPF_ATTACH_TYPE.TRACE_ITER, { prefix: 'bpf_iter_', kind: BTF_KIND.FUNC }],
  [BPF_ATTACH_TYPE.LSM_MAC, { prefix: 'bpf_lsm_', kind: BTF_KIND.FUNC }],
  [BPF_ATTACH_TYPE.LSM_CGROUP, { prefix: 'bpf_lsm_', kind: BTF_KIND.FUNC }],
]);

/** Program types that are verified against one function or tracepoint of the kernel. */
export function needsAttachTarget(type: number, attachType = 0): boolean {
  if (type === BPF_PROG_TYPE.LSM) return true;
  return type === BPF_PROG_TYPE.TRACING && !multiple.has(attachType);
}

/** Programs for several functions are given these when they are attached. */
const multiple: ReadonlySet<number> = new Set([
  BPF_ATTACH_TYPE.TRACE_FENTRY_MULTI,
  BPF_ATTACH_TYPE.TRACE_FEXIT_MULTI,
  BPF_ATTACH_TYPE.TRACE_FSESSION_MULTI,
]);

/** The types to look in: the kernel's own, and those of its modules when first asked for. */
export interface AttachTypes {
  readonly kernel: Btf;
  modules(): readonly { readonly name: string; readonly btf: Btf }[];
}

/** A program that attaches to something with a type; images and specs are. */
export interface Attaching {
  readonly name: string;
  readonly section: string;
  readonly attachType: number;
  readonly attachTarget: string | undefined;
}

/** What a program attaches to. */
export interface AttachBtf {
  /** The `attach_btf_id` that the verifier checks its arguments by. */
  readonly id: TypeId;
  /** Module whose types the id is in; undefined for the kernel itself. */
  readonly module: string | undefined;
}

/**
 * What a program attaches to, in the running kernel or one of its modules; a target
 * `MODULE:NAME` is looked for in that module only (libbpf's `find_kernel_btf_id`).
 */
export function findAttachTarget(attaching: Attaching, types: AttachTypes): AttachBtf {
  const { name: program, section, attachTarget, attachType } = attaching;
  const rule = rules.get(attachType) ?? functionRule;
  if (attachTarget === undefined || attachTarget === '') {
    throw new BpfError({
      ...{ code: 'attach-target-missing', program, section },
      ...{ wanted: undefined, similar: [] },
    });
  }
  const colon = attachTarget.indexOf(':');
  const place = colon < 0 ? undefined : attachTarget.slice(0, colon);
  const wanted = rule.prefix + attachTarget.slice(colon + 1);
  if (place === undefined || place === 'vmlinux') {
    const id = types.kernel.find(wanted, rule.kind);
    if (id !== undefined) return { id, module: undefined };
  }
  const found = findInModules(types, place, wanted, rule.kind);
  if (found !== undefined) return found;
  const similar = similarNames(types.kernel, rule, attachTarget.slice(colon + 1));
  throw new BpfError({ code: 'attach-target-missing', program, section, wanted, similar });
}

function findInModules(
  types: AttachTypes,
  place: string | undefined,
  wanted: string,
  kind: BtfKind,
): AttachBtf | undefined {
  for (const { name, btf } of types.modules()) {
    if (place !== undefined && place !== name) continue;
    const id = btf.findAll(wanted, kind).find((each) => each >= btf.firstId);
    if (id !== undefined) return { id, module: name };
  }
  return undefined;
}

/** A few names of the same kind that contain the wanted one, or are contained in it. */
function similarNames(target: Btf, rule: TargetRule, wanted: string): readonly string[] {
  const similar: string[] = [];
  for (let id = target.firstId; id < target.endId && similar.length < 5; id++) {
    if (target.kindOf(id as TypeId) !== rule.kind) continue;
    const name = target.nameOf(id as TypeId);
    if (!name.startsWith(rule.prefix)) continue;
    const bare = name.slice(rule.prefix.length);
    if (bare.length > 3 && (bare.includes(wanted) || wanted.includes(bare))) similar.push(bare);
  }
  return similar;
}
