import { OP } from '../engine/operations.ts';
import type { CodeSink } from './code-sink.ts';
import { LOCAL } from './locals.ts';
import { W } from './wasm-codes.ts';

/** Operands of one arithmetic row: locals of the registers and the immediate in both forms. */
export interface Operands {
  readonly dst: number;
  readonly src: number;
  readonly imm: number;
  readonly imm64: bigint;
}

/** Writes the code of an operation; the result goes to the local `dst`. */
type Emit = (sink: CodeSink, operands: Operands) => void;

/** What follows it is the second operand: the immediate or the register. */
type Operand = (sink: CodeSink, operands: Operands) => void;

const wideImm: Operand = (sink, { imm64 }) => sink.i64(imm64);
const wideReg: Operand = (sink, { src }) => sink.get(src);
const lowImm: Operand = (sink, { imm }) => sink.i32(imm);
const lowReg: Operand = (sink, { src }) => sink.low(src);
/** Amounts of 64-bit shifts; WebAssembly masks them as BPF does. */
const amountImm: Operand = (sink, { imm }) => sink.i64(BigInt(imm));

function wide(code: number, operand: Operand): Emit {
  return (sink, operands) => {
    sink.get(operands.dst);
    operand(sink, operands);
    sink.op(code);
    sink.set(operands.dst);
  };
}

function narrow(code: number, operand: Operand): Emit {
  return (sink, operands) => {
    sink.low(operands.dst);
    operand(sink, operands);
    sink.op(code);
    sink.extend();
    sink.set(operands.dst);
  };
}

/** One operand, 64 bits, through the given instructions. */
function unary(from: 'dst' | 'src', ...codes: readonly number[]): Emit {
  return (sink, operands) => {
    sink.get(operands[from]);
    for (const code of codes) sink.op(code);
    sink.set(operands.dst);
  };
}

/** Division by zero gives 0, the remainder of it the dividend (RFC 9669, section 4.1). */
function divide(code: number, zero: 'zero' | 'dividend', operand: Operand): Emit {
  return (sink, operands) => {
    operand(sink, operands);
    sink.tee(LOCAL.value);
    sink.op(W.i64Eqz);
    sink.op(W.if);
    sink.byte(0x7e);
    if (zero === 'zero') sink.i64(0n);
    else sink.get(operands.dst);
    sink.op(W.else);
    sink.get(operands.dst);
    sink.get(LOCAL.value);
    sink.op(code);
    sink.op(W.end);
    sink.set(operands.dst);
  };
}

/** The same on the low halves. */
function divideLow(code: number, zero: 'zero' | 'dividend', operand: Operand): Emit {
  return (sink, operands) => {
    operand(sink, operands);
    sink.tee(LOCAL.word);
    sink.op(W.i32Eqz);
    sink.op(W.if);
    sink.byte(0x7f);
    if (zero === 'zero') sink.i32(0);
    else sink.low(operands.dst);
    sink.op(W.else);
    sink.low(operands.dst);
    sink.get(LOCAL.word);
    sink.op(code);
    sink.op(W.end);
    sink.extend();
    sink.set(operands.dst);
  };
}

/**
 * Signed division through 64 bits in both widths. The lowest number divided by -1, which
 * WebAssembly traps on, wraps: division by -1 is negation.
 */
function divideSigned(width: 32 | 64, zero: 'zero' | 'dividend', operand: Operand): Emit {
  const code = zero === 'zero' ? W.i64DivS : W.i64RemS;
  return (sink, operands) => {
    const dividend = (): void => {
      sink.get(operands.dst);
      if (width === 32) sink.op(W.i64Extend32S);
    };
    operand(sink, operands);
    if (width === 32) sink.op(W.i64Extend32S);
    sink.tee(LOCAL.value);
    sink.op(W.i64Eqz);
    sink.op(W.if);
    sink.byte(0x7e);
    if (zero === 'zero') sink.i64(0n);
    else dividend();
    sink.op(W.else);
    sink.get(LOCAL.value);
    sink.i64(-1n);
    sink.op(W.i64Eq);
    sink.op(W.if);
    sink.byte(0x7e);
    sink.i64(0n);
    if (zero === 'zero') {
      dividend();
      sink.op(W.i64Sub);
    }
    sink.op(W.else);
    dividend();
    sink.get(LOCAL.value);
    sink.op(code);
    sink.op(W.end);
    sink.op(W.end);
    if (width === 32) {
      sink.op(W.i32WrapI64);
      sink.extend();
    }
    sink.set(operands.dst);
  };
}

