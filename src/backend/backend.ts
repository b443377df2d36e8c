import type { Btf } from '../btf/btf.ts';
import type { TypeId } from '../btf/types.ts';
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
  /** Facts about the machine that an object may ask for. */
  readonly host: BackendHost;
  /** Maps under names of their own, which outlive the objects that made them. */
  readonly pins: BackendPins;
  createMap(spec: MapSpec, options: CreateMapOptions): BackendMap;
  /** `maps[i]` fills the slots that name map index i; unused ones may be undefined. */
  loadProgram(image: ProgramImage, maps: readonly (BackendMap | undefined)[]): BackendProgram;
  close(): void;
}

/** What the machine says about itself; each is looked up when first asked for. */
export interface BackendHost {
  /** `KERNEL_VERSION(major, minor, patch)` of the running kernel, for `LINUX_KERNEL_VERSION`. */
  kernelVersion(): number;
  /** The kernel's configuration as text (`CONFIG_X=y` lines); undefined where it cannot be read. */
  kconfig(): string | undefined;
  /**
   * Addresses of kernel symbols (`/proc/kallsyms`), each once and in the order they are listed;
   * a name that is not there is not in the result. One call reads the list once.
   */
  symbols(names: ReadonlySet<string>): ReadonlyMap<string, readonly bigint[]>;
  /** Types of the kernel's modules, which stand on the kernel's own. */
  modules(): readonly ModuleTypes[];
  /** Whether the kernel can do what an object may depend on; probed. */
  has(feature: HostFeature): boolean;
}

/** The types of one kernel module. */
export interface ModuleTypes {
  readonly name: string;
  readonly btf: Btf;
}

/** bpffs, or the VM's own table of names. */
export interface BackendPins {
  /** The map at a path, opened anew under `name`; undefined where there is none. */
  open(path: string, name: string): PinnedMap | undefined;
  /** Gives a map a path; an `errno` error `EEXIST` where the path is taken. */
  pin(path: string, map: BackendMap): void;
  /** Takes a path away; the map lives on as long as something else holds it. */
  unpin(path: string): void;
}

export interface PinnedMap {
  readonly map: BackendMap;
  readonly definition: MapDefinition;
}

/** What a pinned map must share with the map of an object to be used in its place. */
export type MapDefinition = Pick<
  MapSpec,
  'type' | 'keySize' | 'valueSize' | 'maxEntries' | 'flags' | 'extra'
>;

/**
 * `cookie`: `bpf_get_attach_cookie`; `syscall-wrapper`: system calls have wrappers
 * (`ARCH_HAS_SYSCALL_WRAPPER`); `probe-read-kernel`: helpers 113 and 115 exist;
 * `arg-ctx-tag`: the verifier knows the `arg:ctx` tag; `full-range-imm64`: offsets up to
 * the end of an arena in an `ld_imm64`; `uprobe-multi`: one link for many uprobes, whose choice
 * of a process works.
 */
export type HostFeature =
  | 'cookie'
  | 'syscall-wrapper'
  | 'probe-read-kernel'
  | 'arg-ctx-tag'
  | 'full-range-imm64'
  | 'uprobe-multi';

export interface CreateMapOptions {
  /** The object's types, for key and value type ids. */
  readonly btf: Btf | undefined;
  /** Template for a map of maps. */
  readonly inner?: BackendMap | undefined;
  /** The target's struct, for a struct_ops map. */
  readonly structOps?: StructOpsType | undefined;
}

/** What a struct_ops map's value is on the target. */
export interface StructOpsType {
  /** `struct bpf_struct_ops_NAME`, in the types of the target or of `module`. */
  readonly valueType: TypeId;
  readonly module: string | undefined;
}

/** A member of a struct_ops value that calls a program. */
export interface StructOpsMember {
  /** In bytes from the start of the value. */
  readonly offset: number;
  readonly program: BackendProgram;
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
  /**
   * A copy of the value, or undefined where the key is absent. The key of a queue or stack has
   * no bytes: what comes out next. `flags`: `BPF_F_LOCK`, or `BPF_F_CPU` with the CPU's number
   * times 2^32, which gives that CPU's value only.
   */
  lookup(key: Uint8Array, flags?: number): Uint8Array | undefined;
  /**
   * `flags`: `BPF_ANY`, `BPF_NOEXIST`, `BPF_EXIST`, with `BPF_F_LOCK`; `BPF_F_CPU` as in `lookup`
   * or `BPF_F_ALL_CPUS`, with which a per-CPU map takes a single value.
   */
  update(key: Uint8Array, value: Uint8Array, flags?: number): void;
  /** False where the key was absent. */
  delete(key: Uint8Array): boolean;
  /** Takes an element out, hash maps, queues and stacks only; undefined where there is none. */
  lookupAndDelete(key: Uint8Array, flags?: number): Uint8Array | undefined;
  /** Whether a Bloom filter may have got this value. */
  contains(value: Uint8Array): boolean;
  /**
   * Up to `count` elements from where `from` says, from the start for undefined. Elements that
   * come or go between two calls may be missed or seen twice; others are seen once.
   */
  lookupBatch(from: Uint8Array | undefined, count: number, flags?: number): MapBatch;
  /** The same, and takes them out: hash maps only. */
  lookupAndDeleteBatch(from: Uint8Array | undefined, count: number, flags?: number): MapBatch;
  /** Stores elements whose keys and values follow one another; how many, which is all of them. */
  updateBatch(keys: Uint8Array, values: Uint8Array, flags?: number): number;
  /** Removes keys that follow one another; how many. An absent one ends it with `ENOENT`. */
  deleteBatch(keys: Uint8Array, flags?: number): number;
  /** The key after `key`, the first one for undefined; undefined at the end. */
  nextKey(key: Uint8Array | undefined): Uint8Array | undefined;
  /** Stores an inner map in a map of maps. */
  setMap(key: Uint8Array, inner: BackendMap): void;
  /** Stores a program in a prog array. */
  setProgram(key: Uint8Array, program: BackendProgram): void;
  /**
   * Gives a struct_ops map its value, in the target's layout; members get their programs.
   * A map without `BPF_F_LINK` is registered with the kernel by that.
   */
  setStructOps(value: Uint8Array, members: readonly StructOpsMember[]): void;
  /** Writes into an arena, `offset` bytes from its start. */
  write(offset: number, bytes: Uint8Array): void;
  /** No more updates from user space (`BPF_MAP_FREEZE`). */
  freeze(): void;
  /** A live view of a memory-mappable array's values; the same bytes that programs see. */
  view(): Uint8Array;
  /** Hands every waiting ring buffer sample to `take` and returns how many there were. */
  consume(take: (sample: Uint8Array) => void): number;
  close(): void;
}

/** Some elements of a map. */
export interface MapBatch {
  readonly count: number;
  /** One after another, each of `keySize` bytes. */
  readonly keys: Uint8Array;
  /** One after another, each of `userValueSize` bytes. */
  readonly values: Uint8Array;
  /** Where the next batch starts; undefined at the end. The bytes mean something to the map only. */
  readonly next: Uint8Array | undefined;
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
