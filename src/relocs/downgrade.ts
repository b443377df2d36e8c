import { BPF_FUNC } from '../abi/bpf.ts';
import type { Insns } from '../asm/insns.ts';
import { CALL } from '../asm/opcodes.ts';
import { callCode } from './calls.ts';

/** The older helper for each that reads memory of one side only. */
const older: ReadonlyMap<number, number> = new Map([
  [BPF_FUNC.probe_read_kernel, BPF_FUNC.probe_read],
  [BPF_FUNC.probe_read_user, BPF_FUNC.probe_read],
  [BPF_FUNC.probe_read_kernel_str, BPF_FUNC.probe_read_str],
  [BPF_FUNC.probe_read_user_str, BPF_FUNC.probe_read_str],
]);

/**
 * Makes a program use the helpers that kernels before 5.5 have, `bpf_probe_read` and
 * `bpf_probe_read_str`, in place of those for kernel and user memory (libbpf's
 * `bpf_object__sanitize_prog`). `insns` is changed.
 */
export function downgradeProbeReads({ code, dst, src, imm }: Insns): void {
  for (let i = 0; i < code.length; i++) {
    if (code[i] !== callCode || src[i] !== CALL.HELPER || dst[i] !== 0) continue;
    const replacement = older.get(imm[i] as number);
    if (replacement !== undefined) imm[i] = replacement;
  }
}

/** Whether a program calls a helper that {@link downgradeProbeReads} replaces. */
export function readsOneSide({ code, dst, src, imm }: Insns): boolean {
  for (let i = 0; i < code.length; i++) {
    if (code[i] !== callCode || src[i] !== CALL.HELPER || dst[i] !== 0) continue;
    if (older.has(imm[i] as number)) return true;
  }
  return false;
}
