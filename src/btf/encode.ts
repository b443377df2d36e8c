import { encodeText } from '../bytes/text.ts';
import { Writer } from '../bytes/writer.ts';
import { BpfError, unreachable } from '../errors.ts';
import type { Btf } from './btf.ts';
import { FIELD, fieldsOf } from './fields.ts';
import { btfMagic, shortHeaderLength } from './header.ts';
import { BTF_KIND, type BtfKind, type Linkage, type TypeId } from './types.ts';

/** A member to be written; offsets and widths in bits, `bitSize` 0 unless a bit field. */
export interface NewBtfMember {
  readonly name?: string;
  readonly type: TypeId;
  readonly bitOffset: number;
  readonly bitSize?: number;
}

/**
 * A type to be written: as `BtfType`, whose values can be given as they are, but without id
 * and with defaults. An integer has all bits of its size; an enum is signed where a value is
 * negative; a tag is on the target itself.
 */
export type NewBtfType =
  | {
      readonly kind: 'int';
      readonly name: string;
      readonly size: number;
      readonly bits?: number;
      readonly bitOffset?: number;
      readonly signed?: boolean;
      readonly char?: boolean;
      readonly bool?: boolean;
    }
  | {
      readonly kind: 'ptr' | 'const' | 'volatile' | 'restrict' | 'typedef' | 'type-tag';
      readonly target: TypeId;
      readonly name?: string;
      readonly attribute?: boolean;
    }
  | {
      readonly kind: 'array';
      readonly element: TypeId;
      readonly index: TypeId;
      readonly length: number;
    }
  | {
      readonly kind: 'struct' | 'union';
      readonly name?: string;
      readonly size: number;
      readonly members: readonly NewBtfMember[];
    }
  | {
      readonly kind: 'enum' | 'enum64';
      readonly name?: string;
      readonly size?: number;
      readonly signed?: boolean;
      readonly values: readonly { readonly name: string; readonly value: bigint }[];
    }
  | { readonly kind: 'fwd'; readonly name: string; readonly of: 'struct' | 'union' }
  | {
      readonly kind: 'func-proto';
      readonly returns: TypeId;
      readonly params: readonly { readonly name?: string; readonly type: TypeId }[];
    }
  | {
      readonly kind: 'func';
      readonly name: string;
      readonly proto: TypeId;
      readonly linkage: Linkage;
    }
  | {
      readonly kind: 'var';
      readonly name: string;
      readonly type: TypeId;
      readonly linkage: Linkage;
    }
  | {
      readonly kind: 'datasec';
      readonly name: string;
      readonly size: number;
      readonly vars: readonly {
        readonly type: TypeId;
        readonly offset: number;
        readonly size: number;
      }[];
    }
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | {
      readonly kind: 'decl-tag';
      readonly name: string;
      readonly target: TypeId;
      readonly component?: number;
      readonly attribute?: boolean;
    };

type NewOf<K extends NewBtfType['kind']> = Extract<NewBtfType, { readonly kind: K }>;

const kindNumbers: { readonly [K in NewBtfType['kind']]: BtfKind } = {
  int: BTF_KIND.INT,
  ptr: BTF_KIND.PTR,
  array: BTF_KIND.ARRAY,
  struct: BTF_KIND.STRUCT,
  union: BTF_KIND.UNION,
  enum: BTF_KIND.ENUM,
  fwd: BTF_KIND.FWD,
  typedef: BTF_KIND.TYPEDEF,
  volatile: BTF_KIND.VOLATILE,
  const: BTF_KIND.CONST,
  restrict: BTF_KIND.RESTRICT,
  func: BTF_KIND.FUNC,
  'func-proto': BTF_KIND.FUNC_PROTO,
  var: BTF_KIND.VAR,
  datasec: BTF_KIND.DATASEC,
  float: BTF_KIND.FLOAT,
  'decl-tag': BTF_KIND.DECL_TAG,
  'type-tag': BTF_KIND.TYPE_TAG,
  enum64: BTF_KIND.ENUM64,
};

const linkageNumbers: { readonly [L in Linkage]: number } = { static: 0, global: 1, extern: 2 };

/** How many times longer strings may become that share their ends, which no compiler writes. */
const growthLimit = 16;
const growthAllowance = 1 << 20;

/** The BTF that types are copied from, and where its strings have come to. */
interface Copying {
  readonly source: Btf;
  readonly offsets: Map<number, number>;
  /** Characters that may still be copied. */
  left: number;
}

/**
 * Writes BTF type by type. Ids are given in order, so a type may refer to one that comes
 * later by counting from {@link BtfBuilder.nextId}; strings are stored once.
 *
 * {@link BpfError} `btf-build` for what the format cannot hold; the builder is of no more
 * use then, since half a type may be written.
 *
 * @example
 * ```ts
 * const builder = new BtfBuilder();
 * const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
 * builder.add({ kind: 'ptr', target: int });
 * const btf = parseBtf(builder.finish());
 * ```
 */
