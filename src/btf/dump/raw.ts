import { decodeText } from '../../bytes/text.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND, type TypeId } from '../types.ts';
import { decimal64 } from './c-text.ts';
import { type Columns, checkRoots, columnsOf, nameOf } from './columns.ts';
import { intEncodingName, isPlainReference, kindName, linkageName, noName } from './kinds.ts';
import { literal, TextSink } from './sink.ts';

export interface DumpRawOptions {
  /** Only these types, in this order; all of the BTF, without its bases, if left out. */
  readonly roots?: readonly TypeId[] | undefined;
}

const text = {
  quote: literal("'"),
  openName: literal(" '"),
  noName: literal(noName),
  typeId: literal(' type_id='),
  size: literal(' size='),
  vlen: literal(' vlen='),
  returns: literal(' ret_type_id='),
  index: literal(' index_type_id='),
  length: literal(' nr_elems='),
  bitsOffset: literal(' bits_offset='),
  bits: literal(' nr_bits='),
  width: literal(' bitfield_size='),
  encoding: literal(' encoding='),
  signed: literal(' encoding=SIGNED'),
  unsigned: literal(' encoding=UNSIGNED'),
  member: literal("\n\t'"),
  variable: literal('\n\ttype_id='),
  offset: literal(' offset='),
  variableType: literal(' ('),
  value: literal(' val='),
  long: literal('LL'),
  unsignedLong: literal('ULL'),
  forwardStruct: literal(' fwd_kind=struct'),
  forwardUnion: literal(' fwd_kind=union'),
  linkage: literal(' linkage='),
  variableLinkage: literal(', linkage='),
  component: literal(' component_idx='),
} as const;

const kindTexts = Array.from({ length: 128 }, (_, kind) => literal(kindName(kind)));

const newline = 0x0a;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const closeParenthesis = 0x29;
const space = 0x20;

/**
 * The types of a BTF as text, byte for byte as `bpftool btf dump file … format raw` (7.8).
 * {@link BpfError} `btf-dump-limit` where damaged BTF uses long names again and again.
 *
 * 60 ms for the 12 MB of vmlinux with Node 20.
 */
export function dumpRaw(btf: Btf, options: DumpRawOptions = {}): string {
  return decodeText(dumpRawBytes(btf, options));
}

/** {@link dumpRaw} as bytes: names that are not UTF-8 stay what they are. */
export function dumpRawBytes(btf: Btf, { roots }: DumpRawOptions = {}): Uint8Array {
  if (roots !== undefined) checkRoots(btf, roots);
  const columns = columnsOf(btf);
  // The text of vmlinux is 2.2 times as long as its BTF.
  const sink = new TextSink(columns, roots === undefined ? 3 * btf.bytes.length : 0);
  const writer = new RawWriter(columns, sink);
  if (roots !== undefined) {
    for (const id of roots) writer.type(id);
  } else {
    for (let id = btf.firstId; id < btf.endId; id++) writer.type(id);
  }
  return sink.since(0);
}

class RawWriter {
  readonly #columns: Columns;
  readonly #sink: TextSink;

  constructor(columns: Columns, sink: TextSink) {
    this.#columns = columns;
    this.#sink = sink;
  }

  /** `[id] KIND 'name' …`, with a line for each member, value, parameter or variable. */
  type(id: number): void {
    const sink = this.#sink;
    const kind = this.#columns.kinds[id] as number;
    sink.byte(openBracket);
    sink.decimal(id);
    sink.byte(closeBracket);
    sink.byte(space);
    this.#kindAndName(id, kind);
    if (id !== 0) this.#rest(this.#columns.places[id] as number, kind);
    sink.byte(newline);
  }

