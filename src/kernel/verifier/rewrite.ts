import type { ProgramImage } from '../../object/image.ts';

/**
 * Immediates that stand for what relocating could not resolve, as libbpf writes them; no
 * helper has them. For maps and kfuncs they are the first of a range.
 */
const poison = { core: 195_896_080, map: 2_001_000_000, kfunc: 2_002_000_000 } as const;

/**
 * A log with the calls that stand for failed relocations put into words, as libbpf does
 * (`fixup_verifier_log`): instead of `call unknown#195896080` and
 * `invalid func unknown#195896080` the log says what was missing.
 */
export function rewritePoison(log: string, poisoned: ProgramImage['poisoned']): string {
  if (poisoned.length === 0 || !log.includes('unknown#')) return log;
  const reasons = new Map(poisoned.map(({ insn, reason }) => [Number(insn), reason]));
  let reason: string | undefined;
  return log
    .split('\n')
    .map((line) => {
      const call = /^(\d+): \([0-9a-f]{2}\) call unknown#(-?\d+)/.exec(line);
      const what = call === null ? undefined : poisonOf(Number(call[2]));
      if (call !== null && what !== undefined) {
        reason = reasons.get(Number(call[1]));
        return reason === undefined ? line : `${call[1]}: <invalid ${what}>`;
      }
      if (reason === undefined || !/^invalid func unknown#/.test(line)) return line;
      return reason;
    })
    .join('\n');
}

function poisonOf(immediate: number): string | undefined {
  if (immediate >= poison.kfunc) return 'kfunc call';
  if (immediate >= poison.map) return 'BPF map reference';
  return immediate === poison.core ? 'CO-RE relocation' : undefined;
}
