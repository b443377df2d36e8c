import { ERRNO } from '../../abi/errno.ts';
import type { BackendMap, BackendProgram } from '../../backend/backend.ts';
import { windows } from '../machine.ts';
import { indexKey, keyIndex, nextIndexKey } from './array.ts';
import type { BatchCall } from './batch.ts';
import { TableMap } from './hash.ts';
import {
  checkUpdateFlags,
  type HeldProgram,
  type MapOptions,
  type TailCallKind,
  VmMap,
} from './map.ts';

/** Size of one slot: a pointer. */
const slotSize = 8;

/** What a map can hold. */
interface Held {
  acquire(): void;
  release(): void;
}

/**
 * What prog arrays and arrays of maps share: an array of 8-byte slots, 0 where empty.
 * Source of the rules: `fd_array_map_*` of kernel/bpf/arraymap.c.
 */
abstract class SlotArray<T extends Held> extends VmMap {
  readonly slots: number;
  /** Owners of what the slots refer to, by index; memory alone could be written over. */
  protected readonly held = new Map<number, T>();

  constructor(options: MapOptions) {
    super(options);
    this.slots = this.memory.allocate(this.maxEntries * slotSize, { label: this.label });
  }

  override elementDelete(key: Uint8Array, at: number): number {
    const index = keyIndex(key, at, this.littleEndian);
    if (index >= this.maxEntries) return -ERRNO.E2BIG;
    if (!this.held.has(index)) return -ERRNO.ENOENT;
    this.#clear(index);
    return 0;
  }

  override get programsMayNotDelete(): boolean {
    return true;
  }

  override destroy(): void {
    this.clearAll();
    this.memory.free(this.slots);
  }

  protected override userNextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    return nextIndexKey(key, this.maxEntries, this.littleEndian);
  }

  /** User space stores descriptors in these maps, and the VM has none. */
  protected override userUpdate(_key: Uint8Array, _value: Uint8Array, flags: number): number {
    return flags === 0 ? -ERRNO.EBADF : -ERRNO.EINVAL;
  }

  /** Index for an update by user space; throws where it is beyond the array. */
  protected checkIndex(key: Uint8Array): number {
    this.checkUpdate(key);
    const index = keyIndex(key, 0, this.littleEndian);
    if (index >= this.maxEntries) throw this.error('E2BIG', 'update element');
    return index;
  }

  protected put(index: number, reference: T, low: number, high: number): void {
    reference.acquire();
    this.held.get(index)?.release();
    this.held.set(index, reference);
    this.#write(index, low, high);
  }

  protected clearAll(): void {
    for (const index of [...this.held.keys()]) this.#clear(index);
  }

  #clear(index: number): void {
    const old = this.held.get(index);
    this.held.delete(index);
    this.#write(index, 0, 0);
    old?.release();
  }

  #write(index: number, low: number, high: number): void {
    const word = (this.slots + index * slotSize) >>> 2;
    this.memory.words[word] = low;
    this.memory.words[word + 1] = high;
  }
}

/**
 * `BPF_MAP_TYPE_PROG_ARRAY`: slot i holds the id of a program, or 0. All programs of one
 * array, and those that tail-call through it, must be alike; the first one sets how.
 */
export class ProgArrayMap extends SlotArray<HeldProgram> {
  #owner: TailCallKind | undefined;

  /**
   * Fixes what kind of programs the array is for: 0, or -EINVAL for a program of another kind
   * (`bpf_prog_map_compatible`).
   */
  claim(kind: TailCallKind): number {
    this.#owner ??= kind;
    const { type, frags, attachType } = this.#owner;
    const attaches = attachType === 0 || attachType === kind.attachType;
    return type === kind.type && frags === kind.frags && attaches ? 0 : -ERRNO.EINVAL;
  }

  /** The program in a slot, undefined where it is empty or beyond the array. */
  program(index: number): HeldProgram | undefined {
    return this.held.get(index);
  }

  override setProgram(key: Uint8Array, program: BackendProgram): void {
    const index = this.checkIndex(key);
    if (!isHeldProgram(program)) throw this.error('EBADF', 'update element', foreign('program'));
    if (this.claim(program.tailCallKind) < 0) {
      const reason = 'all programs of a prog array, and those that use it, must be of one type';
      throw this.error('EINVAL', 'update element', reason);
    }
    this.put(index, program, program.id, 0);
  }

