import { ERRNO } from '../abi/errno.ts';
import type { MapBatch } from '../backend/backend.ts';
import { Attr } from './attr.ts';
import { type CallContext, check, errnoError } from './errno.ts';
import { allocate, type KernelCalls, type NativeBytes } from './sys.ts';

/** The map whose elements are moved in batches. */
export interface BatchMap {
  readonly calls: KernelCalls;
  readonly fd: number;
  readonly name: string;
  readonly keySize: number;
  /** Of one value as user space sees it. */
  readonly valueSize: number;
}

type ReadCommand = 'MAP_LOOKUP_BATCH' | 'MAP_LOOKUP_AND_DELETE_BATCH';
type WriteCommand = 'MAP_UPDATE_BATCH' | 'MAP_DELETE_BATCH';

const operations = {
  MAP_LOOKUP_BATCH: 'look up batch',
  MAP_LOOKUP_AND_DELETE_BATCH: 'take batch',
  MAP_UPDATE_BATCH: 'update batch',
  MAP_DELETE_BATCH: 'delete batch',
} as const;

/** Most bytes of keys or values in one batch. */
const mostBytes = 2 ** 30;

/** Cursors are a key, or the number of a bucket. */
const smallestCursor = 4;

/** `BPF_MAP_LOOKUP_BATCH` and its kin: the end of the map is `ENOENT` with what there still was. */
export function readBatch(
  map: BatchMap,
  command: ReadCommand,
  from: Uint8Array | undefined,
  count: number,
  flags: number,
): MapBatch {
  const about = { operation: operations[command], call: command, map: map.name };
  requireCount(map, count, about);
  const size = Math.max(smallestCursor, map.keySize);
  const [next, keys] = [allocate(size), allocate(count * map.keySize)];
  const values = allocate(count * map.valueSize);
  const attr = new Attr(command)
    .set('map_fd', map.fd)
    .set('count', count)
    .set('elem_flags', BigInt(flags))
    .point('out_batch', next)
    .point('keys', keys)
    .point('values', values);
  if (from !== undefined) attr.point('in_batch', copied(from, size));
  const result = map.calls.bpf(attr);
  const ended = result === -ERRNO.ENOENT;
  if (!ended) check(result, about);
  const found = attr.get('count');
  return {
    count: found,
    keys: keys.bytes.slice(0, found * map.keySize),
    values: values.bytes.slice(0, found * map.valueSize),
    next: ended ? undefined : count === 0 ? from : next.bytes.slice(),
  };
}

/** `BPF_MAP_UPDATE_BATCH` and, without values, `BPF_MAP_DELETE_BATCH`. */
export function writeBatch(
  map: BatchMap,
  command: WriteCommand,
  elements: { readonly keys: Uint8Array; readonly values?: Uint8Array | undefined },
  flags: number,
): number {
  const about = { operation: operations[command], call: command, map: map.name };
  const { keys, values } = elements;
  const count = map.keySize === 0 ? 0 : keys.length / map.keySize;
  requireCount(map, count, about);
  requireLength(values, count * map.valueSize, about);
  const attr = new Attr(command)
    .set('map_fd', map.fd)
    .set('count', count)
    .set('elem_flags', BigInt(flags))
    .point('keys', copied(keys, keys.length));
  if (values !== undefined) attr.point('values', copied(values, values.length));
  const result = map.calls.bpf(attr);
  if (result >= 0) return count;
  const done = attr.get('count');
  // A call that is refused as a whole leaves the count as it was.
  const reason = done < count ? `after ${done} of ${count} elements` : undefined;
  throw errnoError(-result, { ...about, reason });
}

function requireCount(map: BatchMap, count: number, about: CallContext): void {
  const size = Math.max(map.keySize, map.valueSize, 1);
  if (Number.isInteger(count) && count >= 0 && count * size <= mostBytes) return;
  const reason = Number.isInteger(count)
    ? `a batch has at most ${mostBytes} bytes of keys or values, not ${count} elements of ${size}`
    : `keys must be of ${map.keySize} bytes each`;
  throw errnoError(ERRNO.EINVAL, { ...about, reason });
}

function requireLength(values: Uint8Array | undefined, wanted: number, about: CallContext): void {
  if (values === undefined || values.length === wanted) return;
  const reason = `the values have ${values.length} bytes, ${wanted} are wanted`;
  throw errnoError(ERRNO.EINVAL, { ...about, reason });
}

function copied(bytes: Uint8Array, size: number): NativeBytes {
  const native = allocate(size);
  native.bytes.set(bytes.subarray(0, size));
  return native;
}
