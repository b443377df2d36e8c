import { OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { LoweredCode } from '../engine/program.ts';
import { isAtomic } from './effects.ts';
import { W } from './wasm-codes.ts';

export type Size = 1 | 2 | 4 | 8;

/** A load or store: its width, and the instruction on the bytes as they are. */
export interface MemoryForm {
  readonly size: Size;
  readonly code: number;
  /** Bytes are in the other order. */
  readonly swapped?: boolean;
  /** After swapping, the sign is extended from that many bytes. */
  readonly signed?: boolean;
}

/** Loads by operation. */
export const loadForms: ReadonlyMap<number, MemoryForm> = new Map([
  [OP.load8, { size: 1, code: W.i64Load8U }],
  [OP.load16, { size: 2, code: W.i64Load16U }],
  [OP.load32, { size: 4, code: W.i64Load32U }],
  [OP.load64, { size: 8, code: W.i64Load }],
  [OP.loadSigned8, { size: 1, code: W.i64Load8S, signed: true }],
  [OP.loadSigned16, { size: 2, code: W.i64Load16S, signed: true }],
  [OP.loadSigned32, { size: 4, code: W.i64Load32S, signed: true }],
  [OP.loadBe16, { size: 2, code: W.i64Load16U, swapped: true }],
  [OP.loadBe32, { size: 4, code: W.i64Load32U, swapped: true }],
  [OP.loadBe64, { size: 8, code: W.i64Load, swapped: true }],
  [OP.loadSignedBe16, { size: 2, code: W.i64Load16U, swapped: true, signed: true }],
  [OP.loadSignedBe32, { size: 4, code: W.i64Load32U, swapped: true, signed: true }],
] as const);

/** A store: what it writes besides its width. */
export interface StoreForm extends MemoryForm {
  readonly from: 'immediate' | 'register';
}

/** Stores by operation. */
export const storeForms: ReadonlyMap<number, StoreForm> = new Map<number, StoreForm>([
  [OP.store8Imm, { size: 1, code: W.i64Store8, from: 'immediate' }],
  [OP.store8Reg, { size: 1, code: W.i64Store8, from: 'register' }],
  [OP.store16Imm, { size: 2, code: W.i64Store16, from: 'immediate' }],
  [OP.store16Reg, { size: 2, code: W.i64Store16, from: 'register' }],
  [OP.store32Imm, { size: 4, code: W.i64Store32, from: 'immediate' }],
  [OP.store32Reg, { size: 4, code: W.i64Store32, from: 'register' }],
  [OP.store64Imm, { size: 8, code: W.i64Store, from: 'immediate' }],
  [OP.store64Reg, { size: 8, code: W.i64Store, from: 'register' }],
  [OP.storeBe16Reg, { size: 2, code: W.i64Store16, from: 'register', swapped: true }],
  [OP.storeBe32Reg, { size: 4, code: W.i64Store32, from: 'register', swapped: true }],
  [OP.storeBe64Reg, { size: 8, code: W.i64Store, from: 'register', swapped: true }],
]);

/** Atomic operations on 4 bytes. */
export const narrowAtomics: ReadonlySet<number> = new Set([
  OP.atomicAdd32,
  OP.atomicFetchAdd32,
  OP.atomicOr32,
  OP.atomicFetchOr32,
  OP.atomicAnd32,
  OP.atomicFetchAnd32,
  OP.atomicXor32,
  OP.atomicFetchXor32,
  OP.atomicExchange32,
  OP.atomicCompareExchange32,
]);

/** The memory access of a row: base register, offset, size and direction; undefined for other rows. */
export function accessAt(code: LoweredCode, row: number) {
  const word = code.words[row] as number;
  const op = wordOp(word);
  const offset = word >> 16;
  const load = loadForms.get(op);
  if (load !== undefined) {
    return { register: wordSrc(word), offset, size: load.size, access: 'load' } as const;
  }
  const size = storeForms.get(op)?.size ?? (isAtomic(op) ? (narrowAtomics.has(op) ? 4 : 8) : 0);
  return size === 0
    ? undefined
    : ({ register: wordDst(word), offset, size, access: 'store' } as const);
}
