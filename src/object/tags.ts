import type { Btf } from '../btf/btf.ts';
import { chainLimit, resolveType } from '../btf/graph.ts';
import { BTF_KIND, type TypeId } from '../btf/types.ts';
import type { ArgumentTag, KernelPointer } from './spec.ts';
import type { ObjectTypes } from './variables.ts';

/** What the declaration tags of arguments start with (`__arg_ctx` is `"arg:ctx"`). */
const argumentPrefix = 'arg:';

/**
 * Tags of arguments by the FUNC that they are on, in the order of arguments and tags:
 * `__arg_ctx`, `__arg_nonnull` and the like of libbpf's <bpf/bpf_helpers.h>.
 */
export function readArgumentTags({
  btf,
  declTags,
}: Pick<ObjectTypes, 'btf' | 'declTags'>): ReadonlyMap<TypeId, readonly ArgumentTag[]> {
  const byFunction = new Map<TypeId, ArgumentTag[]>();
  for (const id of declTags) {
    const type = btf.type(id);
    if (type.kind !== 'decl-tag' || type.component < 0) continue;
    if (!type.name.startsWith(argumentPrefix)) continue;
    if (btf.kindOf(type.target) !== BTF_KIND.FUNC) continue;
    const tag = { argument: type.component, tag: type.name.slice(argumentPrefix.length) };
    const list = byFunction.get(type.target);
    if (list === undefined) byFunction.set(type.target, [tag]);
    else list.push(tag);
  }
  for (const list of byFunction.values()) list.sort((a, b) => a.argument - b.argument);
  return byFunction;
}

/** Tags of pointers that a map's value keeps; `kptr_user` is the name that `uptr` had before. */
const pointerTags: ReadonlyMap<string, KernelPointer['tag']> = new Map([
  ['kptr', 'kptr'],
  ['kptr_untrusted', 'kptr_untrusted'],
  ['percpu_kptr', 'percpu_kptr'],
  ['uptr', 'uptr'],
  ['kptr_user', 'uptr'],
]);

/** Most pointers that are listed for one map; the kernel takes 11. */
const pointerLimit = 64;

/**
 * Bound on the members that are looked at for all maps of an object: structs can hold structs
 * that hold structs, each several times. What lies beyond it is not listed.
 */
const memberLimit = 1 << 20;

/** Finds the tagged pointers in map values, each type once. */
export class KernelPointerReader {
  readonly #btf: Btf;
  readonly #known = new Map<TypeId, readonly KernelPointer[]>();
  #members = 0;

  constructor(btf: Btf) {
    this.#btf = btf;
  }

  /** The pointers in a value of type `id`, in the order of their offsets. */
  read(id: TypeId): readonly KernelPointer[] {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const found: KernelPointer[] = [];
    this.#collect(id, 0, 0, found);
    found.sort((a, b) => a.offset - b.offset);
    this.#known.set(id, found);
    return found;
  }

  #collect(id: TypeId, offset: number, depth: number, found: KernelPointer[]): void {
    if (depth > chainLimit || found.length >= pointerLimit) return;
    if (this.#members++ > memberLimit) return;
    const at = resolveType(this.#btf, id);
    const kind = this.#btf.kindOf(at);
    if (kind === BTF_KIND.PTR) this.#pointer(at, offset, found);
    else if (kind === BTF_KIND.ARRAY) this.#array(at, offset, depth, found);
    else if (kind === BTF_KIND.STRUCT || kind === BTF_KIND.UNION) {
      const type = this.#btf.type(at);
      if (type.kind !== 'struct' && type.kind !== 'union') return;
      for (const member of type.members) {
        this.#collect(member.type, offset + Math.floor(member.bitOffset / 8), depth + 1, found);
      }
    }
  }

  /** Elements are looked at while they have pointers: most arrays have none. */
  #array(id: TypeId, offset: number, depth: number, found: KernelPointer[]): void {
    const type = this.#btf.type(id);
    if (type.kind !== 'array') return;
    const first: KernelPointer[] = [];
    this.#collect(type.element, 0, depth + 1, first);
    if (first.length === 0) return;
    const stride = this.#strideOf(type.element);
    for (let i = 0; i < type.length && found.length < pointerLimit; i++) {
      for (const pointer of first) {
        found.push({ ...pointer, offset: offset + i * stride + pointer.offset });
      }
    }
  }

  /** Bytes from one element with pointers to the next: a pointer, a struct, or an array of them. */
  #strideOf(id: TypeId): number {
    let at = resolveType(this.#btf, id);
    let count = 1;
    for (let steps = 0; steps < chainLimit; steps++) {
      const type = this.#btf.type(at);
      if (type.kind === 'array') {
        count *= type.length;
        at = resolveType(this.#btf, type.element);
      } else {
        return count * ('size' in type ? type.size : this.#btf.pointerSize);
      }
    }
    return 0;
  }

  /** The tag stands between the pointer and what it points at, perhaps among others. */
  #pointer(id: TypeId, offset: number, found: KernelPointer[]): void {
    const btf = this.#btf;
    let at = btf.sizeOrTypeOf(id) as TypeId;
    for (let steps = 0; steps < chainLimit && btf.kindOf(at) === BTF_KIND.TYPE_TAG; steps++) {
      const tag = pointerTags.get(btf.nameOf(at));
      if (tag !== undefined) {
        found.push({ offset, tag, type: resolveType(btf, at) });
        return;
      }
      at = btf.sizeOrTypeOf(at) as TypeId;
    }
  }
}
