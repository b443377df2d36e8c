import type { Btf } from '../../btf/btf.ts';
import { essentialName, typeToString } from '../../btf/graph.ts';
import {
  BTF_KIND,
  type BtfArray,
  type BtfComposite,
  type BtfEnum,
  type BtfKind,
  type BtfType,
  type TypeId,
} from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';

/** How deep libbpf follows references to find a size (`MAX_RESOLVE_DEPTH`). */
const sizeDepth = 32;

const maxSize = 0xffff_ffff;

/** Kinds that `skip_mods_and_typedefs` looks through. */
const modifiers =
  (1 << BTF_KIND.TYPEDEF) |
  (1 << BTF_KIND.VOLATILE) |
  (1 << BTF_KIND.CONST) |
  (1 << BTF_KIND.RESTRICT) |
  (1 << BTF_KIND.TYPE_TAG);

/** Kinds that only lead on to another type when a size is asked for. */
const sizeReferences = modifiers | (1 << BTF_KIND.VAR) | (1 << BTF_KIND.DECL_TAG);

/** Kinds that hold their size. */
const sized =
  (1 << BTF_KIND.INT) |
  (1 << BTF_KIND.STRUCT) |
  (1 << BTF_KIND.UNION) |
  (1 << BTF_KIND.ENUM) |
  (1 << BTF_KIND.ENUM64) |
  (1 << BTF_KIND.DATASEC) |
  (1 << BTF_KIND.FLOAT);

const keywords: { readonly [K in BtfKind]?: string } = {
  [BTF_KIND.STRUCT]: 'struct',
  [BTF_KIND.UNION]: 'union',
  [BTF_KIND.ENUM]: 'enum',
  [BTF_KIND.ENUM64]: 'enum',
  [BTF_KIND.TYPEDEF]: 'typedef',
  [BTF_KIND.FWD]: 'forward declaration',
  [BTF_KIND.FUNC]: 'function',
};

const views = new WeakMap<Btf, CoreTypes>();

/** Names and places of the members of one struct or union, without those of its members. */
interface OwnMembers {
  /** First index of each name. */
  readonly byName: ReadonlyMap<string, number>;
  /** Indices of members without a name, in order. */
  readonly anonymous: readonly number[];
}

/** A place in a BTF's type that a name leads to through members without a name. */
export interface FoundMember {
  /** Member indices from the outermost composite inwards. */
  readonly indices: readonly number[];
  /** From the start of the outermost composite, in bits, modulo 2³². */
  readonly bitOffset: number;
  /** The composite that holds the member itself. */
  readonly holder: BtfComposite;
  readonly index: number;
  /** Type of the member. */
  readonly type: TypeId;
}

/** Result of a search. */
export interface MemberSearch {
  readonly found: FoundMember | undefined;
  /** Levels of composites that were looked into. */
  readonly depth: number;
  /** Composites that were looked into. */
  readonly visited: number;
}

/**
 * The questions that CO-RE asks a BTF, with libbpf's limits, and each answer kept: thousands of
 * relocations ask the same few types. One view per BTF, which lives as long as the BTF.
 */
export class CoreTypes {
  readonly btf: Btf;
  readonly #resolved = new Map<TypeId, TypeId>();
  readonly #members = new Map<TypeId, OwnMembers>();
  readonly #searches = new Map<TypeId, Map<string, MemberSearch>>();
  readonly #groups = new Map<TypeId, ReadonlyMap<string, readonly number[]>>();
  readonly #names = new Map<TypeId, readonly string[]>();
  readonly #words = new Map<TypeId, string>();
  readonly #enumerators = new Map<TypeId, ReadonlyMap<string, number>>();

  private constructor(btf: Btf) {
    this.btf = btf;
  }

  /** The view of a BTF. */
  static of(btf: Btf): CoreTypes {
    let view = views.get(btf);
    if (view === undefined) {
      view = new CoreTypes(btf);
      views.set(btf, view);
    }
    return view;
  }

  type(id: TypeId): BtfType {
    return this.btf.type(id);
  }

  kind(id: TypeId): BtfKind {
    return this.btf.kindOf(id);
  }

  /** The id behind typedefs, qualifiers and type tags. */
  resolve(id: TypeId): TypeId {
    if (!isModifier(this.kind(id))) return id;
    const known = this.#resolved.get(id);
    return known ?? this.#resolveChain(id);
  }

