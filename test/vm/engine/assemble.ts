import { type InsnIndex, Insns } from '../../../src/asm/insns.ts';
import { CLASS, MODE, SIZE, SOURCE } from '../../../src/asm/opcodes.ts';
import type { ProgramImage } from '../../../src/object/image.ts';

/** One 8-byte slot. */
export interface Slot {
  readonly code: number;
  readonly dst?: number;
  readonly src?: number;
  readonly off?: number;
  readonly imm?: number;
}

/** Instructions; a 64-bit immediate load is two slots. */
export type Code = readonly (Slot | readonly Slot[])[];

/** Operation bits of arithmetic. */
export const ALU = {
  add: 0x00,
  sub: 0x10,
  mul: 0x20,
  div: 0x30,
  or: 0x40,
  and: 0x50,
  lsh: 0x60,
  rsh: 0x70,
  neg: 0x80,
  mod: 0x90,
  xor: 0xa0,
  mov: 0xb0,
  arsh: 0xc0,
} as const;

/** Operation bits of jumps. */
export const JUMP = {
  eq: 0x10,
  gt: 0x20,
  ge: 0x30,
  set: 0x40,
  ne: 0x50,
  sgt: 0x60,
  sge: 0x70,
  lt: 0xa0,
  le: 0xb0,
  slt: 0xc0,
  sle: 0xd0,
} as const;

const sizeBits = { 1: SIZE.B, 2: SIZE.H, 4: SIZE.W, 8: SIZE.DW } as const;

export type Size = keyof typeof sizeBits;

const aluClass = (width: 32 | 64): number => (width === 64 ? CLASS.ALU64 : CLASS.ALU);
const jumpClass = (width: 32 | 64): number => (width === 64 ? CLASS.JMP : CLASS.JMP32);

export const aluImm = (
  width: 32 | 64,
  op: keyof typeof ALU,
  dst: number,
  imm: number,
  off = 0,
): Slot => ({ code: aluClass(width) | ALU[op] | SOURCE.K, dst, off, imm });

export const aluReg = (
  width: 32 | 64,
  op: keyof typeof ALU,
  dst: number,
  src: number,
  off = 0,
): Slot => ({ code: aluClass(width) | ALU[op] | SOURCE.X, dst, src, off });

export const jumpImm = (
  width: 32 | 64,
  op: keyof typeof JUMP,
  dst: number,
  imm: number,
  off: number,
): Slot => ({ code: jumpClass(width) | JUMP[op] | SOURCE.K, dst, imm, off });

export const jumpReg = (
  width: 32 | 64,
  op: keyof typeof JUMP,
  dst: number,
  src: number,
  off: number,
): Slot => ({ code: jumpClass(width) | JUMP[op] | SOURCE.X, dst, src, off });

export const movImm = (dst: number, imm: number): Slot => aluImm(64, 'mov', dst, imm);
export const movReg = (dst: number, src: number): Slot => aluReg(64, 'mov', dst, src);
export const addImm = (dst: number, imm: number): Slot => aluImm(64, 'add', dst, imm);

/** `dst = value`, 64 bits; `src` is the pseudo source. */
export function wide(dst: number, value: bigint, src = 0): readonly Slot[] {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return [
    { code: 0x18, dst, src, imm: low },
    { code: 0, imm: high },
  ];
}

export const load = (size: Size, dst: number, src: number, off: number): Slot => ({
  code: CLASS.LDX | MODE.MEM | sizeBits[size],
  dst,
  src,
  off,
});

export const loadSigned = (size: 1 | 2 | 4, dst: number, src: number, off: number): Slot => ({
  code: CLASS.LDX | MODE.MEMSX | sizeBits[size],
  dst,
  src,
  off,
});

export const store = (size: Size, dst: number, src: number, off: number): Slot => ({
  code: CLASS.STX | MODE.MEM | sizeBits[size],
  dst,
  src,
  off,
});

export const storeImm = (size: Size, dst: number, imm: number, off: number): Slot => ({
  code: CLASS.ST | MODE.MEM | sizeBits[size],
  dst,
  imm,
  off,
});

export const atomic = (
  size: Size,
  operation: number,
  dst: number,
  src: number,
  off: number,
): Slot => ({ code: CLASS.STX | MODE.ATOMIC | sizeBits[size], dst, src, off, imm: operation });

export const swap = (to: 'le' | 'be' | 'swapped', bits: number, dst: number): Slot => ({
  code: { le: 0xd4, be: 0xdc, swapped: 0xd7 }[to],
  dst,
  imm: bits,
});

export const loadPacketImm = (size: 1 | 2 | 4, imm: number): Slot => ({
  code: CLASS.LD | MODE.ABS | sizeBits[size],
  imm,
});

export const loadPacketReg = (size: 1 | 2 | 4, src: number, imm: number): Slot => ({
  code: CLASS.LD | MODE.IND | sizeBits[size],
  src,
  imm,
});

export const goto = (off: number): Slot => ({ code: 0x05, off });
export const gotoLong = (imm: number): Slot => ({ code: 0x06, imm });
export const mayGoto = (off: number): Slot => ({ code: 0xe5, off });
export const callHelper = (number: number): Slot => ({ code: 0x85, imm: number });
export const call = (distance: number): Slot => ({ code: 0x85, src: 1, imm: distance });
export const callRegister = (dst: number): Slot => ({ code: 0x8d, dst });
/** `dst` = address of the function `distance` slots after the second half. */
export const functionAddress = (dst: number, distance: number): readonly Slot[] => [
  { code: 0x18, dst, src: 4, imm: distance + 1 },
  { code: 0 },
];
export const exit = (): Slot => ({ code: 0x95 });

/** The code as columns. */
export function assemble(code: Code): Insns {
  const slots = code.flat();
  const insns = new Insns(slots.length);
  slots.forEach((slot, i) => {
    insns.code[i] = slot.code;
    insns.dst[i] = slot.dst ?? 0;
    insns.src[i] = slot.src ?? 0;
    insns.off[i] = slot.off ?? 0;
    insns.imm[i] = slot.imm ?? 0;
  });
  return insns;
}

/** A program image around instructions. */
export function imageOf(insns: Insns, more: Partial<ProgramImage> = {}): ProgramImage {
  const end = insns.length as InsnIndex;
  return {
    name: 'test',
    section: 'xdp',
    type: 6,
    attachType: 0,
    attachTarget: undefined,
    flags: 0,
    license: 'GPL',
    kernelVersion: 0,
    littleEndian: true,
    insns,
    slots: [],
    functions: [{ name: 'test', start: 0 as InsnIndex, end }],
    funcInfo: [],
    lineInfo: [],
    btf: undefined,
    poisoned: [],
    ...more,
  };
}
