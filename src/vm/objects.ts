import type { Btf } from '../btf/btf.ts';
import { type DataValue, decodeValue } from '../btf/decode.ts';
import { resolveType, sizeOf } from '../btf/graph.ts';
import { BTF_KIND, type BtfType, type TypeId } from '../btf/types.ts';
import { encodeText } from '../bytes/text.ts';
import { windows } from './machine.ts';
import type { VmMemory } from './memory.ts';
import {
  elementPlace,
  findPlace,
  hasPlace,
  memberPlace,
  type ObjectPlace,
  objectError,
  readBits,
  writeBits,
} from './object-access.ts';

/**
 * A value for a member of a kernel object: numbers for integers, enums, floats and raw
 * addresses; enumerator names for enums; text or bytes for byte arrays; objects, or text to
 * be placed in memory, for pointers; arrays for arrays; records for structs and unions.
 */
export type ObjectValue =
  | number
  | bigint
  | boolean
  | string
  | null
  | Uint8Array
  | KernelObject
  | readonly ObjectValue[]
  | { readonly [member: string]: ObjectValue };

/** Members of a kernel object. */
export type ObjectMembers = { readonly [member: string]: ObjectValue };

/**
 * Makes structures of the simulated kernel in VM memory, laid out by the target's types: a
 * program that was relocated against the same types reads them at the right offsets.
 */
export class KernelObjects {
  readonly memory: VmMemory;
  readonly #target: () => Btf;

  constructor(memory: VmMemory, target: () => Btf) {
    this.memory = memory;
    this.#target = target;
  }

  get btf(): Btf {
    return this.#target();
  }

  /** Size in bytes of a struct of the target, undefined where the target has none of this name. */
  sizeOf(type: string): number | undefined {
    const id = this.#find(type);
    return id === undefined ? undefined : sizeOf(this.btf, id);
  }

  /**
   * Places an object and sets members of it; all else is zero.
   *
   * @example
   * ```ts
   * const init = vm.kernel.create('task_struct', { pid: 1, comm: 'init' });
   * vm.kernel.create('task_struct', { pid: 42, comm: 'worker', real_parent: init });
   * ```
   */
  create(type: string, members: ObjectMembers = {}): KernelObject {
    const id = this.#find(type);
    if (id === undefined)
      throw objectError(type, '', 'the target types have no struct of this name');
    const size = sizeOf(this.btf, id);
    const offset = this.memory.allocate(size, { label: `kernel ${type}`, align: 64 });
    const object = new KernelObject(this, id, offset, size);
    try {
      object.set(members);
    } catch (error) {
      object.free();
      throw error;
    }
    return object;
  }

  #find(name: string): TypeId | undefined {
    const { btf } = this;
    const id =
      btf.find(name, BTF_KIND.STRUCT) ??
      btf.find(name, BTF_KIND.UNION) ??
      btf.find(name, BTF_KIND.TYPEDEF);
    return id === undefined ? undefined : resolveType(btf, id);
  }
}

/** One object in VM memory. */
export class KernelObject {
  readonly type: TypeId;
  /** In bytes. */
  readonly size: number;
  /** Offset in VM memory; the lower half of the address that programs see. */
  readonly offset: number;
  readonly #objects: KernelObjects;
  /** Strings that members point at. */
  readonly #strings: number[] = [];
  #freed = false;

  /** Use {@link KernelObjects.create}. */
  constructor(objects: KernelObjects, type: TypeId, offset: number, size: number) {
    this.#objects = objects;
    this.type = type;
    this.offset = offset;
    this.size = size;
  }

  /** The address as programs see it. */
  get address(): bigint {
    return addressOf(this.offset);
  }

  /** The object's bytes, live. */
  get bytes(): Uint8Array {
    return this.#objects.memory.bytes.subarray(this.offset, this.offset + this.size);
  }

