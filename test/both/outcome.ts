// What a run leaves behind, in a form in which both backends can be compared.
import { createRequire } from 'node:module';
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import type { BackendMap, TestRunResult } from '../../src/backend/backend.ts';
import { toHex } from '../../src/bytes/hex.ts';
import { BpfError } from '../../src/errors.ts';
import type { LoadedObject } from '../../src/loader/loaded.ts';

/** Keys and values as hex, sorted by key; samples of a ring buffer in their order. */
export type MapContents =
  | { readonly entries: readonly string[] }
  | { readonly samples: readonly string[] }
  | 'not compared';

const perCpu: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.PERCPU_ARRAY,
  BPF_MAP_TYPE.PERCPU_HASH,
  BPF_MAP_TYPE.LRU_PERCPU_HASH,
]);

/** Maps without keys; a Bloom filter's bits are its backend's own. */
const keyless: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.QUEUE,
  BPF_MAP_TYPE.STACK,
  BPF_MAP_TYPE.BLOOM_FILTER,
]);

/** What comes out of a queue or stack, which is empty then. */
function drained(map: BackendMap): MapContents {
  if (map.type === BPF_MAP_TYPE.BLOOM_FILTER) return 'not compared';
  const samples: string[] = [];
  const none = new Uint8Array(0);
  for (let left = map.maxEntries; left > 0; left--) {
    const value = map.lookupAndDelete(none);
    if (value !== undefined) samples.push(toHex(value));
  }
  return { samples };
}

/** Maps whose values mean something only to their own backend: their keys are compared. */
const ofHandles: ReadonlySet<number> = new Set([
  BPF_MAP_TYPE.ARRAY_OF_MAPS,
  BPF_MAP_TYPE.HASH_OF_MAPS,
]);

/** Everything in a map; a ring buffer is emptied. */
export function contentsOf(map: BackendMap): MapContents {
  if (map.type === BPF_MAP_TYPE.PROG_ARRAY) return 'not compared';
  if (map.type === BPF_MAP_TYPE.RINGBUF) {
    const samples: string[] = [];
    map.consume((sample) => samples.push(toHex(sample)));
    return { samples };
  }
  if (keyless.has(map.type)) return drained(map);
  const entries: string[] = [];
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    entries.push(`${toHex(key)}: ${valueText(map, map.lookup(key))}`);
  }
  return { entries: entries.sort() };
}

function valueText(map: BackendMap, value: Uint8Array | undefined): string {
  if (value === undefined) return 'none';
  if (ofHandles.has(map.type)) return 'a map';
  return perCpu.has(map.type) ? copiesText(map, value) : toHex(value);
}

/** Copies of a per-CPU value without the zero ones at the end: CPU counts may differ. */
function copiesText(map: BackendMap, value: Uint8Array): string {
  const stride = Math.ceil(map.valueSize / 8) * 8;
  const copies: string[] = [];
  for (let at = 0; at < value.length; at += stride) {
    copies.push(toHex(value.subarray(at, at + stride)));
  }
  while (/^0*$/.test(copies.at(-1) ?? '1')) copies.pop();
  return copies.join(' | ');
}

/** Contents of every map of an object, in the order of its definitions. */
export function allContents(object: LoadedObject): readonly (readonly [string, MapContents])[] {
  return [...object.maps].map(([name, map]) => [name, contentsOf(map)]);
}

/** A test run's result without its time. */
export function resultText(result: TestRunResult): Readonly<Record<string, unknown>> {
  return {
    returnValue: result.returnValue,
    data: result.data && toHex(result.data),
    context: result.context && toHex(result.context),
  };
}

/** What `work` gives, or the name of the errno that it fails with. */
export function outcomeOf(work: () => unknown): unknown {
  try {
    const value = work();
    return value instanceof Uint8Array ? toHex(value) : value;
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return error.detail.code === 'errno' ? error.detail.errno : error.code;
  }
}

/** Keeps this thread on CPU 0, so that per-CPU values of the kernel land where the VM's do. */
export function pinToFirstCpu(): void {
  const koffi = createRequire(import.meta.url)('koffi') as {
    load(path: null): { func(definition: string): (...args: readonly unknown[]) => number };
  };
  const setAffinity = koffi.load(null).func('int sched_setaffinity(int, size_t, void *)');
  const mask = new Uint8Array(128);
  mask[0] = 1;
  if (setAffinity(0, mask.length, mask) !== 0) throw new Error('CPU 0 is not for us');
}
