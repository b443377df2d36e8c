import { OP } from '../engine/operations.ts';
import { mostOf, numberUpTo, type PacketPointer, type Value } from './values.ts';

/** A conditional jump, for what it tells about its operands. */
export interface Comparison {
  readonly op: number;
  readonly dst: number;
  readonly src: number;
  readonly imm64: bigint;
}

const word = 0xffff_ffffn;

/**
 * Changes what is known of registers to what also holds once a conditional jump was taken or
 * not: that an unsigned number is not above a constant, that a pointer is not NULL, that a
 * packet pointer is not behind the packet's end.
 */
export function refine(values: Value[], comparison: Comparison, taken: boolean): void {
  const form = (comparison.op - OP.jeq64Imm) & 3;
  if (form === 1) {
    refinePackets(values, comparison, taken);
    refineNumbers(values, comparison, taken);
  } else if (form === 0 || form === 2) refineConstant(values, comparison, taken, form === 2);
}

/** The most that `dst` can be afterwards; undefined where the jump says nothing. */
function limitOf(op: number, imm: bigint, taken: boolean): bigint | undefined {
  switch (op) {
    case OP.jgt64Imm:
      return taken ? undefined : imm;
    case OP.jle64Imm:
      return taken ? imm : undefined;
    case OP.jge64Imm:
      return taken ? undefined : imm - 1n;
    case OP.jlt64Imm:
      return taken ? imm - 1n : undefined;
    default:
      return undefined;
  }
}

function refineConstant(
  values: Value[],
  { op, dst, imm64 }: Comparison,
  taken: boolean,
  narrow: boolean,
): void {
  const value = values[dst];
  // The 32-bit form of each comparison is two numbers after the 64-bit one.
  const wide = narrow ? op - 2 : op;
  if (!narrow && value?.kind === 'pointer' && value.nullable === true && imm64 === 0n) {
    const isNull = (wide === OP.jeq64Imm) === taken;
    if (wide !== OP.jeq64Imm && wide !== OP.jne64Imm) return;
    if (isNull) values[dst] = { kind: 'constant', value: 0n };
    else values[dst] = { ...value, nullable: false };
    return;
  }
  if (value !== undefined && value.kind !== 'number') return;
  const before = mostOf(value);
  if (narrow && (before === undefined || BigInt(before) > word)) return;
  const limit = limitOf(wide, narrow ? imm64 & word : BigInt.asUintN(64, imm64), taken);
  if (limit === undefined || limit < 0n || limit > 0xffff_ffffn) return;
  if (before === undefined || Number(limit) < before) values[dst] = numberUpTo(Number(limit));
}

/** Of two registers one is not above the other: nor is it above the most that the other can be. */
function refineNumbers(values: Value[], { op, dst, src }: Comparison, taken: boolean): void {
  const distance = distanceToEnd(op, true, taken);
  if (distance !== undefined) limitTo(values, dst, src, distance);
  const reverse = distanceToEnd(op, false, taken);
  if (reverse !== undefined) limitTo(values, src, dst, reverse);
}

function limitTo(values: Value[], register: number, other: number, distance: number): void {
  const value = values[register];
  const limit = (mostOf(values[other]) ?? Number.NaN) - distance;
  if (value !== undefined && value.kind !== 'number') return;
  if (!(limit >= 0) || limit >= (mostOf(value) ?? Infinity)) return;
  values[register] = numberUpTo(limit);
}

/** Bytes by which a packet pointer is at least before the packet's end: 0, 1 or unknown. */
function distanceToEnd(op: number, pointerFirst: boolean, taken: boolean): number | undefined {
  switch (op) {
    case OP.jgt64Reg:
      return pointerFirst === taken ? undefined : taken ? 1 : 0;
    case OP.jle64Reg:
      return pointerFirst === taken ? (taken ? 0 : 1) : undefined;
    case OP.jge64Reg:
      return pointerFirst === taken ? undefined : taken ? 0 : 1;
    case OP.jlt64Reg:
      return pointerFirst === taken ? (taken ? 1 : 0) : undefined;
    default:
      return undefined;
  }
}

function refinePackets(values: Value[], { op, dst, src }: Comparison, taken: boolean): void {
  const [a, b] = [values[dst], values[src]];
  if (a?.kind === 'packet' && b?.kind === 'packet-end') {
    const distance = distanceToEnd(op, true, taken);
    if (distance !== undefined) extendRange(values, a, distance);
  } else if (a?.kind === 'packet-end' && b?.kind === 'packet') {
    const distance = distanceToEnd(op, false, taken);
    if (distance !== undefined) extendRange(values, b, distance);
  }
}

/** All pointers with the same base now know that the packet reaches as far. */
function extendRange(values: Value[], pointer: PacketPointer, distance: number): void {
  const range = pointer.offset + distance;
  for (let register = 0; register < values.length; register++) {
    const value = values[register];
    if (value?.kind !== 'packet' || value.id !== pointer.id || value.range >= range) continue;
    values[register] = { ...value, range };
  }
}
