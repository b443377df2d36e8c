import { createRequire } from 'node:module';
import { BPF_CMD } from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import { BpfError } from '../errors.ts';

/** One call of bpf(2), ready to be made: an `Attr` of whatever command. */
export interface BpfCall {
  /** Name of the command without `BPF_`. */
  readonly command: string;
  /** Its number, `enum bpf_cmd`. */
  readonly number: number;
  /** Its part of `union bpf_attr`, in memory that does not move. */
  readonly bytes: Uint8Array;
}

/**
 * The system calls of the kernel backend. Everything goes through one such object, so that
 * a test can wrap it and let any call fail. Every call gives its result, or the negative
 * errno; none throws.
 */
export interface KernelCalls {
  /** In bytes. */
  readonly pageSize: number;
  /** bpf(2): the one place where the kernel is asked for something about BPF. */
  bpf(attr: BpfCall): number;
  /** mmap(2): the address. */
  mmap(request: MmapRequest): number;
  /** mremap(2) to a fixed address, whatever is mapped there gives way: the address. */
  moveMapping(from: number, length: number, to: number): number;
  munmap(address: number, length: number): number;
  close(fd: number): number;
}

export interface MmapRequest {
  /** With `MAP.FIXED` the page-aligned place, otherwise 0. */
  readonly address: number;
  /** In bytes. */
  readonly length: number;
  /** `PROT`. */
  readonly protection: number;
  /** `MAP`. */
  readonly flags: number;
  /** -1 with `MAP.ANONYMOUS`. */
  readonly fd: number;
  /** In bytes, a multiple of the page size. */
  readonly offset: number;
}

/** `PROT_*` of <asm-generic/mman-common.h>. */
export const PROT = { READ: 1, WRITE: 2 } as const;

/** `MAP_*` of <asm-generic/mman.h>; alike on every architecture of {@link bpfNumbers}. */
export const MAP = {
  SHARED: 1,
  PRIVATE: 2,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  FIXED_NOREPLACE: 0x10_0000,
} as const;

/** `MREMAP_MAYMOVE | MREMAP_FIXED` of <linux/mman.h>. */
const moveFixed = 3;

/** Number of bpf(2) by `process.arch`, from each architecture's <asm/unistd.h>. */
const bpfNumbers: ReadonlyMap<string, number> = new Map([
  ['x64', 321],
  ['arm64', 280],
  ['riscv64', 280],
  ['loong64', 280],
  ['ppc64', 361],
  ['s390x', 351],
]);

/** The part of koffi that is used. */
interface Koffi {
  load(path: null): { func(definition: string): (...args: readonly unknown[]) => number };
  address(value: ArrayBufferView | ArrayBuffer): bigint;
  view(address: bigint, length: number): ArrayBuffer;
  errno(): number;
}

/**
 * Memory whose address the kernel may be given.
 *
 * Why that is safe: an `ArrayBuffer` made with `new ArrayBuffer` has its bytes outside of
 * V8's heap from the start. (A short typed array made with `new Uint8Array(8)` may hold
 * them inside, where the collector moves them.) They stay where they are until the buffer
 * is collected or transferred; ours are never handed out for transfer, and whoever calls
 * the kernel holds them in the attribute (`Attr.point`), which {@link KernelCalls.bpf}
 * keeps rooted for the time of the call.
 */
export interface NativeBytes {
  readonly bytes: Uint8Array;
  /** 0 for no bytes at all. User addresses have at most 56 bits and in practice 47: a number is exact. */
  readonly address: number;
}

let loadedKoffi: Koffi | undefined;
let loadedCalls: KernelCalls | undefined;

function unavailable(reason: string, cause?: unknown): BpfError {
  return new BpfError({ code: 'kernel-unavailable', reason }, { cause });
}

function koffi(): Koffi {
  loadedKoffi ??= loadKoffi();
  return loadedKoffi;
}

/** koffi is optional and only for Linux: it is required at the first use, not before. */
function loadKoffi(): Koffi {
  if (process.platform !== 'linux') {
    throw unavailable(`it needs Linux, this is ${process.platform}`);
  }
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (error) {
    const reason =
      "it needs the package 'koffi', which is not installed or does not load: npm install koffi";
    throw unavailable(reason, error);
  }
}

