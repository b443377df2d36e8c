import { BpfError } from '../errors.ts';
import { readIfThere } from './errno.ts';

const path = '/sys/devices/system/cpu/possible';
let possible: number | undefined;

/** Number of CPUs that a per-CPU value has copies for: the possible ones, online or not. */
export function possibleCpuCount(): number {
  possible ??= countCpus(readIfThere(path));
  return possible;
}

/** Counts the CPUs of a list such as `0-3,8-11`. */
export function countCpus(list: string): number {
  const ranges = [...list.trim().matchAll(/(\d+)(?:-(\d+))?(?:,|$)/g)];
  const count = ranges.reduce((sum, [, first, last]) => {
    return sum + Number(last ?? first) - Number(first) + 1;
  }, 0);
  if (count < 1) {
    const reason = `${path}, which lists the possible CPUs, cannot be read`;
    throw new BpfError({ code: 'kernel-unavailable', reason });
  }
  return count;
}
