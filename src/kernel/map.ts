import {
  BPF_F_ALL_CPUS,
  BPF_F_CPU,
  BPF_F_MMAPABLE,
  BPF_F_RB_OVERWRITE,
  BPF_F_RDONLY_PROG,
  BPF_F_SEGV_ON_FAULT,
  BPF_MAP_TYPE,
} from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import type { BackendMap, BackendProgram, MapBatch, StructOpsMember } from '../backend/backend.ts';
import { quoteName } from '../errors/quote.ts';
import { BpfError } from '../errors.ts';
import type { ArenaMemory } from './arena.ts';
import { Attr, hostLittleEndian } from './attr.ts';
import { check, errnoError } from './errno.ts';
import { type BatchMap, readBatch, writeBatch } from './map-batch.ts';
import { isPerCpu } from './map-types.ts';
import { Mapping } from './mapping.ts';
import { KernelProgram } from './program.ts';
import { RingBuffer } from './ring-buffer.ts';
import { allocate, type KernelCalls, type NativeBytes } from './sys.ts';

/** What a {@link KernelMap} is made of: the descriptor is its own from then on. */
export interface KernelMapParts {
  readonly calls: KernelCalls;
  readonly fd: number;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly cpuCount: number;
  /** Pages of an arena, mapped already. */
  readonly arena?: ArenaMemory | undefined;
  /** Called once, after the descriptor was closed. */
  readonly onClose: (map: KernelMap) => void;
}

/** What is done to a map, for messages: the action and the call. */
const actions = {
  lookup: { operation: 'look up element', call: 'MAP_LOOKUP_ELEM' },
  update: { operation: 'update element', call: 'MAP_UPDATE_ELEM' },
  delete: { operation: 'delete element', call: 'MAP_DELETE_ELEM' },
  take: { operation: 'take element', call: 'MAP_LOOKUP_AND_DELETE_ELEM' },
  contains: { operation: 'look up value', call: 'MAP_LOOKUP_ELEM' },
  nextKey: { operation: 'get next key', call: 'MAP_GET_NEXT_KEY' },
  setMap: { operation: 'store inner map', call: 'MAP_UPDATE_ELEM' },
  setProgram: { operation: 'store program', call: 'MAP_UPDATE_ELEM' },
  freeze: { operation: 'freeze', call: 'MAP_FREEZE' },
  setStructOps: { operation: 'set struct of callbacks', call: 'MAP_UPDATE_ELEM' },
  write: { operation: 'write', call: 'mmap' },
  view: { operation: 'map memory', call: 'mmap' },
  consume: { operation: 'consume', call: 'mmap' },
} as const;

type Action = (typeof actions)[keyof typeof actions];

/**
 * A map of the running kernel, owned through its descriptor.
 *
 * Keys and values pass through buffers that live as long as the map, so that a call
 * allocates little more than its result.
 */
