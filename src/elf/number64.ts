import type { Cursor } from '../bytes/cursor.ts';

/**
 * The next 64 bits as a number: exact below 2^53. Offsets and sizes in files are read so:
 * what is larger is outside every file and section, so the bounds check that must follow
 * refuses it, exact or not.
 */
export function readNumber64(cursor: Cursor): number {
  const first = cursor.u32();
  const second = cursor.u32();
  return cursor.littleEndian ? second * 2 ** 32 + first : first * 2 ** 32 + second;
}
