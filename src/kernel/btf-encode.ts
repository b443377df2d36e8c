import { btfMagic, shortHeaderLength } from '../btf/header.ts';
import { Writer } from '../bytes/writer.ts';
import { hostLittleEndian } from './attr.ts';

/**
 * BTF as every kernel reads it: the short header, types, strings, in the host's byte
 * order, without a layout section, which kernels before 7.1 refuse.
 */
export function encodeBtf(words: Uint32Array, strings: Uint8Array): Uint8Array {
  const typeLength = 4 * words.length;
  const capacity = shortHeaderLength + typeLength + strings.length;
  const out = new Writer({ littleEndian: hostLittleEndian, capacity });
  out.u16(btfMagic).u8(1).u8(0).u32(shortHeaderLength);
  out.u32(0).u32(typeLength).u32(typeLength).u32(strings.length);
  // Words are in the host's byte order already.
  out.bytes(new Uint8Array(words.buffer, words.byteOffset, typeLength));
  return out.bytes(strings).finish();
}