  #resolveChain(id: TypeId): TypeId {
    const chain: TypeId[] = [];
    let at = id;
    while (isModifier(this.kind(at))) {
      // More steps than there are types: the chain is a circle.
      if (chain.length > this.btf.endId) throw this.#nesting(id, this.btf.endId);
      chain.push(at);
      at = this.btf.sizeOrTypeOf(at) as TypeId;
    }
    for (const link of chain) this.#resolved.set(link, at);
    return at;
  }

  /** The type behind typedefs, qualifiers and type tags. */
  resolved(id: TypeId): BtfType {
    return this.type(this.resolve(id));
  }

  /** Size in bytes as `btf__resolve_size` has it; void, functions and forward declarations have none. */
  sizeOf(id: TypeId): number {
    let count = 1;
    let at = id;
    for (let depth = 0; depth < sizeDepth; depth++) {
      const kind = this.kind(at);
      if (kind === BTF_KIND.ARRAY) {
        const array = this.type(at) as BtfArray;
        if (count !== 0 && array.length > Math.floor(maxSize / count)) throw this.#noSize(id);
        count *= array.length;
        at = array.element;
      } else if (isIn(sizeReferences, kind)) {
        at = this.btf.sizeOrTypeOf(at) as TypeId;
      } else {
        const size = kind === BTF_KIND.PTR ? this.btf.pointerSize : this.#ownSize(at);
        if (size === undefined) throw this.#noSize(id);
        if (count !== 0 && size > Math.floor(maxSize / count)) throw this.#noSize(id);
        return count * size;
      }
    }
    throw this.#noSize(id);
  }

  #ownSize(id: TypeId): number | undefined {
    return isIn(sized, this.kind(id)) ? this.btf.sizeOrTypeOf(id) : undefined;
  }

  /**
   * Finds a member by its name, in declaration order, through members without a name; what
   * `bpf_core_match_member` does apart from comparing types.
   */
  findMember(composite: BtfComposite, name: string): MemberSearch {
    let searches = this.#searches.get(composite.id);
    if (searches === undefined) {
      searches = new Map();
      this.#searches.set(composite.id, searches);
    }
    let search = searches.get(name);
    if (search === undefined) {
      search = new Search(this, name).run(composite);
      searches.set(name, search);
    }
    return search;
  }

  /** Names of all members of a composite, those of its unnamed members included; each once. */
  memberNames(composite: BtfComposite): readonly string[] {
    let names = this.#names.get(composite.id);
    if (names === undefined) {
      names = this.#collectNames(composite);
      this.#names.set(composite.id, names);
    }
    return names;
  }

  #collectNames(composite: BtfComposite): readonly string[] {
    const names = new Set<string>();
    const seen = new Set<TypeId>();
    const pending: BtfComposite[] = [composite];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (seen.has(next.id)) continue;
      seen.add(next.id);
      for (const name of this.ownMembers(next).byName.keys()) names.add(name);
      for (const index of this.ownMembers(next).anonymous) {
        const inner = this.compositeAt(next, index);
        if (inner !== undefined) pending.push(inner);
      }
    }
    return [...names];
  }

  /** The struct or union that is the type of member `index`, if it is one. */
  compositeAt(composite: BtfComposite, index: number): BtfComposite | undefined {
    const member = composite.members[index];
    if (member === undefined) return undefined;
    const type = this.resolved(member.type);
    return isComposite(type) ? type : undefined;
  }

  ownMembers(composite: BtfComposite): OwnMembers {
    let own = this.#members.get(composite.id);
    if (own === undefined) {
      own = indexMembers(composite);
      this.#members.set(composite.id, own);
    }
    return own;
  }

  /** Indices of a composite's own members by their names without flavours; '' for those without. */
  membersByEssentialName(composite: BtfComposite): ReadonlyMap<string, readonly number[]> {
    let groups = this.#groups.get(composite.id);
    if (groups === undefined) {
      groups = groupMembers(composite);
      this.#groups.set(composite.id, groups);
    }
    return groups;
  }

  /** Index of the first enumerator whose name without flavour is `essential`. */
  findEnumerator(type: BtfEnum, essential: string): number | undefined {
    let index = this.#enumerators.get(type.id);
    if (index === undefined) {
      index = indexEnumerators(type);
      this.#enumerators.set(type.id, index);
    }
    return index.get(essential);
  }

  /** A type in words, such as `struct task_struct`. */
  words(id: TypeId): string {
    let words = this.#words.get(id);
    if (words === undefined) {
      words = this.#describe(id);
      this.#words.set(id, words);
    }
    return words;
  }

  #describe(id: TypeId): string {
    if (!this.btf.has(id)) return `type ${id}`;
    const kind = this.kind(id);
    const keyword = keywords[kind];
    const name = this.btf.nameOf(id);
    if (kind === BTF_KIND.VOID) return 'void';
    if (keyword === undefined) return name === '' ? typeToString(this.btf, id) : name;
    return `${keyword} ${name === '' ? '<anonymous>' : name}`;
  }

  #noSize(id: TypeId): BpfError {
    return new BpfError({ code: 'core-no-size', btf: this.btf.name, type: this.words(id) });
  }

  #nesting(id: TypeId, limit: number): BpfError {
    return new BpfError({ code: 'core-nesting', type: this.words(id), limit });
  }
}

