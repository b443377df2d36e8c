import { type Operation, opcodeRows } from '../../asm/opcodes.ts';
import { OP } from './operations.ts';

/** Where {@link emitters} put a row. `low` and `high` are the halves of `imm64`. */
export interface RowSink {
  /** Byte order of the program. */
  readonly littleEndian: boolean;
  push(
    op: number,
    dst: number,
    src: number,
    off: number,
    imm: number,
    low: number,
    high: number,
  ): void;
}

/** Fields of one instruction. */
export interface InsnFields {
  dst: number;
  src: number;
  off: number;
  imm: number;
}

/** Writes the row of one instruction that needs nothing but its own fields. */
export type Emitter = (sink: RowSink, insn: Readonly<InsnFields>) => void;

type Alu = Extract<Operation, { readonly kind: 'alu' }>;

/** A row with an immediate, sign-extended. */
function immediate(op: number): Emitter {
  return (sink, { dst, src, off, imm }) => sink.push(op, dst, src, off, imm, imm, imm >> 31);
}

/** A row without an immediate. */
function plain(op: number): Emitter {
  return (sink, { dst, src, off }) => sink.push(op, dst, src, off, 0, 0, 0);
}

/** A row with an immediate, zero-extended. */
function zeroExtended(op: number): Emitter {
  return (sink, { dst, imm }) => sink.push(op, dst, 0, 0, imm, imm, 0);
}

/** Subtraction as addition of the negated immediate; -(-2^31) is 2^31. */
function negated(op: number): Emitter {
  return (sink, { dst, imm }) => sink.push(op, dst, 0, 0, -imm | 0, -imm | 0, imm > 0 ? -1 : 0);
}

/** A shift by a constant, masked; `imm64` is 2 to the amount. */
function shift(op: number, width: 32 | 64): Emitter {
  return (sink, { dst, imm }) => {
    const by = imm & (width - 1);
    sink.push(op, dst, 0, 0, by, by < 32 ? 1 << by : 0, by < 32 ? 0 : 1 << (by - 32));
  };
}

function alu({ op, width, operand }: Alu): Emitter {
  if (operand === 'reg') {
    // The offset that tells sdiv from div is settled by the operation.
    const number = OP[`${op}${width}Reg`];
    return (sink, { dst, src }) => sink.push(number, dst, src, 0, 0, 0, 0);
  }
  switch (op) {
    case 'mov':
      return width === 64 ? immediate(OP.mov64Imm) : zeroExtended(OP.mov64Imm);
    case 'and':
      return width === 64 ? immediate(OP.and64Imm) : zeroExtended(OP.and64Imm);
    case 'sub':
      return negated(width === 64 ? OP.add64Imm : OP.add32Imm);
    case 'lsh':
    case 'rsh':
    case 'arsh':
      return shift(OP[`${op}${width}Imm`], width);
    default: {
      const number = OP[`${op}${width}Imm`];
      return (sink, { dst, imm }) => sink.push(number, dst, 0, 0, imm, imm, imm >> 31);
    }
  }
}

/** To the program's own byte order: the upper bits become 0. Else swapped as well. */
function swap({ to, bits }: Extract<Operation, { readonly kind: 'swap' }>): Emitter {
  const swapped = OP[`swap${bits}`];
  return (sink, { dst }) => {
    if (to === 'swapped' || (to === 'le') !== sink.littleEndian) {
      sink.push(swapped, dst, 0, 0, 0, 0, 0);
    } else if (bits === 16) sink.push(OP.and64Imm, dst, 0, 0, 0xffff, 0xffff, 0);
    else sink.push(bits === 32 ? OP.mov32Reg : OP.mov64Reg, dst, dst, 0, 0, 0, 0);
  };
}

