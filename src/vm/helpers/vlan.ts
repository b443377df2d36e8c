import { BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { Skb } from '../contexts/skb.ts';
import type { Run } from '../machine.ts';
import { argumentU32, giveNumber, type HelperEntries, isLittleEndian } from './registers.ts';
import { skbArgument } from './skb.ts';

const vlan8021q = 0x8100;
const vlan8021ad = 0x88a8;
/** Bytes of a tag in the packet. */
const tagSize = 4;
/** Bytes of the two hardware addresses before it. */
const addressesSize = 12;
const smallestEtherType = 0x600;

/**
 * VLAN tags. As in Linux the outermost tag is kept beside the packet (`skb->vlan_tci`); only
 * a second one goes into it.
 */
export function vlanHelpers(): HelperEntries {
  return [
    [BPF_FUNC.skb_vlan_push, (run) => giveNumber(run, push(run))],
    [BPF_FUNC.skb_vlan_pop, (run) => giveNumber(run, pop(skbArgument(run)))],
  ];
}

/** `bpf_skb_vlan_push(skb, proto, tci)`; the protocol is in network order. */
function push(run: Run): number {
  const skb = skbArgument(run);
  const raw = argumentU32(run, 2) & 0xffff;
  const wanted = isLittleEndian(run) ? ((raw & 0xff) << 8) | (raw >> 8) : raw;
  const protocol = wanted === vlan8021ad ? vlan8021ad : vlan8021q;
  if (skb.vlanPresent && !insertTag(skb)) return -ERRNO.ENOMEM;
  skb.vlanPresent = true;
  skb.vlanProtocol = protocol;
  skb.vlanTci = argumentU32(run, 3) & 0xffff;
  return 0;
}

/** Moves the tag beside the packet into it. */
function insertTag(skb: Skb): boolean {
  if (!skb.ensureRoom(tagSize, 0)) return false;
  const { packet } = skb;
  const { bytes, view } = packet.memory;
  const data = packet.data - tagSize;
  bytes.copyWithin(data, packet.data, packet.data + addressesSize);
  view.setUint16(data + addressesSize, skb.vlanProtocol);
  view.setUint16(data + addressesSize + 2, skb.vlanTci);
  packet.data = data;
  skb.macHeader = data;
  skb.protocol = skb.vlanProtocol;
  return true;
}

/** `bpf_skb_vlan_pop(skb)`. */
function pop(skb: Skb): number {
  if (skb.vlanPresent) {
    skb.vlanPresent = false;
    skb.vlanTci = 0;
    skb.vlanProtocol = 0;
  } else {
    if (!isVlan(skb.protocol)) return 0;
    if (removeTag(skb) === undefined) return -ERRNO.ENOMEM;
  }
  if (!isVlan(skb.protocol)) return 0;
  const protocol = skb.protocol;
  const tci = removeTag(skb);
  if (tci === undefined) return -ERRNO.ENOMEM;
  skb.vlanPresent = true;
  skb.vlanProtocol = protocol;
  skb.vlanTci = tci;
  return 0;
}

/** Takes the tag out of the packet: its value, or undefined where the packet is too short. */
function removeTag(skb: Skb): number | undefined {
  const { packet } = skb;
  if (skb.length < addressesSize + tagSize + 2) return undefined;
  const { bytes, view } = packet.memory;
  const tci = view.getUint16(packet.data + addressesSize + 2);
  const inner = view.getUint16(packet.data + addressesSize + tagSize);
  bytes.copyWithin(packet.data + tagSize, packet.data, packet.data + addressesSize);
  packet.data += tagSize;
  skb.macHeader = packet.data;
  skb.networkHeader = Math.max(skb.networkHeader, packet.data + addressesSize + 2);
  skb.protocol = inner >= smallestEtherType ? inner : 4;
  return tci;
}

function isVlan(protocol: number): boolean {
  return protocol === vlan8021q || protocol === vlan8021ad;
}
