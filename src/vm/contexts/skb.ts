import type { VmMemory } from '../memory.ts';
import type { Redirect } from './fields.ts';
import { PacketBuffer } from './packet.ts';
import { ethernetHeader, sharedInfoSize } from './xdp.ts';

/** Bytes that the kernel keeps before a packet (`NET_SKB_PAD`). */
export const skbHeadroom = 64;

const etherTypeIp = 0x0800;
const etherTypeIpv6 = 0x86dd;
/** Smaller values in the type field are lengths. */
const smallestEtherType = 0x600;

/** `skb->pkt_type` (<linux/if_packet.h>). */
const packetType = { host: 0, broadcast: 1, multicast: 2, otherHost: 3 } as const;

/** Addresses of a packet's socket, as `bpf_prog_test_run_skb` takes them from its IP header. */
export interface SocketAddresses {
  readonly family: number;
  readonly local: Uint8Array;
  readonly remote: Uint8Array;
}

/**
 * A packet with what Linux keeps about it: the part of `struct sk_buff` that `__sk_buff`
 * shows and helpers change. Numbers are in host order; `protocol` is the Ethernet type.
 */
export class Skb {
  readonly packet: PacketBuffer;
  readonly cb = new Uint8Array(20);
  /** Offsets in VM memory. */
  macHeader: number;
  networkHeader: number;
  protocol: number;
  packetType: number;
  mark = 0;
  priority = 0;
  queueMapping = 0;
  vlanPresent = false;
  vlanTci = 0;
  vlanProtocol = 0;
  ingressIfindex = 0;
  ifindex = 1;
  tcIndex = 0;
  tcClassid = 0;
  hash = 0;
  tstamp = 0n;
  wireLength = 0;
  gsoSegments = 0;
  gsoSize = 0;
  hwtstamp = 0n;
  redirect: Redirect | undefined;
  readonly addresses: SocketAddresses | undefined;

  /**
   * The packet starts with its Ethernet header, and holds the IP header if it says IP;
   * `link` keeps the Ethernet header in sight of the program.
   */
  constructor(memory: VmMemory, packet: Uint8Array, options: { readonly link: boolean }) {
    this.packet = new PacketBuffer(memory, packet, {
      headroom: skbHeadroom,
      tailroom: sharedInfoSize,
    });
    this.macHeader = this.packet.data;
    this.networkHeader = this.packet.data + ethernetHeader;
    this.protocol = protocolOf(packet);
    this.packetType = packetTypeOf(packet);
    this.addresses = addressesOf(packet, this.protocol);
    if (!options.link) this.packet.data = this.networkHeader;
  }

  /** Bytes from `data` on. */
  get length(): number {
    return this.packet.length;
  }

  /** Makes room before and after the packet; false without memory. */
  ensureRoom(head: number, tail: number): boolean {
    const { packet } = this;
    if (packet.data - packet.start >= head && packet.limit - packet.end >= tail) return true;
    const moved = packet.expand(head, tail);
    if (moved === undefined) return false;
    this.macHeader += moved;
    this.networkHeader += moved;
    return true;
  }

  /**
   * Legacy packet loads: see `RunContext.packet`. Negative offsets count from the network
   * header (`SKF_NET_OFF`, -0x100000) or the link header (`SKF_LL_OFF`, -0x200000).
   */
  loadPacket(offset: number, size: number): number | undefined {
    const { memory, end } = this.packet;
    const at = this.#legacyOffset(offset);
    if (at < this.packet.start || at + size > end) return undefined;
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (memory.bytes[at + i] as number);
    return value;
  }

  free(): void {
    this.packet.free();
  }

  #legacyOffset(offset: number): number {
    if (offset >= 0) return this.packet.data + offset;
    if (offset >= -0x10_0000) return this.networkHeader + offset + 0x10_0000;
    if (offset >= -0x20_0000) return this.macHeader + offset + 0x20_0000;
    return 0;
  }
}

/** Ethernet type as `eth_type_trans` finds it: frames with a length are 802.3 (1) or 802.2 (4). */
function protocolOf(packet: Uint8Array): number {
  const type = ((packet[12] as number) << 8) | (packet[13] as number);
  if (type >= smallestEtherType) return type;
  return packet[14] === 0xff && packet[15] === 0xff ? 1 : 4;
}

/** How the frame is addressed, seen from the loopback device, whose address is all zero. */
function packetTypeOf(packet: Uint8Array): number {
  const destination = packet.subarray(0, 6);
  if (destination.every((byte) => byte === 0xff)) return packetType.broadcast;
  if (((destination[0] as number) & 1) !== 0) return packetType.multicast;
  return destination.every((byte) => byte === 0) ? packetType.host : packetType.otherHost;
}

function addressesOf(packet: Uint8Array, protocol: number): SocketAddresses | undefined {
  const ip = packet.subarray(ethernetHeader);
  if (protocol === etherTypeIp)
    return { family: 2, local: ip.slice(12, 16), remote: ip.slice(16, 20) };
  if (protocol === etherTypeIpv6) {
    return { family: 10, local: ip.slice(8, 24), remote: ip.slice(24, 40) };
  }
  return undefined;
}