  #kindAndName(id: number, kind: number): void {
    this.#sink.text(kindTexts[kind] as Uint8Array);
    this.#sink.text(text.openName);
    this.#name(nameOf(this.#columns, id));
  }

  /** A name and the quote behind it. */
  #name(offset: number): void {
    if (offset === 0) this.#sink.text(text.noName);
    else this.#sink.name(offset);
    this.#sink.text(text.quote);
  }

  #number(label: Uint8Array, value: number): void {
    this.#sink.text(label);
    this.#sink.decimal(value);
  }

  /** What follows the name, for the type whose first word is at `place`. */
  #rest(place: number, kind: number): void {
    const { words } = this.#columns;
    const sizeOrType = words[place + 2] as number;
    if (isPlainReference(kind)) {
      this.#number(text.typeId, sizeOrType);
      return;
    }
    switch (kind) {
      case BTF_KIND.INT:
        this.#int(sizeOrType, words[place + 3] as number);
        break;
      case BTF_KIND.ARRAY:
        this.#number(text.typeId, words[place + 3] as number);
        this.#number(text.index, words[place + 4] as number);
        this.#number(text.length, words[place + 5] as number);
        break;
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        this.#composite(place);
        break;
      case BTF_KIND.ENUM:
        this.#enum32(place);
        break;
      case BTF_KIND.ENUM64:
        this.#enum64(place);
        break;
      case BTF_KIND.FUNC_PROTO:
        this.#prototype(place);
        break;
      case BTF_KIND.DATASEC:
        this.#section(place);
        break;
      default:
        this.#small(place, kind);
    }
  }

  /** Kinds of one line. */
  #small(place: number, kind: number): void {
    const { words } = this.#columns;
    const sink = this.#sink;
    const info = words[place + 1] as number;
    const sizeOrType = words[place + 2] as number;
    switch (kind) {
      case BTF_KIND.FWD:
        sink.text(info >>> 31 === 1 ? text.forwardUnion : text.forwardStruct);
        break;
      case BTF_KIND.FUNC:
        this.#number(text.typeId, sizeOrType);
        sink.text(text.linkage);
        sink.string(linkageName(info & 0xffffff));
        break;
      case BTF_KIND.VAR:
        this.#number(text.typeId, sizeOrType);
        sink.text(text.variableLinkage);
        sink.string(linkageName(words[place + 3] as number));
        break;
      case BTF_KIND.FLOAT:
        this.#number(text.size, sizeOrType);
        break;
      case BTF_KIND.DECL_TAG:
        this.#number(text.typeId, sizeOrType);
        sink.text(text.component);
        sink.signed((words[place + 3] as number) | 0);
        break;
    }
  }

  /** The word behind an integer: bits 0-7 value bits, 16-23 bit offset, 24-27 attributes. */
  #int(size: number, data: number): void {
    this.#number(text.size, size);
    this.#number(text.bitsOffset, (data >>> 16) & 0xff);
    this.#number(text.bits, data & 0xff);
    this.#sink.text(text.encoding);
    this.#sink.string(intEncodingName(data));
  }

  /** Size and number of elements; the latter is returned. */
  #sizes(place: number): number {
    const { words } = this.#columns;
    const count = (words[place + 1] as number) & 0xffffff;
    this.#number(text.size, words[place + 2] as number);
    this.#number(text.vlen, count);
    return count;
  }

  /** Members: name, type, offset; with kind_flag the offset's upper 8 bits are a width. */
  #composite(place: number): void {
    const { words } = this.#columns;
    const sink = this.#sink;
    const flag = (words[place + 1] as number) >>> 31 === 1;
    const end = place + 3 + 3 * this.#sizes(place);
    for (let i = place + 3; i < end; i += 3) {
      const offset = words[i + 2] as number;
      sink.text(text.member);
      this.#name(words[i] as number);
      this.#number(text.typeId, words[i + 1] as number);
      this.#number(text.bitsOffset, flag ? offset & 0xffffff : offset);
      if (flag && offset >>> 24 !== 0) this.#number(text.width, offset >>> 24);
    }
  }

  /** Enumerators: name, value. */
  #enum32(place: number): void {
    const { words } = this.#columns;
    const signed = this.#signedness(place);
    const end = place + 3 + 2 * this.#sizes(place);
    for (let i = place + 3; i < end; i += 2) {
      this.#sink.text(text.member);
      this.#name(words[i] as number);
      this.#sink.text(text.value);
      const value = words[i + 1] as number;
      if (signed) this.#sink.signed(value | 0);
      else this.#sink.decimal(value);
    }
  }

  /** Enumerators: name, lower half of the value, upper half. */
  #enum64(place: number): void {
    const { words } = this.#columns;
    const signed = this.#signedness(place);
    const end = place + 3 + 3 * this.#sizes(place);
    for (let i = place + 3; i < end; i += 3) {
      this.#sink.text(text.member);
      this.#name(words[i] as number);
      this.#sink.text(text.value);
      this.#sink.string(decimal64(words[i + 2] as number, words[i + 1] as number, signed));
      this.#sink.text(signed ? text.long : text.unsignedLong);
    }
  }

  #signedness(place: number): boolean {
    const signed = (this.#columns.words[place + 1] as number) >>> 31 === 1;
    this.#sink.text(signed ? text.signed : text.unsigned);
    return signed;
  }

  /** Parameters: name, type. */
  #prototype(place: number): void {
    const { words } = this.#columns;
    const count = (words[place + 1] as number) & 0xffffff;
    this.#number(text.returns, words[place + 2] as number);
    this.#number(text.vlen, count);
    for (let i = place + 3; i < place + 3 + 2 * count; i += 2) {
      this.#sink.text(text.member);
      this.#name(words[i] as number);
      this.#number(text.typeId, words[i + 1] as number);
    }
  }

  /** Variables: type, offset, size; with kind and name of the type behind them. */
  #section(place: number): void {
    const { words, kinds } = this.#columns;
    const end = place + 3 + 3 * this.#sizes(place);
    for (let i = place + 3; i < end; i += 3) {
      const type = words[i] as number;
      this.#number(text.variable, type);
      this.#number(text.offset, words[i + 1] as number);
      this.#number(text.size, words[i + 2] as number);
      this.#sink.text(text.variableType);
      this.#kindAndName(type, kinds[type] as number);
      this.#sink.byte(closeParenthesis);
    }
  }
}