/** `size` zero bytes that the kernel may read and write; {@link BpfError} `errno` `ENOMEM` if there are not so many. */
export function allocate(size: number): NativeBytes {
  const bytes = new Uint8Array(allocateBuffer(size));
  return { bytes, address: size === 0 ? 0 : addressOf(bytes) };
}

function allocateBuffer(size: number): ArrayBuffer {
  try {
    return new ArrayBuffer(size);
  } catch {
    const operation = `reserve ${size} bytes`;
    throw new BpfError({ code: 'errno', errno: 'ENOMEM', number: ERRNO.ENOMEM, operation });
  }
}

/** A copy of `bytes` that the kernel may read and write. */
export function copyNative(bytes: Uint8Array): NativeBytes {
  const native = allocate(bytes.length);
  native.bytes.set(bytes);
  return native;
}

/** Address of off-heap bytes: those of {@link allocate} and of a WebAssembly memory. */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi().address(bytes));
}

/**
 * Memory that is mapped at an address, as bytes: for a copy at once and nothing else, since
 * an access after it was unmapped would end the process.
 */
export function memoryAt(address: number, length: number): Uint8Array {
  return new Uint8Array(koffi().view(BigInt(address), length));
}

/** The machine's system calls; a {@link BpfError} `kernel-unavailable` says why there are none. */
export function systemCalls(): KernelCalls {
  loadedCalls ??= loadCalls();
  return loadedCalls;
}

/**
 * Commands that may have done something though they fail, so that doing them again is
 * something else: test runs and batches.
 */
const unrepeatable: ReadonlySet<number> = new Set([
  BPF_CMD.PROG_TEST_RUN,
  BPF_CMD.MAP_LOOKUP_BATCH,
  BPF_CMD.MAP_LOOKUP_AND_DELETE_BATCH,
  BPF_CMD.MAP_UPDATE_BATCH,
  BPF_CMD.MAP_DELETE_BATCH,
]);

/** How often libbpf loads again on `EAGAIN`, and more. */
const mostTries = 8;

/**
 * Makes a call that failed with `EAGAIN` or `ETIMEDOUT` again. Between a call and the reading
 * of errno V8 may stop for its collector, whose threads wait for each other through futex(2) and
 * leave these numbers behind: `ENOENT` at the end of a list was seen to become `EAGAIN`. What
 * failed has done nothing, so the second answer is as good. Loading a program may really give
 * `EAGAIN`, where libbpf tries again, too.
 */
export function surely(command: number, call: () => number): number {
  let result = call();
  for (let tries = 1; tries < mostTries && !unrepeatable.has(command); tries++) {
    if (result !== -ERRNO.EAGAIN && result !== -ERRNO.ETIMEDOUT) break;
    result = call();
  }
  return result;
}

/** What is being handed to the kernel right now, reachable from here whatever the optimiser does. */
const rooted: { attr: BpfCall | undefined } = { attr: undefined };

function loadCalls(): KernelCalls {
  const number = bpfNumbers.get(process.arch);
  const { errno } = koffi();
  if (number === undefined) {
    throw unavailable(`the number of bpf() on ${process.arch} is not known`);
  }
  const libc = koffi().load(null);
  const syscall = libc.func('long syscall(long number, long command, void *attr, size_t size)');
  const mmap = libc.func('intptr_t mmap(intptr_t, size_t, int, int, int, intptr_t)');
  const mremap = libc.func('intptr_t mremap(intptr_t, size_t, size_t, int, intptr_t)');
  const munmap = libc.func('int munmap(intptr_t, size_t)');
  const close = libc.func('int close(int)');
  // errno is read at once after the call; see `surely` for what may come between.
  const status = (result: number): number => (result === -1 ? -errno() || -ERRNO.EINVAL : result);
  return {
    pageSize: libc.func('int getpagesize()')(),
    bpf(attr) {
      rooted.attr = attr;
      const result = surely(attr.number, () =>
        status(syscall(number, attr.number, attr.bytes, attr.bytes.length)),
      );
      rooted.attr = undefined;
      return result;
    },
    mmap: (r) => status(mmap(r.address, r.length, r.protection, r.flags, r.fd, r.offset)),
    moveMapping: (from, length, to) => status(mremap(from, length, length, moveFixed, to)),
    munmap: (address, length) => status(munmap(address, length)),
    close: (fd) => status(close(fd)),
  };
}
