import type { Brand } from '../bytes/brand.ts';
import { BpfError } from '../errors.ts';

/** Index of an 8-byte instruction slot, as the kernel counts; `ld_imm64` takes two. */
export type InsnIndex = Brand<number, 'InsnIndex'>;

/** Size of one instruction slot in bytes. */
export const insnSize = 8;

/**
 * A run of BPF instructions as columns, one row for each 8-byte slot, independent of byte order.
 *
 * ```
 *   byte   0        1          2..3      4..7
 *        opcode   src:dst    offset    immediate      (little-endian objects)
 *        opcode   dst:src    offset    immediate      (big-endian objects)
 * ```
 * `ld_imm64` is two rows; the second has opcode 0 and carries the upper 32 bits in `imm`.
 * Source: RFC 9669, section 3; `struct bpf_insn` in <linux/bpf.h>.
 */
export class Insns {
  readonly length: number;
  readonly code: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly off: Int16Array;
  readonly imm: Int32Array;

  constructor(length: number) {
    this.length = length;
    this.code = new Uint8Array(length);
    this.dst = new Uint8Array(length);
    this.src = new Uint8Array(length);
    this.off = new Int16Array(length);
    this.imm = new Int32Array(length);
  }

  /** A copy of rows `start` to `end` (exclusive). */
  slice(start = 0, end = this.length): Insns {
    const out = new Insns(Math.max(0, Math.min(end, this.length) - start));
    out.set(this, 0, start);
    return out;
  }

  /** Copies `source`, from row `from` on, over the rows at `at`. */
  set(source: Insns, at: number, from = 0): void {
    const end = from + Math.min(source.length - from, this.length - at);
    this.code.set(source.code.subarray(from, end), at);
    this.dst.set(source.dst.subarray(from, end), at);
    this.src.set(source.src.subarray(from, end), at);
    this.off.set(source.off.subarray(from, end), at);
    this.imm.set(source.imm.subarray(from, end), at);
  }

  /** True where row `at` is the first half of a complete `ld_imm64`. */
  isWide(at: number): boolean {
    return this.code[at] === 0x18 && at + 1 < this.length;
  }

  /** The 64-bit immediate of the `ld_imm64` at `at`, unsigned. */
  imm64(at: number): bigint {
    const low = BigInt((this.imm[at] as number) >>> 0);
    const high = BigInt((this.imm[at + 1] as number) >>> 0);
    return (high << 32n) | low;
  }

  /** Writes the 64-bit immediate of the `ld_imm64` at `at`. */
  setImm64(at: number, value: bigint): void {
    this.imm[at] = Number(BigInt.asIntN(32, value));
    this.imm[at + 1] = Number(BigInt.asIntN(32, value >> 32n));
  }
}

/** Decodes the bytes of an executable section; a length that is no multiple of 8 is an error. */
export function decodeInsns(
  bytes: Uint8Array,
  options: { readonly littleEndian: boolean; readonly section: string },
): Insns {
  const rest = bytes.length % insnSize;
  if (rest !== 0) {
    const offset = bytes.length - rest;
    throw new BpfError({
      code: 'truncated',
      section: options.section,
      offset,
      need: insnSize,
      have: rest,
    });
  }
  const little = options.littleEndian;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Insns(bytes.length / insnSize);
  for (let i = 0, at = 0; i < out.length; i++, at += insnSize) {
    const registers = view.getUint8(at + 1);
    out.code[i] = view.getUint8(at);
    out.dst[i] = little ? registers & 0xf : registers >> 4;
    out.src[i] = little ? registers >> 4 : registers & 0xf;
    out.off[i] = view.getInt16(at + 2, little);
    out.imm[i] = view.getInt32(at + 4, little);
  }
  return out;
}

/** The inverse of {@link decodeInsns}. */
export function encodeInsns(insns: Insns, options: { readonly littleEndian: boolean }): Uint8Array {
  const little = options.littleEndian;
  const bytes = new Uint8Array(insns.length * insnSize);
  const view = new DataView(bytes.buffer);
  for (let i = 0, at = 0; i < insns.length; i++, at += insnSize) {
    const dst = insns.dst[i] as number;
    const src = insns.src[i] as number;
    view.setUint8(at, insns.code[i] as number);
    view.setUint8(at + 1, little ? (src << 4) | dst : (dst << 4) | src);
    view.setInt16(at + 2, insns.off[i] as number, little);
    view.setInt32(at + 4, insns.imm[i] as number, little);
  }
  return bytes;
}