export class BtfBuilder {
  readonly #base: Btf | undefined;
  readonly #types: Writer;
  readonly #strings: Writer;
  readonly #stringStart: number;
  readonly #offsets = new Map<string, number>();
  #baseOffsets: ReadonlyMap<string, number> | undefined;
  #nextId: number;
  #greatestReference = 0;
  #copying: Copying | undefined;

  /** With a base, ids and strings go on where the base's end, and its strings are used. */
  constructor(options: { readonly littleEndian?: boolean; readonly base?: Btf | undefined } = {}) {
    const littleEndian = options.littleEndian ?? options.base?.littleEndian ?? true;
    this.#base = options.base;
    this.#types = new Writer({ littleEndian });
    this.#strings = new Writer({ littleEndian });
    this.#stringStart = options.base?.strings.end ?? 0;
    this.#nextId = options.base?.endId ?? 1;
    if (options.base === undefined) this.addString('');
  }

  /** The id that the next type will get. */
  get nextId(): TypeId {
    return this.#nextId as TypeId;
  }

  /** Offset of a string, which is added unless it is there already. */
  addString(text: string): number {
    const known = this.#offsets.get(text) ?? this.#baseOffset(text);
    if (known !== undefined) return known;
    if (text.includes('\0')) throw refuse('a string with a zero character');
    const offset = this.#stringStart + this.#strings.length;
    this.#strings.bytes(encodeText(text)).u8(0);
    this.#offsets.set(text, offset);
    return offset;
  }

  /** Adds a type; its id. */
  add(type: NewBtfType): TypeId {
    switch (type.kind) {
      case 'int':
        this.#head(type, 0, u32(type.size, 'size'));
        this.#types.u32(intEncoding(type));
        break;
      case 'ptr':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'typedef':
      case 'type-tag':
        this.#head(type, 0, this.#ref(type.target), type.attribute ?? false);
        break;
      case 'array':
        this.#head(type, 0, 0);
        this.#types.u32(this.#ref(type.element)).u32(this.#ref(type.index));
        this.#types.u32(u32(type.length, 'length'));
        break;
      case 'struct':
      case 'union':
        this.#composite(type);
        break;
      case 'enum':
      case 'enum64':
        this.#enum(type);
        break;
      case 'fwd':
        this.#head(type, 0, 0, type.of === 'union');
        break;
      case 'func-proto':
        this.#head(type, type.params.length, this.#ref(type.returns));
        for (const param of type.params) {
          this.#types.u32(this.addString(param.name ?? '')).u32(this.#ref(param.type));
        }
        break;
      case 'func':
        this.#head(type, linkageNumbers[type.linkage], this.#ref(type.proto));
        break;
      case 'var':
        this.#head(type, 0, this.#ref(type.type));
        this.#types.u32(linkageNumbers[type.linkage]);
        break;
      case 'datasec':
        this.#head(type, type.vars.length, u32(type.size, 'size'));
        for (const { type: variable, offset, size } of type.vars) {
          this.#types.u32(this.#ref(variable)).u32(u32(offset, 'offset')).u32(u32(size, 'size'));
        }
        break;
      case 'float':
        this.#head(type, 0, u32(type.size, 'size'));
        break;
      case 'decl-tag':
        this.#head(type, 0, this.#ref(type.target), type.attribute ?? false);
        this.#types.u32(component(type.component ?? -1));
        break;
      default:
        return unreachable(type, 'BTF kind');
    }
    return this.#nextId++ as TypeId;
  }

  /**
   * Adds a type of another BTF, word for word, its strings among those here and its references
   * as `rename` says (as they are, if left out); its id. As libbpf's `btf__add_type`.
   *
   * Types of a kind that only the layout section of `source` knows cannot be copied, as what
   * they refer to is not known.
   */
  copy(source: Btf, id: TypeId, rename: (id: TypeId) => number = (same) => same): TypeId {
    const kind = source.kindOf(id);
    if (kind === BTF_KIND.VOID || kind > BTF_KIND.ENUM64) throw refuse(`a type of kind ${kind}`);
    const { words, start, end, role } = fieldsOf(source, id);
    for (let at = start; at < end; at++) {
      const word = words[at] as number;
      const what = role(at - start);
      if (what === FIELD.NAME) this.#types.u32(this.#copyString(source, word));
      else if (what === FIELD.ID) this.#types.u32(this.#ref(rename(word as TypeId) as TypeId));
      else this.#types.u32(word);
    }
    return this.#nextId++ as TypeId;
  }

