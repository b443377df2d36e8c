import type { TrapReason } from '../../errors/vm-engine.ts';

/** Stops a run for a reason other than a memory access. The engine turns it into a trap report. */
export class RunStop extends Error {
  readonly reason: TrapReason;
  readonly note: string | undefined;

  constructor(reason: TrapReason, note?: string) {
    super(reason);
    this.reason = reason;
    this.note = note;
  }
}
