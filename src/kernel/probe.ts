import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import { BpfError } from '../errors.ts';
import { Attr } from './attr.ts';
import { check } from './errno.ts';
import { systemCalls } from './sys.ts';

/** Whether this process can use the running kernel, and if not, why. */
export type KernelSupport = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/**
 * Finds out by doing: a small map is created and closed. The reason is one of: not Linux,
 * koffi missing, an unknown architecture, missing capabilities, bpf() refused or absent.
 *
 * @example
 * ```ts
 * const support = kernelSupport();
 * if (!support.ok) console.log(`skipped: ${support.reason}`);
 * ```
 */
export function kernelSupport(): KernelSupport {
  try {
    const calls = systemCalls();
    const attr = new Attr('MAP_CREATE')
      .set('map_type', BPF_MAP_TYPE.ARRAY)
      .set('key_size', 4)
      .set('value_size', 4)
      .set('max_entries', 1);
    calls.close(check(calls.bpf(attr), { operation: 'create a map', call: 'MAP_CREATE' }));
    return { ok: true };
  } catch (error) {
    if (error instanceof BpfError) return { ok: false, reason: error.message };
    throw error;
  }
}
