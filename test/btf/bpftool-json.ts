// The types of a BTF as `bpftool btf dump … -j` prints them, from what our reader makes.
import type { Btf } from '../../src/btf/btf.ts';
import type { BtfInt, BtfType, TypeId } from '../../src/btf/types.ts';
import { unreachable } from '../../src/errors.ts';

type Json = string | number | bigint | readonly Json[] | { readonly [key: string]: Json };

/** JSON without spaces, 64-bit integers exact; a line for each type. */
export function bpftoolJson(btf: Btf): readonly string[] {
  const types: string[] = [];
  for (let id = btf.firstId; id < btf.endId; id++)
    types.push(stringify(typeJson(btf, id as TypeId)));
  return types;
}

/** The output of bpftool, cut into a line for each type. */
export function splitBpftoolJson(json: string): readonly string[] {
  return json
    .trim()
    .slice('{"types":['.length, -']}'.length)
    .split(/(?<=\}),(?=\{"id":)/);
}

function stringify(value: Json): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`;
  const members = Object.entries(value).map(([k, v]) => `${JSON.stringify(k)}:${stringify(v)}`);
  return `{${members.join(',')}}`;
}

const anonymous = (name: string): string => (name === '' ? '(anon)' : name);

function typeJson(btf: Btf, id: TypeId): Json {
  const type = btf.type(id);
  const kind = type.kind.toUpperCase().replace('-', '_');
  const name = 'name' in type ? anonymous(type.name) : '(anon)';
  return { id, kind, name, ...fields(btf, type) };
}

function fields(btf: Btf, type: BtfType): { readonly [key: string]: Json } {
  switch (type.kind) {
    case 'int':
      return {
        size: type.size,
        bits_offset: type.bitOffset,
        nr_bits: type.bits,
        encoding: encoding(type),
      };
    case 'ptr':
    case 'typedef':
    case 'volatile':
    case 'const':
    case 'restrict':
    case 'type-tag':
      return { type_id: type.target };
    case 'array':
      return { type_id: type.element, index_type_id: type.index, nr_elems: type.length };
    case 'struct':
    case 'union':
      return {
        size: type.size,
        vlen: type.members.length,
        members: type.members.map((member) => ({
          name: anonymous(member.name),
          type_id: member.type,
          bits_offset: member.bitOffset,
          ...(member.bitSize === 0 ? {} : { bitfield_size: member.bitSize }),
        })),
      };
    case 'enum':
    case 'enum64':
      return {
        encoding: type.signed ? 'SIGNED' : 'UNSIGNED',
        size: type.size,
        vlen: type.values.length,
        values: type.values.map(({ name, value }) => ({
          name: anonymous(name),
          val: type.kind === 'enum' ? jsonEnumerator(value, type.signed) : value,
        })),
      };
    case 'fwd':
      return { fwd_kind: type.of };
    case 'func-proto':
      return {
        ret_type_id: type.returns,
        vlen: type.params.length,
        params: type.params.map((p) => ({ name: anonymous(p.name), type_id: p.type })),
      };
    case 'func':
      return { type_id: type.proto, linkage: type.linkage };
    case 'var':
      return { type_id: type.type, linkage: type.linkage };
    case 'datasec':
      return {
        size: type.size,
        vlen: type.vars.length,
        vars: type.vars.map((v) => ({ type_id: v.type, offset: v.offset, size: v.size })),
      };
    case 'float':
      return { size: type.size };
    case 'decl-tag':
      return { type_id: type.target, component_idx: type.component };
    case 'void':
    case 'unknown':
      throw new Error(`bpftool prints no ${type.kind} of ${btf.name}`);
    default:
      return unreachable(type, 'BTF kind');
  }
}

/** bpftool extends the sign of 32-bit values, also where they are unsigned. */
function jsonEnumerator(value: bigint, signed: boolean): bigint {
  return signed ? value : BigInt.asUintN(64, BigInt.asIntN(32, value));
}

function encoding(type: BtfInt): string {
  const words = [type.signed && 'SIGNED', type.char && 'CHAR', type.bool && 'BOOL'];
  return words.filter((word) => word !== false).join(' ') || '(none)';
}
