import { BPF_ATTACH_TYPE } from '../../abi/bpf.ts';
import { errnoError } from '../errno.ts';
import { type ContextFields, type RunContext, windows } from '../machine.ts';
import type { VmMemory } from '../memory.ts';
import {
  contextAddress,
  fieldFault,
  type NetworkInterface,
  type Redirect,
  setLow,
  setPointer,
} from './fields.ts';
import { PacketBuffer } from './packet.ts';

/** `XDP_PACKET_HEADROOM`. */
export const xdpHeadroom = 256;
/** Room after a packet that the kernel keeps for `struct skb_shared_info`. */
export const sharedInfoSize = 320;
/** Start of the headroom that the kernel keeps for `struct xdp_frame`. */
export const xdpFrameSize = 40;
/** Length of an Ethernet header (`ETH_HLEN`). */
export const ethernetHeader = 14;
/** Most metadata before a packet, in bytes: its length has one byte in `skb_shared_info`. */
const maxMetadata = 255;

/** Offsets in `struct xdp_md`. */
const at = { data: 0, dataEnd: 4, dataMeta: 8, ingress: 12, queue: 16, egress: 20 } as const;

/** Size of `struct xdp_md`. */
export const xdpMdSize = 24;

/** True for a length of metadata that Linux refuses (`xdp_metalen_invalid`). */
export function isInvalidMetadata(length: number): boolean {
  return length % 4 !== 0 || length > maxMetadata;
}

/** What an XDP program is started with. */
export interface XdpInput {
  readonly packet: Uint8Array;
  /** Bytes at the start of `packet` that are metadata. */
  readonly metadata: number;
  readonly ingressIfindex: number;
  readonly queue: number;
  readonly pageSize: number;
  /** `BPF_ATTACH_TYPE` of the program. */
  readonly attachType: number;
}

/**
 * Context of an XDP program: `struct xdp_md`, whose 32-bit fields `data`, `data_end` and
 * `data_meta` read as 64-bit pointers. The packet has one page with 256 bytes before it.
 */
export class XdpContext implements RunContext, ContextFields {
  readonly addressLow = contextAddress;
  readonly addressHigh = windows.context;
  readonly fields = this;
  readonly packetBuffer: PacketBuffer;
  /** Start of the metadata; equal to the start of the packet where there is none. */
  meta: number;
  redirect: Redirect | undefined;
  readonly #input: XdpInput;

  constructor(memory: VmMemory, input: XdpInput) {
    const headroom = xdpHeadroom - input.metadata;
    const tailroom = input.pageSize - headroom - input.packet.length;
    this.packetBuffer = new PacketBuffer(memory, input.packet, { headroom, tailroom });
    this.meta = this.packetBuffer.data;
    this.packetBuffer.data += input.metadata;
    this.#input = input;
  }

  /** Where the packet may end at most. */
  get hardEnd(): number {
    return this.packetBuffer.start + this.#input.pageSize - sharedInfoSize;
  }

  load(offset: number, size: number, half: Int32Array, dst: number): void {
    if (size !== 4) throw fieldFault(offset, size, 'load', 'struct xdp_md');
    switch (offset) {
      case at.data:
        return setPointer(half, dst, this.packetBuffer.data);
      case at.dataEnd:
        return setPointer(half, dst, this.packetBuffer.end);
      case at.dataMeta:
        return setPointer(half, dst, this.meta);
      case at.ingress:
        return setLow(half, dst, this.#input.ingressIfindex);
      case at.queue:
        return setLow(half, dst, this.#input.queue);
      case at.egress:
        if (this.#input.attachType === BPF_ATTACH_TYPE.XDP_DEVMAP) return setLow(half, dst, 0);
    }
    throw fieldFault(offset, size, 'load', 'struct xdp_md');
  }

  store(offset: number, size: number): void {
    throw fieldFault(offset, size, 'store', 'struct xdp_md');
  }

  free(): void {
    this.packetBuffer.free();
  }

  /** `struct xdp_md` as user space gets it back: offsets from the start of what it gets as data. */
  describe(littleEndian: boolean): Uint8Array {
    const out = new Uint8Array(xdpMdSize);
    const view = new DataView(out.buffer);
    view.setUint32(at.data, this.packetBuffer.data - this.meta, littleEndian);
    view.setUint32(at.dataEnd, this.packetBuffer.end - this.meta, littleEndian);
    view.setUint32(at.ingress, this.#input.ingressIfindex, littleEndian);
    view.setUint32(at.queue, this.#input.queue, littleEndian);
    return out;
  }
}

/** What a test run's context says, by the kernel's rules for it (`bpf_prog_test_run_xdp`). */
export interface XdpMd {
  readonly metadata: number;
  readonly ingressIfindex: number;
  readonly queue: number;
}

/** Reads and checks a given `struct xdp_md`, or gives the defaults where there is none. */
export function readXdpMd(
  context: Uint8Array | undefined,
  packetLength: number,
  littleEndian: boolean,
  interfaces: readonly NetworkInterface[],
): XdpMd {
  // Without a context the kernel uses the loopback device's first queue.
  if (context === undefined) return { metadata: 0, ingressIfindex: 1, queue: 0 };
  const view = new DataView(context.buffer, context.byteOffset);
  const field = (offset: number) => view.getUint32(offset, littleEndian);
  const metadata = field(at.data);
  if (field(at.dataMeta) !== 0) throw refuse('EINVAL', 'data_meta must be 0');
  if (field(at.dataEnd) !== packetLength)
    throw refuse('EINVAL', 'data_end must be the length of the data');
  if (metadata > packetLength) throw refuse('EINVAL', 'data must not be after data_end');
  if (isInvalidMetadata(metadata)) {
    throw refuse('EINVAL', 'data must be a multiple of 4 and at most 252');
  }
  if (field(at.egress) !== 0) throw refuse('EINVAL', 'egress_ifindex must be 0');
  const found = checkInterface(field(at.ingress), field(at.queue), interfaces);
  return { metadata, ...found };
}

function checkInterface(
  ifindex: number,
  queue: number,
  interfaces: readonly NetworkInterface[],
): { readonly ingressIfindex: number; readonly queue: number } {
  if (ifindex === 0) {
    if (queue !== 0) throw refuse('EINVAL', 'rx_queue_index needs an ingress_ifindex');
    return { ingressIfindex: 1, queue: 0 };
  }
  const device = interfaces.find((each) => each.index === ifindex);
  if (device === undefined) throw refuse('ENODEV', `there is no network interface ${ifindex}`);
  if (queue >= (device.queues ?? 1)) {
    throw refuse('EINVAL', `interface ${ifindex} has no receive queue ${queue}`);
  }
  return { ingressIfindex: ifindex, queue };
}

function refuse(name: 'EINVAL' | 'ENODEV', reason: string) {
  return errnoError(name, 'run program', { reason: `xdp_md: ${reason}` });
}
