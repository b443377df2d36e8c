// One sample of work in a Node process that has done nothing before.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../scripts/paths.ts';

/**
 * Runs statements in a fresh process and gives the nanoseconds between `start()` and
 * `stop()`. `load('src/…')` imports a compiled module of ours.
 */
export function coldSample(code: string): number {
  const dist = JSON.stringify(`file://${join(projectRoot, 'dist')}/`);
  const frame = `
    import { readFileSync } from 'node:fs';
    const load = (path) => import(${dist} + path);
    let from, to;
    const start = () => { from = process.hrtime.bigint(); };
    const stop = () => { to = process.hrtime.bigint(); };
    ${code}
    console.log(String(to - from));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', frame], {
    encoding: 'utf8',
  });
  return Number(output);
}
