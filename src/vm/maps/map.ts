import {
  BPF_EXIST,
  BPF_F_ALL_CPUS,
  BPF_F_CPU,
  BPF_F_LOCK,
  BPF_F_RDONLY,
  BPF_F_WRONLY,
  BPF_NOEXIST,
} from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type {
  BackendMap,
  BackendProgram,
  MapBatch,
  StructOpsMember,
} from '../../backend/backend.ts';
import { quoteName } from '../../errors/quote.ts';
import { BpfError } from '../../errors.ts';
import type { MapSpec } from '../../object/spec.ts';
import { checkResult, type ErrnoName, errnoError } from '../errno.ts';
import { MemoryFault, windows } from '../machine.ts';
import type { VmMemory } from '../memory.ts';
import { alignUp } from '../ranges.ts';
import { type BatchCall, type BatchRequest, batchByKeys, eachOfBatch, noBatch } from './batch.ts';
import type { SpecialField } from './fields.ts';
import type { CpuValues } from './percpu.ts';

/** What maps need of the VM that they live in. */
export interface MapHost {
  readonly memory: VmMemory;
  readonly cpuCount: number;
  readonly pageSize: number;
  /** Start value of the hash functions. */
  readonly hashSeed: number;
  /** Places the kernel's structure for a map (`struct bpf_map` and what is around it); its offset. */
  placeHeader(map: VmMap): number;
  /** Forgets a map and its header. */
  dropMap(map: VmMap): void;
  /** The live map with this header, undefined where there is none. */
  mapAt(header: number): VmMap | undefined;
}

/** A program as a prog array holds it. */
export interface HeldProgram extends BackendProgram {
  /** From 1, never used twice in one VM. */
  readonly id: number;
  readonly tailCallKind: TailCallKind;
  acquire(): void;
  release(): void;
}

/** What must fit for programs to share a prog array. */
export interface TailCallKind {
  /** `BPF_PROG_TYPE`. */
  readonly type: number;
  /** `BPF_ATTACH_TYPE`. */
  readonly attachType: number;
  /** Handles XDP packets in several parts (`BPF_F_XDP_HAS_FRAGS`). */
  readonly frags: boolean;
}

/** What the creation of every map needs. */
export interface MapOptions {
  readonly host: MapHost;
  /** From 1, never used twice in one VM. */
  readonly id: number;
  readonly spec: MapSpec;
  /** Fields of the value that the kernel owns: spin locks, timers, … */
  readonly special: readonly SpecialField[];
  /** Template of a map of maps. */
  readonly inner?: VmMap | undefined;
  /** Byte order of the programs that use it: that of array indices. True by default. */
  readonly littleEndian?: boolean | undefined;
}

/** How `forEach` calls back: with offsets of key and value. Not 0 stops. */
export type ElementCallback = (key: number, value: number) => number;

/**
 * A map of the VM. Two sides use it: user space (the `BackendMap` methods, bytes in and out,
 * errors thrown) and programs (`elementXxx`, offsets in VM memory, results 0 or a negated
 * errno, as in the kernel's `struct bpf_map_ops`). A map type overrides what it has; what it
 * lacks fails as in Linux.
 */
export abstract class VmMap implements BackendMap {
  readonly id: number;
  readonly name: string;
  readonly spec: MapSpec;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  /** Size of a value in memory: rounded up to 8 bytes. */
  readonly valueStride: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly special: readonly SpecialField[];
  /** Template that inner maps must be like, for maps of maps. */
  readonly inner: VmMap | undefined;
  readonly littleEndian: boolean;
  protected readonly host: MapHost;
  protected readonly memory: VmMemory;
  #frozen = false;
  /** Of user space; the map is closed to it without any. */
  #handles = 1;
  #pins = 0;
  #references = 1;
  #header = 0;

  constructor(options: MapOptions) {
    this.host = options.host;
    this.memory = options.host.memory;
    this.id = options.id;
    this.spec = options.spec;
    this.name = options.spec.name;
    this.type = options.spec.type;
    this.keySize = options.spec.keySize;
    this.valueSize = options.spec.valueSize;
    this.valueStride = alignUp(this.valueSize, 8);
    this.maxEntries = options.spec.maxEntries;
    this.flags = options.spec.flags;
    this.special = options.special;
    this.inner = options.inner;
    this.littleEndian = options.littleEndian ?? true;
  }

