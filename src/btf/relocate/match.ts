import type { BtfRelocateFault } from '../../errors/btf.ts';
import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../types.ts';

/** Steps for types of one name, for each type that there is: real ones take less than two. */
const stepsPerType = 64;
const stepAllowance = 1 << 20;

/** How many characters of names are looked at for each byte of strings; see `BtfBuilder.copy`. */
const charactersPerByte = 16;

/** Kinds in which a distilled type may be found again. */
const findable: ReadonlySet<BtfKind> = new Set([
  BTF_KIND.INT,
  BTF_KIND.FLOAT,
  BTF_KIND.ENUM,
  BTF_KIND.ENUM64,
  BTF_KIND.FWD,
  BTF_KIND.STRUCT,
  BTF_KIND.UNION,
]);

const sized: ReadonlySet<BtfKind> = new Set([
  BTF_KIND.INT,
  BTF_KIND.FLOAT,
  BTF_KIND.ENUM,
  BTF_KIND.ENUM64,
]);

/** What there is of one name in the new base. */
interface Named {
  readonly ids: readonly TypeId[];
  /** Structs and unions can only be told apart by their size. */
  readonly several: boolean;
}

/**
 * Finds the types of a distilled base in another base, with the rules of libbpf's
 * `btf_relocate_map_distilled_base`: by name, and by size where it counts.
 *
 * Where both find something it is the same. Two of libbpf's slips are not repeated: it may take
 * an enum or integer, or a union, for a struct of that name; and of the structs that hold
 * others by value it looks only at the first ones (it takes a number of types for an id), so
 * that the size of what the later ones hold may be another one.
 */
export class BaseMatch {
  readonly #split: Btf;
  readonly #distilled: Btf;
  readonly #base: Btf;
  readonly #byName = new Map<string, Named>();
  readonly #limit: number;
  #steps = 0;
  #charactersLeft: number;

  constructor(split: Btf, distilled: Btf, base: Btf) {
    this.#split = split;
    this.#distilled = distilled;
    this.#base = base;
    this.#limit = stepsPerType * (distilled.endId + base.endId) + stepAllowance;
    this.#charactersLeft = charactersPerByte * distilled.strings.end + stepAllowance;
  }

  /** The id in the new base of each type of the distilled one. */
  ids(): Uint32Array {
    const { endId } = this.#distilled;
    for (let id = 1 as TypeId; id < endId; id++) this.#refuseOthers(id);
    const embedded = embeddedTypes(this.#split);
    const ids = new Uint32Array(endId);
    for (let id = 1 as TypeId; id < endId; id++) ids[id] = this.#find(id, embedded[id] === 1);
    return ids;
  }

  /** Integers and the like, all with a name. */
  #refuseOthers(id: TypeId): void {
    const kind = this.#distilled.kindOf(id);
    const isKnown = findable.has(kind) && kind !== BTF_KIND.ENUM64;
    if (isKnown && this.#distilled.nameOffsetOf(id) !== 0) return;
    throw this.#failure({ kind: 'not-distilled', id, name: this.#distilled.nameOf(id) });
  }

  #find(id: TypeId, isEmbedded: boolean): TypeId {
    const named = this.#named(id);
    let found: TypeId | undefined;
    this.#spend(named.ids.length);
    for (const candidate of named.ids) {
      if (!this.#fits(id, candidate, named.several, isEmbedded)) continue;
      if (found !== undefined) {
        throw this.#failure({ kind: 'ambiguous', type: this.#say(id), ids: [found, candidate] });
      }
      found = candidate;
    }
    if (found === undefined) {
      const size = this.#distilled.sizeOrTypeOf(id);
      throw this.#failure({ kind: 'missing', type: this.#say(id), size });
    }
    this.#refuseOtherKind(id, found);
    return found;
  }

  #named(id: TypeId): Named {
    const name = this.#distilled.nameOf(id);
    this.#charactersLeft -= name.length;
    if (this.#charactersLeft < 0) throw this.#failure({ kind: 'work', limit: this.#limit });
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const base = this.#base;
    const ids = base.findAll(name).filter((each) => findable.has(base.kindOf(each)));
    this.#spend(ids.length);
    const composites = ids.filter((each) => isComposite(base.kindOf(each)));
    const named = { ids, several: composites.length > 1 };
    this.#byName.set(name, named);
    return named;
  }

  /** Whether libbpf would take a type of the base, which has the right name. */
  #fits(id: TypeId, candidate: TypeId, several: boolean, isEmbedded: boolean): boolean {
    const [distilled, base] = [this.#distilled, this.#base];
    const kind = base.kindOf(candidate);
    const isSameSize = distilled.sizeOrTypeOf(id) === base.sizeOrTypeOf(candidate);
    const needsSize = sized.has(kind) || (isComposite(kind) && several);
    if (needsSize && !isSameSize) return false;
    switch (distilled.kindOf(id)) {
      case BTF_KIND.FWD:
        return fitsForward(distilled.kindFlagOf(id), kind, base.kindFlagOf(candidate));
      case BTF_KIND.INT:
        return kind === BTF_KIND.INT && this.#sameEncoding(id, candidate);
      case BTF_KIND.FLOAT:
        return kind === BTF_KIND.FLOAT;
      case BTF_KIND.ENUM:
        return kind === BTF_KIND.ENUM || kind === BTF_KIND.ENUM64;
      default:
        return !isEmbedded || isSameSize;
    }
  }

  /** Signed, `char` or `bool`. */
  #sameEncoding(id: TypeId, candidate: TypeId): boolean {
    const a = this.#distilled.type(id);
    const b = this.#base.type(candidate);
    if (a.kind !== 'int' || b.kind !== 'int') return false;
    return a.signed === b.signed && a.char === b.char && a.bool === b.bool;
  }

