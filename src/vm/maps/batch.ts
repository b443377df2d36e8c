import type { BackendMap, MapBatch } from '../../backend/backend.ts';
import { BpfError } from '../../errors.ts';

/** `lookup`, `lookup_and_delete`, `update` and `delete` with many elements at once. */
export type BatchCall = 'lookup' | 'take' | 'update' | 'delete';

/** What a batch of elements is asked for. */
export interface BatchRequest {
  /** What the batch before gave as `next`; undefined for the start. */
  readonly from: Uint8Array | undefined;
  readonly count: number;
  readonly flags: number;
  /** Elements are removed. */
  readonly take: boolean;
}

/** Elements of a batch, as they are found. */
export class BatchResult {
  readonly #keys: Uint8Array[] = [];
  readonly #values: Uint8Array[] = [];

  get count(): number {
    return this.#keys.length;
  }

  add(key: Uint8Array, value: Uint8Array): void {
    this.#keys.push(key);
    this.#values.push(value);
  }

  end(next: Uint8Array | undefined): MapBatch {
    const [keys, values] = [joined(this.#keys), joined(this.#values)];
    return { count: this.count, keys, values, next };
  }
}

/** A batch of no elements: the next one starts where it did. */
export function noBatch(from: Uint8Array | undefined): MapBatch {
  return new BatchResult().end(from);
}

/** Elements from key to key (`generic_map_lookup_batch`). */
export function batchByKeys(map: BackendMap, request: BatchRequest): MapBatch {
  const { from, count, flags } = request;
  const result = new BatchResult();
  let last = from;
  while (result.count < count) {
    const key = map.nextKey(last);
    if (key === undefined) return result.end(undefined);
    last = key;
    const value = map.lookup(key, flags);
    if (value !== undefined) result.add(key, value);
  }
  return result.end(last);
}

/** Does something for each key of a batch; an error says how far it got. */
export function eachOfBatch(
  map: BackendMap,
  keys: Uint8Array,
  work: (key: Uint8Array, index: number) => void,
): number {
  const { keySize } = map;
  const count = keys.length / keySize;
  for (let i = 0; i < count; i++) {
    try {
      work(keys.subarray(i * keySize, (i + 1) * keySize), i);
    } catch (error) {
      if (!(error instanceof BpfError) || error.detail.code !== 'errno') throw error;
      throw new BpfError({ ...error.detail, reason: `after ${i} of ${count} elements` });
    }
  }
  return count;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const size = parts[0]?.length ?? 0;
  const out = new Uint8Array(size * parts.length);
  for (const [i, part] of parts.entries()) out.set(part, i * size);
  return out;
}
