// Runs seeded random damage to the fixtures through the whole library.
//
//   node dist/test/fuzz/fuzz.js [--count N] [--seed S] [--from INDEX]
//
// Every input must give a value or a BpfError, in bounded time and memory. What does not is
// saved to test/fuzz/crashers, and replayed by crashers.test.ts from then on.
// `--seed 7 --from 123 --count 1` runs one input again.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { formatCounts } from '../../scripts/counts.ts';
import { projectRoot } from '../../scripts/paths.ts';
import { FuzzInputs } from './inputs.ts';
import { heapLimit } from './limits.ts';
import type { FuzzJob, FuzzMessage } from './worker.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
  },
});
const seed = Number(values.seed);
const first = Number(values.from);
const end = first + Number(values.count);

/** No progress for so long, in milliseconds, is a hang. */
const patience = 15_000;
/** Stop after so many: the rest is most likely more of the same. */
const enough = 20;

const failures: number[] = [];
const reached = new Map<string, number>();
const inputs = new FuzzInputs();

function saveCrasher(index: number, problem: string): void {
  failures.push(index);
  console.log(`input ${index} of seed ${seed}: ${problem}`);
  const folder = join(projectRoot, 'test/fuzz/crashers');
  mkdirSync(folder, { recursive: true });
  const { bytes, target } = inputs.make(seed, index);
  writeFileSync(join(folder, `seed${seed}-${index}.o`), bytes);
  if (target !== undefined) writeFileSync(join(folder, `seed${seed}-${index}.btf`), target);
}

function take(message: FuzzMessage): void {
  if (message.kind === 'failure') {
    saveCrasher(message.index, message.problem);
    return;
  }
  for (const [stage, count] of Object.entries(message.reached)) {
    reached.set(stage, (reached.get(stage) ?? 0) + count);
  }
}

/** Runs inputs from `from` on; gives the index to go on from after an input that ended the worker. */
function runWorker(from: number): Promise<number> {
  const progress = new SharedArrayBuffer(4);
  const at = new Int32Array(progress);
  const job: FuzzJob = { seed, from, to: end, progress };
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: heapLimit },
  });
  return new Promise((resolve) => {
    let lastIndex = -1;
    let problem = 'the worker ended';
    let done = false;
    const watch = setInterval(() => {
      const index = Atomics.load(at, 0);
      if (index === lastIndex) {
        problem = `no end after ${patience / 1000} s`;
        void worker.terminate();
      }
      lastIndex = index;
    }, patience);
    worker.on('message', (message: FuzzMessage) => {
      take(message);
      done ||= message.kind === 'done';
      if (failures.length >= enough) void worker.terminate();
    });
    worker.on('error', (error) => {
      problem = String(error);
    });
    worker.on('exit', () => {
      clearInterval(watch);
      if (done || failures.length >= enough) return resolve(end);
      const index = Atomics.load(at, 0);
      saveCrasher(index, problem);
      resolve(index + 1);
    });
  });
}

const started = performance.now();
let next = first;
while (next < end && failures.length < enough) next = await runWorker(next);
const stages = [...reached].map(([stage, count]) => `${stage} ${count}`).join(', ');
console.log(`furthest stage of the inputs: ${stages}`);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
console.log(`${end - first} inputs of seed ${seed} in ${seconds} s`);
// All inputs together are one test; each that fails is one failure.
const failed = new Set(failures).size;
console.log(formatCounts({ passed: failed === 0 ? 1 : 0, failed, skipped: 0 }));
if (failed > 0) process.exitCode = 1;
