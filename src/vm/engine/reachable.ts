import { constantJump } from './compare.ts';
import { hasTarget, isConditionalJump, OP, wordDst, wordOp, wordSrc } from './operations.ts';
import type { LoweredCode } from './program.ts';

/**
 * Rows that a run can come to (1) or not (0), as far as constants within basic blocks tell.
 * That is what CO-RE guards come down to after relocation: `r1 = 0; if r1 == 0 goto …`.
 */
export function reachableRows(code: LoweredCode): Uint8Array {
  const reached = new Uint8Array(code.length);
  const leaders = new Uint8Array(code.length + 1);
  for (const row of code.blocks) leaders[row] = 1;
  const waiting: number[] = [0, ...code.addressTaken.values()];
  for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
    if (reached[row] === 0) walkBlock(code, row, reached, leaders, waiting);
  }
  return reached;
}

/** Marks the rows of a block and puts what follows it on the list. */
function walkBlock(
  code: LoweredCode,
  start: number,
  reached: Uint8Array,
  leaders: Uint8Array,
  waiting: number[],
): void {
  const known: (bigint | undefined)[] = new Array(11).fill(undefined);
  for (let row = start; ; row++) {
    reached[row] = 1;
    const taken = successors(code, row, known);
    if (taken !== 'next') waiting.push(code.target[row] as number);
    if (taken === 'target' || endsPath(code, row)) return;
    if (leaders[row + 1] === 1) {
      waiting.push(row + 1);
      return;
    }
  }
}

/** A call of a missing function would come back if the function were there. */
function endsPath(code: LoweredCode, row: number): boolean {
  const op = wordOp(code.words[row] as number);
  if (op === OP.trap) return code.faults[code.target[row] as number]?.reason === 'poisoned';
  return op === OP.exit || op === OP.goto;
}

/** Where a row can go to; learns what it does to registers. */
function successors(
  code: LoweredCode,
  row: number,
  known: (bigint | undefined)[],
): 'next' | 'target' | 'both' {
  const word = code.words[row] as number;
  const op = wordOp(word);
  const dst = wordDst(word);
  if (op === OP.mov64Imm) known[dst] = code.imm64[row];
  else if (op === OP.mov64Reg) known[dst] = known[wordSrc(word)];
  else if (isConditionalJump(op)) {
    const taken = constantJump(op, known[dst], known[wordSrc(word)], code.imm64[row] as bigint);
    return taken === undefined ? 'both' : taken ? 'target' : 'next';
  } else if (op === OP.goto) return 'target';
  else if (op === OP.call || hasTarget(op)) return 'both';
  else known.fill(undefined);
  return 'next';
}
