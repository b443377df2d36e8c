// Builds the contents of a `.BTF` section by hand, sound or not; shares no code with the reader.

import { BTF_KIND } from '../../src/btf/types.ts';
import { Writer } from '../../src/bytes/writer.ts';

/** A member of a struct: name, type, offset in bytes. */
export type BuildMember = readonly [string | Uint8Array, number, number];

/** An entry of a DATASEC: VAR, offset and size in bytes. */
export type BuildEntry = readonly [number, number, number];

/** Adds types one by one; each call returns the id of its type, from 1. */
export class BtfBuilder {
  readonly #types: Writer;
  readonly #strings: number[] = [0];
  readonly #littleEndian: boolean;
  #next = 1;

  constructor(littleEndian = true) {
    this.#littleEndian = littleEndian;
    this.#types = new Writer({ littleEndian });
  }

  int(name: string, size: number): number {
    const id = this.#add(name, BTF_KIND.INT, 0, size);
    this.#types.u32(size * 8);
    return id;
  }

  ptr(target: number): number {
    return this.#add('', BTF_KIND.PTR, 0, target);
  }

  typedef(name: string, target: number): number {
    return this.#add(name, BTF_KIND.TYPEDEF, 0, target);
  }

  array(element: number, length: number): number {
    const id = this.#add('', BTF_KIND.ARRAY, 0, 0);
    this.#types.u32(element).u32(1).u32(length);
    return id;
  }

  struct(name: string, size: number, members: readonly BuildMember[]): number {
    const id = this.#add(name, BTF_KIND.STRUCT, members.length, size);
    for (const [member, type, offset] of members) {
      this.#types
        .u32(this.#string(member))
        .u32(type)
        .u32(offset * 8);
    }
    return id;
  }

  enumeration(values: readonly bigint[]): number {
    const id = this.#add('', BTF_KIND.ENUM, values.length, 4);
    for (const value of values) this.#types.u32(0).u32(Number(value & 0xffffffffn));
    return id;
  }

  enum64(values: readonly bigint[]): number {
    const id = this.#add('', BTF_KIND.ENUM64, values.length, 8);
    for (const value of values) {
      this.#types
        .u32(0)
        .u32(Number(value & 0xffffffffn))
        .u32(Number(value >> 32n));
    }
    return id;
  }

  funcProto(returns: number): number {
    return this.#add('', BTF_KIND.FUNC_PROTO, 0, returns);
  }

  func(name: string | Uint8Array, proto: number, linkage: number): number {
    return this.#add(name, BTF_KIND.FUNC, linkage, proto);
  }

  forward(name: string): number {
    return this.#add(name, BTF_KIND.FWD, 0, 0);
  }

  /** Linkage: 0 static, 1 global, 2 extern. */
  variable(name: string | Uint8Array, type: number, linkage = 1): number {
    const id = this.#add(name, BTF_KIND.VAR, 0, type);
    this.#types.u32(linkage);
    return id;
  }

  section(name: string, size: number, entries: readonly BuildEntry[]): number {
    const id = this.#add(name, BTF_KIND.DATASEC, entries.length, size);
    for (const [type, offset, bytes] of entries) this.#types.u32(type).u32(offset).u32(bytes);
    return id;
  }

  /** What `__uint(name, value)` makes. */
  uint(value: number): number {
    return this.ptr(this.array(1, value));
  }

  bytes(): Uint8Array {
    const types = this.#types.finish();
    const out = new Writer({ littleEndian: this.#littleEndian });
    out.u16(0xeb9f).u8(1).u8(0).u32(24);
    out.u32(0).u32(types.length).u32(types.length).u32(this.#strings.length);
    return out.bytes(types).bytes(Uint8Array.from(this.#strings)).finish();
  }

  #add(name: string | Uint8Array, kind: number, length: number, sizeOrType: number): number {
    this.#types
      .u32(this.#string(name))
      .u32((kind << 24) | length)
      .u32(sizeOrType);
    return this.#next++;
  }

  #string(name: string | Uint8Array): number {
    const bytes = typeof name === 'string' ? new TextEncoder().encode(name) : name;
    if (bytes.length === 0) return 0;
    const at = this.#strings.length;
    for (const byte of bytes) this.#strings.push(byte);
    this.#strings.push(0);
    return at;
  }
}
