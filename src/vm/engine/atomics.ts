import { addressOf, readMemory, writeMemory } from './access.ts';
import type { RareHandler } from './arithmetic.ts';
import { OP, wordDst, wordSrc } from './operations.ts';
import type { InterpreterRun } from './run.ts';

type Combine = (old: bigint, operand: bigint) => bigint;

const combinations = {
  Add: (old, operand) => old + operand,
  Or: (old, operand) => old | operand,
  And: (old, operand) => old & operand,
  Xor: (old, operand) => old ^ operand,
} as const satisfies { readonly [name: string]: Combine };

/** Offset of the operand in memory; throws `MemoryFault` where it may not be written. */
function operandOffset(run: InterpreterRun, row: number, size: 4 | 8): number {
  run.row = row;
  const { code, memory } = run.program;
  const word = code.words[row] as number;
  const { low, high } = addressOf(run, word, wordDst(word));
  return memory.resolve(low, high, size, 'store');
}

/**
 * Reads, combines and writes; the old value, zero-extended, goes to the source register where
 * it is fetched. Runs of one VM do not run at the same time, so nothing can come in between.
 */
function readModifyWrite(combine: Combine, size: 4 | 8, fetch: boolean): RareHandler {
  return (run, row) => {
    const at = operandOffset(run, row, size);
    const { memory, image, code } = run.program;
    const { regs } = run.cpu;
    const src = wordSrc(code.words[row] as number);
    const old = readMemory(memory.view, at, size, image.littleEndian);
    const value = combine(old, regs[src] as bigint);
    writeMemory(memory.view, at, size, image.littleEndian, value);
    if (fetch) regs[src] = BigInt.asIntN(64, old);
  };
}

/** Writes the source register where memory equals r0; r0 becomes the old value, zero-extended. */
function compareExchange(size: 4 | 8): RareHandler {
  return (run, row) => {
    const at = operandOffset(run, row, size);
    const { memory, image, code } = run.program;
    const { regs } = run.cpu;
    const src = wordSrc(code.words[row] as number);
    const old = readMemory(memory.view, at, size, image.littleEndian);
    if (old === BigInt.asUintN(8 * size, regs[0] as bigint)) {
      writeMemory(memory.view, at, size, image.littleEndian, regs[src] as bigint);
    }
    regs[0] = BigInt.asIntN(64, old);
  };
}

/** Handlers of the twenty atomic operations, by operation. */
export function atomicHandlers(): Map<number, RareHandler> {
  const out = new Map<number, RareHandler>();
  for (const bits of [32, 64] as const) {
    const size = bits === 64 ? 8 : 4;
    for (const name of ['Add', 'Or', 'And', 'Xor'] as const) {
      const combine = combinations[name];
      out.set(OP[`atomic${name}${bits}`], readModifyWrite(combine, size, false));
      out.set(OP[`atomicFetch${name}${bits}`], readModifyWrite(combine, size, true));
    }
    out.set(
      OP[`atomicExchange${bits}`],
      readModifyWrite((_, operand) => operand, size, true),
    );
    out.set(OP[`atomicCompareExchange${bits}`], compareExchange(size));
  }
  return out;
}
