import { type Btf, parseBtf } from '../btf/btf.ts';
import { resolveType, sizeOf } from '../btf/graph.ts';
import { BTF_KIND, type BtfArray, type BtfDataSection, type TypeId } from '../btf/types.ts';
import { Cursor } from '../bytes/cursor.ts';
import { Writer } from '../bytes/writer.ts';
import { BpfError } from '../errors.ts';

/** The types with a resized section, and the variable that took the difference. */
export interface ResizedSection {
  readonly btf: Btf;
  readonly variable: {
    readonly name: string;
    /** In bytes from the start of the section. */
    readonly offset: number;
    /** In bytes. */
    readonly size: number;
    /** The new array. */
    readonly type: TypeId;
  };
}

/**
 * Types in which the DATASEC `id` has `size` bytes, its last variable, an array, having as
 * many elements as fit (libbpf's `map_btf_datasec_resize`). Undefined where the last variable
 * is no array, or the size leaves part of an element. All ids stay; two are added, an ARRAY
 * and a VAR, because other variables may share the old ones.
 */
export function resizeDataSection(btf: Btf, id: TypeId, size: number): ResizedSection | undefined {
  // New types cannot be put before the layout section of unknown kinds, nor into a base.
  if (btf.layout !== undefined || btf.base !== undefined) return undefined;
  if (btf.kindOf(id) !== BTF_KIND.DATASEC) return undefined;
  const section = btf.type(id);
  if (section.kind !== 'datasec') return undefined;
  const last = section.vars.length - 1;
  const entry = section.vars[last];
  if (entry === undefined) return undefined;
  const variable = btf.type(entry.type);
  if (variable.kind !== 'var') return undefined;
  const array = arrayOf(btf, variable.type);
  const length = array === undefined ? undefined : lengthIn(btf, array, size - entry.offset);
  if (array === undefined || length === undefined) return undefined;
  const type = btf.endId as TypeId;
  const added = { section, last, array, length, size: size - entry.offset };
  return {
    btf: withArray(btf, { ...added, sectionSize: size, variable: entry.type }),
    variable: { name: variable.name, offset: entry.offset, size: size - entry.offset, type },
  };
}

function arrayOf(btf: Btf, id: TypeId): BtfArray | undefined {
  const type = btf.type(resolveType(btf, id));
  return type.kind === 'array' ? type : undefined;
}

/** Whole elements in `size` bytes. */
function lengthIn(btf: Btf, array: BtfArray, size: number): number | undefined {
  try {
    const element = sizeOf(btf, array.element);
    return element > 0 && size >= 0 && size % element === 0 ? size / element : undefined;
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

interface AddedArray {
  readonly section: BtfDataSection;
  readonly sectionSize: number;
  /** Index of the variable in the section. */
  readonly last: number;
  readonly variable: TypeId;
  readonly array: BtfArray;
  readonly length: number;
  /** Of the variable, in bytes. */
  readonly size: number;
}

/** Bytes of the header without a layout section. */
const headerSize = 24;

/**
 * Header, types, the new ARRAY and VAR, strings:
 *
 * ```
 *   ARRAY  name:4 info:4 size:4  element:4 index:4 length:4
 *   VAR    name:4 info:4 type:4  linkage:4
 * ```
 */
function withArray(btf: Btf, added: AddedArray): Btf {
  const { littleEndian } = btf;
  const head = new Cursor(btf.bytes, { littleEndian, section: '.BTF' });
  const magic = head.u16();
  const headerLength = head.skip(2).u32();
  const stringStart = head.skip(8).u32();
  const stringLength = head.u32();
  const types = patchedTypes(btf, added);
  const strings = btf.bytes.subarray(headerLength + stringStart).subarray(0, stringLength);
  const out = new Writer({ littleEndian });
  out.u16(magic).u8(1).u8(0).u32(headerSize);
  out.u32(0).u32(types.length).u32(types.length).u32(strings.length);
  return parseBtf(out.bytes(types).bytes(strings).finish(), {
    name: btf.name,
    pointerSize: btf.pointerSize,
  });
}

function patchedTypes(btf: Btf, added: AddedArray): Uint8Array {
  const { section, last, array } = added;
  const { littleEndian, typeSection } = btf;
  const { offset: start, length } = typeSection;
  const types = btf.bytes.slice(start, start + length);
  const view = new DataView(types.buffer, types.byteOffset, types.byteLength);
  const wordOf = (id: TypeId): number => (btf.offsets[id - btf.firstId] as number) * 4;
  const variableAt = wordOf(added.variable);
  const entryAt = wordOf(section.id) + 12 + 12 * last;
  view.setUint32(wordOf(section.id) + 8, added.sectionSize, littleEndian);
  view.setUint32(entryAt, btf.endId + 1, littleEndian);
  view.setUint32(entryAt + 8, added.size, littleEndian);
  const out = new Writer({ littleEndian }).bytes(types);
  out
    .u32(0)
    .u32(view.getUint32(wordOf(array.id) + 4, littleEndian))
    .u32(0);
  out.u32(array.element).u32(array.index).u32(added.length);
  out.u32(view.getUint32(variableAt, littleEndian));
  out.u32(view.getUint32(variableAt + 4, littleEndian)).u32(btf.endId);
  out.u32(view.getUint32(variableAt + 12, littleEndian));
  return out.finish();
}
