import { quoteJson } from '../../bytes/json-string.ts';
import { decodeTextAt } from '../../bytes/text.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND } from '../types.ts';
import { decimal64 } from './c-text.ts';
import { type Columns, checkRoots, columnsOf, nameOf } from './columns.ts';
import { intEncodingName, isPlainReference, kindName, linkageName, noName } from './kinds.ts';
import type { DumpRawOptions } from './raw.ts';
import { literal, TextSink } from './sink.ts';

export interface DumpJsonTextOptions extends DumpRawOptions {
  /** Spaces for each level; 0 and all on one line if left out. */
  readonly indent?: number | undefined;
  /** Whether a line end follows; false if left out. */
  readonly lineEnd?: boolean | undefined;
}

/**
 * `dumpJson` as the bytes of JSON text: what `bpftool -j btf dump file …`
 * (7.8) prints, or with an indent of 4 what `-p` does, value for value. Names that are not
 * printable ASCII are escaped where a terminal could act on them.
 * {@link BpfError} `btf-dump-limit` where damaged BTF uses long names again and again.
 *
 * Written like the other dumps, from columns to bytes: the objects of `dumpJson` and their
 * strings made the whole command take more than a second for vmlinux, in place of 0.14 s.
 */
export function dumpJsonBytes(btf: Btf, options: DumpJsonTextOptions = {}): Uint8Array {
  const { roots, indent = 0, lineEnd = false } = options;
  if (roots !== undefined) checkRoots(btf, roots);
  const columns = columnsOf(btf);
  // The text of vmlinux on one line is 3.2 times as long as its BTF.
  const sink = new TextSink(columns, roots === undefined ? 4 * btf.bytes.length : 0);
  const labels = labelsFor(indent);
  const writer = new JsonWriter(columns, sink, labels);
  sink.text(labels.start);
  if (roots !== undefined) {
    for (const id of roots) writer.type(id);
  } else {
    for (let id = btf.firstId; id < btf.endId; id++) writer.type(id);
  }
  sink.text(writer.isEmpty ? labels.endEmpty : labels.end);
  if (lineEnd) sink.byte(newline);
  return sink.since(0);
}

const newline = 0x0a;

/** All the text between names and numbers, in one of its two forms. */
type Labels = ReturnType<typeof makeLabels>;

const oneLine = makeLabels(0);

function labelsFor(indent: number): Labels {
  return indent === 0 ? oneLine : makeLabels(indent);
}

/** Depths: types are 2 deep, their members 3, what is in their lists 4, its members 5. */
function makeLabels(indent: number) {
  const line = (depth: number) => (indent > 0 ? `\n${' '.repeat(indent * depth)}` : '');
  const colon = indent > 0 ? ': ' : ':';
  const key = (depth: number, name: string) => `${line(depth)}"${name}"${colon}`;
  const member = (name: string, after = '') => literal(`,${key(3, name)}${after}`);
  const inner = (name: string) => literal(`,${key(5, name)}`);
  return {
    start: literal(`{${key(1, 'types')}[`),
    end: literal(`${line(1)}]${line(0)}}`),
    endEmpty: literal(`]${line(0)}}`),
    comma: literal(','),
    type: literal(`${line(2)}{${key(3, 'id')}`),
    kinds: Array.from({ length: 128 }, (_, kind) =>
      literal(`,${key(3, 'kind')}"${kindName(kind)}",${key(3, 'name')}"`),
    ),
    quote: literal('"'),
    typeEnd: literal(`${line(2)}}`),
    typeId: member('type_id'),
    size: member('size'),
    vlen: member('vlen'),
    bitsOffset: member('bits_offset'),
    bits: member('nr_bits'),
    encoding: member('encoding', '"'),
    index: member('index_type_id'),
    length: member('nr_elems'),
    returns: member('ret_type_id'),
    linkage: member('linkage', '"'),
    component: member('component_idx'),
    forward: member('fwd_kind', '"'),
    members: member('members', '['),
    values: member('values', '['),
    params: member('params', '['),
    variables: member('vars', '['),
    named: literal(`${line(4)}{${key(5, 'name')}"`),
    variable: literal(`${line(4)}{${key(5, 'type_id')}`),
    value: literal(`",${key(5, 'val')}`),
    innerType: literal(`",${key(5, 'type_id')}`),
    innerBitsOffset: inner('bits_offset'),
    width: inner('bitfield_size'),
    offset: inner('offset'),
    innerSize: inner('size'),
    innerEnd: literal(`${line(4)}}`),
    listEnd: literal(`${line(3)}]`),
    listEndEmpty: literal(']'),
  } as const;
}

