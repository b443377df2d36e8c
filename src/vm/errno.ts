import { ERRNO } from '../abi/errno.ts';
import { BpfError } from '../errors.ts';

/** Name of an errno value, as in <asm-generic/errno.h>. */
export type ErrnoName = keyof typeof ERRNO;

const names = new Map<number, ErrnoName>();
for (const name of Object.keys(ERRNO) as ErrnoName[]) {
  if (!names.has(ERRNO[name])) names.set(ERRNO[name], name);
}

/** More about a failed operation than its errno. */
export interface ErrnoDetail {
  readonly map?: string | undefined;
  /** What is wrong and what to do. */
  readonly reason?: string | undefined;
}

/** The error of a failed operation, with the errno that Linux gives in the same case. */
export function errnoError(name: ErrnoName, operation: string, more: ErrnoDetail = {}): BpfError {
  return new BpfError({ code: 'errno', errno: name, number: ERRNO[name], operation, ...more });
}

/** Throws the error for a result below 0 (a negated errno); returns what is not. */
export function checkResult(result: number, operation: string, more: ErrnoDetail = {}): number {
  if (result >= 0) return result;
  throw errnoError(names.get(-result) ?? 'EINVAL', operation, more);
}
