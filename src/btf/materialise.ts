import type { StringTable } from './strings.ts';
import {
  BTF_KIND,
  type BtfEnumerator,
  type BtfMember,
  type BtfParam,
  type BtfRef,
  type BtfSectionVar,
  type BtfType,
  type Linkage,
  type TypeId,
} from './types.ts';

/** One stored type: `words[at]` is its first word. The scan has checked that all is there. */
export interface StoredType {
  readonly words: Uint32Array;
  readonly at: number;
  readonly id: TypeId;
  readonly strings: StringTable;
}

const linkages: readonly Linkage[] = ['static', 'global', 'extern'];

/** The stored type as plain data. Layouts behind the common three words: <linux/btf.h>. */
export function materialise(stored: StoredType): BtfType {
  const { words, at, id } = stored;
  const info = word(words, at + 1);
  const kind = (info >>> 24) & 0x7f;
  const vlen = info & 0xffffff;
  const flag = info >>> 31 === 1;
  const sizeOrType = word(words, at + 2);
  const name = stored.strings.decode(word(words, at));
  const target = sizeOrType as TypeId;
  const extra = (): number => word(words, at + 3);
  switch (kind) {
    case BTF_KIND.INT:
      return { kind: 'int', id, name, size: sizeOrType, ...intEncoding(extra()) };
    case BTF_KIND.PTR:
      return reference('ptr', id, '', target);
    case BTF_KIND.TYPEDEF:
      return reference('typedef', id, name, target);
    case BTF_KIND.VOLATILE:
      return reference('volatile', id, '', target);
    case BTF_KIND.CONST:
      return reference('const', id, '', target);
    case BTF_KIND.RESTRICT:
      return reference('restrict', id, '', target);
    case BTF_KIND.TYPE_TAG:
      return reference('type-tag', id, name, target, flag);
    case BTF_KIND.ARRAY:
      return {
        kind: 'array',
        id,
        element: extra() as TypeId,
        index: word(words, at + 4) as TypeId,
        length: word(words, at + 5),
      };
    case BTF_KIND.STRUCT:
      return { kind: 'struct', id, name, size: sizeOrType, members: members(stored, vlen, flag) };
    case BTF_KIND.UNION:
      return { kind: 'union', id, name, size: sizeOrType, members: members(stored, vlen, flag) };
    case BTF_KIND.ENUM: {
      const values = enumerators32(stored, vlen, flag);
      return { kind: 'enum', id, name, size: sizeOrType, signed: flag, values };
    }
    case BTF_KIND.ENUM64: {
      const values = enumerators64(stored, vlen, flag);
      return { kind: 'enum64', id, name, size: sizeOrType, signed: flag, values };
    }
    case BTF_KIND.FWD:
      return { kind: 'fwd', id, name, of: flag ? 'union' : 'struct' };
    case BTF_KIND.FUNC_PROTO:
      return { kind: 'func-proto', id, returns: target, params: params(stored, vlen) };
    case BTF_KIND.FUNC:
      return { kind: 'func', id, name, proto: target, linkage: linkage(vlen) };
    case BTF_KIND.VAR:
      return { kind: 'var', id, name, type: target, linkage: linkage(extra()) };
    case BTF_KIND.DATASEC:
      return { kind: 'datasec', id, name, size: sizeOrType, vars: sectionVars(stored, vlen) };
    case BTF_KIND.FLOAT:
      return { kind: 'float', id, name, size: sizeOrType };
    case BTF_KIND.DECL_TAG:
      return { kind: 'decl-tag', id, name, target, component: extra() | 0, attribute: flag };
    default:
      return { kind: 'unknown', id, name, number: kind };
  }
}

function word(words: Uint32Array, index: number): number {
  return words[index] as number;
}

function linkage(value: number): Linkage {
  return linkages[value] as Linkage;
}

function reference(
  kind: BtfRef['kind'],
  id: TypeId,
  name: string,
  target: TypeId,
  attribute = false,
): BtfRef {
  return { kind, id, name, target, attribute };
}

/** The word behind an integer: bits 0-7 value bits, 16-23 bit offset, 24-27 attributes. */
function intEncoding(data: number): {
  bits: number;
  bitOffset: number;
  signed: boolean;
  char: boolean;
  bool: boolean;
} {
  return {
    bits: data & 0xff,
    bitOffset: (data >>> 16) & 0xff,
    signed: (data & (1 << 24)) !== 0,
    char: (data & (2 << 24)) !== 0,
    bool: (data & (4 << 24)) !== 0,
  };
}

/** name, type, offset; with kind_flag the offset's upper 8 bits are a bit field's width. */
function members({ words, at, strings }: StoredType, vlen: number, flag: boolean): BtfMember[] {
  const out: BtfMember[] = [];
  for (let i = at + 3; i < at + 3 + 3 * vlen; i += 3) {
    const offset = word(words, i + 2);
    out.push({
      name: strings.decode(word(words, i)),
      type: word(words, i + 1) as TypeId,
      bitOffset: flag ? offset & 0xffffff : offset,
      bitSize: flag ? offset >>> 24 : 0,
    });
  }
  return out;
}

/** name, value; kind_flag says that values are signed. */
function enumerators32(stored: StoredType, vlen: number, signed: boolean): BtfEnumerator[] {
  const { words, at, strings } = stored;
  const out: BtfEnumerator[] = [];
  for (let i = at + 3; i < at + 3 + 2 * vlen; i += 2) {
    const value = word(words, i + 1);
    out.push({ name: strings.decode(word(words, i)), value: BigInt(signed ? value | 0 : value) });
  }
  return out;
}

/** name, lower half of the value, upper half. */
function enumerators64(stored: StoredType, vlen: number, signed: boolean): BtfEnumerator[] {
  const { words, at, strings } = stored;
  const out: BtfEnumerator[] = [];
  for (let i = at + 3; i < at + 3 + 3 * vlen; i += 3) {
    const value = (BigInt(word(words, i + 2)) << 32n) | BigInt(word(words, i + 1));
    const name = strings.decode(word(words, i));
    out.push({ name, value: signed ? BigInt.asIntN(64, value) : value });
  }
  return out;
}

/** name, type. */
function params({ words, at, strings }: StoredType, vlen: number): BtfParam[] {
  const out: BtfParam[] = [];
  for (let i = at + 3; i < at + 3 + 2 * vlen; i += 2) {
    out.push({ name: strings.decode(word(words, i)), type: word(words, i + 1) as TypeId });
  }
  return out;
}

/** type, offset, size. */
function sectionVars({ words, at }: StoredType, vlen: number): BtfSectionVar[] {
  const out: BtfSectionVar[] = [];
  for (let i = at + 3; i < at + 3 + 3 * vlen; i += 3) {
    out.push({
      type: word(words, i) as TypeId,
      offset: word(words, i + 1),
      size: word(words, i + 2),
    });
  }
  return out;
}
