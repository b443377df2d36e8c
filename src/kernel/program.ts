import { BPF_PROG_TYPE } from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import type { BackendProgram, TestRunInput, TestRunResult } from '../backend/backend.ts';
import { quoteName } from '../errors/quote.ts';
import { BpfError } from '../errors.ts';
import { Attr } from './attr.ts';
import { errnoError } from './errno.ts';
import { allocate, copyNative, type KernelCalls, type NativeBytes } from './sys.ts';

/** What a {@link KernelProgram} is made of: the descriptor is its own from then on. */
export interface KernelProgramParts {
  readonly calls: KernelCalls;
  readonly fd: number;
  readonly name: string;
  readonly type: number;
  readonly log: string;
  /** Called once, after the descriptor was closed. */
  readonly onClose: (program: KernelProgram) => void;
}

/**
 * What `BPF_PROG_TEST_RUN` takes and gives, by program type:
 * - `packet`: packet and context in, both out, repeated and timed by the kernel
 * - `flow`: packet in, flow keys out, repeated and timed by the kernel
 * - `context`: context in, nothing out
 * - `context-inout`: context in, which the program may change in place
 */
type Shape = 'packet' | 'flow' | 'context' | 'context-inout';

const shapes: ReadonlyMap<number, Shape> = new Map<number, Shape>([
  [BPF_PROG_TYPE.FLOW_DISSECTOR, 'flow'],
  [BPF_PROG_TYPE.RAW_TRACEPOINT, 'context'],
  [BPF_PROG_TYPE.RAW_TRACEPOINT_WRITABLE, 'context'],
  [BPF_PROG_TYPE.TRACING, 'context'],
  [BPF_PROG_TYPE.SK_LOOKUP, 'context'],
  [BPF_PROG_TYPE.SYSCALL, 'context-inout'],
]);

/**
 * Room for a packet to grow, in bytes. A buffer that proves too small means that the
 * program has run and must run again, so the first one is generous: more than a linear
 * packet of the test run can ever have.
 */
const packetRoom = 1 << 16;

/** Room for a context that comes back: the largest, `struct __sk_buff`, has 192 bytes. */
const contextRoom = 512;

/** One call of `BPF_PROG_TEST_RUN` with the buffers that it fills. */
interface Prepared {
  readonly attr: Attr<'PROG_TEST_RUN'>;
  readonly data: NativeBytes | undefined;
  readonly context: NativeBytes | undefined;
}

/** A program in the running kernel, owned through its descriptor. */
export class KernelProgram implements BackendProgram {
  readonly name: string;
  readonly type: number;
  /** The verifier's log, where the backend was asked for one; else empty. */
  readonly log: string;
  readonly #calls: KernelCalls;
  readonly #onClose: (program: KernelProgram) => void;
  #fd: number;

  constructor(parts: KernelProgramParts) {
    this.name = parts.name;
    this.type = parts.type;
    this.log = parts.log;
    this.#calls = parts.calls;
    this.#fd = parts.fd;
    this.#onClose = parts.onClose;
  }

  /** The descriptor; it stays the program's. */
  get fd(): number {
    if (this.#fd < 0) throw new BpfError({ code: 'closed', what: 'program', name: this.name });
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * `BPF_PROG_TEST_RUN`. The context comes back only where one was given. Runs of types that
   * the kernel neither repeats nor times (raw tracepoints, syscall programs) are timed here,
   * the call included.
   */
  testRun(input: TestRunInput = {}): TestRunResult {
    const shape = shapes.get(this.type) ?? 'packet';
    const repeat = Math.max(1, input.repeat ?? 1);
    if (shape === 'packet' || shape === 'flow') return this.#runPacket(input, shape, repeat);
    if (repeat > 1) {
      const type = programTypeName(this.type);
      throw this.#runError(ERRNO.EINVAL, `the kernel repeats no runs of programs of type ${type}`);
    }
    return this.#runContext(input, shape);
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    this.#calls.close(fd);
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #runPacket(input: TestRunInput, shape: 'packet' | 'flow', repeat: number): TestRunResult {
    let room = (input.data?.length ?? 0) + packetRoom;
    for (;;) {
      const prepared = this.#prepare(input, shape, repeat, room);
      const { attr, data, context } = prepared;
      const result = this.#calls.bpf(attr);
      const size = attr.get('data_size_out');
      // The kernel says how much it would have written; only then another try can help.
      if (result === -ERRNO.ENOSPC && size > room) {
        room = size;
        continue;
      }
      this.#checkRun(result);
      return {
        returnValue: attr.get('retval'),
        data: data?.bytes.slice(0, Math.min(size, room)),
        context: context?.bytes.slice(0, attr.get('ctx_size_out')),
        duration: attr.get('duration'),
      };
    }
  }

  #prepare(input: TestRunInput, shape: Shape, repeat: number, room: number): Prepared {
    const attr = new Attr('PROG_TEST_RUN').set('prog_fd', this.fd).set('repeat', repeat);
    if (input.data !== undefined) {
      attr.point('data_in', copyNative(input.data)).set('data_size_in', input.data.length);
    }
    const data = allocate(room);
    attr.point('data_out', data).set('data_size_out', room);
    if (input.context === undefined) return { attr, data, context: undefined };
    attr.point('ctx_in', copyNative(input.context)).set('ctx_size_in', input.context.length);
    if (shape === 'flow') return { attr, data, context: undefined };
    const context = allocate(contextRoom);
    attr.point('ctx_out', context).set('ctx_size_out', contextRoom);
    return { attr, data, context };
  }

  #runContext(input: TestRunInput, shape: 'context' | 'context-inout'): TestRunResult {
    const context = copyNative(input.context ?? new Uint8Array(0));
    const attr = new Attr('PROG_TEST_RUN').set('prog_fd', this.fd);
    attr.point('ctx_in', context).set('ctx_size_in', context.bytes.length);
    if (input.data !== undefined) {
      attr.point('data_in', copyNative(input.data)).set('data_size_in', input.data.length);
    }
    const start = process.hrtime.bigint();
    this.#checkRun(this.#calls.bpf(attr));
    const duration = Number(process.hrtime.bigint() - start);
    const changed = shape === 'context-inout' && input.context !== undefined;
    return {
      returnValue: attr.get('retval'),
      data: undefined,
      context: changed ? context.bytes.slice() : undefined,
      duration,
    };
  }

  #checkRun(result: number): void {
    if (result >= 0) return;
    const type = programTypeName(this.type);
    const reason = `the kernel has no test run for programs of type ${type}; run it in the VM, or attach it`;
    throw this.#runError(-result, result === -ERRNO.ENOTSUPP ? reason : undefined);
  }

  #runError(number: number, reason: string | undefined): BpfError {
    const operation = `test run of program ${quoteName(this.name)}`;
    return errnoError(number, { operation, call: 'PROG_TEST_RUN', reason });
  }
}

const typeNames: ReadonlyMap<number, string> = new Map(
  Object.entries(BPF_PROG_TYPE).map(([name, number]) => [number, name.toLowerCase()]),
);

/** `xdp`, `sched_cls`, …, or the number of a type that is not known. */
export function programTypeName(type: number): string {
  return typeNames.get(type) ?? `${type}`;
}
