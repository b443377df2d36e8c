import type { Btf } from '../btf/btf.ts';
import type { ProgramImage } from '../object/image.ts';
import type { MapSpec } from '../object/spec.ts';

/**
 * Where maps live and programs run. Two exist: the VM and the kernel. All calls are
 * synchronous. Errors are `BpfError`; those of map operations carry the errno that Linux
 * gives in the same case (`code: 'errno'`).
 */
export interface Backend extends Disposable {
  readonly name: 'vm' | 'kernel';
  /** Types that CO-RE relocates against unless the caller gives others. */
  targetBtf(): Btf;
  /** Page size in bytes, for the rounding of data sections and ring buffers. */
  readonly pageSize: number;
  /** Number of CPUs a per-CPU value has copies for. */
  readonly cpuCount: number;
  createMap(spec: MapSpec, options: CreateMapOptions): BackendMap;
  /** `maps[i]` fills the slots that name map index i; unused ones may be undefined. */
  loadProgram(image: ProgramImage, maps: readonly (BackendMap | undefined)[]): BackendProgram;
  close(): void;
}

export interface CreateMapOptions {
  /** The object's types, for key and value type ids. */
  readonly btf: Btf | undefined;
  /** Template for a map of maps. */
  readonly inner?: BackendMap | undefined;
}

/**
 * A live map. Keys and values are bytes of exactly the sizes that user space sees: a
 * per-CPU value is `cpuCount` copies, each rounded up to 8 bytes.
 */
export interface BackendMap extends Disposable {
  readonly name: string;
  /** `BPF_MAP_TYPE`. */
  readonly type: number;
  readonly keySize: number;
  /** Size of one value, without the per-CPU multiplication. */
  readonly valueSize: number;
  /** Size of a value as `lookup` and `update` take it. */
  readonly userValueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** A copy of the value, or undefined where the key is absent. */
  lookup(key: Uint8Array): Uint8Array | undefined;
  /** `flags`: `BPF_ANY`, `BPF_NOEXIST`, `BPF_EXIST`, … */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** False where the key was absent. */
  delete(key: Uint8Array): boolean;
  /** The key after `key`, the first one for undefined; undefined at the end. */
  nextKey(key: Uint8Array | undefined): Uint8Array | undefined;
  /** Stores an inner map in a map of maps. */
  setMap(key: Uint8Array, inner: BackendMap): void;
  /** Stores a program in a prog array. */
  setProgram(key: Uint8Array, program: BackendProgram): void;
  /** No more updates from user space (`BPF_MAP_FREEZE`). */
  freeze(): void;
  /** A live view of a memory-mappable array's values; the same bytes that programs see. */
  view(): Uint8Array;
  /** Hands every waiting ring buffer sample to `take` and returns how many there were. */
  consume(take: (sample: Uint8Array) => void): number;
  close(): void;
}

export interface BackendProgram extends Disposable {
  readonly name: string;
  /** `BPF_PROG_TYPE`. */
  readonly type: number;
  /** Runs the program on given input, as `BPF_PROG_TEST_RUN` does. */
  testRun(input?: TestRunInput): TestRunResult;
  close(): void;
}

export interface TestRunInput {
  /** Packet, for program types that take one. */
  readonly data?: Uint8Array | undefined;
  /** Context as user space lays it out: `struct xdp_md`, `struct __sk_buff`, tracepoint record, `u64` arguments, … */
  readonly context?: Uint8Array | undefined;
  /** Runs in a row, 1 by default. */
  readonly repeat?: number | undefined;
}

export interface TestRunResult {
  /** R0 as an unsigned 32-bit number. */
  readonly returnValue: number;
  /** The packet afterwards, for program types that take one. */
  readonly data: Uint8Array | undefined;
  /** The context afterwards, where the program type gives it back. */
  readonly context: Uint8Array | undefined;
  /** Mean time of one run in nanoseconds. */
  readonly duration: number;
}

/** Every slot must name a map of the list. */
export function requireMap(maps: readonly (BackendMap | undefined)[], index: number): BackendMap {
  const map = maps[index];
  if (map === undefined) throw new Error(`a slot names map ${index}, which was not created`);
  return map;
}
