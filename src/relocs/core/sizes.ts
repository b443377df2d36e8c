import type { TypeView } from '../../btf/compatible/view.ts';
import { BTF_KIND, type BtfArray, type BtfKind, type TypeId } from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';

/** Longest access that libbpf follows (`BPF_CORE_SPEC_MAX_LEN`). */
export const coreMaxDepth = 64;

/** How deep libbpf follows references to find a size (`MAX_RESOLVE_DEPTH`). */
const sizeDepth = 32;

const maxSize = 0xffff_ffff;

/** Kinds that only lead on to another type when a size is asked for. */
const sizeReferences =
  (1 << BTF_KIND.TYPEDEF) |
  (1 << BTF_KIND.VOLATILE) |
  (1 << BTF_KIND.CONST) |
  (1 << BTF_KIND.RESTRICT) |
  (1 << BTF_KIND.TYPE_TAG) |
  (1 << BTF_KIND.VAR) |
  (1 << BTF_KIND.DECL_TAG);

/** Kinds that hold their size. */
const sized =
  (1 << BTF_KIND.INT) |
  (1 << BTF_KIND.STRUCT) |
  (1 << BTF_KIND.UNION) |
  (1 << BTF_KIND.ENUM) |
  (1 << BTF_KIND.ENUM64) |
  (1 << BTF_KIND.DATASEC) |
  (1 << BTF_KIND.FLOAT);

/**
 * Size in bytes as `btf__resolve_size` has it, also in how deep it looks, since a relocation
 * fails where libbpf finds no size; void, functions and forward declarations have none.
 */
export function coreSizeOf(types: TypeView, id: TypeId): number {
  const { btf } = types;
  let count = 1;
  let at = id;
  for (let depth = 0; depth < sizeDepth; depth++) {
    const kind = btf.kindOf(at);
    if (kind === BTF_KIND.ARRAY) {
      const array = btf.type(at) as BtfArray;
      if (count !== 0 && array.length > Math.floor(maxSize / count)) throw noSize(types, id);
      count *= array.length;
      at = array.element;
    } else if (isIn(sizeReferences, kind)) {
      at = btf.sizeOrTypeOf(at) as TypeId;
    } else {
      const size = kind === BTF_KIND.PTR ? btf.pointerSize : ownSize(types, at);
      if (size === undefined) throw noSize(types, id);
      if (count !== 0 && size > Math.floor(maxSize / count)) throw noSize(types, id);
      return count * size;
    }
  }
  throw noSize(types, id);
}

function ownSize({ btf }: TypeView, id: TypeId): number | undefined {
  return isIn(sized, btf.kindOf(id)) ? btf.sizeOrTypeOf(id) : undefined;
}

/** Whether a set, as bits by kind, holds a kind; kinds of the future may be above 31. */
function isIn(set: number, kind: BtfKind): boolean {
  return kind < 32 && ((set >> kind) & 1) === 1;
}

function noSize(types: TypeView, id: TypeId): BpfError {
  return new BpfError({ code: 'core-no-size', btf: types.btf.name, type: types.words(id) });
}