class JsonWriter {
  readonly #columns: Columns;
  readonly #sink: TextSink;
  readonly #labels: Labels;
  isEmpty = true;

  constructor(columns: Columns, sink: TextSink, labels: Labels) {
    this.#columns = columns;
    this.#sink = sink;
    this.#labels = labels;
  }

  /** One object of the list: `id`, `kind`, `name`, and what the kind adds. */
  type(id: number): void {
    const sink = this.#sink;
    const labels = this.#labels;
    const kind = this.#columns.kinds[id] as number;
    if (!this.isEmpty) sink.text(labels.comma);
    this.isEmpty = false;
    sink.text(labels.type);
    sink.decimal(id);
    sink.text(labels.kinds[kind] as Uint8Array);
    this.#name(nameOf(this.#columns, id));
    sink.text(labels.quote);
    if (id !== 0) this.#rest(this.#columns.places[id] as number, kind);
    sink.text(labels.typeEnd);
  }

  /** A name inside of its quotes. */
  #name(offset: number): void {
    const sink = this.#sink;
    if (offset === 0) sink.string(noName);
    else if (!sink.plainName(offset)) {
      sink.string(quoteJson(decodeTextAt(this.#columns.strings, offset)).slice(1, -1));
    }
  }

  #number(label: Uint8Array, value: number): void {
    this.#sink.text(label);
    this.#sink.decimal(value);
  }

  /** A word of ours, whose label ends with the quote in front of it. */
  #word(label: Uint8Array, word: string): void {
    this.#sink.text(label);
    this.#sink.string(word);
    this.#sink.text(this.#labels.quote);
  }

