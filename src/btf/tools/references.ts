import { BTF_KIND } from '../types.ts';

/** Words of `struct btf_type`; what follows depends on the kind. */
const head = 3;

/**
 * Calls `visit` with the place of each word that is a type id, for the type that starts at
 * `at` (its words have passed the scan of parsing). Kinds that only a layout section
 * describes are not known to refer to anything.
 */
export function forEachReference(
  words: Uint32Array,
  at: number,
  visit: (place: number) => void,
): void {
  const info = words[at + 1] as number;
  const vlen = info & 0xffffff;
  switch ((info >>> 24) & 0x7f) {
    case BTF_KIND.PTR:
    case BTF_KIND.TYPEDEF:
    case BTF_KIND.VOLATILE:
    case BTF_KIND.CONST:
    case BTF_KIND.RESTRICT:
    case BTF_KIND.FUNC:
    case BTF_KIND.VAR:
    case BTF_KIND.DECL_TAG:
    case BTF_KIND.TYPE_TAG:
      visit(at + 2);
      return;
    case BTF_KIND.ARRAY:
      visit(at + head);
      visit(at + head + 1);
      return;
    case BTF_KIND.STRUCT:
    case BTF_KIND.UNION:
      // name, type, offset
      for (let i = 0; i < vlen; i++) visit(at + head + 3 * i + 1);
      return;
    case BTF_KIND.FUNC_PROTO:
      visit(at + 2);
      // name, type
      for (let i = 0; i < vlen; i++) visit(at + head + 2 * i + 1);
      return;
    case BTF_KIND.DATASEC:
      // type, offset, size
      for (let i = 0; i < vlen; i++) visit(at + head + 3 * i);
      return;
    default:
      return;
  }
}
