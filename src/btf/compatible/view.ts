import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { essentialName, typeToString } from '../graph.ts';
import {
  BTF_KIND,
  type BtfComposite,
  type BtfEnum,
  type BtfKind,
  type BtfType,
  type TypeId,
} from '../types.ts';
import { type MemberSearch, searchMember } from './search.ts';

/** Kinds that `skip_mods_and_typedefs` looks through. */
const modifiers =
  (1 << BTF_KIND.TYPEDEF) |
  (1 << BTF_KIND.VOLATILE) |
  (1 << BTF_KIND.CONST) |
  (1 << BTF_KIND.RESTRICT) |
  (1 << BTF_KIND.TYPE_TAG);

const keywords: { readonly [K in BtfKind]?: string } = {
  [BTF_KIND.STRUCT]: 'struct',
  [BTF_KIND.UNION]: 'union',
  [BTF_KIND.ENUM]: 'enum',
  [BTF_KIND.ENUM64]: 'enum',
  [BTF_KIND.TYPEDEF]: 'typedef',
  [BTF_KIND.FWD]: 'forward declaration',
  [BTF_KIND.FUNC]: 'function',
};

const views = new WeakMap<Btf, TypeView>();

/** Names and places of the members of one struct or union, without those of its members. */
export interface OwnMembers {
  /** First index of each name. */
  readonly byName: ReadonlyMap<string, number>;
  /** Indices of members without a name, in order. */
  readonly anonymous: readonly number[];
}

/**
 * The questions that comparisons and CO-RE ask a BTF, each answer kept: thousands of
 * relocations ask the same few types. One view per BTF, which lives as long as the BTF.
 */
export class TypeView {
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
  static of(btf: Btf): TypeView {
    let view = views.get(btf);
    if (view === undefined) {
      view = new TypeView(btf);
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
      const known = this.#resolved.get(at);
      if (known !== undefined) {
        at = known;
        break;
      }
      // More steps than there are types: the chain is a circle.
      if (chain.length > this.btf.endId) throw this.nesting(id, this.btf.endId);
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
      search = searchMember(this, composite, name);
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

  /** Names and places of a composite's own members. */
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

  /** The error where references from a type go deeper than `limit`, or in a circle. */
  nesting(id: TypeId, limit: number): BpfError {
    return new BpfError({ code: 'btf-nesting', btf: this.btf.name, type: this.words(id), limit });
  }
}

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

/** Whether a type is a struct or a union. */
export function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union';
}

/** Whether a type is an enum of either width. */
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
