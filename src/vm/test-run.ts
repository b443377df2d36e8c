import { BPF_PROG_TYPE } from '../abi/bpf.ts';
import type { TestRunInput, TestRunResult } from '../backend/backend.ts';
import { quoteName } from '../errors/quote.ts';
import type { BpfError } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';
import type { NetworkInterface, Redirect } from './contexts/fields.ts';
import { MemoryContext } from './contexts/memory-context.ts';
import { Skb, skbHeadroom } from './contexts/skb.ts';
import { SkbContext } from './contexts/skb-context.ts';
import { skbAccess } from './contexts/skb-fields.ts';
import { readSkbInput, writeSkbOutput } from './contexts/skb-input.ts';
import {
  ethernetHeader,
  readXdpMd,
  sharedInfoSize,
  XdpContext,
  xdpHeadroom,
  xdpMdSize,
} from './contexts/xdp.ts';
import { type ErrnoName, errnoError } from './errno.ts';
import type { RunContext } from './machine.ts';
import type { VmMemory } from './memory.ts';
import type { KernelObject, KernelObjects } from './objects.ts';
import { alignUp } from './ranges.ts';

/** Input of a run in the VM: what every backend takes, and more. */
export interface VmTestRunInput extends TestRunInput {
  /** Arguments of a raw or BTF tracepoint and the like, instead of their bytes in `context`. */
  readonly args?: readonly (bigint | number | KernelObject | null)[] | undefined;
  /** CPU to run on; 0 by default. */
  readonly cpu?: number | undefined;
  /**
   * Where the packet is written afterwards, if it fits: the result's `data` is then this array,
   * or its first part. Making a new array costs more than a short run.
   */
  readonly output?: Uint8Array | undefined;
}

/** Result of a run in the VM. */
export interface VmTestRunResult extends TestRunResult {
  /** Where the program asked to send the packet. */
  readonly redirect: Redirect | undefined;
}

/** What test runs need of their VM. */
export interface TestRunHost {
  readonly memory: VmMemory;
  readonly pageSize: number;
  readonly interfaces: readonly NetworkInterface[];
  readonly objects: KernelObjects;
}

/** A run that is set up: its context, and how to read the result off it. */
export interface PreparedRun {
  readonly context: RunContext;
  /** Packet and context afterwards. */
  finish(): Pick<VmTestRunResult, 'data' | 'context' | 'redirect'>;
  free(): void;
}

/** `MAX_SKB_FRAGS`. */
const maxFragments = 17;
/** Most arguments of a traced function (`MAX_BPF_FUNC_ARGS`). */
const maxArguments = 12;
/** Largest tracepoint record (`PERF_MAX_TRACE_SIZE`). */
const maxRecord = 8192;
/** Size of x86-64's `struct pt_regs`. */
const registersSize = 168;
/** No other context that programs see is larger. */
const largestContext = 512;
/** Largest context of a syscall program. */
const maxSyscallContext = 0xffff;

/**
 * Sets up a run as the kernel's `BPF_PROG_TEST_RUN` does for the program's type
 * (net/bpf/test_run.c), with its checks. Types that the kernel cannot test run get their
 * context as it is given, and zeros where none is given.
 */
export function prepareRun(
  host: TestRunHost,
  image: ProgramImage,
  input: VmTestRunInput,
): PreparedRun {
  if (image.type === BPF_PROG_TYPE.XDP) return prepareXdp(host, image, input);
  if (skbAccess.has(image.type)) return prepareSkb(host, image, input);
  return prepareMemory(host, image, input);
}

/** A given context, zero-extended to `size`; what is cut off must be zero (E2BIG). */
function fitContext(image: ProgramImage, context: Uint8Array, size: number): Uint8Array {
  if (context.subarray(size).some((byte) => byte !== 0)) {
    throw refuse(image, 'E2BIG', `the context is longer than ${size} bytes`);
  }
  const out = new Uint8Array(size);
  out.set(context.subarray(0, size));
  return out;
}