  #refuseOtherKind(id: TypeId, found: TypeId): void {
    const type = this.#distilled.type(id);
    const other = this.#base.type(found);
    const wanted = type.kind === 'fwd' ? type.of : type.kind;
    if (wanted !== 'struct' && wanted !== 'union') return;
    if ((other.kind === 'fwd' ? other.of : other.kind) === wanted) return;
    throw this.#failure({ kind: 'other-kind', type: this.#say(id), found: other.kind });
  }

  #spend(steps: number): void {
    this.#steps += steps + 1;
    if (this.#steps > this.#limit) throw this.#failure({ kind: 'work', limit: this.#limit });
  }

  #say(id: TypeId): string {
    const { kind } = this.#distilled.type(id);
    return `${kind} ${this.#distilled.nameOf(id)}`;
  }

  #failure(fault: BtfRelocateFault): BpfError {
    const [btf, base] = [this.#split.name, this.#base.name];
    return new BpfError({ code: 'btf-relocate', btf, base, fault });
  }
}

function isComposite(kind: BtfKind): boolean {
  return kind === BTF_KIND.STRUCT || kind === BTF_KIND.UNION;
}

/**
 * What a forward declaration may have become. libbpf looks at the flag of the type found, which
 * says of a struct that it has bit fields; those and unions without them are not taken.
 */
function fitsForward(isUnion: boolean, kind: BtfKind, flag: boolean): boolean {
  if (kind === BTF_KIND.FWD) return flag === isUnion;
  if (kind === BTF_KIND.STRUCT) return !flag;
  return kind === BTF_KIND.UNION && flag;
}

/**
 * Marks the structs and unions of the base that members of the split BTF hold by value, also
 * as elements of arrays: their size is part of the layout around them.
 */
function embeddedTypes(split: Btf): Uint8Array {
  const seen = new Uint8Array(split.endId);
  for (let id = split.firstId as TypeId; id < split.endId; id++) {
    const type = split.type(id);
    if (type.kind !== 'struct' && type.kind !== 'union') continue;
    for (const member of type.members) markEmbedded(split, seen, member.type);
  }
  return seen;
}

/** Goes on until something is marked already, so no type is looked at twice. */
function markEmbedded(split: Btf, seen: Uint8Array, start: TypeId): void {
  for (let id: TypeId | undefined = start; id !== undefined && seen[id] === 0; ) {
    seen[id] = 1;
    const type = split.type(id);
    switch (type.kind) {
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'typedef':
      case 'type-tag':
        id = type.target;
        break;
      case 'array':
        id = type.element;
        break;
      default:
        id = undefined;
    }
  }
}
