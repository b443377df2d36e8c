// One sample of work in a Node process that has done nothing before.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../scripts/paths.ts';

/**
 * Runs statements in a fresh process and gives the nanoseconds between `start()` and
 * `stop()`. `load('src/…')` imports a compiled module of ours.
 */
export function coldSample(code: string): number {
  return freshProcess(`
    let from, to;
    const start = () => { from = process.hrtime.bigint(); };
    const stop = () => { to = process.hrtime.bigint(); };
    ${code}
    console.log(String(to - from));`);
}

/**
 * Runs statements in a fresh process and gives the bytes by which its memory grew between
 * `start()` and `stop()`: objects and buffers that are still reachable, after a collection.
 */
export function memorySample(code: string): number {
  return freshProcess(
    `
    let from, to;
    const used = () => {
      // Buffers are let go one collection after what holds them.
      gc();
      gc();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const start = () => { from = used(); };
    const stop = () => { to = used(); };
    ${code}
    console.log(String(to - from));`,
    ['--expose-gc'],
  );
}

function freshProcess(code: string, flags: readonly string[] = []): number {
  const dist = JSON.stringify(`file://${join(projectRoot, 'dist')}/`);
  const frame = `
    import { readFileSync } from 'node:fs';
    const load = (path) => import(${dist} + path);
    ${code}`;
  const args = [...flags, '--input-type=module', '-e', frame];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}
