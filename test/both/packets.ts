// Packets and contexts for the programs of the fixtures.
import { STRUCTS } from '../../src/abi/layouts.ts';
import { fromHex } from '../../src/bytes/hex.ts';

const ethernet = '112233445566 a0b0c0d0e0f0';

function bytes(...hex: readonly string[]): Uint8Array {
  return fromHex(hex.join('')) as Uint8Array;
}

export interface Ipv4 {
  readonly protocol: number;
  readonly ttl?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

function u16(value: number): string {
  return value.toString(16).padStart(4, '0');
}

/** Ethernet, IPv4 with a right checksum, and eight bytes of UDP or twenty of TCP. */
export function ipv4(packet: Ipv4): Uint8Array {
  const { protocol, ttl = 64, sourcePort = 4000, destinationPort = 7 } = packet;
  const ports = u16(sourcePort) + u16(destinationPort);
  const transport =
    protocol === 6 ? `${ports}00000001 00000002 5018 2000 abcd 0000` : `${ports}0010 1234`;
  const payload = '00112233445566778899aabbccddeeff';
  const rest = transport + payload;
  const length = 20 + rest.replace(/\s/g, '').length / 2;
  const head = (check: string): string =>
    `4500${u16(length)} 12344000 ${u16((ttl << 8) | protocol)} ${check} 0a000001 0a000002`;
  return bytes(ethernet, '0800', head(checksum(bytes(head('0000')))), rest);
}

/** The one's complement sum of RFC 1071. */
function checksum(header: Uint8Array): string {
  const view = new DataView(header.buffer);
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return u16(~sum & 0xffff);
}

/** Ethernet, up to two VLAN tags, IPv6 and UDP. */
export function ipv6(vlans: readonly number[] = []): Uint8Array {
  const types = ['88a8', '8100'].slice(2 - vlans.length);
  const tags = vlans.map((vlan, at) => `${types[at]}${u16(vlan)}`).join('');
  const source = '20010db8000000000000000000000001';
  const destination = '20010db8000000000000000000000002';
  return bytes(
    ethernet,
    ...[tags, '86dd', '60000000 0018 11 40', source, destination],
    ...['1f40 0035 0018 0000', '00112233445566778899aabbccddeeff'],
  );
}

/** An ARP request: neither IPv4 nor IPv6. */
export const arp = bytes(
  ...['ffffffffffff a0b0c0d0e0f0 0806', '0001080006040001'],
  ...['a0b0c0d0e0f0 0a000001 000000000000 0a000002', '00'.repeat(18)],
);

/** `size` bytes, counting up from `first`. */
export function counting(size: number, first = 0): Uint8Array {
  return Uint8Array.from({ length: size }, (_, at) => first + at);
}

/** A packet of `size` bytes that starts with `first`. */
export function startingWith(size: number, ...first: readonly number[]): Uint8Array {
  const packet = new Uint8Array(size);
  packet.set(first);
  return packet;
}

/** 64-bit words, as contexts of raw tracepoints and syscall programs are made of. */
export function words(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** A `struct __sk_buff` with some fields set. */
export function skBuff(
  fields: Partial<Record<keyof typeof STRUCTS.__sk_buff.fields, number>>,
): Uint8Array {
  return structBytes(STRUCTS.__sk_buff, fields);
}

/** A `struct xdp_md` with some fields set. */
export function xdpMd(
  fields: Partial<Record<keyof typeof STRUCTS.xdp_md.fields, number>>,
): Uint8Array {
  return structBytes(STRUCTS.xdp_md, fields);
}

function structBytes(
  layout: {
    readonly size: number;
    readonly fields: Readonly<Record<string, { readonly offset: number }>>;
  },
  values: Readonly<Record<string, number>>,
): Uint8Array {
  const out = new Uint8Array(layout.size);
  const view = new DataView(out.buffer);
  for (const [name, value] of Object.entries(values)) {
    view.setUint32(layout.fields[name]?.offset as number, value, true);
  }
  return out;
}
