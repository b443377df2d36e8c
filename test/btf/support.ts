import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { BpfError, type BpfErrorCode } from '../../src/errors.ts';

/** A file of test/btf/data. */
export function dataFile(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(projectRoot, 'test/btf/data', name)));
}

/** Runs `work`, which must throw a BpfError of that code; the error. */
export function throwsBpfError(
  t: ExecutionContext,
  work: () => unknown,
  code: BpfErrorCode,
): BpfError | undefined {
  const error = t.throws(work, { instanceOf: BpfError });
  t.is(error?.code, code, error?.message);
  return error;
}

/** A copy with a 32-bit little-endian word changed. */
export function withWord(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(offset, value, true);
  return copy;
}

/**
 * How often to try a property that `npm test` tries so often: more with TSBPF_MORE_RUNS=100
 * in the environment, which stands for a hundred times as often.
 */
export function runs(usual: number): { readonly numRuns: number } {
  return { numRuns: usual * Number(process.env['TSBPF_MORE_RUNS'] ?? 1) };
}
