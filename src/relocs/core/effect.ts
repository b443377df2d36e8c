import type { Insns } from '../../asm/insns.ts';
import { BpfError, type BpfErrorDetail } from '../../errors.ts';
import type { CoreValue } from './value.ts';

/**
 * What becomes of one instruction. `from` is what it holds now, `to` what it will hold, both as
 * the instruction's field has them: immediates and offsets signed, 64-bit immediates unsigned.
 */
export type CoreEffect =
  | {
      readonly verdict: 'patch' | 'unchanged';
      readonly place: 'imm' | 'off' | 'imm64';
      readonly from: bigint;
      readonly to: bigint;
      /** New size in bytes of a load or store; undefined where it stays. */
      readonly size: number | undefined;
    }
  /** The instruction becomes one that the verifier refuses if it is ever reached. */
  | { readonly verdict: 'poison'; readonly because: 'no-match' | 'memory-size' }
  /** Loading fails. */
  | { readonly verdict: 'fail'; readonly error: BpfErrorDetail };

/** Why an instruction was poisoned. */
export type CorePoison = Extract<CoreEffect, { readonly verdict: 'poison' }>['because'];

/** Instruction classes (`BPF_CLASS`, the lowest 3 bits of the opcode). */
const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, ALU64: 7 } as const;

/** `BPF_X`: the second operand is a register. */
const registerOperand = 0x08;

const loadImmediate64 = 0x18;

/** Bytes of a load or store by its size bits (`BPF_SIZE`, bits 3 and 4): W, H, B, DW. */
const accessSizes = [4, 2, 1, 8] as const;

/** Size in bytes of a load or store. */
export function accessSize(opcode: number): number {
  return accessSizes[(opcode >> 3) & 3] as number;
}

/** The opcode of the same load or store with another size; undefined where there is none. */
export function withAccessSize(opcode: number, size: number): number | undefined {
  const bits = (accessSizes as readonly number[]).indexOf(size);
  return bits < 0 ? undefined : (opcode & ~0x18) | (bits << 3);
}

/**
 * Decides what a value does to instruction `at`; the first half of `bpf_core_patch_insn`.
 * An instruction that does not hold what the object's types say, that cannot be relocated, or
 * that cannot hold the new value is an error.
 */
export function decideEffect(insns: Insns, at: number, value: CoreValue): CoreEffect {
  const opcode = insns.code[at];
  if (opcode === undefined) {
    throw new BpfError({ code: 'core-no-insn', insn: at, length: insns.length });
  }
  if (value.target === undefined) return { verdict: 'poison', because: 'no-match' };
  switch (opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      return immediateEffect(insns, at, value.target, value);
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX:
      return accessEffect(insns, at, value.target, value);
    case CLASS.LD:
      return wideEffect(insns, at, value.target, value);
    default:
      throw unfitInsn(opcode, 'it is no load, store, or operation with an immediate');
  }
}

function immediateEffect(insns: Insns, at: number, target: bigint, value: CoreValue): CoreEffect {
  const opcode = insns.code[at] as number;
  if ((opcode & registerOperand) !== 0) throw unfitInsn(opcode, 'its operand is a register');
  const from = BigInt(insns.imm[at] as number);
  validate(from, value, target);
  // As in libbpf, what does not fit in 32 bits is cut.
  return patch('imm', from, BigInt.asIntN(32, target), undefined);
}

function accessEffect(insns: Insns, at: number, target: bigint, value: CoreValue): CoreEffect {
  const opcode = insns.code[at] as number;
  const from = BigInt(insns.off[at] as number);
  validate(from, value, target);
  if (target > 0x7fffn) throw new BpfError({ code: 'core-offset-range', value: target });
  if (value.unfit) return { verdict: 'poison', because: 'memory-size' };
  const { originalSize, targetSize } = value;
  if (originalSize === targetSize) return patch('off', from, target, undefined);
  const insnSize = accessSize(opcode);
  if (insnSize !== originalSize || withAccessSize(opcode, targetSize) === undefined) {
    throw new BpfError({
      code: 'core-memory-size',
      insnSize,
      fieldSize: originalSize,
      newSize: targetSize,
    });
  }
  return patch('off', from, target, targetSize);
}

function wideEffect(insns: Insns, at: number, target: bigint, value: CoreValue): CoreEffect {
  const opcode = insns.code[at] as number;
  if (opcode !== loadImmediate64) throw unfitInsn(opcode, 'it is no load of a 64-bit immediate');
  const plain =
    insns.isWide(at) &&
    insns.src[at] === 0 &&
    insns.off[at] === 0 &&
    insns.code[at + 1] === 0 &&
    insns.dst[at + 1] === 0 &&
    insns.src[at + 1] === 0 &&
    insns.off[at + 1] === 0;
  if (!plain) throw unfitInsn(opcode, 'the 64-bit immediate is already a map or an address');
  const from = insns.imm64(at);
  validate(from, value, target);
  return patch('imm64', from, target, undefined);
}

function validate(from: bigint, value: CoreValue, target: bigint): void {
  if (!value.validate || BigInt.asUintN(64, from) === value.original) return;
  throw new BpfError({
    code: 'core-mismatch',
    found: from,
    expected: value.original,
    value: target,
  });
}

function patch(
  place: 'imm' | 'off' | 'imm64',
  from: bigint,
  to: bigint,
  size: number | undefined,
): CoreEffect {
  const verdict = from === to && size === undefined ? 'unchanged' : 'patch';
  return { verdict, place, from, to, size };
}

function unfitInsn(opcode: number, why: string): BpfError {
  return new BpfError({ code: 'core-insn', opcode, why });
}
