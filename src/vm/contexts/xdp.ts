import { BPF_ATTACH_TYPE } from '../../abi/bpf.ts';
import { errnoError } from '../errno.ts';
import { type ContextFields, type RunContext, windows } from '../machine.ts';
import type { VmMemory } from '../memory.ts';
import { alignUp } from '../ranges.ts';
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
  /** The part of the packet that programs see directly. */
  readonly packet: Uint8Array;
  /** The rest, which the kernel keeps in pages of their own. */
  readonly fragments: Uint8Array;
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
 * `data_meta` read as 64-bit pointers. The packet has one page with 256 bytes before it;
 * what does not fit there is in fragments that only helpers reach.
 */
export class XdpContext implements RunContext, ContextFields {
  readonly addressLow = contextAddress;
  readonly addressHigh = windows.context;
  readonly fields = this;
  readonly packetBuffer: PacketBuffer;
  readonly cells: number;
  /** Start of the metadata; equal to the start of the packet where there is none. */
  meta: number;
  redirect: Redirect | undefined;
  /** Offset in VM memory of the fragments, which are whole pages but for the last; 0 for none. */
  readonly fragments: number;
  /** Bytes in fragments. */
  fragmentLength: number;
  readonly #input: XdpInput;

  constructor(memory: VmMemory, input: XdpInput) {
    const headroom = xdpHeadroom - input.metadata;
    const tailroom = input.pageSize - headroom - input.packet.length;
    this.packetBuffer = new PacketBuffer(memory, input.packet, { headroom, tailroom });
    this.cells = this.packetBuffer.cells;
    this.meta = this.packetBuffer.data;
    this.packetBuffer.data += input.metadata;
    this.#input = input;
    this.fragmentLength = input.fragments.length;
    this.fragments = this.fragmentLength === 0 ? 0 : this.#placeFragments(memory);
  }

  /** Bytes of the packet and its fragments. */
  get length(): number {
    return this.packetBuffer.length + this.fragmentLength;
  }

  /** Bytes that the last fragment could still take in its page. */
  get fragmentRoom(): number {
    const { pageSize } = this.#input;
    return (pageSize - (this.fragmentLength % pageSize)) % pageSize;
  }

  /** Where the packet may end at most. */
  get hardEnd(): number {
    return this.packetBuffer.start + this.#input.pageSize - sharedInfoSize;
  }

  load(offset: number, size: number, half: Int32Array, dst: number): void {
    if (size !== 4) throw fieldFault(offset, size, 'load', 'struct xdp_md');
    switch (offset) {
      case at.data:
        setPointer(half, dst, this.packetBuffer.data);
        return;
      case at.dataEnd:
        setPointer(half, dst, this.packetBuffer.end);
        return;
      case at.dataMeta:
        setPointer(half, dst, this.meta);
        return;
      case at.ingress:
        setLow(half, dst, this.#input.ingressIfindex);
        return;
      case at.queue:
        setLow(half, dst, this.#input.queue);
        return;
      case at.egress:
        if (this.#input.attachType === BPF_ATTACH_TYPE.XDP_DEVMAP) {
          setLow(half, dst, 0);
          return;
        }
    }
    throw fieldFault(offset, size, 'load', 'struct xdp_md');
  }

  store(offset: number, size: number): void {
    throw fieldFault(offset, size, 'store', 'struct xdp_md');
  }

  /**
   * The packet as user space gets it back: metadata, packet, fragments; in `output` where that
   * is given and large enough.
   */
  copy(output?: Uint8Array): Uint8Array {
    if (this.fragmentLength === 0) return this.packetBuffer.copyTo(output, this.meta);
    const direct = this.packetBuffer.copy(this.meta);
    const out = new Uint8Array(direct.length + this.fragmentLength);
    out.set(direct);
    const { memory } = this.packetBuffer;
    out.set(
      memory.bytes.subarray(this.fragments, this.fragments + this.fragmentLength),
      direct.length,
    );
    return out;
  }

  free(): void {
    this.packetBuffer.free();
    if (this.fragments !== 0) this.packetBuffer.memory.free(this.fragments);
  }

  #placeFragments(memory: VmMemory): number {
    const { fragments, pageSize } = this.#input;
    const at = memory.tryAllocate(alignUp(fragments.length, pageSize), {
      label: 'packet fragments',
    });
    if (at === 0) {
      this.packetBuffer.free();
      throw refuse('ENOMEM', 'the fragments do not fit in memory');
    }
    memory.bytes.set(fragments, at);
    return at;
  }

  /**
   * `struct xdp_md` as user space gets it back: what it gave, with offsets from the start of
   * the data that it gets (`xdp_convert_buff_to_md`).
   */
  describe(given: Uint8Array, littleEndian: boolean): Uint8Array {
    const out = given.slice();
    const view = new DataView(out.buffer);
    view.setUint32(at.data, this.packetBuffer.data - this.meta, littleEndian);
    view.setUint32(at.dataEnd, this.packetBuffer.end - this.meta, littleEndian);
    return out;
  }
}

/** What a test run's context says, by the kernel's rules for it (`bpf_prog_test_run_xdp`). */
export interface XdpMd {
  readonly metadata: number;
  /** Bytes of the data, metadata included, that programs are to see directly. */
  readonly direct: number;
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
  if (context === undefined)
    return { metadata: 0, direct: packetLength, ingressIfindex: 1, queue: 0 };
  const view = new DataView(context.buffer, context.byteOffset);
  const field = (offset: number) => view.getUint32(offset, littleEndian);
  const metadata = field(at.data);
  if (field(at.dataMeta) !== 0) throw refuse('EINVAL', 'data_meta must be 0');
  const direct = field(at.dataEnd);
  if (direct > packetLength) throw refuse('EINVAL', 'data_end must not be beyond the data');
  if (metadata > direct) throw refuse('EINVAL', 'data must not be after data_end');
  if (isInvalidMetadata(metadata)) {
    throw refuse('EINVAL', 'data must be a multiple of 4 and at most 252');
  }
  if (field(at.egress) !== 0) throw refuse('EINVAL', 'egress_ifindex must be 0');
  const found = checkInterface(field(at.ingress), field(at.queue), interfaces);
  return { metadata, direct, ...found };
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

function refuse(name: 'EINVAL' | 'ENODEV' | 'ENOMEM', reason: string) {
  return errnoError(name, 'run program', { reason: `xdp_md: ${reason}` });
}