/** Reverses the low 2, 4 or 8 bytes of the 64-bit number on the stack; the rest becomes 0. */
export function emitSwap(sink: CodeSink, size: 2 | 4 | 8): void {
  if (size === 8) {
    swapGroups(sink, 0x00ff_00ff_00ff_00ffn, 8n);
    swapGroups(sink, 0x0000_ffff_0000_ffffn, 16n);
    sink.i64(32n);
    sink.op(W.i64Rotl);
    return;
  }
  sink.op(W.i32WrapI64);
  sink.tee(LOCAL.word);
  if (size === 4) {
    sink.i32(8);
    sink.op(W.i32Rotl);
    sink.i32(0x00ff_00ff);
    sink.op(W.i32And);
    sink.get(LOCAL.word);
    sink.i32(24);
    sink.op(W.i32Rotl);
    sink.i32(0xff00_ff00 | 0);
    sink.op(W.i32And);
  } else {
    sink.i32(0xff);
    sink.op(W.i32And);
    sink.i32(8);
    sink.op(W.i32Shl);
    sink.get(LOCAL.word);
    sink.i32(8);
    sink.op(W.i32ShrU);
    sink.i32(0xff);
    sink.op(W.i32And);
  }
  sink.op(W.i32Or);
  sink.extend();
}

/** Exchanges neighbouring groups of `by` bits; `mask` has the lower ones. */
function swapGroups(sink: CodeSink, mask: bigint, by: bigint): void {
  sink.tee(LOCAL.value);
  sink.i64(mask);
  sink.op(W.i64And);
  sink.i64(by);
  sink.op(W.i64Shl);
  sink.get(LOCAL.value);
  sink.i64(by);
  sink.op(W.i64ShrU);
  sink.i64(mask);
  sink.op(W.i64And);
  sink.op(W.i64Or);
}

function swap(size: 2 | 4 | 8): Emit {
  return (sink, { dst }) => {
    sink.get(dst);
    emitSwap(sink, size);
    sink.set(dst);
  };
}

