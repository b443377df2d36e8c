// Runs command lines in this process and keeps what they print.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { main } from '../../src/cli/main.ts';

/** What a command line left. */
export interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line; a defect of the command is thrown, as `main` throws it. */
export async function tsbpf(...argv: readonly string[]): Promise<Outcome> {
  return capture(argv, false);
}

/** The same on a terminal that shows colour. */
export async function tsbpfInColor(...argv: readonly string[]): Promise<Outcome> {
  return capture(argv, true);
}

async function capture(argv: readonly string[], color: boolean): Promise<Outcome> {
  const out: string[] = [];
  const err: string[] = [];
  const status = await main(argv, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    color,
  });
  return { status, out: out.join(''), err: err.join('') };
}

/** An object as the command line names it: from the project's root, so that goldens are stable. */
export function objectPath(path: string): string {
  return `fixtures/${path}.o`;
}

/** Text for people: nothing in it moves a cursor, changes a colour or turns the writing around. */
export const printableText = /^[^\p{Zl}\p{Zp}\p{C}]*(\n[^\p{Zl}\p{Zp}\p{C}]*)*$/u;

/** One line of JSON without control characters or bidirectional marks, and what it says. */
export function parseLine(t: ExecutionContext, text: string): unknown {
  t.regex(text, /^[^\p{Zl}\p{Zp}\p{Cc}\p{Cf}\p{Cs}]+\n$/u);
  return JSON.parse(text) as unknown;
}

/**
 * Compares with the golden beside this test. To write it anew after a change that is meant:
 * `TSBPF_UPDATE_GOLDENS=1 npx ava 'dist/test/cli/**'`.
 */
export function expectGolden(t: ExecutionContext, name: string, text: string): void {
  const path = join(projectRoot, 'test/cli/goldens', name);
  if (process.env['TSBPF_UPDATE_GOLDENS'] === '1') writeFileSync(path, text);
  t.is(text, readFileSync(path, 'utf8'));
}

/** A folder for the files of one test; gone afterwards. */
export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'tsbpf-'));

  /** Writes a file and returns its path. */
  write(name: string, bytes: Uint8Array | string): string {
    const path = join(this.path, name);
    writeFileSync(path, bytes);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