function prepareXdp(host: TestRunHost, image: ProgramImage, input: VmTestRunInput): PreparedRun {
  const packet = input.data ?? noBytes;
  const little = image.littleEndian;
  const given = input.context && fitContext(image, input.context, xdpMdSize);
  const md = readXdpMd(given, packet.length, little, host.interfaces);
  if (packet.length - md.metadata < ethernetHeader) {
    throw refuse(image, 'EINVAL', 'a packet has at least 14 bytes, its Ethernet header');
  }
  const { pageSize } = host;
  const direct = Math.min(md.direct, pageSize - (xdpHeadroom - md.metadata) - sharedInfoSize);
  if (packet.length - direct > maxFragments * pageSize) {
    throw refuse(
      image,
      'ENOMEM',
      `a packet has at most ${maxFragments} fragments of ${pageSize} bytes`,
    );
  }
  const whole = packet.length <= direct;
  const context = new XdpContext(host.memory, {
    metadata: md.metadata,
    ingressIfindex: md.ingressIfindex,
    queue: md.queue,
    // Views cost some 100 ns each, and most packets are in one piece.
    packet: whole ? packet : packet.subarray(0, direct),
    fragments: whole ? noBytes : packet.subarray(direct),
    pageSize,
    attachType: image.attachType,
  });
  return new PreparedXdp(context, given, little, input.output);
}

class PreparedXdp implements PreparedRun {
  readonly context: XdpContext;
  readonly #given: Uint8Array | undefined;
  readonly #little: boolean;
  readonly #output: Uint8Array | undefined;

  constructor(
    context: XdpContext,
    given: Uint8Array | undefined,
    little: boolean,
    output: Uint8Array | undefined,
  ) {
    this.context = context;
    this.#given = given;
    this.#little = little;
    this.#output = output;
  }

  finish(): ReturnType<PreparedRun['finish']> {
    const { context } = this;
    const given = this.#given;
    return {
      data: context.copy(this.#output),
      context: given && context.describe(given, this.#little),
      redirect: context.redirect,
    };
  }

  free(): void {
    this.context.free();
  }
}

const noBytes = new Uint8Array(0);

/** Types whose programs see the Ethernet header. */
const linkTypes: ReadonlySet<number> = new Set([BPF_PROG_TYPE.SCHED_CLS, BPF_PROG_TYPE.SCHED_ACT]);

function prepareSkb(host: TestRunHost, image: ProgramImage, input: VmTestRunInput): PreparedRun {
  const packet = input.data ?? new Uint8Array(0);
  const most = host.pageSize - skbHeadroom - sharedInfoSize;
  if (packet.length < ethernetHeader || alignUp(packet.length, 64) > most) {
    throw refuse(image, 'EINVAL', `a packet has ${ethernetHeader} to ${most} bytes`);
  }
  checkNetworkHeader(image, packet);
  const access = skbAccess.get(image.type);
  if (access === undefined) throw new Error(`no rules for program type ${image.type}`);
  const link = linkTypes.has(image.type);
  const skb = new Skb(host.memory, packet, { link });
  try {
    const given = readSkbInput(skb, input.context, image.littleEndian, host.interfaces);
    const context = new SkbContext(skb, access, image.littleEndian);
    return {
      context,
      finish: () => ({
        data: skbOutput(skb, link),
        context: given && writeSkbOutput(skb, given, image.littleEndian),
        redirect: skb.redirect,
      }),
      free: () => context.free(),
    };
  } catch (error) {
    skb.free();
    throw error;
  }
}

/** Packets that say IP must hold the IP header, or Linux refuses to run on them. */
function checkNetworkHeader(image: ProgramImage, packet: Uint8Array): void {
  const type = ((packet[12] as number) << 8) | (packet[13] as number);
  const header = type === 0x0800 ? 20 : type === 0x86dd ? 40 : 0;
  if (packet.length >= ethernetHeader + header) return;
  throw refuse(image, 'EINVAL', `the packet ends inside of its IP header of ${header} bytes`);
}

/** The packet afterwards; where the program did not see the link header, it comes back as zeros. */
function skbOutput(skb: Skb, link: boolean): Uint8Array {
  const packet = skb.packet.copy();
  if (link) return packet;
  const out = new Uint8Array(ethernetHeader + packet.length);
  out.set(packet, ethernetHeader);
  return out;
}

function prepareMemory(host: TestRunHost, image: ProgramImage, input: VmTestRunInput): PreparedRun {
  if (input.data !== undefined) {
    throw refuse(image, 'EINVAL', 'programs of this type take no packet; give a context');
  }
  if ((input.repeat ?? 1) > 1 && !repeatable.has(image.type)) {
    throw refuse(image, 'EINVAL', 'programs of this type run once');
  }
  const context = new MemoryContext(host.memory, memoryContext(host, image, input));
  const returned = input.context !== undefined && image.type === BPF_PROG_TYPE.SYSCALL;
  return {
    context,
    finish: () => ({
      data: undefined,
      context: returned ? context.copy() : undefined,
      redirect: undefined,
    }),
    free: () => context.free(),
  };
}

/** Types with a memory context that may run several times in a row: those the kernel cannot test run. */
const repeatable: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE.TRACEPOINT,
  BPF_PROG_TYPE.KPROBE,
  BPF_PROG_TYPE.PERF_EVENT,
  BPF_PROG_TYPE.TRACING,
  BPF_PROG_TYPE.LSM,
  BPF_PROG_TYPE.STRUCT_OPS,
]);