  override get canBeInner(): boolean {
    return false;
  }

  /** The kernel empties a prog array with its last user, or programs in it could hold themselves. */
  protected override handleClosed(): void {
    this.clearAll();
  }

  protected override userLookup(key: Uint8Array): Uint8Array | undefined {
    const program = this.held.get(keyIndex(key, 0, this.littleEndian));
    return program === undefined ? undefined : indexKey(program.id, this.littleEndian);
  }
}

/**
 * `BPF_MAP_TYPE_ARRAY_OF_MAPS`: slot i holds the address of an inner map, or 0. A program's
 * lookup gives that address; user space reads the inner map's id.
 */
export class ArrayOfMaps extends SlotArray<VmMap> {
  override elementLookup(key: Uint8Array, at: number, _cpu: number): number {
    const index = keyIndex(key, at, this.littleEndian);
    if (index >= this.maxEntries) return 0;
    return this.memory.words[(this.slots + index * slotSize) >>> 2] as number;
  }

  override setMap(key: Uint8Array, inner: BackendMap): void {
    const index = this.checkIndex(key);
    const map = this.checkInner(inner);
    this.put(index, map, map.header, windows.main);
  }

  protected override get batchCalls(): readonly BatchCall[] {
    return ['lookup', 'update'];
  }

  protected override userLookup(key: Uint8Array): Uint8Array | undefined {
    const map = this.held.get(keyIndex(key, 0, this.littleEndian));
    return map === undefined ? undefined : indexKey(map.id, this.littleEndian);
  }
}

/**
 * `BPF_MAP_TYPE_HASH_OF_MAPS`: the value in the table is the inner map's address.
 * Source of the rules: `htab_of_map_*` and `bpf_fd_htab_map_*` of kernel/bpf/hashtab.c.
 */
export class HashOfMaps extends TableMap {
  /** Owners of the inner maps, by element. */
  readonly #held = new Map<number, VmMap>();

  constructor(options: MapOptions) {
    super(options, slotSize);
  }

  override elementLookup(key: Uint8Array, at: number, _cpu: number): number {
    const element = this.table.find(key, at);
    if (element === 0) return 0;
    return this.memory.words[(element + this.table.payloadOffset) >>> 2] as number;
  }

  override setMap(key: Uint8Array, inner: BackendMap): void {
    this.checkUpdate(key);
    const map = this.checkInner(inner);
    const element = this.table.find(key, 0) || this.#insert(key);
    this.memory.words[(element + this.table.payloadOffset) >>> 2] = map.header;
    this.memory.words[(element + this.table.payloadOffset + 4) >>> 2] = windows.main;
    this.#hold(element, map);
  }

  override get programsMayNotDelete(): boolean {
    return true;
  }

  override destroy(): void {
    for (const map of this.#held.values()) map.release();
    this.#held.clear();
    super.destroy();
  }

  protected override remove(element: number): void {
    super.remove(element);
    this.#hold(element, undefined);
  }

  protected override readValue(payload: number): Uint8Array {
    const map = this.#held.get(payload - this.table.payloadOffset);
    return indexKey(map?.id ?? 0, this.littleEndian);
  }

  protected override userTake(): Uint8Array | undefined {
    throw this.error('ENOTSUPP', 'take element', 'a map of maps cannot do this');
  }

  protected override userUpdate(key: Uint8Array, _value: Uint8Array, flags: number): number {
    const checked = checkUpdateFlags(flags, this.table.find(key, 0) !== 0);
    return checked < 0 ? checked : -ERRNO.EBADF;
  }

  #insert(key: Uint8Array): number {
    const operation = 'update element';
    const element = this.check(this.makeElement(key, 0), operation);
    this.link(element);
    return element;
  }

  #hold(element: number, map: VmMap | undefined): void {
    map?.acquire();
    this.#held.get(element)?.release();
    if (map === undefined) this.#held.delete(element);
    else this.#held.set(element, map);
  }
}

function isHeldProgram(program: BackendProgram): program is HeldProgram {
  return 'tailCallKind' in program;
}

/** Why something of another backend cannot be stored. */
export function foreign(what: string): string {
  return `the ${what} is not one of this VM`;
}