  /** The BTF so far. Every id that a type refers to must be there by now. */
  finish(): Uint8Array {
    if (this.#greatestReference >= this.#nextId) {
      throw refuse(`type ${this.#greatestReference} is referred to and was never added`);
    }
    const types = this.#types.finish();
    const strings = this.#strings.finish();
    const { littleEndian } = this.#types;
    const out = new Writer({ littleEndian, capacity: 24 + types.length + strings.length });
    out.u16(btfMagic).u8(1).u8(0).u32(shortHeaderLength);
    out.u32(0).u32(types.length).u32(types.length).u32(strings.length);
    return out.bytes(types).bytes(strings).finish();
  }

  /** Each offset of a source is decoded once; what names that overlap can add up to is limited. */
  #copyString(source: Btf, offset: number): number {
    if (offset === 0) return 0;
    if (this.#copying?.source !== source) {
      const left = growthLimit * source.strings.end + growthAllowance;
      this.#copying = { source, offsets: new Map(), left };
    }
    const known = this.#copying.offsets.get(offset);
    if (known !== undefined) return known;
    const text = source.string(offset);
    this.#copying.left -= text.length;
    if (this.#copying.left < 0) throw refuse(`more text than ${source.name} has`);
    const copied = this.addString(text);
    this.#copying.offsets.set(offset, copied);
    return copied;
  }

  #composite(type: NewOf<'struct' | 'union'>): void {
    // With kind_flag, the upper 8 bits of each offset are the width of the bit field.
    const flag = type.members.some((member) => (member.bitSize ?? 0) !== 0);
    this.#head(type, type.members.length, u32(type.size, 'size'), flag);
    for (const { name = '', type: id, bitOffset, bitSize = 0 } of type.members) {
      const fits = !flag || (bitOffset < 2 ** 24 && bitSize >= 0 && bitSize < 256);
      if (!fits) throw refuse(`a bit field of ${bitSize} bits at bit ${bitOffset}`);
      const offset = u32(bitOffset, 'bit offset') + bitSize * 2 ** 24;
      this.#types.u32(this.addString(name)).u32(this.#ref(id)).u32(offset);
    }
  }

  #enum(type: NewOf<'enum' | 'enum64'>): void {
    const wide = type.kind === 'enum64';
    const signed = type.signed ?? type.values.some(({ value }) => value < 0n);
    this.#head(type, type.values.length, type.size ?? (wide ? 8 : 4), signed);
    const bits = wide ? 64 : 32;
    for (const { name, value } of type.values) {
      const kept = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
      if (kept !== value) throw refuse(`enumerator value ${value} in ${bits} bits`);
      this.#types.u32(this.addString(name)).u32(Number(BigInt.asUintN(32, value)));
      if (wide) this.#types.u32(Number(BigInt.asUintN(32, value >> 32n)));
    }
  }

  /** The common three words: name_off, info (vlen, kind, kind_flag), size or type. */
  #head(type: NewBtfType, vlen: number, sizeOrType: number, flag = false): void {
    if (vlen > 0xffffff) throw refuse(`a type with ${vlen} elements`);
    const info = (vlen | (kindNumbers[type.kind] << 24) | (flag ? 0x80000000 : 0)) >>> 0;
    const name = 'name' in type ? (type.name ?? '') : '';
    this.#types.u32(this.addString(name)).u32(info).u32(sizeOrType);
  }

  #ref(id: TypeId): number {
    this.#greatestReference = Math.max(this.#greatestReference, id);
    return u32(id, 'type id');
  }

  #baseOffset(text: string): number | undefined {
    if (this.#base === undefined) return undefined;
    this.#baseOffsets ??= this.#base.strings.offsets();
    return this.#baseOffsets.get(text);
  }
}

function refuse(problem: string): BpfError {
  return new BpfError({ code: 'btf-build', problem });
}

function u32(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
  throw refuse(`${what} ${value} does not fit in 32 bits`);
}

function component(value: number): number {
  if (Number.isInteger(value) && value >= -1 && value < 2 ** 31) return value >>> 0;
  throw refuse(`component index ${value}`);
}

/** The word behind an integer: bits 0-7 value bits, 16-23 bit offset, 24-27 attributes. */
function intEncoding(type: NewOf<'int'>): number {
  const { size, bits = 8 * size, bitOffset = 0 } = type;
  const valid = bits >= 0 && bits <= 0xff && bitOffset >= 0 && bitOffset <= 0xff;
  if (!valid) throw refuse(`an integer of ${bits} bits at bit ${bitOffset}`);
  const attributes =
    (type.signed === true ? 1 : 0) | (type.char === true ? 2 : 0) | (type.bool === true ? 4 : 0);
  return bits | (bitOffset << 16) | (attributes << 24);
}
