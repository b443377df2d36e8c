import type { BtfComposite, TypeId } from '../types.ts';
import type { TypeView } from './view.ts';

/** A member that a name leads to, through members without a name. */
export interface FoundMember {
  /** Member indices from the outermost struct or union inwards. */
  readonly indices: readonly number[];
  /** From the start of the outermost struct or union, in bits, modulo 2³². */
  readonly bitOffset: number;
  /** The struct or union that holds the member itself. */
  readonly holder: BtfComposite;
  /** Of the member in its holder. */
  readonly index: number;
  /** Type of the member. */
  readonly type: TypeId;
}

/** Result of a search. */
export interface MemberSearch {
  readonly found: FoundMember | undefined;
  /** Levels of structs and unions that were looked into. */
  readonly depth: number;
  /** Structs and unions that were looked into. */
  readonly visited: number;
}

/** A struct or union on the way to the place that is looked at. */
interface Level {
  readonly composite: BtfComposite;
  /** From the start of the outermost, in bits. */
  readonly bitOffset: number;
  /** Own members without a name, in order; those before `next` were looked into. */
  readonly anonymous: readonly number[];
  next: number;
  /** Own member of the wanted name. */
  readonly index: number | undefined;
}

/**
 * Looks for a member in declaration order. No struct or union is looked into twice, however
 * often it is nested, and the stack is its own: types made to be slow or deep cost no more
 * than their number.
 */
export function searchMember(types: TypeView, root: BtfComposite, name: string): MemberSearch {
  const seen = new Set<TypeId>();
  const levels: Level[] = [];
  let depth = 0;
  const enter = (composite: BtfComposite, bitOffset: number): void => {
    if (seen.has(composite.id) || composite.members.length === 0) return;
    seen.add(composite.id);
    const own = types.ownMembers(composite);
    const index = own.byName.get(name);
    levels.push({ composite, bitOffset, anonymous: own.anonymous, next: 0, index });
    if (levels.length > depth) depth = levels.length;
  };
  enter(root, 0);
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const at = level.anonymous[level.next];
    if (at !== undefined && (level.index === undefined || at < level.index)) {
      level.next++;
      const inner = types.compositeAt(level.composite, at);
      if (inner !== undefined) enter(inner, level.bitOffset + memberOffset(level.composite, at));
    } else if (level.index !== undefined) {
      return { found: foundAt(levels, level.index), depth, visited: seen.size };
    } else {
      levels.pop();
    }
  }
  return { found: undefined, depth, visited: seen.size };
}

function memberOffset(composite: BtfComposite, index: number): number {
  return composite.members[index]?.bitOffset ?? 0;
}

function foundAt(levels: readonly Level[], index: number): FoundMember | undefined {
  const last = levels.at(-1);
  const member = last?.composite.members[index];
  if (last === undefined || member === undefined) return undefined;
  // Each level but the last is at the member that it looks into, the one before `next`.
  const way = levels.slice(0, -1).map((level) => level.anonymous[level.next - 1] as number);
  return {
    indices: [...way, index],
    bitOffset: (last.bitOffset + member.bitOffset) >>> 0,
    holder: last.composite,
    index,
    type: member.type,
  };
}

/** Levels of members without a name that {@link namedMembers} goes into; C code needs few. */
const maxLevels = 256;

/**
 * Every member that {@link searchMember} finds by some name, in declaration order.
 * {@link BpfError} `btf-nesting` beyond 256 levels: each result holds the way to it, so that
 * deep nesting would take memory by the square of its depth.
 */
export function namedMembers(types: TypeView, root: BtfComposite): readonly FoundMember[] {
  const found: FoundMember[] = [];
  const names = new Set<string>();
  const seen = new Set<TypeId>([root.id]);
  const levels = [{ composite: root, bitOffset: 0, next: 0 }];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const { composite, bitOffset } = level;
    const index = level.next++;
    const member = composite.members[index];
    if (member === undefined) {
      levels.pop();
    } else if (member.name !== '') {
      if (names.has(member.name)) continue;
      names.add(member.name);
      const indices = levels.map(({ next }) => next - 1);
      const place = (bitOffset + member.bitOffset) >>> 0;
      found.push({ indices, bitOffset: place, holder: composite, index, type: member.type });
    } else {
      const inner = types.compositeAt(composite, index);
      if (inner === undefined || seen.has(inner.id)) continue;
      if (levels.length === maxLevels) throw types.nesting(root.id, maxLevels);
      seen.add(inner.id);
      levels.push({ composite: inner, bitOffset: bitOffset + member.bitOffset, next: 0 });
    }
  }
  return found;
}
