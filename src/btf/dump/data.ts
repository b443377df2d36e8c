import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND, type TypeId } from '../types.ts';
import { DeclarationWriter } from './c-text.ts';
import {
  type Columns,
  checkRoots,
  columnsOf,
  elementOf,
  flagOf,
  isModifier,
  lengthOf,
  nameOf,
  sizeOrTypeOf,
  vlenOf,
} from './columns.ts';
import { floatText } from './float-text.ts';
import { literal, TextSink } from './sink.ts';
import { Work } from './work.ts';

/** The options of libbpf's `btf_dump__dump_type_data`. */
export interface DataOptions {
  /** All on one line. */
  readonly compact?: boolean | undefined;
  /** Leave out the names of members and types. */
  readonly skipNames?: boolean | undefined;
  /** Members that are zero, too. */
  readonly emitZeroes?: boolean | undefined;
  /** Arrays of characters that end in a zero as strings. */
  readonly emitStrings?: boolean | undefined;
  /** Level of the first line; 0 if left out. */
  readonly indentLevel?: number | undefined;
  /** What each level is indented by; a tab if left out. */
  readonly indent?: string | undefined;
}

/** A value as text. */
export interface DataText {
  readonly text: string;
  /** Bytes of the value, as far as its type says. */
  readonly size: number;
  /**
   * Why the text ends early, if it does: there are fewer bytes than the type wants (libbpf's
   * `-E2BIG`), the type has no size or an odd one (`-EINVAL`), or no values (`-ENOTSUP`).
   */
  readonly problem: DataProblem | undefined;
}

export type DataProblem = 'too-short' | 'invalid' | 'unsupported';

/** Results of the printing functions: 0 and more is a size, negative an errno as in libbpf. */
const tooShort = -7;
const invalid = -22;
const unsupported = -95;
type Failure = typeof tooShort | typeof invalid;

const problems: ReadonlyMap<number, DataProblem> = new Map([
  [tooShort, 'too-short'],
  [invalid, 'invalid'],
  [unsupported, 'unsupported'],
]);

/** Only from looking for zeros: there is nothing else. */
const allZero = -61;

/** Text and work that each byte of a value may take: one that is deep inside takes most. */
const textPerByte = 256;
const stepsPerByte = 64;

const comma = 0x2c;
const newline = 0x0a;

/** Deepest nesting of a value; structs that contain themselves end here. */
const depthLimit = 128;

/** Bytes of libbpf's buffer for the indentation, less the zero. */
const longestIndent = 31;

const greatestSize = 2 ** 31 - 1;

/**
 * Prints values of types of one BTF as text in the style of C, byte for byte as libbpf's
 * `btf_dump__dump_type_data`:
 *
 * ```c
 * (struct pair){
 * 	.first = (int)1,
 * 	.list = (__u8[2])[
 * 		2,
 * 		3,
 * 	],
 * }
 * ```
 *
 * What is zero is left out unless asked for. That includes what libbpf does against better
 * sense, so that texts are the same: a struct inside another counts as zero if its first
 * member does, enums in packed structs are 0 where they are not aligned, enumerators above 2^31 are not found in unsigned enums, nothing separates a
 * negative number that is no enumerator from what follows, and after an array of characters
 * the bytes in all other arrays are printed as characters, too.
 *
 * Bytes are read in the byte order of the BTF.
 */
export class DataDump {
  readonly #btf: Btf;
  readonly #columns: Columns;
  readonly #sink: TextSink;
  readonly #work: Work;
  readonly #declarations: DeclarationWriter;

  constructor(btf: Btf) {
    const columns = columnsOf(btf);
    this.#btf = btf;
    this.#columns = columns;
    this.#sink = new TextSink(columns, 0);
    this.#work = new Work(columns);
    this.#declarations = new DeclarationWriter(columns, this.#sink, this.#work, false);
  }

