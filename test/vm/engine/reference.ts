import type { AluOp, Comparison } from '../../../src/asm/opcodes.ts';

/**
 * Arithmetic of RFC 9669, sections 4.1 to 4.3, in the plainest form: operands are unsigned
 * numbers of `width` bits, and so is the result. Written from the text, for tests only.
 */
export function arithmetic(op: AluOp, width: 32 | 64, a: bigint, b: bigint): bigint {
  const dst = BigInt.asUintN(width, a);
  const src = BigInt.asUintN(width, b);
  return BigInt.asUintN(width, compute(op, width, dst, src));
}

function compute(op: AluOp, width: 32 | 64, dst: bigint, src: bigint): bigint {
  const signed = (value: bigint): bigint => BigInt.asIntN(width, value);
  const amount = src & BigInt(width - 1);
  switch (op) {
    case 'add':
      return dst + src;
    case 'sub':
      return dst - src;
    case 'mul':
      return dst * src;
    case 'div':
      return src !== 0n ? dst / src : 0n;
    case 'sdiv':
      return src !== 0n ? signed(dst) / signed(src) : 0n;
    case 'or':
      return dst | src;
    case 'and':
      return dst & src;
    case 'lsh':
      return dst << amount;
    case 'rsh':
      return dst >> amount;
    case 'mod':
      return src !== 0n ? dst % src : dst;
    case 'smod':
      return src !== 0n ? signed(dst) % signed(src) : dst;
    case 'xor':
      return dst ^ src;
    case 'mov':
      return src;
    case 'arsh':
      return signed(dst) >> amount;
  }
}

/** Whether a conditional jump of RFC 9669, section 4.3, is taken. */
export function comparison(op: Comparison, width: 32 | 64, a: bigint, b: bigint): boolean {
  const dst = BigInt.asUintN(width, a);
  const src = BigInt.asUintN(width, b);
  const signedDst = BigInt.asIntN(width, a);
  const signedSrc = BigInt.asIntN(width, b);
  switch (op) {
    case 'eq':
      return dst === src;
    case 'ne':
      return dst !== src;
    case 'gt':
      return dst > src;
    case 'ge':
      return dst >= src;
    case 'lt':
      return dst < src;
    case 'le':
      return dst <= src;
    case 'set':
      return (dst & src) !== 0n;
    case 'sgt':
      return signedDst > signedSrc;
    case 'sge':
      return signedDst >= signedSrc;
    case 'slt':
      return signedDst < signedSrc;
    case 'sle':
      return signedDst <= signedSrc;
  }
}

/** Numbers where carries, signs and widths meet. */
export const edges: readonly bigint[] = [
  0n,
  1n,
  2n,
  7n,
  31n,
  32n,
  33n,
  63n,
  64n,
  0x7fn,
  0x80n,
  0x7fffn,
  0x8000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0x8000_0001n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x1_0000_0001n,
  0x0123_4567_89ab_cdefn,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0x8000_0000_0000_0001n,
  0xffff_ffff_0000_0000n,
  0xffff_ffff_7fff_ffffn,
  0xffff_ffff_8000_0000n,
  0xffff_ffff_ffff_fffen,
  0xffff_ffff_ffff_ffffn,
];

/** The same for immediates. */
export const edgeImmediates: readonly number[] = [
  0, 1, -1, 2, -2, 7, 31, 32, 33, 63, 64, 127, -128, 0x7fff, -0x8000, 0x7fff_ffff, -0x7fff_ffff,
  -0x8000_0000, 0x1234_5678, 0x55aa_55aa,
];