const emitters: readonly (readonly [op: number, emit: Emit])[] = [
  [
    OP.mov64Imm,
    (sink, { dst, imm64 }) => {
      sink.i64(imm64);
      sink.set(dst);
    },
  ],
  [OP.mov64Reg, unary('src')],
  [OP.mov32Reg, unary('src', W.i32WrapI64, W.i64ExtendI32U)],
  [OP.add64Imm, wide(W.i64Add, wideImm)],
  [OP.add64Reg, wide(W.i64Add, wideReg)],
  [OP.add32Imm, narrow(W.i32Add, lowImm)],
  [OP.add32Reg, narrow(W.i32Add, lowReg)],
  [OP.mul64Imm, wide(W.i64Mul, wideImm)],
  [OP.mul64Reg, wide(W.i64Mul, wideReg)],
  [OP.mul32Imm, narrow(W.i32Mul, lowImm)],
  [OP.mul32Reg, narrow(W.i32Mul, lowReg)],
  [OP.or64Imm, wide(W.i64Or, wideImm)],
  [OP.or64Reg, wide(W.i64Or, wideReg)],
  [OP.or32Imm, narrow(W.i32Or, lowImm)],
  [OP.or32Reg, narrow(W.i32Or, lowReg)],
  [OP.xor64Imm, wide(W.i64Xor, wideImm)],
  [OP.xor64Reg, wide(W.i64Xor, wideReg)],
  [OP.xor32Imm, narrow(W.i32Xor, lowImm)],
  [OP.xor32Reg, narrow(W.i32Xor, lowReg)],
  [OP.and64Imm, wide(W.i64And, wideImm)],
  [OP.and64Reg, wide(W.i64And, wideReg)],
  [OP.and32Reg, narrow(W.i32And, lowReg)],
  [OP.sub64Reg, wide(W.i64Sub, wideReg)],
  [OP.sub32Reg, narrow(W.i32Sub, lowReg)],
  [OP.lsh64Imm, wide(W.i64Shl, amountImm)],
  [OP.lsh64Reg, wide(W.i64Shl, wideReg)],
  [OP.lsh32Imm, narrow(W.i32Shl, lowImm)],
  [OP.lsh32Reg, narrow(W.i32Shl, lowReg)],
  [OP.rsh64Imm, wide(W.i64ShrU, amountImm)],
  [OP.rsh64Reg, wide(W.i64ShrU, wideReg)],
  [OP.rsh32Imm, narrow(W.i32ShrU, lowImm)],
  [OP.rsh32Reg, narrow(W.i32ShrU, lowReg)],
  [OP.arsh64Imm, wide(W.i64ShrS, amountImm)],
  [OP.arsh64Reg, wide(W.i64ShrS, wideReg)],
  [OP.arsh32Imm, narrow(W.i32ShrS, lowImm)],
  [OP.arsh32Reg, narrow(W.i32ShrS, lowReg)],
  [OP.div64Imm, divide(W.i64DivU, 'zero', wideImm)],
  [OP.div64Reg, divide(W.i64DivU, 'zero', wideReg)],
  [OP.div32Imm, divideLow(W.i32DivU, 'zero', lowImm)],
  [OP.div32Reg, divideLow(W.i32DivU, 'zero', lowReg)],
  [OP.mod64Imm, divide(W.i64RemU, 'dividend', wideImm)],
  [OP.mod64Reg, divide(W.i64RemU, 'dividend', wideReg)],
  [OP.mod32Imm, divideLow(W.i32RemU, 'dividend', lowImm)],
  [OP.mod32Reg, divideLow(W.i32RemU, 'dividend', lowReg)],
  [OP.sdiv64Imm, divideSigned(64, 'zero', wideImm)],
  [OP.sdiv64Reg, divideSigned(64, 'zero', wideReg)],
  [OP.sdiv32Imm, divideSigned(32, 'zero', wideImm)],
  [OP.sdiv32Reg, divideSigned(32, 'zero', wideReg)],
  [OP.smod64Imm, divideSigned(64, 'dividend', wideImm)],
  [OP.smod64Reg, divideSigned(64, 'dividend', wideReg)],
  [OP.smod32Imm, divideSigned(32, 'dividend', wideImm)],
  [OP.smod32Reg, divideSigned(32, 'dividend', wideReg)],
  [
    OP.neg64,
    (sink, { dst }) => {
      sink.i64(0n);
      sink.get(dst);
      sink.op(W.i64Sub);
      sink.set(dst);
    },
  ],
  [
    OP.neg32,
    (sink, { dst }) => {
      sink.i32(0);
      sink.low(dst);
      sink.op(W.i32Sub);
      sink.extend();
      sink.set(dst);
    },
  ],
  [OP.movsx8To64, unary('src', W.i64Extend8S)],
  [OP.movsx16To64, unary('src', W.i64Extend16S)],
  [OP.movsx32To64, unary('src', W.i64Extend32S)],
  [OP.movsx8To32, unary('src', W.i32WrapI64, W.i32Extend8S, W.i64ExtendI32U)],
  [OP.movsx16To32, unary('src', W.i32WrapI64, W.i32Extend16S, W.i64ExtendI32U)],
  [OP.swap16, swap(2)],
  [OP.swap32, swap(4)],
  [OP.swap64, swap(8)],
];

/** By operation; undefined for what is not arithmetic. */
/** Divides what is on the stack by a number that is not 0. */
export function divideBy(sink: CodeSink, by: number): void {
  if (by === 1) return;
  // A shift where it can be: division has a check for zero, which keeps V8 from optimizing.
  const shift = Math.log2(by);
  sink.i64(BigInt(Number.isInteger(shift) ? shift : by));
  sink.op(Number.isInteger(shift) ? W.i64ShrU : W.i64DivU);
}

export const arithmeticEmitters: readonly (Emit | undefined)[] = table();

function table(): (Emit | undefined)[] {
  const out: (Emit | undefined)[] = new Array(OP.trap + 1).fill(undefined);
  for (const [op, emit] of emitters) out[op] = emit;
  return out;
}