  /**
   * The value of type `id` at the start of `bytes`. {@link BpfError} for an id that is not in
   * the BTF, and for damaged types that never end.
   */
  print(id: TypeId, bytes: Uint8Array, options: DataOptions = {}): DataText {
    checkRoots(this.#btf, [id]);
    this.#sink.restart(textPerByte * bytes.length);
    this.#work.restart(stepsPerByte * bytes.length);
    const shared = {
      columns: this.#columns,
      sink: this.#sink,
      work: this.#work,
      declarations: this.#declarations,
    };
    const result = new ValueWriter(shared, bytes, options).value(0, id, 0, 0, 0);
    const text = this.#sink.toString();
    return { text, size: Math.max(result, 0), problem: problems.get(result) };
  }
}

/** One value as text; for many values of one BTF use one {@link DataDump}. */
export function dumpTypeData(
  btf: Btf,
  id: TypeId,
  bytes: Uint8Array,
  options: DataOptions = {},
): DataText {
  return new DataDump(btf).print(id, bytes, options);
}

interface Shared {
  readonly columns: Columns;
  readonly sink: TextSink;
  readonly work: Work;
  readonly declarations: DeclarationWriter;
}

/** One value in the making; libbpf's `struct btf_dump_data`. */
class ValueWriter {
  readonly #columns: Columns;
  readonly #sink: TextSink;
  readonly #work: Work;
  readonly #declarations: DeclarationWriter;
  readonly #bytes: Uint8Array;
  readonly #options: DataOptions;
  readonly #indent: Uint8Array;
  #depth = 0;
  #nesting = 0;
  #isArrayMember = false;
  #isArrayTerminated = false;
  /** Never false again, once there was an array of characters. */
  #isArrayOfChars = false;

  constructor(shared: Shared, bytes: Uint8Array, options: DataOptions) {
    this.#columns = shared.columns;
    this.#sink = shared.sink;
    this.#work = shared.work;
    this.#declarations = shared.declarations;
    this.#bytes = bytes;
    this.#options = options;
    this.#indent = literal(options.indent ?? '\t').subarray(0, longestIndent);
  }

  /**
   * A value at `offset`, in bytes, with the name of its member (0 for none). `bitOffset`, 0
   * to 7, and `width` are those of a bit field.
   */
  value(name: number, id: number, offset: number, bitOffset: number, width: number): number {
    const size = this.#checkSize(id, offset, bitOffset, width);
    if (size < 0) return size;
    const zero = this.#checkZero(id, offset, bitOffset, width);
    if (zero !== 0) return zero === allZero ? size : zero;
    this.#prefix();
    if (this.#options.skipNames !== true) {
      this.#memberName(name);
      this.#cast(id, true);
    }
    this.#nest();
    const result = this.#body(id, offset, bitOffset, width);
    this.#nesting--;
    return result < 0 ? result : size;
  }

  /** Structs and arrays inside one another; a struct that contains itself ends here. */
  #nest(): void {
    if (++this.#nesting <= depthLimit) return;
    const btf = this.#columns.btf.name;
    throw new BpfError({ code: 'btf-dump-limit', btf, limited: 'nesting', limit: depthLimit });
  }

  /** What follows name and type. */
  #body(id: number, offset: number, bitOffset: number, width: number): number {
    const type = this.#resolve(id);
    const kind = this.#columns.kinds[type] as number;
    switch (kind) {
      case BTF_KIND.INT:
        return width !== 0
          ? this.#bitField(type, offset, bitOffset, width)
          : this.#int(type, offset);
      case BTF_KIND.FLOAT:
        return this.#float(type, offset);
      case BTF_KIND.PTR:
        return this.#pointer(id, offset);
      case BTF_KIND.ARRAY:
        return this.#array(type, offset);
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        return this.#composite(type, offset);
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
        return width !== 0
          ? this.#enumBitField(type, offset, bitOffset, width)
          : this.#enum(type, this.#enumValue(type, id, offset));
      case BTF_KIND.VAR:
        return this.#variable(type, offset);
      case BTF_KIND.DATASEC:
        return this.#section(type, offset);
      default:
        this.#sink.string(`<unsupported kind:${kind}>`);
        return unsupported;
    }
  }