export class KernelMap implements BackendMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly userValueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly #calls: KernelCalls;
  readonly #onClose: (map: KernelMap) => void;
  #elements: ElementCalls | undefined;
  readonly #arena: ArenaMemory | undefined;
  #fd: number;
  #frozen = false;
  #mapping: Mapping | undefined;
  #view: Uint8Array | undefined;
  #ring: RingBuffer | undefined;

  constructor(parts: KernelMapParts) {
    this.name = parts.name;
    this.type = parts.type;
    this.keySize = parts.keySize;
    this.valueSize = parts.valueSize;
    this.maxEntries = parts.maxEntries;
    this.flags = parts.flags;
    this.userValueSize = isPerCpu(parts.type)
      ? roundUp(parts.valueSize, 8) * parts.cpuCount
      : parts.valueSize;
    this.#calls = parts.calls;
    this.#arena = parts.arena;
    this.#fd = parts.fd;
    this.#onClose = parts.onClose;
  }

  /** The descriptor; it stays the map's. */
  get fd(): number {
    this.#requireOpen();
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  lookup(key: Uint8Array, flags = 0): Uint8Array | undefined {
    if (this.type === BPF_MAP_TYPE.BLOOM_FILTER) {
      const reason = 'it has no keys; ask with contains(value)';
      throw errnoError(ERRNO.EINVAL, { ...actions.lookup, map: this.name, reason });
    }
    const elements = this.#withKey(key, actions.lookup);
    const call = elements.lookup.set('flags', BigInt(flags));
    if (!this.#present(this.#calls.bpf(call), actions.lookup)) return undefined;
    return elements.value.bytes.slice(0, this.#valueSizeFor(flags));
  }

  update(key: Uint8Array, value: Uint8Array, flags = 0): void {
    const elements = this.#withKey(key, actions.update);
    this.#requireSize(value, this.#valueSizeFor(flags), 'value', actions.update);
    elements.value.bytes.set(value);
    this.#update(elements, flags, actions.update);
  }

  lookupAndDelete(key: Uint8Array, flags = 0): Uint8Array | undefined {
    const elements = this.#withKey(key, actions.take);
    const call = elements.take.set('flags', BigInt(flags));
    if (!this.#present(this.#calls.bpf(call), actions.take)) return undefined;
    return elements.value.bytes.slice();
  }

  contains(value: Uint8Array): boolean {
    if (this.type !== BPF_MAP_TYPE.BLOOM_FILTER) {
      const reason = 'it is no Bloom filter';
      throw errnoError(ERRNO.EINVAL, { ...actions.contains, map: this.name, reason });
    }
    const elements = this.#withKey(new Uint8Array(0), actions.contains);
    this.#requireSize(value, this.userValueSize, 'value', actions.contains);
    elements.value.bytes.set(value);
    const call = elements.lookup.set('flags', 0);
    return this.#present(this.#calls.bpf(call), actions.contains);
  }

  lookupBatch(from: Uint8Array | undefined, count: number, flags = 0): MapBatch {
    return readBatch(this.#batchMap(flags), 'MAP_LOOKUP_BATCH', from, count, flags);
  }

  lookupAndDeleteBatch(from: Uint8Array | undefined, count: number, flags = 0): MapBatch {
    return readBatch(this.#batchMap(flags), 'MAP_LOOKUP_AND_DELETE_BATCH', from, count, flags);
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, flags = 0): number {
    return writeBatch(this.#batchMap(flags), 'MAP_UPDATE_BATCH', { keys, values }, flags);
  }

  deleteBatch(keys: Uint8Array, flags = 0): number {
    return writeBatch(this.#batchMap(flags), 'MAP_DELETE_BATCH', { keys }, flags);
  }

  delete(key: Uint8Array): boolean {
    const elements = this.#withKey(key, actions.delete);
    return this.#present(this.#calls.bpf(elements.delete), actions.delete);
  }

  nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const first = key === undefined;
    const elements = first ? this.#elementCalls() : this.#withKey(key, actions.nextKey);
    const result = this.#calls.bpf(first ? elements.firstKey : elements.nextKey);
    return this.#present(result, actions.nextKey) ? elements.next.bytes.slice() : undefined;
  }

  setMap(key: Uint8Array, inner: BackendMap): void {
    if (!(inner instanceof KernelMap)) throw this.#foreign(`map ${quoteName(inner.name)}`);
    this.#setDescriptor(key, inner.fd, actions.setMap);
  }

  setProgram(key: Uint8Array, program: BackendProgram): void {
    if (!(program instanceof KernelProgram)) {
      throw this.#foreign(`program ${quoteName(program.name)}`);
    }
    this.#setDescriptor(key, program.fd, actions.setProgram);
  }

  /** Members hold the descriptors of their programs, in words of the machine's size. */
  setStructOps(value: Uint8Array, members: readonly StructOpsMember[]): void {
    if (this.type !== BPF_MAP_TYPE.STRUCT_OPS) {
      const reason = 'it is no struct of callbacks';
      throw errnoError(ERRNO.EINVAL, { ...actions.setStructOps, map: this.name, reason });
    }
    const elements = this.#withKey(new Uint8Array(4), actions.setStructOps);
    this.#requireSize(value, this.valueSize, 'value', actions.setStructOps);
    elements.value.bytes.set(value);
    const view = new DataView(elements.value.bytes.buffer);
    for (const { offset, program } of members) {
      if (!(program instanceof KernelProgram)) {
        throw this.#foreign(`program ${quoteName(program.name)}`);
      }
      view.setBigUint64(offset, BigInt(program.fd), hostLittleEndian);
    }
    this.#update(elements, 0, actions.setStructOps);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#requireOpen();
    this.#requireSafe(actions.write);
    if (this.#arena?.write(offset, bytes) === true) return;
    const reason =
      this.#arena === undefined
        ? 'only an arena can be written to at any place'
        : `${bytes.length} bytes at ${offset} are outside of the arena`;
    throw errnoError(ERRNO.EINVAL, { ...actions.write, map: this.name, reason });
  }

  /** While a view of the map exists, the kernel answers `EBUSY`. */
  freeze(): void {
    const attr = new Attr('MAP_FREEZE').set('map_fd', this.fd);
    check(this.#calls.bpf(attr), { ...actions.freeze, map: this.name });
    this.#frozen = true;
  }

  /**
   * The bytes of an array made with `BPF_F_MMAPABLE`, live: what programs write shows, what
   * is written here programs see. Elements follow each other at multiples of 8 bytes.
   * Closing the map detaches the view (its length is 0 then).
   *
   * Of a frozen map it is a copy of the moment: pages that are mapped without the right to
   * write would kill the process at the first write. For the same reason there is no view
   * of a map that programs may only read until it is frozen.
   */
  view(): Uint8Array {
    this.#requireOpen();
    if (this.#arena !== undefined) return this.#arenaView(this.#arena);
    if (this.type !== BPF_MAP_TYPE.ARRAY || (this.flags & BPF_F_MMAPABLE) === 0) {
      const number = this.type === BPF_MAP_TYPE.ARRAY ? ERRNO.EINVAL : ERRNO.ENOTSUPP;
      throw this.#noView(number, 'only an array made with BPF_F_MMAPABLE has a view');
    }
    if (this.#view !== undefined) return this.#view;
    if (this.#frozen) return this.#copyContents();
    if ((this.flags & BPF_F_RDONLY_PROG) !== 0) {
      throw this.#noView(ERRNO.EACCES, 'programs may only read it: use update, or freeze it first');
    }
    return this.#openView();
  }

  /**
   * Hands out copies. The sample counts as read before `take` sees it, so `take` may throw,
   * consume again, or close the map.
   */
  consume(take: (sample: Uint8Array) => void): number {
    const fd = this.fd;
    if (this.type !== BPF_MAP_TYPE.RINGBUF || (this.flags & BPF_F_RB_OVERWRITE) !== 0) {
      const reason = 'only a ring buffer that does not overwrite can be consumed';
      throw errnoError(ERRNO.EINVAL, { ...actions.consume, map: this.name, reason });
    }
    this.#ring ??= RingBuffer.open(this.#calls, fd, this.name, this.maxEntries);
    return this.#ring.consume(take);
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    this.#mapping?.close();
    this.#ring?.close();
    this.#arena?.close();
    this.#calls.close(fd);
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Bytes that the elements take; between two of them the kernel pads to 8. */
  get #contentsLength(): number {
    return roundUp(this.valueSize, 8) * (this.maxEntries - 1) + this.valueSize;
  }

  /** With this flag, touching a page that no program has allocated ends the process. */
  #requireSafe(action: Action): void {
    if (this.#arena === undefined || (this.flags & BPF_F_SEGV_ON_FAULT) === 0) return;
    const reason =
      'with BPF_F_SEGV_ON_FAULT, pages that no program has allocated must not be touched';
    throw errnoError(ERRNO.EFAULT, { ...action, map: this.name, reason });
  }

  #arenaView({ view }: ArenaMemory): Uint8Array {
    this.#requireSafe(actions.view);
    if (view !== undefined) return view;
    const reason = 'it has a fixed address, or is too large to be viewed';
    throw this.#noView(ERRNO.ENOTSUPP, reason);
  }

  #openMapping(writable: boolean): Mapping {
    const length = roundUp(roundUp(this.valueSize, 8) * this.maxEntries, this.#calls.pageSize);
    const mapping = Mapping.open(this.#calls, this.fd, [{ at: 0, length, offset: 0, writable }]);
    if (typeof mapping !== 'number') return mapping;
    throw this.#noView(-mapping);
  }

  #openView(): Uint8Array {
    this.#mapping = this.#openMapping(true);
    this.#view = new Uint8Array(this.#mapping.buffer, 0, this.#contentsLength);
    return this.#view;
  }

  #copyContents(): Uint8Array {
    using mapping = this.#openMapping(false);
    return new Uint8Array(mapping.buffer, 0, this.#contentsLength).slice();
  }

  #noView(number: number, reason?: string): BpfError {
    return errnoError(number, { ...actions.view, map: this.name, reason });
  }

  /** Values of maps that hold descriptors are 32 bits in the host's byte order. */
  #setDescriptor(key: Uint8Array, fd: number, action: Action): void {
    const elements = this.#withKey(key, action);
    const { bytes } = elements.value;
    this.#requireSize(bytes, 4, 'value', action);
    new DataView(bytes.buffer).setInt32(0, fd, hostLittleEndian);
    this.#update(elements, 0, action);
  }

  #update(elements: ElementCalls, flags: number, action: Action): void {
    const result = this.#calls.bpf(elements.update.set('flags', BigInt(flags)));
    if (result < 0) throw errnoError(-result, { ...action, map: this.name });
  }

  /** Values of one CPU, or of all at once, are a single value. */
  #valueSizeFor(flags: number): number {
    return (flags & (BPF_F_CPU | BPF_F_ALL_CPUS)) === 0 ? this.userValueSize : this.valueSize;
  }

  #batchMap(flags: number): BatchMap {
    const { fd, name, keySize } = this;
    return { calls: this.#calls, fd, name, keySize, valueSize: this.#valueSizeFor(flags) };
  }

  /** False for a result that says `ENOENT`; any other failure is thrown. */
  #present(result: number, action: Action): boolean {
    if (result >= 0) return true;
    if (result === -ERRNO.ENOENT) return false;
    throw errnoError(-result, { ...action, map: this.name });
  }

  /** The calls with `key` in its place. */
  #withKey(key: Uint8Array, action: Action): ElementCalls {
    const elements = this.#elementCalls();
    this.#requireSize(key, this.keySize, 'key', action);
    elements.key.bytes.set(key);
    return elements;
  }

  /** Made at the first use: the value of a data section can be large and is often only viewed. */
  #elementCalls(): ElementCalls {
    const { fd, keySize, userValueSize } = this;
    this.#elements ??= elementCalls(fd, keySize, userValueSize);
    return this.#elements;
  }

  #requireOpen(): void {
    if (this.#fd < 0) throw new BpfError({ code: 'closed', what: 'map', name: this.name });
  }

  #requireSize(bytes: Uint8Array, size: number, what: string, action: Action): void {
    if (bytes.length === size) return;
    const reason = `the ${what} has ${bytes.length} bytes, ${size} are wanted`;
    throw errnoError(ERRNO.EINVAL, { ...action, map: this.name, reason });
  }

  #foreign(what: string): BpfError {
    const reason = `${what} belongs to another backend`;
    return new BpfError({ code: 'kernel-unsupported', what: 'map', name: this.name, reason });
  }
}

/** The calls on one element, with their pointers in place. */
interface ElementCalls {
  readonly key: NativeBytes;
  readonly value: NativeBytes;
  readonly next: NativeBytes;
  readonly lookup: Attr<'MAP_LOOKUP_ELEM'>;
  readonly update: Attr<'MAP_UPDATE_ELEM'>;
  readonly delete: Attr<'MAP_DELETE_ELEM'>;
  readonly take: Attr<'MAP_LOOKUP_AND_DELETE_ELEM'>;
  readonly firstKey: Attr<'MAP_GET_NEXT_KEY'>;
  readonly nextKey: Attr<'MAP_GET_NEXT_KEY'>;
}

function elementCalls(fd: number, keySize: number, valueSize: number): ElementCalls {
  const key = allocate(keySize);
  const next = allocate(keySize);
  const value = allocate(valueSize);
  const lookup = new Attr('MAP_LOOKUP_ELEM').set('map_fd', fd).point('value', value);
  const update = new Attr('MAP_UPDATE_ELEM').set('map_fd', fd).point('value', value);
  const take = new Attr('MAP_LOOKUP_AND_DELETE_ELEM').set('map_fd', fd).point('value', value);
  const nextKey = new Attr('MAP_GET_NEXT_KEY').set('map_fd', fd).point('next_key', next);
  const remove = new Attr('MAP_DELETE_ELEM').set('map_fd', fd);
  // The kernel refuses the address of a key that has no bytes.
  if (keySize > 0) for (const call of [lookup, update, take, remove]) call.point('key', key);
  if (keySize > 0) nextKey.point('key', key);
  return {
    ...{ key, value, next, lookup, update, take, nextKey, delete: remove },
    firstKey: new Attr('MAP_GET_NEXT_KEY').set('map_fd', fd).point('next_key', next),
  };
}

/** `size` rounded up to a multiple of `unit`. */
function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}
