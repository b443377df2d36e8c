// The thread that does the fuzzing. It writes the index that it is at into shared memory,
// so that the main thread sees a hang and can name the input.
import { parentPort, workerData } from 'node:worker_threads';
import { FuzzInputs } from './inputs.ts';
import { residentLimit, timeLimit } from './limits.ts';
import { FuzzTarget, type Reached } from './target.ts';

/** What a worker is started with. */
export interface FuzzJob {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Index that the worker is at. */
  readonly progress: SharedArrayBuffer;
}

/** What a worker says: a failing input, or at its end how far inputs got. */
export type FuzzMessage =
  | { readonly kind: 'failure'; readonly index: number; readonly problem: string }
  | { readonly kind: 'done'; readonly reached: Readonly<Record<Reached, number>> };

const job = workerData as FuzzJob;
const progress = new Int32Array(job.progress);
const inputs = new FuzzInputs();
using target = new FuzzTarget();
const reached: Record<Reached, number> = { refused: 0, opened: 0, prepared: 0, loaded: 0, ran: 0 };

function tell(message: FuzzMessage): void {
  parentPort?.postMessage(message);
}

/** Undefined where all is well. */
function problemWith(index: number): string | undefined {
  const input = inputs.make(job.seed, index);
  const started = performance.now();
  try {
    reached[target.run(input.bytes, input.target)]++;
  } catch (error) {
    return `${input.from}: ${error instanceof Error ? error.stack : String(error)}`;
  }
  const took = performance.now() - started;
  return took > timeLimit ? `${input.from}: took ${Math.round(took)} ms` : undefined;
}

for (let index = job.from; index < job.to; index++) {
  Atomics.store(progress, 0, index);
  const problem = problemWith(index);
  if (problem !== undefined) tell({ kind: 'failure', index, problem });
  const resident = index % 256 === 0 ? process.memoryUsage.rss() / 2 ** 20 : 0;
  if (resident > residentLimit) {
    tell({ kind: 'failure', index, problem: `${Math.round(resident)} MB of memory are in use` });
    break;
  }
}
tell({ kind: 'done', reached });
