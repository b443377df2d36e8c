import { BPF_PROG_TYPE } from '../../abi/bpf.ts';
import type { Skb } from './skb.ts';

/** Offsets in `struct __sk_buff` (<linux/bpf.h>). */
export const skbField = {
  len: 0,
  pktType: 4,
  mark: 8,
  queueMapping: 12,
  protocol: 16,
  vlanPresent: 20,
  vlanTci: 24,
  vlanProto: 28,
  priority: 32,
  ingressIfindex: 36,
  ifindex: 40,
  tcIndex: 44,
  cb: 48,
  hash: 68,
  tcClassid: 72,
  data: 76,
  dataEnd: 80,
  napiId: 84,
  family: 88,
  remoteIp4: 92,
  localIp4: 96,
  remoteIp6: 100,
  localIp6: 116,
  remotePort: 132,
  localPort: 136,
  dataMeta: 140,
  flowKeys: 144,
  tstamp: 152,
  wireLen: 160,
  gsoSegs: 164,
  sk: 168,
  gsoSize: 176,
  tstampType: 180,
  hwtstamp: 184,
} as const;

/** Size of `struct __sk_buff`. */
export const skbSize = 192;

/** What programs of a type may do with `struct __sk_buff`. */
export interface SkbAccess {
  /** `tstamp_type` may be read. */
  readonly tstampType: boolean;
  /** Fields (by the offset of their first byte) that may not be read. */
  readonly hidden: ReadonlySet<number>;
  /** Fields that may be written, besides `cb`. */
  readonly writable: ReadonlySet<number>;
}

const f = skbField;
/** Fields that are read as a whole or not at all. */
const ipAddresses = [
  f.remoteIp4,
  f.localIp4,
  ...[0, 4, 8, 12].flatMap((word) => [f.remoteIp6 + word, f.localIp6 + word]),
];
export const wholeFields: ReadonlySet<number> = new Set(ipAddresses);
/** `family` up to `local_port`: for sockets' programs only. */
const addresses = [f.family, ...ipAddresses, f.remotePort, f.localPort];

function access(hidden: readonly number[], writable: readonly number[]): SkbAccess {
  // No type lets a program see flow_keys but the flow dissector's.
  const all = new Set<number>(hidden).add(f.flowKeys);
  return { hidden: all, writable: new Set(writable), tstampType: false };
}

const socketFilter = access(
  [f.tcClassid, f.data, f.dataMeta, f.dataEnd, ...addresses, f.tstamp, f.wireLen, f.hwtstamp],
  [],
);
const trafficControl = {
  ...access(addresses, [f.mark, f.tcIndex, f.priority, f.tcClassid, f.tstamp, f.queueMapping]),
  tstampType: true,
};
const cgroupSkb = access([f.tcClassid, f.dataMeta, f.wireLen], [f.mark, f.priority, f.tstamp]);
const lightTunnel = access(
  [f.tcClassid, ...addresses, f.dataMeta, f.tstamp, f.wireLen, f.hwtstamp],
  [f.mark, f.priority],
);

/** Rules by `BPF_PROG_TYPE`: the `*_is_valid_access` functions of net/core/filter.c. */
export const skbAccess: ReadonlyMap<number, SkbAccess> = new Map([
  [BPF_PROG_TYPE.SOCKET_FILTER, socketFilter],
  [BPF_PROG_TYPE.SCHED_CLS, trafficControl],
  [BPF_PROG_TYPE.SCHED_ACT, trafficControl],
  [BPF_PROG_TYPE.CGROUP_SKB, cgroupSkb],
  [BPF_PROG_TYPE.LWT_IN, lightTunnel],
  [BPF_PROG_TYPE.LWT_OUT, lightTunnel],
  [BPF_PROG_TYPE.LWT_XMIT, lightTunnel],
  [BPF_PROG_TYPE.LWT_SEG6LOCAL, lightTunnel],
]);

/** A number in network order, 16 bits, as a program loads it. */
function networkShort(value: number, littleEndian: boolean): number {
  return littleEndian ? ((value & 0xff) << 8) | (value >> 8) : value;
}

/** Word `index` of an address, as a program loads it from memory; 0 where there is none. */
function addressWord(bytes: Uint8Array | undefined, size: number, index: number, little: boolean) {
  if (bytes?.length !== size) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(index * 4, little);
}

/** Value of a 32-bit field other than pointers and `cb`; undefined where there is none at `offset`. */
export function readSkbField(skb: Skb, offset: number, little: boolean): number | undefined {
  switch (offset) {
    case f.len:
      return skb.length;
    case f.pktType:
      return skb.packetType;
    case f.mark:
      return skb.mark;
    case f.queueMapping:
      return skb.queueMapping;
    case f.protocol:
      return networkShort(skb.protocol, little);
    case f.vlanPresent:
      return skb.vlanPresent ? 1 : 0;
    case f.vlanTci:
      return skb.vlanTci;
    case f.vlanProto:
      return networkShort(skb.vlanProtocol, little);
    case f.priority:
      return skb.priority;
    case f.ingressIfindex:
      return skb.ingressIfindex;
    case f.ifindex:
      return skb.ifindex;
    case f.tcIndex:
      return skb.tcIndex;
    case f.hash:
      return skb.hash;
    case f.tcClassid:
      return skb.tcClassid;
    case f.wireLen:
      return skb.wireLength;
    case f.gsoSegs:
      return skb.gsoSegments;
    case f.gsoSize:
      return skb.gsoSize;
    case f.napiId:
    case f.remotePort:
    case f.localPort:
      return 0;
    default:
      return readAddressField(skb, offset, little);
  }
}

function readAddressField(skb: Skb, offset: number, little: boolean): number | undefined {
  const { addresses: sock } = skb;
  if (offset === f.family) return sock?.family ?? 0;
  if (offset === f.remoteIp4) return addressWord(sock?.remote, 4, 0, little);
  if (offset === f.localIp4) return addressWord(sock?.local, 4, 0, little);
  if (offset >= f.remoteIp6 && offset < f.localIp6) {
    return addressWord(sock?.remote, 16, (offset - f.remoteIp6) / 4, little);
  }
  if (offset >= f.localIp6 && offset < f.remotePort) {
    return addressWord(sock?.local, 16, (offset - f.localIp6) / 4, little);
  }
  return undefined;
}

/** Writes a 32-bit field; false where it is none of those that programs may write. */
export function writeSkbField(skb: Skb, offset: number, value: number): boolean {
  switch (offset) {
    case f.mark:
      skb.mark = value;
      return true;
    case f.priority:
      skb.priority = value;
      return true;
    case f.tcIndex:
      skb.tcIndex = value & 0xffff;
      return true;
    case f.tcClassid:
      skb.tcClassid = value;
      return true;
    case f.queueMapping:
      // 0xffff and above means none; Linux leaves the mapping as it is then.
      if (value < 0xffff) skb.queueMapping = value;
      return true;
    default:
      return false;
  }
}