function memoryContext(host: TestRunHost, image: ProgramImage, input: VmTestRunInput): Uint8Array {
  const { args, context } = input;
  if (args !== undefined) return argumentBytes(image, args);
  if (context === undefined) return new Uint8Array(defaultSize(host, image.type));
  const most = image.type === BPF_PROG_TYPE.RAW_TRACEPOINT ? maxArguments * 8 : maxSyscallContext;
  if (context.length > most) throw refuse(image, 'EINVAL', `the context has at most ${most} bytes`);
  return context;
}

/** Types whose context are arguments of 8 bytes each. */
const argumentTypes: ReadonlySet<number> = new Set([
  BPF_PROG_TYPE.RAW_TRACEPOINT,
  BPF_PROG_TYPE.RAW_TRACEPOINT_WRITABLE,
  BPF_PROG_TYPE.TRACING,
  BPF_PROG_TYPE.LSM,
  BPF_PROG_TYPE.STRUCT_OPS,
  BPF_PROG_TYPE.EXT,
]);

/** Size of the zeros that stand for a context that was not given. */
function defaultSize(host: TestRunHost, type: number): number {
  if (argumentTypes.has(type)) return maxArguments * 8;
  switch (type) {
    case BPF_PROG_TYPE.TRACEPOINT:
      return maxRecord;
    case BPF_PROG_TYPE.KPROBE:
      return host.objects.sizeOf('pt_regs') ?? registersSize;
    case BPF_PROG_TYPE.SYSCALL:
      return 0;
    default:
      return largestContext;
  }
}

function argumentBytes(image: ProgramImage, args: NonNullable<VmTestRunInput['args']>): Uint8Array {
  if (args.length > maxArguments) {
    throw refuse(image, 'EINVAL', `there are at most ${maxArguments} arguments`);
  }
  const out = new Uint8Array(args.length * 8);
  const view = new DataView(out.buffer);
  args.forEach((arg, i) => {
    const value = arg === null ? 0n : typeof arg === 'object' ? arg.address : BigInt(arg);
    view.setBigUint64(i * 8, BigInt.asUintN(64, value), image.littleEndian);
  });
  return out;
}

function refuse(image: ProgramImage, name: ErrnoName, reason: string): BpfError {
  return errnoError(name, `run program ${quoteName(image.name)}`, { reason });
}
