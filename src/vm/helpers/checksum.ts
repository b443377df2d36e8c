/**
 * One's complement arithmetic of Internet checksums (RFC 1071), with the folding that Linux
 * uses. Words are read in the byte order of the running program, as a machine of that order
 * would.
 */

/** Sum of 32-bit numbers with the carry added back (`csum_add`). */
export function addSums(a: number, b: number): number {
  const sum = (a >>> 0) + (b >>> 0);
  return sum > 0xffff_ffff ? (sum + 1) >>> 0 : sum;
}

/** Difference (`csum_sub`). */
export function subtractSums(a: number, b: number): number {
  return addSums(a, ~b >>> 0);
}

/** Sum over bytes, as if zeros followed up to a multiple of 4 (`csum_partial`). */
export function sumBytes(bytes: Uint8Array, start: number, littleEndian: boolean): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length & ~3;
  let sum = start >>> 0;
  for (let at = 0; at < whole; at += 4) sum = addSums(sum, view.getUint32(at, littleEndian));
  if (whole === bytes.length) return sum;
  const rest = new DataView(new ArrayBuffer(4));
  for (let at = whole; at < bytes.length; at++) rest.setUint8(at - whole, bytes[at] as number);
  return addSums(sum, rest.getUint32(0, littleEndian));
}

/** A sum as 16 bits, not inverted (`csum_from32to16`). */
export function foldTo16(sum: number): number {
  let value = sum >>> 0;
  while (value > 0xffff) value = (value & 0xffff) + (value >>> 16);
  return value;
}

/** The inverted 16-bit checksum that goes into a header (`csum_fold`). */
export function foldChecksum(sum: number): number {
  return ~foldTo16(sum) & 0xffff;
}

/** A header's checksum after `difference` came into what it covers (`csum_replace_by_diff`). */
export function replaceByDifference(check: number, difference: number): number {
  return foldChecksum(addSums(difference, ~check >>> 0));
}

/** A header's checksum after a 32-bit word changed (`csum_replace4`). */
export function replaceWord(check: number, from: number, to: number): number {
  return foldChecksum(addSums(subtractSums(~check >>> 0, from), to));
}

/** A header's checksum after a 16-bit word changed (`csum_replace2`). */
export function replaceShort(check: number, from: number, to: number): number {
  // Sums of 16-bit words: the inverted checksum has 16 bits, and so has the sum.
  let sum = (~check & 0xffff) + (~from & 0xffff);
  sum = (sum & 0xffff) + (sum >>> 16);
  sum += to & 0xffff;
  return ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
}
