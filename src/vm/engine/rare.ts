import { bigEndianHandlers } from './access.ts';
import { divisionHandlers, type RareHandler } from './arithmetic.ts';
import { atomicHandlers } from './atomics.ts';
import { firstRareOp, OP, opNames } from './operations.ts';
import type { Fault } from './program.ts';
import type { InterpreterRun } from './run.ts';
import { RunStop } from './stop.ts';

/** An instruction that must not run. */
function trap(run: InterpreterRun, row: number): void {
  run.row = row;
  const { code } = run.program;
  const { reason, note } = code.faults[code.target[row] as number] as Fault;
  throw new RunStop(reason, note);
}

const handlers = new Map<number, RareHandler>([
  ...divisionHandlers(),
  ...atomicHandlers(),
  ...bigEndianHandlers(),
  [OP.trap, trap],
]);

/** Handlers of the operations from `firstRareOp` on. */
export const rareHandlers: readonly RareHandler[] = opNames.slice(firstRareOp).map((name) => {
  const handler = handlers.get(OP[name]);
  if (handler === undefined) throw new Error(`${name} has no handler`);
  return handler;
});