  /** Whether the target's type has a member at this path. */
  has(path: string): boolean {
    return hasPlace(this.#objects.btf, this.type, path);
  }

  /** Sets members. A key may be a path, such as `cred.uid.val` or `comm[3]`. */
  set(members: ObjectMembers): this {
    for (const [path, value] of Object.entries(members)) {
      this.#write(findPlace(this.#objects.btf, this.type, path), path, value);
    }
    return this;
  }

  /** Reads a member, or the whole object, as plain data; pointers are numbers. */
  get(path?: string): DataValue {
    const { btf } = this.#objects;
    if (path === undefined) return decodeValue(btf, this.type, this.bytes);
    const place = findPlace(btf, this.type, path);
    if (place.bitSize !== 0) return this.#readBitField(place);
    return decodeValue(btf, place.type, this.bytes.subarray(place.bitOffset / 8));
  }

  /** Gives the memory back; nothing may point at the object any more. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    for (const string of this.#strings) this.#objects.memory.free(string);
    this.#objects.memory.free(this.offset);
  }

  #readBitField(place: ObjectPlace): bigint {
    const { btf } = this.#objects;
    const value = readBits(this.bytes, place.bitOffset, place.bitSize, btf.littleEndian);
    return isSigned(btf.type(place.type)) ? BigInt.asIntN(place.bitSize, value) : value;
  }

  #write(place: ObjectPlace, path: string, value: ObjectValue): void {
    const type = this.#objects.btf.type(place.type);
    switch (type.kind) {
      case 'int':
      case 'enum':
      case 'enum64':
        this.#writeNumber(place, path, type.size, this.#numberFor(type, path, value));
        return;
      case 'ptr':
        this.#writeNumber(
          place,
          path,
          this.#objects.btf.pointerSize,
          this.#pointerFor(path, value),
        );
        return;
      case 'float':
        this.#writeFloat(place, path, type.size, value);
        return;
      case 'array':
        this.#writeArray(place, path, value);
        return;
      case 'struct':
      case 'union':
        this.#writeMembers(place, path, value);
        return;
      default:
        throw this.#error(path, `a ${type.kind} has no value`);
    }
  }

  #numberFor(type: BtfType, path: string, value: ObjectValue): bigint {
    if (typeof value === 'bigint') return value;
    if (typeof value === 'boolean') return value ? 1n : 0n;
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
    if (typeof value === 'string' && (type.kind === 'enum' || type.kind === 'enum64')) {
      const found = type.values.find((enumerator) => enumerator.name === value);
      if (found !== undefined) return found.value;
      throw this.#error(path, `there is no enumerator ${value}`);
    }
    throw this.#error(path, 'a whole number is wanted');
  }

  #pointerFor(path: string, value: ObjectValue): bigint {
    if (value === null) return 0n;
    if (value instanceof KernelObject) return value.address;
    if (typeof value === 'string') return this.#placeString(encodeText(value));
    if (value instanceof Uint8Array) return this.#placeString(value);
    if (typeof value === 'bigint') return value;
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
    throw this.#error(path, 'a pointer takes an object, an address, text, bytes or null');
  }

  /** Places bytes and a zero after them. */
  #placeString(bytes: Uint8Array): bigint {
    const { memory } = this.#objects;
    const offset = memory.allocate(bytes.length + 1, { label: 'kernel string' });
    this.#strings.push(offset);
    memory.bytes.set(bytes, offset);
    return addressOf(offset);
  }

  #writeNumber(place: ObjectPlace, path: string, size: number, value: bigint): void {
    const bits = place.bitSize || size * 8;
    const fits = BigInt.asUintN(bits, value) === value || BigInt.asIntN(bits, value) === value;
    if (!fits) throw this.#error(path, `${value} does not fit in ${bits} bits`);
    writeBits(this.bytes, place.bitOffset, bits, this.#objects.btf.littleEndian, value);
  }

  #writeFloat(place: ObjectPlace, path: string, size: number, value: ObjectValue): void {
    const at = this.offset + place.bitOffset / 8;
    const { littleEndian } = this.#objects.btf;
    if (typeof value !== 'number') throw this.#error(path, 'a number is wanted');
    if (size === 4) this.#objects.memory.view.setFloat32(at, value, littleEndian);
    else if (size === 8) this.#objects.memory.view.setFloat64(at, value, littleEndian);
    else throw this.#error(path, `a float of ${size} bytes cannot be set`);
  }

  #writeArray(place: ObjectPlace, path: string, value: ObjectValue): void {
    if (typeof value === 'string') this.#writeBytes(place, path, encodeText(value));
    else if (value instanceof Uint8Array) this.#writeBytes(place, path, value);
    else if (isList(value)) {
      value.forEach((item, i) => {
        const element = elementPlace(this.#objects.btf, place, i);
        if (element === undefined) throw this.#error(path, `the array ends before element ${i}`);
        this.#write(element, `${path}[${i}]`, item);
      });
    } else throw this.#error(path, 'an array takes an array, text or bytes');
  }

  #writeBytes(place: ObjectPlace, path: string, bytes: Uint8Array): void {
    const size = sizeOf(this.#objects.btf, place.type);
    if (bytes.length > size) throw this.#error(path, `${bytes.length} bytes do not fit in ${size}`);
    const at = place.bitOffset / 8;
    this.bytes.fill(0, at, at + size);
    this.bytes.set(bytes, at);
  }

  #writeMembers(place: ObjectPlace, path: string, value: ObjectValue): void {
    if (!isRecord(value)) throw this.#error(path, 'a struct takes a record of its members');
    for (const [name, item] of Object.entries(value)) {
      const member = memberPlace(this.#objects.btf, place, name);
      if (member === undefined) throw this.#error(path, `there is no member ${name}`);
      this.#write(member, `${path}.${name}`, item);
    }
  }

  #error(path: string, reason: string) {
    return objectError(this.#objects.btf.nameOf(this.type), path, reason);
  }
}

/** The address that programs see for an offset in VM memory. */
export function addressOf(offset: number): bigint {
  return (BigInt(windows.main >>> 0) << 32n) | BigInt(offset);
}

function isSigned(type: BtfType): boolean {
  return 'signed' in type && type.signed;
}

function isList(value: ObjectValue): value is readonly ObjectValue[] {
  return Array.isArray(value);
}

function isRecord(value: ObjectValue): value is { readonly [member: string]: ObjectValue } {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof KernelObject) &&
    !(value instanceof Uint8Array) &&
    !Array.isArray(value)
  );
}
