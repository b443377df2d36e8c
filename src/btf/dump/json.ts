import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND, type TypeId } from '../types.ts';
import { type Columns, checkRoots, columnsOf, nameOf } from './columns.ts';
import { intEncodingName, isPlainReference, kindName, linkageName, noName } from './kinds.ts';
import type { DumpRawOptions } from './raw.ts';
import { textLimit } from './sink.ts';

/** Plain data; numbers of 64 bits are `bigint`. */
export type JsonValue =
  | string
  | number
  | bigint
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** One type as bpftool prints it: members `id`, `kind` and `name`, and more by kind. */
export interface JsonType {
  readonly id: number;
  /** `INT`, `FUNC_PROTO`, … */
  readonly kind: string;
  /** `(anon)` if there is none. */
  readonly name: string;
  readonly [key: string]: JsonValue;
}

/**
 * The types of a BTF as data: members, their order and their values are those of
 * `bpftool -j btf dump file …` (7.8).
 */
export function dumpJson(
  btf: Btf,
  options: DumpRawOptions = {},
): { readonly types: readonly JsonType[] } {
  return { types: [...jsonTypes(btf, options)] };
}

/** The types of {@link dumpJson} one by one, which need not be in memory together. */
export function* jsonTypes(btf: Btf, { roots }: DumpRawOptions = {}): Generator<JsonType, void> {
  const columns = { ...columnsOf(btf), names: new Names(btf, textLimit(columnsOf(btf))) };
  if (roots !== undefined) {
    checkRoots(btf, roots);
    for (const id of roots) yield jsonType(columns, id);
  } else {
    for (let id = btf.firstId; id < btf.endId; id++) yield jsonType(columns, id as TypeId);
  }
}

/** Names as strings: most are used more than once. */
class Names {
  readonly #btf: Btf;
  readonly #known = new Map<number, string>([[0, noName]]);
  readonly #limit: number;
  #left: number;

  constructor(btf: Btf, limit: number) {
    this.#btf = btf;
    this.#limit = limit;
    this.#left = limit;
  }

  /** {@link BpfError} `btf-dump-limit` for names of absurd length that are used again and again. */
  at(offset: number): string {
    const known = this.#known.get(offset);
    const name = known ?? this.#btf.string(offset);
    if (known === undefined) this.#known.set(offset, name);
    this.#left -= name.length;
    if (this.#left >= 0) return name;
    const limit = this.#limit;
    throw new BpfError({ code: 'btf-dump-limit', btf: this.#btf.name, limited: 'text', limit });
  }
}

interface NamedColumns extends Columns {
  readonly names: Names;
}

function jsonType(columns: NamedColumns, id: TypeId): JsonType {
  const kind = columns.kinds[id] as number;
  const common = { id, kind: kindName(kind), name: name(columns, nameOf(columns, id)) };
  return id === 0 ? common : { ...common, ...rest(columns, columns.places[id] as number, kind) };
}

function name({ names }: NamedColumns, offset: number): string {
  return names.at(offset);
}

/** The members that a kind adds, from the type whose first word is at `place`. */
function rest(
  columns: NamedColumns,
  place: number,
  kind: number,
): { readonly [key: string]: JsonValue } {
  const word = (index: number): number => columns.words[place + index] as number;
  const info = word(1);
  if (isPlainReference(kind)) return { type_id: word(2) };
  switch (kind) {
    case BTF_KIND.INT:
      return {
        size: word(2),
        bits_offset: (word(3) >>> 16) & 0xff,
        nr_bits: word(3) & 0xff,
        encoding: intEncodingName(word(3)),
      };
    case BTF_KIND.ARRAY:
      return { type_id: word(3), index_type_id: word(4), nr_elems: word(5) };
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
      return { size: word(2), vlen: info & 0xffffff, members: members(columns, place) };
    case BTF_KIND.ENUM:
    case BTF_KIND.ENUM64:
      return {
        encoding: info >>> 31 === 1 ? 'SIGNED' : 'UNSIGNED',
        size: word(2),
        vlen: info & 0xffffff,
        values: kind === BTF_KIND.ENUM ? values32(columns, place) : values64(columns, place),
      };
    case BTF_KIND.FWD:
      return { fwd_kind: info >>> 31 === 1 ? 'union' : 'struct' };
    case BTF_KIND.FUNC:
      return { type_id: word(2), linkage: linkageName(info & 0xffffff) };
    case BTF_KIND.FUNC_PROTO:
      return { ret_type_id: word(2), vlen: info & 0xffffff, params: params(columns, place) };
    case BTF_KIND.VAR:
      return { type_id: word(2), linkage: linkageName(word(3)) };
    case BTF_KIND.DATASEC:
      return { size: word(2), vlen: info & 0xffffff, vars: variables(columns, place) };
    case BTF_KIND.FLOAT:
      return { size: word(2) };
    case BTF_KIND.DECL_TAG:
      return { type_id: word(2), component_idx: word(3) | 0 };
    default:
      return {};
  }
}

/** What `make` makes of each element behind a type, of `stride` words each. */
function elements(
  { words }: Columns,
  place: number,
  stride: number,
  make: (at: number) => JsonValue,
): readonly JsonValue[] {
  const count = (words[place + 1] as number) & 0xffffff;
  return Array.from({ length: count }, (_, i) => make(place + 3 + stride * i));
}

/** name, type, offset; with kind_flag the offset's upper 8 bits are a width. */
function members(columns: NamedColumns, place: number): readonly JsonValue[] {
  const { words } = columns;
  const flag = (words[place + 1] as number) >>> 31 === 1;
  return elements(columns, place, 3, (at) => {
    const offset = words[at + 2] as number;
    const width = flag ? offset >>> 24 : 0;
    const member = {
      name: name(columns, words[at] as number),
      type_id: words[at + 1] as number,
      bits_offset: flag ? offset & 0xffffff : offset,
    };
    return width === 0 ? member : { ...member, bitfield_size: width };
  });
}

/**
 * name, value. bpftool widens unsigned values by their sign: 0xffffffff is
 * 0xffffffffffffffff here, although its text has it right.
 */
function values32(columns: NamedColumns, place: number): readonly JsonValue[] {
  const { words } = columns;
  const signed = (words[place + 1] as number) >>> 31 === 1;
  return elements(columns, place, 2, (at) => {
    const value = words[at + 1] as number;
    const val = signed || value < 2 ** 31 ? value | 0 : BigInt.asUintN(64, BigInt(value | 0));
    return { name: name(columns, words[at] as number), val };
  });
}

/** name, lower half of the value, upper half. */
function values64(columns: NamedColumns, place: number): readonly JsonValue[] {
  const { words } = columns;
  const signed = (words[place + 1] as number) >>> 31 === 1;
  return elements(columns, place, 3, (at) => {
    const value = (BigInt(words[at + 2] as number) << 32n) | BigInt(words[at + 1] as number);
    const val = signed ? BigInt.asIntN(64, value) : value;
    return { name: name(columns, words[at] as number), val };
  });
}

/** name, type. */
function params(columns: NamedColumns, place: number): readonly JsonValue[] {
  const { words } = columns;
  return elements(columns, place, 2, (at) => ({
    name: name(columns, words[at] as number),
    type_id: words[at + 1] as number,
  }));
}

/** type, offset, size. */
function variables(columns: NamedColumns, place: number): readonly JsonValue[] {
  const { words } = columns;
  return elements(columns, place, 3, (at) => ({
    type_id: words[at] as number,
    offset: words[at + 1] as number,
    size: words[at + 2] as number,
  }));
}
