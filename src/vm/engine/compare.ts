import { OP } from './operations.ts';

/** Rows of jumps are in this order, four for each: 64 and 32 bits, immediate and register. */
const comparisons: readonly ((a: bigint, b: bigint, bits: number) => boolean)[] = [
  (a, b) => a === b,
  (a, b) => a !== b,
  (a, b, bits) => BigInt.asUintN(bits, a) > BigInt.asUintN(bits, b),
  (a, b, bits) => BigInt.asUintN(bits, a) >= BigInt.asUintN(bits, b),
  (a, b, bits) => BigInt.asUintN(bits, a) < BigInt.asUintN(bits, b),
  (a, b, bits) => BigInt.asUintN(bits, a) <= BigInt.asUintN(bits, b),
  (a, b) => (a & b) !== 0n,
  (a, b) => a > b,
  (a, b) => a >= b,
  (a, b) => a < b,
  (a, b) => a <= b,
];

/** Whether a conditional jump with these operands is taken; undefined where one is unknown. */
export function constantJump(
  op: number,
  dst: bigint | undefined,
  src: bigint | undefined,
  imm: bigint,
): boolean | undefined {
  const form = (op - OP.jeq64Imm) & 3;
  const other = (form & 1) === 0 ? imm : src;
  if (dst === undefined || other === undefined) return undefined;
  const bits = form < 2 ? 64 : 32;
  const compare = comparisons[(op - OP.jeq64Imm) >> 2];
  return compare?.(BigInt.asIntN(bits, dst), BigInt.asIntN(bits, other), bits);
}