  /** What follows the name, for the type whose first word is at `place`. */
  #rest(place: number, kind: number): void {
    const { words } = this.#columns;
    const labels = this.#labels;
    if (isPlainReference(kind)) {
      this.#number(labels.typeId, words[place + 2] as number);
      return;
    }
    switch (kind) {
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        this.#members(place);
        break;
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
        this.#values(place, kind === BTF_KIND.ENUM ? 2 : 3);
        break;
      case BTF_KIND.FUNC_PROTO:
        this.#params(place);
        break;
      case BTF_KIND.DATASEC:
        this.#variables(place);
        break;
      default:
        this.#small(place, kind);
    }
  }

  /** Kinds without a list. */
  #small(place: number, kind: number): void {
    const { words } = this.#columns;
    const labels = this.#labels;
    const info = words[place + 1] as number;
    const sizeOrType = words[place + 2] as number;
    switch (kind) {
      case BTF_KIND.INT:
        this.#int(sizeOrType, words[place + 3] as number);
        break;
      case BTF_KIND.ARRAY:
        this.#number(labels.typeId, words[place + 3] as number);
        this.#number(labels.index, words[place + 4] as number);
        this.#number(labels.length, words[place + 5] as number);
        break;
      case BTF_KIND.FWD:
        this.#word(labels.forward, info >>> 31 === 1 ? 'union' : 'struct');
        break;
      case BTF_KIND.FUNC:
        this.#number(labels.typeId, sizeOrType);
        this.#word(labels.linkage, linkageName(info & 0xffffff));
        break;
      case BTF_KIND.VAR:
        this.#number(labels.typeId, sizeOrType);
        this.#word(labels.linkage, linkageName(words[place + 3] as number));
        break;
      case BTF_KIND.FLOAT:
        this.#number(labels.size, sizeOrType);
        break;
      case BTF_KIND.DECL_TAG:
        this.#number(labels.typeId, sizeOrType);
        this.#sink.text(labels.component);
        this.#sink.signed((words[place + 3] as number) | 0);
        break;
    }
  }

  /** The word behind an integer: bits 0-7 value bits, 16-23 bit offset, 24-27 attributes. */
  #int(size: number, data: number): void {
    const labels = this.#labels;
    this.#number(labels.size, size);
    this.#number(labels.bitsOffset, (data >>> 16) & 0xff);
    this.#number(labels.bits, data & 0xff);
    this.#word(labels.encoding, intEncodingName(data));
  }

  /** Number of elements; it is written, too. */
  #vlen(place: number): number {
    const count = (this.#columns.words[place + 1] as number) & 0xffffff;
    this.#number(this.#labels.vlen, count);
    return count;
  }

  #listEnd(count: number): void {
    this.#sink.text(count === 0 ? this.#labels.listEndEmpty : this.#labels.listEnd);
  }

  /** Members: name, type, offset; with kind_flag the offset's upper 8 bits are a width. */
  #members(place: number): void {
    const { words } = this.#columns;
    const sink = this.#sink;
    const labels = this.#labels;
    const flag = (words[place + 1] as number) >>> 31 === 1;
    const start = place + 3;
    this.#number(labels.size, words[place + 2] as number);
    const count = this.#vlen(place);
    sink.text(labels.members);
    for (let i = start; i < start + 3 * count; i += 3) {
      const offset = words[i + 2] as number;
      if (i !== start) sink.text(labels.comma);
      sink.text(labels.named);
      this.#name(words[i] as number);
      this.#number(labels.innerType, words[i + 1] as number);
      this.#number(labels.innerBitsOffset, flag ? offset & 0xffffff : offset);
      if (flag && offset >>> 24 !== 0) this.#number(labels.width, offset >>> 24);
      sink.text(labels.innerEnd);
    }
    this.#listEnd(count);
  }

  /** Enumerators of `stride` words: name, value or its two halves, the lower one first. */
  #values(place: number, stride: number): void {
    const { words } = this.#columns;
    const sink = this.#sink;
    const labels = this.#labels;
    const signed = (words[place + 1] as number) >>> 31 === 1;
    const start = place + 3;
    this.#word(labels.encoding, signed ? 'SIGNED' : 'UNSIGNED');
    this.#number(labels.size, words[place + 2] as number);
    const count = this.#vlen(place);
    sink.text(labels.values);
    for (let i = start; i < start + stride * count; i += stride) {
      const low = words[i + 1] as number;
      if (i !== start) sink.text(labels.comma);
      sink.text(labels.named);
      this.#name(words[i] as number);
      sink.text(labels.value);
      if (stride === 2) this.#value32(low, signed);
      else sink.string(decimal64(words[i + 2] as number, low, signed));
      sink.text(labels.innerEnd);
    }
    this.#listEnd(count);
  }

  /**
   * bpftool widens unsigned values by their sign: 0xffffffff is 0xffffffffffffffff here,
   * although its text has it right.
   */
  #value32(value: number, signed: boolean): void {
    if (signed || value < 2 ** 31) this.#sink.signed(value | 0);
    else this.#sink.string(decimal64(0xffffffff, value, false));
  }

  /** Parameters: name, type. */
  #params(place: number): void {
    const { words } = this.#columns;
    const sink = this.#sink;
    const labels = this.#labels;
    const start = place + 3;
    this.#number(labels.returns, words[place + 2] as number);
    const count = this.#vlen(place);
    sink.text(labels.params);
    for (let i = start; i < start + 2 * count; i += 2) {
      if (i !== start) sink.text(labels.comma);
      sink.text(labels.named);
      this.#name(words[i] as number);
      this.#number(labels.innerType, words[i + 1] as number);
      sink.text(labels.innerEnd);
    }
    this.#listEnd(count);
  }

  /** Variables: type, offset, size. */
  #variables(place: number): void {
    const { words } = this.#columns;
    const sink = this.#sink;
    const labels = this.#labels;
    const start = place + 3;
    this.#number(labels.size, words[place + 2] as number);
    const count = this.#vlen(place);
    sink.text(labels.variables);
    for (let i = start; i < start + 3 * count; i += 3) {
      if (i !== start) sink.text(labels.comma);
      this.#number(labels.variable, words[i] as number);
      this.#number(labels.offset, words[i + 1] as number);
      this.#number(labels.innerSize, words[i + 2] as number);
      sink.text(labels.innerEnd);
    }
    this.#listEnd(count);
  }
}
