import { BPF_ATTACH_TYPE, BPF_PROG_TYPE } from '../abi/bpf.ts';
import type { Btf } from '../btf/btf.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../btf/types.ts';
import { BpfError } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';

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
export function needsAttachTarget(type: number): boolean {
  return type === BPF_PROG_TYPE.TRACING || type === BPF_PROG_TYPE.LSM;
}

/**
 * Id in `target`, the running kernel's types, of what the program attaches to; the
 * `attach_btf_id` that the verifier checks its arguments by.
 */
export function attachTargetId(image: ProgramImage, target: Btf): TypeId {
  const { name: program, section, attachTarget } = image;
  const rule = rules.get(image.attachType) ?? functionRule;
  if (attachTarget === undefined || attachTarget === '') {
    throw new BpfError({
      ...{ code: 'attach-target', program, section },
      ...{ wanted: undefined, similar: [] },
    });
  }
  const wanted = rule.prefix + attachTarget;
  const id = target.find(wanted, rule.kind);
  if (id !== undefined) return id;
  const similar = similarNames(target, rule, attachTarget);
  throw new BpfError({ code: 'attach-target', program, section, wanted, similar });
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