  /** The type behind typedefs and modifiers. */
  #resolve(start: number): number {
    let id = start;
    for (;;) {
      const kind = this.#columns.kinds[id] as number;
      if (kind !== BTF_KIND.TYPEDEF && !isModifier(kind)) return id;
      this.#work.charge(1);
      id = sizeOrTypeOf(this.#columns, id);
    }
  }

  #prefix(): void {
    if (this.#options.compact === true) return;
    const levels = (this.#options.indentLevel ?? 0) + this.#depth;
    for (let i = 0; i < levels; i++) this.#sink.text(this.#indent);
  }

  #memberName(name: number): void {
    if (this.#columns.strings[name] === 0) return;
    this.#sink.string('.');
    this.#sink.name(name);
    this.#sink.string(' = ');
  }

  /** The type in parentheses; elements of an array have none. */
  #cast(id: number, inParentheses: boolean): void {
    const kind = this.#columns.kinds[id] as number;
    if (this.#isArrayMember || kind === BTF_KIND.VAR || kind === BTF_KIND.DATASEC) return;
    if (inParentheses) this.#sink.string('(');
    const form = { stripModifiers: true, skipBodies: true };
    this.#declarations.declare(id, new Uint8Array(), 0, form);
    if (inParentheses) this.#sink.string(')');
  }

  /** Text, and what separates it from what follows. */
  #emit(text: string): void {
    this.#sink.string(text);
    this.#separator();
  }

  #separator(): void {
    if (this.#depth > 0) this.#sink.byte(comma);
    this.#newline();
  }

  #newline(): void {
    if (this.#options.compact !== true && this.#depth > 0) this.#sink.byte(newline);
  }

  /** Bytes of the value if they are there. Only simple types are checked: the rest is shown in part. */
  #checkSize(id: number, offset: number, bitOffset: number, width: number): number {
    if (width !== 0) {
      const size = (bitOffset + width + 7) >> 3;
      return offset + size > this.#bytes.length ? tooShort : size;
    }
    const size = this.#declarations.layout.size(id);
    if (size < 0 || size >= greatestSize) return invalid;
    if (isSimple(this.#columns.kinds[this.#resolve(id)] as number)) {
      if (offset + size > this.#bytes.length) return tooShort;
    }
    return size;
  }

  /** 0 for what is to be shown, {@link allZero}, or an error. */
  #checkZero(id: number, offset: number, bitOffset: number, width: number): number {
    this.#work.charge(1);
    const isListed = this.#isArrayMember && !this.#isArrayOfChars;
    if (this.#options.emitZeroes === true || this.#depth === 0 || isListed) return 0;
    this.#nest();
    const result = this.#isZero(id, offset, bitOffset, width);
    this.#nesting--;
    return result;
  }

  #isZero(id: number, offset: number, bitOffset: number, width: number): number {
    const type = this.#resolve(id);
    const kind = this.#columns.kinds[type] as number;
    if (kind === BTF_KIND.INT && width !== 0) {
      return this.#zeroIf(this.#bits(type, offset, bitOffset, width));
    }
    switch (kind) {
      case BTF_KIND.INT:
      case BTF_KIND.FLOAT:
      case BTF_KIND.PTR:
        return this.#checkZeroBytes(type, kind, offset);
      case BTF_KIND.ARRAY:
        return this.#checkZeroArray(type, offset, bitOffset);
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        return this.#checkZeroFirst(type, offset);
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
        return this.#zeroIf(this.#enumValue(type, id, offset));
      default:
        return 0;
    }
  }

