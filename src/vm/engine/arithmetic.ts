import { OP, wordDst, wordSrc } from './operations.ts';
import type { InterpreterRun } from './run.ts';

/** A handler of a seldom used operation. */
export type RareHandler = (run: InterpreterRun, row: number) => void;

/**
 * RFC 9669, section 4.1: signed division truncates towards zero, division by zero gives 0,
 * the remainder of a division by zero is the dividend, and the lowest number divided by -1
 * wraps to itself (which the caller's truncation to the width does).
 */
const divisions = {
  sdiv: (a: bigint, b: bigint): bigint => (b === 0n ? 0n : a / b),
  smod: (a: bigint, b: bigint): bigint => (b === 0n ? a : a % b),
} as const;

function signedDivision(
  op: keyof typeof divisions,
  width: 32 | 64,
  operand: 'Imm' | 'Reg',
): RareHandler {
  const divide = divisions[op];
  return (run, row) => {
    const { code } = run.program;
    const { regs } = run.cpu;
    const word = code.words[row] as number;
    const by = (operand === 'Imm' ? code.imm64[row] : regs[wordSrc(word)]) as bigint;
    const dst = wordDst(word);
    const result = divide(BigInt.asIntN(width, regs[dst] as bigint), BigInt.asIntN(width, by));
    regs[dst] = width === 64 ? BigInt.asIntN(64, result) : BigInt.asUintN(32, result);
  };
}

/** Handlers of the signed divisions, by operation. */
export function divisionHandlers(): Map<number, RareHandler> {
  const out = new Map<number, RareHandler>();
  for (const op of ['sdiv', 'smod'] as const) {
    for (const operand of ['Imm', 'Reg'] as const) {
      out.set(OP[`${op}64${operand}`], signedDivision(op, 64, operand));
      out.set(OP[`${op}32${operand}`], signedDivision(op, 32, operand));
    }
  }
  return out;
}
