import { OP } from '../engine/operations.ts';
import type { Operands } from './arithmetic.ts';
import type { CodeSink } from './code-sink.ts';
import { W } from './wasm-codes.ts';

/** Comparisons in the order of the operations, four for each: 64 and 32 bits, immediate and register. */
const comparisons: readonly (readonly [wide: number, narrow: number])[] = [
  [W.i64Eq, W.i32Eq],
  [W.i64Ne, W.i32Ne],
  [W.i64GtU, W.i32GtU],
  [W.i64GeU, W.i32GeU],
  [W.i64LtU, W.i32LtU],
  [W.i64LeU, W.i32LeU],
  [W.i64And, W.i32And],
  [W.i64GtS, W.i32GtS],
  [W.i64GeS, W.i32GeS],
  [W.i64LtS, W.i32LtS],
  [W.i64LeS, W.i32LeS],
];

/** Leaves an `i32` that is not 0 where the conditional jump `op` is taken. */
export function emitCondition(sink: CodeSink, op: number, operands: Operands): void {
  const form = (op - OP.jeq64Imm) & 3;
  const [wide, narrow] = comparisons[(op - OP.jeq64Imm) >> 2] as readonly [number, number];
  if (form < 2) {
    sink.get(operands.dst);
    if (form === 0) sink.i64(operands.imm64);
    else sink.get(operands.src);
    sink.op(wide);
    if (wide === W.i64And) {
      sink.i64(0n);
      sink.op(W.i64Ne);
    }
    return;
  }
  sink.low(operands.dst);
  if (form === 2) sink.i32(operands.imm);
  else sink.low(operands.src);
  sink.op(narrow);
}