function load(size: 1 | 2 | 4 | 8, signed: boolean): Emitter {
  if (size === 8) return byOrder(OP.load64, OP.loadBe64);
  if (size === 4) {
    return signed ? byOrder(OP.loadSigned32, OP.loadSignedBe32) : byOrder(OP.load32, OP.loadBe32);
  }
  if (size === 1) return plain(signed ? OP.loadSigned8 : OP.load8);
  return signed ? byOrder(OP.loadSigned16, OP.loadSignedBe16) : byOrder(OP.load16, OP.loadBe16);
}

function byOrder(little: number, big: number): Emitter {
  return (sink, { dst, src, off }) =>
    sink.push(sink.littleEndian ? little : big, dst, src, off, 0, 0, 0);
}

function storeReg(size: 1 | 2 | 4 | 8): Emitter {
  switch (size) {
    case 1:
      return plain(OP.store8Reg);
    case 2:
      return byOrder(OP.store16Reg, OP.storeBe16Reg);
    case 4:
      return byOrder(OP.store32Reg, OP.storeBe32Reg);
    case 8:
      return byOrder(OP.store64Reg, OP.storeBe64Reg);
  }
}

/** Stores of a constant: for a big-endian program the constant is swapped here, once. */
function storeImm(size: 1 | 2 | 4 | 8): Emitter {
  const bits = (size * 8) as 8 | 16 | 32 | 64;
  const op = OP[`store${bits}Imm`];
  return (sink, { dst, off, imm }) => {
    const sign = imm >> 31;
    if (sink.littleEndian || size === 1) sink.push(op, dst, 0, off, imm, imm, sign);
    else if (size === 2) sink.push(op, dst, 0, off, swap32(imm) >>> 16, 0, 0);
    else if (size === 4) sink.push(op, dst, 0, off, swap32(imm), 0, 0);
    else sink.push(op, dst, 0, off, sign, sign, swap32(imm));
  };
}

/** The four bytes of a number in reverse, signed. */
export function swap32(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

const atomicNames = {
  add: 'Add',
  or: 'Or',
  and: 'And',
  xor: 'Xor',
} as const;

function atomic(row: Extract<Operation, { readonly kind: 'atomic' }>): Emitter {
  const bits = row.size === 8 ? 64 : 32;
  if (row.op === 'exchange') return plain(OP[`atomicExchange${bits}`]);
  if (row.op === 'compare-exchange') return plain(OP[`atomicCompareExchange${bits}`]);
  const name = atomicNames[row.op];
  return plain(row.fetch ? OP[`atomicFetch${name}${bits}`] : OP[`atomic${name}${bits}`]);
}

/** Undefined for what needs the rest of the program: jumps, calls and 64-bit immediates. */
function emitterOf(row: Operation): Emitter | undefined {
  switch (row.kind) {
    case 'alu':
      return alu(row);
    case 'neg':
      return plain(row.width === 64 ? OP.neg64 : OP.neg32);
    case 'movsx': {
      const { width, bits } = row;
      // 32 bits to 32 would be a plain move, which has an encoding of its own.
      const op = bits === 32 ? OP.movsx32To64 : OP[`movsx${bits}To${width}`];
      return (sink, { dst, src }) => sink.push(op, dst, src, 0, 0, 0, 0);
    }
    case 'swap':
      return swap(row);
    case 'load':
      return load(row.size, row.signed);
    // Accesses of the one virtual CPU happen in program order: ordered ones are plain ones.
    case 'load-acquire':
      return load(row.size, false);
    case 'store-release':
      return storeReg(row.size);
    case 'store':
      return row.operand === 'reg' ? storeReg(row.size) : storeImm(row.size);
    case 'atomic':
      return atomic(row);
    case 'exit':
      return plain(OP.exit);
    case 'call-register':
      return plain(OP.callReg);
    default:
      return undefined;
  }
}

/** By the index of the opcode row. */
export const emitters: readonly (Emitter | undefined)[] = opcodeRows.map((row) =>
  emitterOf(row.operation),
);