  /** Offset of the map's structure in VM memory: a program's map pointer. */
  get header(): number {
    return this.#header;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  get userValueSize(): number {
    return this.valueSize;
  }

  /** Owner name in memory statistics. */
  get label(): string {
    return `map ${this.name}`;
  }

  /** Places the map's structure; the last step of its creation. */
  publish(): void {
    this.#header = this.host.placeHeader(this);
  }

  // User space.

  lookup(key: Uint8Array, flags = 0): Uint8Array | undefined {
    const operation = 'look up element';
    this.checkRead(operation);
    this.#checkFlags(flags, BPF_F_LOCK | BPF_F_CPU, operation);
    this.checkSize('key', key, this.keySize, operation);
    return this.userLookup(key, flags);
  }

  update(key: Uint8Array, value: Uint8Array, flags = 0): void {
    const operation = 'update element';
    this.#checkWritable(operation);
    this.#checkFlags(flags, 0xffff_ffff, operation);
    this.checkSize('key', key, this.keySize, operation);
    this.checkSize('value', value, this.#valueSizeFor(flags), operation);
    this.check(this.userUpdate(key, value, flags), operation);
  }

  lookupAndDelete(key: Uint8Array, flags = 0): Uint8Array | undefined {
    const operation = 'take element';
    this.checkRead(operation);
    this.#checkWritable(operation);
    this.#checkFlags(flags, BPF_F_LOCK, operation);
    this.checkSize('key', key, this.keySize, operation);
    return this.userTake(key, flags);
  }

  contains(_value: Uint8Array): boolean {
    this.requireOpen();
    throw this.error('EINVAL', 'look up value', 'it is no Bloom filter');
  }

  lookupBatch(from: Uint8Array | undefined, count: number, flags = 0): MapBatch {
    const operation = 'look up batch';
    this.checkRead(operation);
    this.#checkBatch('lookup', count, operation);
    this.#checkFlags(flags, BPF_F_LOCK | BPF_F_CPU, operation);
    return count === 0 ? noBatch(from) : this.userBatch({ from, count, flags, take: false });
  }

  lookupAndDeleteBatch(from: Uint8Array | undefined, count: number, flags = 0): MapBatch {
    const operation = 'take batch';
    this.checkRead(operation);
    this.#checkWritable(operation);
    this.#checkBatch('take', count, operation);
    this.#checkFlags(flags, BPF_F_LOCK, operation);
    return count === 0 ? noBatch(from) : this.userBatch({ from, count, flags, take: true });
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, flags = 0): number {
    const operation = 'update batch';
    this.#checkWritable(operation);
    const count = keys.length / this.keySize;
    this.#checkBatch('update', count, operation);
    this.#checkFlags(flags, BPF_F_LOCK | BPF_F_CPU | BPF_F_ALL_CPUS, operation);
    const size = this.#valueSizeFor(flags);
    this.checkSize('values', values, count * size, operation);
    return eachOfBatch(this, keys, (key, i) => {
      this.update(key, values.subarray(i * size, (i + 1) * size), flags);
    });
  }

  deleteBatch(keys: Uint8Array, flags = 0): number {
    const operation = 'delete batch';
    this.#checkWritable(operation);
    this.#checkBatch('delete', keys.length / this.keySize, operation);
    this.#checkFlags(flags, BPF_F_LOCK, operation);
    return eachOfBatch(this, keys, (key) => {
      if (!this.delete(key)) throw this.error('ENOENT', operation);
    });
  }

  delete(key: Uint8Array): boolean {
    const operation = 'delete element';
    this.#checkWritable(operation);
    this.checkSize('key', key, this.keySize, operation);
    const result = this.elementDelete(key, 0);
    if (result === -ERRNO.ENOENT) return false;
    this.check(result, operation);
    return true;
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const operation = 'get next key';
    this.checkRead(operation);
    if (key !== undefined) this.checkSize('key', key, this.keySize, operation);
    return this.userNextKey(key);
  }

  setMap(key: Uint8Array, _inner: BackendMap): void {
    this.checkSize('key', key, this.keySize, 'update element');
    throw this.error('EINVAL', 'update element', 'it does not hold maps');
  }

  setProgram(key: Uint8Array, _program: BackendProgram): void {
    this.checkSize('key', key, this.keySize, 'update element');
    throw this.error('EINVAL', 'update element', 'it does not hold programs');
  }

  setStructOps(_value: Uint8Array, _members: readonly StructOpsMember[]): void {
    this.requireOpen();
    throw this.error('EINVAL', 'set struct of callbacks', 'it is no struct of callbacks');
  }

  write(_offset: number, _bytes: Uint8Array): void {
    this.requireOpen();
    throw this.error('EINVAL', 'write', 'only an arena can be written to at any place');
  }

  freeze(): void {
    this.requireOpen();
    if (this.special.length > 0) throw this.error('ENOTSUPP', 'freeze map');
    if ((this.flags & BPF_F_RDONLY) !== 0) throw this.error('EPERM', 'freeze map');
    if (this.#frozen) throw this.error('EPERM', 'freeze map', 'it is frozen already');
    this.#frozen = true;
  }

  view(): Uint8Array {
    this.requireOpen();
    throw this.error('ENOTSUPP', 'map memory', 'only arrays with BPF_F_MMAPABLE can be viewed');
  }

  consume(_take: (sample: Uint8Array) => void): number {
    this.requireOpen();
    throw this.error('EINVAL', 'consume samples', 'it is not a ring buffer');
  }

  /** Drops a handle of the user's. The map lives on while a program, a map or a pin holds it. */
  close(): void {
    if (this.#handles === 0) return;
    this.#handles--;
    if (this.#handles > 0) return;
    this.#userGone();
    this.release();
  }

  /** Drops all handles. */
  closeAll(): void {
    while (this.#handles > 0) this.close();
  }

  /** Whether the map is one of this VM's. */
  isOf(host: MapHost): boolean {
    return this.host === host;
  }

  /** One more handle, to be closed like the first. */
  reopen(): void {
    if (this.#handles === 0) this.acquire();
    this.#handles++;
  }

  /** A name in the file system holds the map as a user's handle does. */
  pin(): void {
    this.requireOpen();
    this.#pins++;
    this.acquire();
  }

  unpin(): void {
    this.#pins--;
    this.#userGone();
    this.release();
  }

  #userGone(): void {
    if (this.#handles === 0 && this.#pins === 0) this.handleClosed();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // Programs.

  /** Offset of the value for the key at `key[at]`, on a CPU; 0 where there is none. */
  elementLookup(_key: Uint8Array, _at: number, _cpu: number): number {
    throw this.notForPrograms('bpf_map_lookup_elem');
  }

  /** Stores the value at `value[valueAt]`; 0 or a negated errno. `flags` has 64 bits as two numbers. */
  elementUpdate(
    _key: Uint8Array,
    _at: number,
    _value: Uint8Array,
    _valueAt: number,
    _flags: number,
    _cpu: number,
  ): number {
    throw this.notForPrograms('bpf_map_update_elem');
  }

  /** Removes the key at `key[at]`; 0 or a negated errno. Also what user space calls. */
  elementDelete(_key: Uint8Array, _at: number): number {
    return -ERRNO.EINVAL;
  }

  /** Puts in the value at `value[at]`: queues, stacks and Bloom filters. */
  elementPush(_value: Uint8Array, _at: number, _flags: number): number {
    throw this.notForPrograms('bpf_map_push_elem');
  }

  /**
   * Copies what comes out next to an offset in VM memory, and takes it out; a Bloom filter
   * looks for the value that is there. 0 or a negated errno.
   */
  elementPeek(_to: number, remove: boolean): number {
    throw this.notForPrograms(remove ? 'bpf_map_pop_elem' : 'bpf_map_peek_elem');
  }

  /** Calls back for every element and returns how often; a negated errno where the type cannot. */
  forEach(_cpu: number, _callback: ElementCallback): number {
    return -ERRNO.EINVAL;
  }

  /** True where each CPU has values of its own. */
  get isPercpu(): boolean {
    return false;
  }

  /** True where programs may not delete, though user space may. */
  get programsMayNotDelete(): boolean {
    return false;
  }

  // Lifetime.

  acquire(): void {
    this.#references++;
  }

  release(): void {
    this.#references--;
    if (this.#references > 0) return;
    this.destroy();
    if (this.#header !== 0) this.host.dropMap(this);
  }

  /** Whether another map may stand where `this` is the template (`map_meta_equal`). */
  metaEqual(other: VmMap): boolean {
    return (
      this.type === other.type &&
      this.keySize === other.keySize &&
      this.valueSize === other.valueSize &&
      this.flags === other.flags &&
      sameFields(this.special, other.special)
    );
  }

  /** False for types that cannot be inner maps. */
  get canBeInner(): boolean {
    return true;
  }

  /** Frees the elements; called once, by the last release. */
  abstract destroy(): void;

  // For map types.

  /** Batch calls that the type has (`map_lookup_batch` and its kin of `struct bpf_map_ops`). */
  protected get batchCalls(): readonly BatchCall[] {
    return [];
  }

  /** Elements for a batch, by keys: the next one starts behind the last key. */
  protected userBatch(request: BatchRequest): MapBatch {
    return batchByKeys(this, request);
  }

  protected userTake(_key: Uint8Array, _flags: number): Uint8Array | undefined {
    throw this.error('ENOTSUPP', 'take element', 'only hash maps, queues and stacks can do this');
  }

  protected userLookup(key: Uint8Array, _flags: number): Uint8Array | undefined {
    const at = this.elementLookup(key, 0, 0);
    if (at === 0) return undefined;
    return this.userValue(at);
  }

  /** A copy of a value without what the kernel owns. */
  protected userValue(at: number): Uint8Array {
    const value = this.memory.bytes.slice(at, at + this.valueSize);
    for (const field of this.special) value.fill(0, field.offset, field.offset + field.size);
    return value;
  }

  /** Layout of the values of all CPUs. */
  protected get cpus(): CpuValues {
    return { cpuCount: this.host.cpuCount, size: this.valueSize, stride: this.valueStride };
  }

  protected userUpdate(key: Uint8Array, value: Uint8Array, flags: number): number {
    return this.elementUpdate(key, 0, value, 0, flags, 0);
  }

  protected abstract userNextKey(key: Uint8Array | undefined): Uint8Array | undefined;

  /** What a type does when the user's last handle goes, apart from releasing it. */
  protected handleClosed(): void {}

  protected get hasSpinLock(): boolean {
    return this.special.some((field) => field.kind === 'spin-lock');
  }

  /** Copies a value, leaving out what the kernel owns. */
  protected copyValue(to: number, value: Uint8Array, at: number): void {
    if (this.special.length > 0) this.#copyAround(to, value, at);
    else copyBytes(this.memory.bytes, to, value, at, this.valueSize);
  }

  /** Like `copyValue` into fresh memory: what the kernel owns starts as zero. */
  protected initValue(to: number, value: Uint8Array, at: number): void {
    copyBytes(this.memory.bytes, to, value, at, this.valueSize);
    for (const f of this.special) this.memory.bytes.fill(0, to + f.offset, to + f.offset + f.size);
  }

  /** Throws where the user has closed the map. */
  requireOpen(): void {
    if (this.#handles > 0) return;
    throw new BpfError({ code: 'closed', what: 'map', name: this.name });
  }

  protected error(name: ErrnoName, operation: string, reason?: string): BpfError {
    return errnoError(name, operation, { map: this.name, reason });
  }

  /** Checks an update by user space that brings a map or program instead of bytes. */
  protected checkUpdate(key: Uint8Array): void {
    this.#checkWritable('update element');
    this.checkSize('key', key, this.keySize, 'update element');
  }

  /** The map if it may stand where the template does; else throws. */
  protected checkInner(inner: BackendMap): VmMap {
    const operation = 'update element';
    if (!(inner instanceof VmMap) || inner.host !== this.host) {
      throw this.error('EBADF', operation, 'the inner map is not one of this VM');
    }
    inner.requireOpen();
    if (this.inner?.metaEqual(inner) === true) return inner;
    const reason = `map ${quoteName(inner.name)} differs from the template in type, sizes, flags or special fields`;
    throw this.error('EINVAL', operation, reason);
  }

  protected check(result: number, operation: string): number {
    return checkResult(result, operation, { map: this.name });
  }

  /** The fault of a program that calls a helper which the verifier refuses for this map. */
  notForPrograms(helper: string): MemoryFault {
    const reason = `${helper} is not allowed on map ${quoteName(this.name)} of type ${this.type}`;
    return new MemoryFault(this.#header, windows.main, 0, 'load', reason);
  }

  #copyAround(to: number, value: Uint8Array, at: number): void {
    let from = 0;
    for (const field of this.special) {
      copyBytes(this.memory.bytes, to + from, value, at + from, field.offset - from);
      from = field.offset + field.size;
    }
    copyBytes(this.memory.bytes, to + from, value, at + from, this.valueSize - from);
  }

  /** `bpf_map_check_op_flags` of kernel/bpf/syscall.c. */
  #checkFlags(flags: number, allowed: number, operation: string): void {
    const low = flags % 2 ** 32;
    if ((low & ~allowed) !== 0) throw this.error('EINVAL', operation, `flags ${flags}`);
    if ((low & BPF_F_LOCK) !== 0 && !this.hasSpinLock) {
      throw this.error('EINVAL', operation, 'BPF_F_LOCK needs a struct bpf_spin_lock in the value');
    }
    const cpu = Math.floor(flags / 2 ** 32);
    const chosen = low & (BPF_F_CPU | BPF_F_ALL_CPUS);
    if ((chosen & BPF_F_CPU) === 0 && cpu !== 0) {
      throw this.error('EINVAL', operation, 'a CPU is named without BPF_F_CPU');
    }
    if (chosen === 0) return;
    if (!this.isPercpu) throw this.error('EINVAL', operation, 'it has no values by CPU');
    if (chosen === (BPF_F_CPU | BPF_F_ALL_CPUS)) {
      throw this.error('EINVAL', operation, 'BPF_F_CPU and BPF_F_ALL_CPUS exclude each other');
    }
    if (cpu < this.host.cpuCount) return;
    throw this.error('ERANGE', operation, `the VM has ${this.host.cpuCount} CPUs`);
  }

  /** Values of one CPU, or of all at once, are a single value. */
  #valueSizeFor(flags: number): number {
    return (flags & (BPF_F_CPU | BPF_F_ALL_CPUS)) === 0 ? this.userValueSize : this.valueSize;
  }

  #checkBatch(call: BatchCall, count: number, operation: string): void {
    if (!this.batchCalls.includes(call)) {
      throw this.error('ENOTSUPP', operation, 'the type has no such batches');
    }
    if (Number.isInteger(count) && count >= 0) return;
    throw this.error('EINVAL', operation, `keys must be of ${this.keySize} bytes each`);
  }

  /** Throws where what user space gives has another size. */
  protected checkSize(what: string, bytes: Uint8Array, size: number, operation: string): void {
    if (bytes.length === size) return;
    const reason = `the ${what} must have ${size} bytes, not ${bytes.length}`;
    throw this.error('EINVAL', operation, reason);
  }

  /** Throws where user space may not read. */
  protected checkRead(operation: string): void {
    this.requireOpen();
    if ((this.flags & BPF_F_WRONLY) === 0) return;
    throw this.error('EPERM', operation, 'BPF_F_WRONLY lets user space write only');
  }

  #checkWritable(operation: string): void {
    this.requireOpen();
    if (this.#frozen) throw this.error('EPERM', operation, 'the map is frozen');
    if ((this.flags & BPF_F_RDONLY) === 0) return;
    throw this.error('EPERM', operation, 'BPF_F_RDONLY lets user space read only');
  }
}

/**
 * Copies without making a view object where it is short: the bulk of keys and values is, and
 * `subarray` costs about 50 ns.
 */
export function copyBytes(
  target: Uint8Array,
  to: number,
  source: Uint8Array,
  from: number,
  size: number,
): void {
  if (source === target) target.copyWithin(to, from, from + size);
  else if (size <= 64) for (let i = 0; i < size; i++) target[to + i] = source[from + i] as number;
  else target.set(source.subarray(from, from + size), to);
}

/**
 * Checks the flags of an update against whether the key is there, as `check_flags` of the
 * kernel's hashtab.c: 0 or a negated errno.
 */
export function checkUpdateFlags(flags: number, exists: boolean): number {
  const kind = flags & ~BPF_F_LOCK;
  if (kind < 0 || kind > BPF_EXIST || flags > 0xffff_ffff) return -ERRNO.EINVAL;
  if (exists && kind === BPF_NOEXIST) return -ERRNO.EEXIST;
  if (!exists && kind === BPF_EXIST) return -ERRNO.ENOENT;
  return 0;
}

function sameFields(a: readonly SpecialField[], b: readonly SpecialField[]): boolean {
  return (
    a.length === b.length &&
    a.every((f, i) => f.kind === b[i]?.kind && f.offset === b[i]?.offset && f.size === b[i]?.size)
  );
}