  #zeroIf(value: bigint | Failure): number {
    if (typeof value === 'number') return value;
    return value === 0n ? allZero : 0;
  }

  #checkZeroBytes(type: number, kind: number, offset: number): number {
    const { layout } = this.#declarations;
    const size = kind === BTF_KIND.PTR ? layout.pointerSize : sizeOrTypeOf(this.#columns, type);
    if (size < 1 || size > 16) return invalid;
    for (let i = 0; i < size; i++) if ((this.#bytes[offset + i] ?? 0) !== 0) return 0;
    return allZero;
  }

  /** Any element, but for text its first character. */
  #checkZeroArray(type: number, offset: number, bitOffset: number): number {
    const element = elementOf(this.#columns, type);
    const size = Math.max(0, this.#declarations.layout.size(element));
    const kind = this.#columns.kinds[this.#resolve(element)] as number;
    const count = lengthOf(this.#columns, type);
    if (count > 0 && kind === BTF_KIND.INT && size === 1) {
      if ((this.#bytes[offset] ?? 0) === 0) return allZero;
    }
    for (let i = 0; i < count; i++) {
      const at = offset + i * size;
      const result = this.#checkZero(element, at, bitOffset, 0);
      if (result !== allZero) return result;
      // Behind the bytes there are only zeros; elements of no size are all the same.
      if (at >= this.#bytes.length || size === 0) break;
    }
    return allZero;
  }

  /** The first member alone decides, as in libbpf. */
  #checkZeroFirst(type: number, offset: number): number {
    if (vlenOf(this.#columns, type) === 0) return allZero;
    const member = this.#memberAt(type, 0);
    const at = offset + Math.floor(member.bits / 8);
    return this.#checkZero(member.type, at, member.bits % 8, member.width);
  }

  /** Member: name, type, offset; with kind_flag the offset's upper 8 bits are a width. */
  #memberAt(
    type: number,
    index: number,
  ): {
    readonly name: number;
    readonly type: number;
    readonly bits: number;
    readonly width: number;
  } {
    const { words, places } = this.#columns;
    const at = (places[type] as number) + 3 + 3 * index;
    const offset = words[at + 2] as number;
    const flag = flagOf(this.#columns, type);
    return {
      name: words[at] as number,
      type: words[at + 1] as number,
      bits: flag ? offset & 0xffffff : offset,
      width: flag ? offset >>> 24 : 0,
    };
  }

  /** `size` bytes as an unsigned number; zeros where there are none. */
  #number(offset: number, size: number): bigint {
    const { littleEndian } = this.#columns.btf;
    let value = 0n;
    for (let i = 0; i < size; i++) {
      const at = offset + (littleEndian ? size - 1 - i : i);
      value = (value << 8n) | BigInt(this.#bytes[at] ?? 0);
    }
    return value;
  }

  /**
   * A bit field, or an error. As libbpf: from as many bytes as the type has, so that what a
   * packed field has beyond these is zero, and with shifts of 64 bits as x86 does them.
   */
  #bits(type: number, offset: number, bitOffset: number, width: number): bigint | Failure {
    if (offset + ((bitOffset + width + 7) >> 3) > this.#bytes.length) return tooShort;
    const size = sizeOrTypeOf(this.#columns, type);
    if (size > 8) return invalid;
    const { littleEndian } = this.#columns.btf;
    const used = littleEndian ? bitOffset + width : 8 * size - bitOffset;
    const value = this.#number(offset, size) << BigInt((64 - used) & 63);
    return BigInt.asUintN(64, value) >> BigInt((64 - width) & 63);
  }

  #bitField(type: number, offset: number, bitOffset: number, width: number): number {
    const value = this.#bits(type, offset, bitOffset, width);
    if (typeof value === 'number') return value;
    this.#emit(`0x${value.toString(16)}`);
    return 0;
  }

  #int(type: number, offset: number): number {
    const size = sizeOrTypeOf(this.#columns, type);
    if (size === 16) this.#emit(`0x${this.#number(offset, size).toString(16)}`);
    else if (size === 1 && this.#isArrayOfChars) this.#character(type, this.#bytes[offset] ?? 0);
    else this.#emit(this.#decimal(type, this.#number(offset, size)));
    return 0;
  }

  #decimal(type: number, value: bigint): string {
    const size = sizeOrTypeOf(this.#columns, type);
    return String(this.#isSigned(type) ? BigInt.asIntN(8 * size, value) : value);
  }

  /** Bit 24 of the word behind an integer. */
  #isSigned(type: number): boolean {
    const { words, places } = this.#columns;
    return ((words[(places[type] as number) + 3] as number) & (1 << 24)) !== 0;
  }

  #character(type: number, byte: number): void {
    if (this.#isArrayTerminated) return;
    if (byte === 0) {
      this.#emit("'\\0'");
      this.#isArrayTerminated = true;
    } else if (isPrintable(byte)) {
      this.#emit(`'${String.fromCharCode(byte)}'`);
    } else {
      const isNegative = byte >= 0x80 && this.#isSigned(type);
      this.#emit(String(isNegative ? byte - 0x100 : byte));
    }
  }

  #float(type: number, offset: number): number {
    const size = sizeOrTypeOf(this.#columns, type);
    const text = floatText(this.#number(offset, size), size);
    if (text === undefined) return invalid;
    this.#emit(text);
    return 0;
  }

  /** As C's `%p` where it is aligned, which shows NULL in another way. */
  #pointer(id: number, offset: number): number {
    const { layout } = this.#declarations;
    const value = this.#number(offset, layout.pointerSize);
    const isPlain = layout.pointerSize === 8 && this.#isAligned(id, offset);
    this.#emit(value === 0n && isPlain ? '(nil)' : `0x${value.toString(16)}`);
    return 0;
  }

  #isAligned(id: number, offset: number): boolean {
    const alignment = this.#declarations.layout.alignment(id);
    return alignment !== 0 && offset % alignment === 0;
  }

  #array(type: number, offset: number): number {
    const element = elementOf(this.#columns, type);
    const size = this.#declarations.layout.size(element);
    if (size <= 0) return invalid;
    const kind = this.#columns.kinds[this.#resolve(element)] as number;
    if (kind === BTF_KIND.INT && size === 1) {
      if (this.#options.emitStrings === true && this.#string(type, offset)) return 0;
      this.#isArrayOfChars = true;
    }
    this.#depth++;
    this.#sink.string('[');
    this.#newline();
    this.#elements(element, lengthOf(this.#columns, type), offset, size);
    this.#depth--;
    this.#prefix();
    this.#emit(']');
    return 0;
  }

  #elements(element: number, count: number, offset: number, size: number): void {
    const isMember = this.#isArrayMember;
    const isTerminated = this.#isArrayTerminated;
    const stopsAtEnd = isSimple(this.#columns.kinds[this.#resolve(element)] as number);
    this.#isArrayMember = true;
    this.#isArrayTerminated = false;
    for (let i = 0; i < count && !this.#isArrayTerminated; i++) {
      const result = this.value(0, element, offset + i * size, 0, 0);
      // So would all that follow.
      if (result === tooShort && stopsAtEnd) break;
    }
    this.#isArrayMember = isMember;
    this.#isArrayTerminated = isTerminated;
  }

  /** An array as a string, if it has a zero at its end; whether it was written. */
  #string(type: number, offset: number): boolean {
    const count = lengthOf(this.#columns, type);
    const end = this.#bytes.subarray(offset, offset + count).indexOf(0);
    if (end < 0) return false;
    this.#prefix();
    let text = '"';
    for (const byte of this.#bytes.subarray(offset, offset + end)) {
      const hex = byte.toString(16).padStart(2, '0');
      text += isPrintable(byte) ? String.fromCharCode(byte) : `\\x${hex}`;
    }
    this.#sink.string(`${text}"`);
    return true;
  }

  #composite(type: number, offset: number): number {
    const count = vlenOf(this.#columns, type);
    let result = 0;
    this.#depth++;
    this.#sink.string('{');
    this.#newline();
    for (let i = 0; i < count; i++) {
      const { name, type: member, bits, width } = this.#memberAt(type, i);
      result = this.value(name, member, offset + Math.floor(bits / 8), bits % 8, width);
      if (result < 0) return result;
    }
    this.#depth--;
    this.#prefix();
    this.#emit('}');
    return result;
  }

  /**
   * The value of an enum, as it is compared, or an error. libbpf reads one that is not aligned
   * as a bit field, of no bits.
   */
  #enumValue(type: number, id: number, offset: number): bigint | Failure {
    const size = sizeOrTypeOf(this.#columns, type);
    if (this.#isAligned(id, offset)) return this.#enumNumber(type, this.#number(offset, size));
    if (offset > this.#bytes.length) return tooShort;
    return size > 8 ? invalid : 0n;
  }

  #enumNumber(type: number, value: bigint): bigint | Failure {
    const size = sizeOrTypeOf(this.#columns, type);
    if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return invalid;
    const signed = flagOf(this.#columns, type) || size === 8;
    return signed ? BigInt.asIntN(8 * size, value) : BigInt.asUintN(8 * size, value);
  }

  #enumBitField(type: number, offset: number, bitOffset: number, width: number): number {
    const value = this.#bits(type, offset, bitOffset, width);
    return this.#enum(type, typeof value === 'number' ? value : this.#enumNumber(type, value));
  }

  #enum(type: number, value: bigint | Failure): number {
    if (typeof value === 'number') return value;
    const name = this.#enumerator(type, value);
    if (name >= 0) this.#sink.name(name);
    else this.#sink.string(this.#enumText(type, value));
    // libbpf forgets it behind signed numbers.
    if (name >= 0 || !flagOf(this.#columns, type)) this.#separator();
    return 0;
  }

  #enumText(type: number, value: bigint): string {
    const signed = flagOf(this.#columns, type);
    const is32 = this.#columns.kinds[type] === BTF_KIND.ENUM;
    const bits = is32 ? 32 : 64;
    const number = signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
    return is32 ? String(number) : `${number}${signed ? 'LL' : 'ULL'}`;
  }

  /** Offset of the name of the first enumerator with that value, or -1. */
  #enumerator(type: number, value: bigint): number {
    const { words, places, kinds } = this.#columns;
    const stride = kinds[type] === BTF_KIND.ENUM ? 2 : 3;
    const start = (places[type] as number) + 3;
    const end = start + stride * vlenOf(this.#columns, type);
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    for (let i = start; i < end; i += stride) {
      if (words[i + 1] !== low) continue;
      // Values of 32 bits are compared as signed ones.
      const upper = stride === 2 ? ((words[i + 1] as number) >> 31) >>> 0 : words[i + 2];
      if (upper === high) return words[i] as number;
    }
    return -1;
  }

  /** `static int name = (int)1`. */
  #variable(type: number, offset: number): number {
    const { words, places } = this.#columns;
    const linkage = words[(places[type] as number) + 3] as number;
    if (linkage === 0) this.#sink.string('static ');
    else if (linkage === 2) this.#sink.string('extern ');
    const target = sizeOrTypeOf(this.#columns, type);
    this.#cast(target, false);
    this.#sink.string(' ');
    this.#sink.name(nameOf(this.#columns, type));
    this.#sink.string(' = ');
    return this.value(0, target, offset, 0, 0);
  }

  /** `SEC("name") ` and its variables; each: type, offset, size. */
  #section(type: number, offset: number): number {
    const { words, places } = this.#columns;
    this.#sink.string('SEC("');
    this.#sink.name(nameOf(this.#columns, type));
    this.#emit('") ');
    const start = (places[type] as number) + 3;
    const end = start + 3 * vlenOf(this.#columns, type);
    for (let i = start; i < end; i += 3) {
      const at = offset + (words[i + 1] as number);
      const result = this.value(0, words[i] as number, at, 0, 0);
      if (result < 0) return result;
      this.#sink.string(';');
    }
    return 0;
  }
}

/** Types whose bytes must all be there. */
function isSimple(kind: number): boolean {
  return (
    kind === BTF_KIND.INT ||
    kind === BTF_KIND.FLOAT ||
    kind === BTF_KIND.PTR ||
    kind === BTF_KIND.ENUM ||
    kind === BTF_KIND.ENUM64
  );
}

/** C's `isprint`, without a locale. */
function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}
