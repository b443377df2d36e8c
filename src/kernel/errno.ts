import { readFileSync } from 'node:fs';
import { ERRNO } from '../abi/errno.ts';
import { BpfError } from '../errors.ts';
import type { Command } from './attr.ts';

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(ERRNO)
    .reverse() // several names may share a number: the first one is the usual one
    .map(([name, number]) => [number, name]),
);

/** `EPERM` for 1, and so on; `errno 999` for a number without a name. */
export function errnoName(number: number): string {
  return names.get(number) ?? `errno ${number}`;
}

/** What a failed call was about. */
export interface CallContext {
  /** What was tried, in words: `create map`. */
  readonly operation: string;
  /** Name of the bpf(2) command without `BPF_`, or of another system call. */
  readonly call: Command | 'mmap';
  readonly map?: string | undefined;
  /** What is known beyond the errno; otherwise the usual cause is looked up. */
  readonly reason?: string | undefined;
}

/** The error of a call that gave `-number`, with its likely cause. */
export function errnoError(number: number, about: CallContext): BpfError {
  const call = about.call === 'mmap' ? 'mmap' : `BPF_${about.call}`;
  return new BpfError({
    code: 'errno',
    errno: errnoName(number),
    number,
    operation: `${about.operation} (${call})`,
    map: about.map,
    reason: about.reason ?? likelyCause(about.call, number),
  });
}

/** The result of a call, or its error thrown. */
export function check(result: number, about: CallContext): number {
  if (result < 0) throw errnoError(-result, about);
  return result;
}

/** What an errno of a command usually means, and what to do; undefined where nothing useful is known. */
export function likelyCause(call: Command | 'mmap', number: number): string | undefined {
  switch (number) {
    case ERRNO.EPERM:
      return permissionCause(call);
    case ERRNO.ENOSYS:
      return 'this kernel was built without bpf() (CONFIG_BPF_SYSCALL), or a sandbox hides it';
    case ERRNO.ENOMEM:
      return 'the kernel is out of memory for this, or a cgroup limit is reached';
    case ERRNO.EMFILE:
      return 'this process has too many open descriptors: raise `ulimit -n`';
    case ERRNO.ENFILE:
      return 'the system has too many open descriptors';
    case ERRNO.ENOTSUPP:
    case ERRNO.EOPNOTSUPP:
      return 'the kernel does not do this for this type';
    default:
      return causes.get(`${call} ${number}`);
  }
}

const causes: ReadonlyMap<string, string> = new Map([
  [
    `MAP_CREATE ${ERRNO.EINVAL}`,
    'the sizes, flags or entry count do not fit the map type, or this kernel does not know the type',
  ],
  [`MAP_CREATE ${ERRNO.E2BIG}`, 'keys, values or the whole map are larger than the kernel allows'],
  [`MAP_FREEZE ${ERRNO.EBUSY}`, 'a writable view of the map exists'],
  [`MAP_UPDATE_ELEM ${ERRNO.E2BIG}`, 'the map is full, or the index is past its last entry'],
  [
    `PROG_LOAD ${ERRNO.EINVAL}`,
    'this kernel does not know the program type, an attribute or an instruction',
  ],
  [`PROG_LOAD ${ERRNO.E2BIG}`, 'the program has more instructions than the kernel allows'],
  [`PROG_LOAD ${ERRNO.EACCES}`, 'the verifier does not accept the program'],
  [
    `PROG_TEST_RUN ${ERRNO.EINVAL}`,
    'the input does not fit the program type: packets need at least 14 bytes, a context the size and zero fields that the kernel expects',
  ],
  [
    `PROG_TEST_RUN ${ERRNO.EINTR}`,
    'a signal came between two of the runs, of which some were made; start again',
  ],
  [`mmap ${ERRNO.EPERM}`, 'the map is frozen, or was made read-only for user space'],
]);

/** Bits of capability sets, <linux/capability.h>. */
const capabilities = { NET_ADMIN: 12n, SYS_ADMIN: 21n, PERFMON: 38n, BPF: 39n } as const;

/** Effective capabilities of this process; none where they cannot be read. */
export function effectiveCapabilities(): bigint {
  const line = /^CapEff:\s*([0-9a-f]+)/m.exec(readIfThere('/proc/self/status'));
  return line === null ? 0n : BigInt(`0x${line[1]}`);
}

/** Those of the capabilities that bpf() may want which this process lacks. */
function missingCapabilities(): readonly string[] {
  const have = effectiveCapabilities();
  const has = (bit: bigint) => ((have >> bit) & 1n) === 1n;
  if (has(capabilities.SYS_ADMIN)) return [];
  return Object.entries(capabilities)
    .filter(([name, bit]) => name !== 'SYS_ADMIN' && !has(bit))
    .map(([name]) => `CAP_${name}`);
}

function permissionCause(call: Command | 'mmap'): string {
  const missing = missingCapabilities();
  if (missing.length > 0) {
    return `this process lacks ${missing.join(', ')}: run it as root or give it these capabilities`;
  }
  if (readIfThere('/sys/kernel/security/lockdown').includes('[confidentiality]')) {
    return 'the kernel is locked down (confidentiality), which forbids reading kernel memory';
  }
  return call === 'PROG_LOAD'
    ? 'this process has the capabilities, so a security policy of the kernel or host refuses this kind of program'
    : 'the map is frozen or read-only, a security policy forbids it, or the memlock limit of an old kernel (`ulimit -l`) is reached';
}

/** Text of a file, empty where it cannot be read. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
