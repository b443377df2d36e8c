/** A UDP packet of 1500 bytes with bytes of all values behind the headers. */
export function udpPacket(): Uint8Array {
  const packet = Uint8Array.from({ length: 1500 }, (_, i) => (i * 7 + 3) & 0xff);
  // Ethernet, type IPv4.
  packet.set([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00]);
  // IPv4: 20 bytes of header, 1486 in all, TTL 64, UDP, 10.0.0.1 to 10.0.0.2.
  packet.set([0x45, 0, 0x05, 0xce, 0, 1, 0, 0, 64, 17, 0x61, 0x1d, 10, 0, 0, 1, 10, 0, 0, 2], 14);
  // UDP: port 4660 to 53.
  packet.set([0x12, 0x34, 0, 53, 0x05, 0xba, 0, 0], 34);
  return packet;
}