/** One search for one name; no composite is looked into twice, however often it is nested. */
class Search {
  readonly #types: CoreTypes;
  readonly #name: string;
  readonly #seen = new Set<TypeId>();
  readonly #path: number[] = [];
  #depth = 0;

  constructor(types: CoreTypes, name: string) {
    this.#types = types;
    this.#name = name;
  }

  run(composite: BtfComposite): MemberSearch {
    const found = this.#into(composite, 0);
    return { found, depth: this.#depth, visited: this.#seen.size };
  }

  #into(composite: BtfComposite, bitOffset: number): FoundMember | undefined {
    if (this.#seen.has(composite.id) || composite.members.length === 0) return undefined;
    this.#seen.add(composite.id);
    const level = this.#path.length + 1;
    if (level > this.#depth) this.#depth = level;
    // Deeper than any access string goes: the caller fails on the depth.
    if (level > coreMaxDepth) return undefined;
    const own = this.#types.ownMembers(composite);
    const index = own.byName.get(this.#name);
    for (const anonymous of own.anonymous) {
      if (index !== undefined && index < anonymous) break;
      const inner = this.#inner(composite, anonymous, bitOffset);
      if (inner !== undefined) return inner;
    }
    return index === undefined ? undefined : this.#found(composite, index, bitOffset);
  }

  #inner(composite: BtfComposite, index: number, bitOffset: number): FoundMember | undefined {
    const inner = this.#types.compositeAt(composite, index);
    if (inner === undefined) return undefined;
    this.#path.push(index);
    const found = this.#into(inner, bitOffset + (composite.members[index]?.bitOffset ?? 0));
    this.#path.pop();
    return found;
  }

  #found(composite: BtfComposite, index: number, bitOffset: number): FoundMember | undefined {
    const member = composite.members[index];
    if (member === undefined) return undefined;
    return {
      indices: [...this.#path, index],
      bitOffset: (bitOffset + member.bitOffset) >>> 0,
      holder: composite,
      index,
      type: member.type,
    };
  }
}

/** Longest access that libbpf follows (`BPF_CORE_SPEC_MAX_LEN`). */
export const coreMaxDepth = 64;

function indexMembers(composite: BtfComposite): OwnMembers {
  const byName = new Map<string, number>();
  const anonymous: number[] = [];
  composite.members.forEach((member, index) => {
    if (member.name === '') anonymous.push(index);
    else if (!byName.has(member.name)) byName.set(member.name, index);
  });
  return { byName, anonymous };
}

function groupMembers(composite: BtfComposite): ReadonlyMap<string, readonly number[]> {
  const groups = new Map<string, number[]>();
  composite.members.forEach((member, index) => {
    const name = essentialName(member.name);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [index]);
    else group.push(index);
  });
  return groups;
}

function indexEnumerators(type: BtfEnum): ReadonlyMap<string, number> {
  const index = new Map<string, number>();
  type.values.forEach((value, at) => {
    const essential = essentialName(value.name);
    if (!index.has(essential)) index.set(essential, at);
  });
  return index;
}

function isModifier(kind: BtfKind): boolean {
  return isIn(modifiers, kind);
}

/** Whether a set, as bits by kind, holds a kind; kinds of the future may be above 31. */
function isIn(set: number, kind: BtfKind): boolean {
  return kind < 32 && ((set >> kind) & 1) === 1;
}

export function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union';
}

export function isEnum(type: BtfType): type is BtfEnum {
  return type.kind === 'enum' || type.kind === 'enum64';
}

/** Same kind; an enum of 32 bits and one of 64 are the same (`btf_kind_core_compat`). */
export function kindsCompatible(a: BtfKind, b: BtfKind): boolean {
  return a === b || (isEnumKind(a) && isEnumKind(b));
}

function isEnumKind(kind: BtfKind): boolean {
  return kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64;
}
