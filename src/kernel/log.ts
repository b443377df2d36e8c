import { ERRNO } from '../abi/errno.ts';
import { decodeText } from '../bytes/text.ts';
import { allocate, type NativeBytes } from './sys.ts';

/**
 * Sizes of the buffers that are tried for a kernel log, in bytes. The last is what libbpf
 * starts with; a log that is even longer is kept in part, by kernels from 6.4 on its end,
 * where the verdict is.
 */
const sizes = [1 << 16, 1 << 20, 1 << 24] as const;

/** How a call that was repeated for its log ended. */
export interface LoggedResult {
  /** A descriptor, where the call succeeds this time, or the negative errno. */
  readonly result: number;
  readonly log: string;
  readonly truncated: boolean;
}

/** Repeats a failed load with ever larger log buffers until the log fits. */
export function retryWithLog(load: (buffer: NativeBytes) => number): LoggedResult {
  let last: LoggedResult | undefined;
  for (const size of sizes) {
    const buffer = allocate(size);
    const result = load(buffer);
    const truncated = result === -ERRNO.ENOSPC;
    last = { result, log: logText(buffer.bytes), truncated };
    if (!truncated) break;
  }
  return last as LoggedResult;
}

/** The text up to the terminating zero byte. */
export function logText(buffer: Uint8Array): string {
  const end = buffer.indexOf(0);
  return decodeText(end < 0 ? buffer : buffer.subarray(0, end));
}
