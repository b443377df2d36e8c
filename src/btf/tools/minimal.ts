import { unreachable } from '../../errors.ts';
import { type Btf, parseBtf } from '../btf.ts';
import { BtfBuilder, type NewBtfType } from '../encode.ts';
import { resolveType } from '../graph.ts';
import type { BtfType, TypeId } from '../types.ts';

/**
 * What a CO-RE relocation looks at in the target: the result of resolving it, as plain data.
 *
 * `field`: members and array elements by index, from `root` on; the first index is that of
 * an array of roots (libbpf's raw access). `type`: the type as such, its id or size. `match`:
 * the type and all that a comparison of its members looks at. `enumerator`: a value of it.
 */
export type CoreUse =
  | { readonly kind: 'field'; readonly root: TypeId; readonly indices: readonly number[] }
  | { readonly kind: 'type' | 'match' | 'enumerator'; readonly root: TypeId };

/**
 * The part of a target's BTF that some CO-RE relocations need: the types that they come
 * through, and of structs and unions only the members on the way. What a kept type refers
 * to and is not kept itself becomes `void`. Types keep their order, sizes and offsets. As
 * bpftool's `gen min_core_btf`. Of split BTF the level itself becomes smaller; references
 * to its bases stay, see {@link minimalBtfWithBases}.
 *
 * @example
 * ```ts
 * const root = vmlinux.find('task_struct', BTF_KIND.STRUCT);
 * const small = minimalBtf(vmlinux, [{ kind: 'field', root, indices: [0, 5] }]);
 * ```
 */
export function minimalBtf(target: Btf, uses: readonly CoreUse[]): Btf {
  return buildOwn(target, markUses(target, uses));
}

/**
 * {@link minimalBtf} of split BTF and of all that it stands on: the result stands on the part of
 * the base that is needed, for machines that have neither, such as the types of a module and of
 * its kernel. (bpftool 7.8 takes no split BTF here.)
 */
export function minimalBtfWithBases(target: Btf, uses: readonly CoreUse[]): Btf {
  return buildAll(target, markUses(target, uses)).btf;
}

function markUses(target: Btf, uses: readonly CoreUse[]): Marks {
  const marks = new Marks(target);
  for (const use of uses) {
    if (use.kind === 'field') marks.field(use.root, use.indices);
    else if (use.kind === 'match') marks.matched(use.root);
    else marks.type(use.root, use.kind === 'type');
  }
  return marks;
}

/** How far a mark goes on from a type. */
const reach = {
  /** Typedefs, arrays, prototypes; not through pointers, nor into structs. */
  value: 1,
  /** Through pointers, too. */
  pointers: 2,
  /** As for comparing types: members, and through pointers. */
  match: 4,
  /** The same behind a pointer, where structs are compared by name only. */
  matchBehind: 8,
} as const;

type Reach = (typeof reach)[keyof typeof reach];

/** The types and members that are kept. */
class Marks {
  readonly #target: Btf;
  /** For each type, the bits of {@link reach} that it was gone through with. */
  readonly #reached: Uint8Array;
  readonly #members = new Map<TypeId, Set<number>>();

  constructor(target: Btf) {
    this.#target = target;
    this.#reached = new Uint8Array(target.endId);
  }

  isKept(id: TypeId): boolean {
    return this.#reached[id] !== 0;
  }

  isKeptMember(id: TypeId, index: number): boolean {
    return this.#members.get(id)?.has(index) ?? false;
  }

  /** `btfgen_record_field_relo` of bpftool. */
  field(root: TypeId, indices: readonly number[]): void {
    this.type(root, false);
    let at = root;
    for (const index of indices.slice(1)) {
      at = resolveType(this.#target, at);
      const type = this.#target.type(at);
      if (type.kind === 'array') at = type.element;
      else if (type.kind === 'struct' || type.kind === 'union') {
        const member = type.members[index];
        if (member === undefined) return;
        this.#keepMember(at, index);
        at = member.type;
        this.type(at, false);
      } else return;
    }
  }

  /** A type without members; `through` pointers or only up to them. */
  type(id: TypeId, through: boolean): void {
    this.#spread(id, through ? reach.pointers : reach.value);
  }

  /** A type with what comparing it looks at. */
  matched(id: TypeId): void {
    this.#spread(id, reach.match);
  }

  #keepMember(id: TypeId, index: number): void {
    let members = this.#members.get(id);
    if (members === undefined) {
      members = new Set();
      this.#members.set(id, members);
    }
    members.add(index);
  }

  /** Each type is gone through at most once for each reach, with a stack of our own. */
  #spread(id: TypeId, how: Reach): void {
    const stack: [TypeId, Reach][] = [[id, how]];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const [at, reachHere] = next;
      const before = this.#reached[at] as number;
      if (at === 0 || (before & reachHere) !== 0) continue;
      this.#reached[at] = before | reachHere;
      const type = this.#target.type(at);
      for (const following of this.#next(type, reachHere)) stack.push(following);
    }
  }

  #next(type: BtfType, how: Reach): readonly [TypeId, Reach][] {
    switch (type.kind) {
      case 'ptr':
        if (how === reach.value) return [];
        return [[type.target, how === reach.match ? reach.matchBehind : how]];
      case 'struct':
      case 'union':
        if (how !== reach.match) return [];
        type.members.forEach((_, index) => {
          this.#keepMember(type.id, index);
        });
        return type.members.map((member) => [member.type, how]);
      case 'typedef':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type-tag':
        return [[type.target, how]];
      case 'array':
        return [
          [type.element, apart(how)],
          [type.index, apart(how)],
        ];
      case 'func-proto':
        return [type.returns, ...type.params.map((param) => param.type)].map((id) => [
          id,
          apart(how),
        ]);
      case 'func':
        return [[type.proto, how]];
      default:
        return [];
    }
  }
}

/** Elements and parameters are compared in full again, also behind a pointer, as by bpftool. */
function apart(how: Reach): Reach {
  return how === reach.matchBehind ? reach.match : how;
}

/** What became of each id: of bases' types and, once a level is written, of its own. */
type NewIds = Uint32Array;

/** Writes the kept types of all levels, the lowest base first. */
function buildAll(target: Btf, marks: Marks): { readonly btf: Btf; readonly ids: NewIds } {
  const below = target.base === undefined ? undefined : buildAll(target.base, marks);
  const ids = new Uint32Array(target.endId);
  if (below !== undefined) ids.set(below.ids);
  return { btf: buildLevel(target, { marks, ids, base: below?.btf }), ids };
}

/** Writes the kept types of the target's own level alone. */
function buildOwn(target: Btf, marks: Marks): Btf {
  const ids = new Uint32Array(target.endId);
  for (let id = 0; id < target.firstId; id++) ids[id] = id;
  return buildLevel(target, { marks, ids, base: target.base });
}

/** Writes the kept types of a level on `base`, ids closed up, and notes the new ids. */
function buildLevel(
  target: Btf,
  to: { readonly marks: Marks; readonly ids: NewIds; readonly base: Btf | undefined },
): Btf {
  const { firstId, endId, littleEndian, name, pointerSize } = target;
  const { marks, ids, base } = to;
  let nextId = base?.endId ?? 1;
  for (let id = firstId as TypeId; id < endId; id++) {
    if (marks.isKept(id)) ids[id] = nextId++;
  }
  const rename = (id: TypeId): TypeId => ids[id] as number as TypeId;
  const builder = new BtfBuilder({ littleEndian, base });
  for (let id = firstId as TypeId; id < endId; id++) {
    if (marks.isKept(id)) builder.add(kept(target.type(id), marks, rename));
  }
  return parseBtf(builder.finish(), { base, name, pointerSize });
}

/** A type with only its kept members, references renamed. */
function kept(type: BtfType, marks: Marks, rename: (id: TypeId) => TypeId): NewBtfType {
  switch (type.kind) {
    case 'struct':
    case 'union': {
      const members = type.members
        .filter((_, index) => marks.isKeptMember(type.id, index))
        .map((member) => ({ ...member, type: rename(member.type) }));
      return { ...type, members };
    }
    case 'ptr':
    case 'typedef':
    case 'const':
    case 'volatile':
    case 'restrict':
    case 'type-tag':
    case 'decl-tag':
      return { ...type, target: rename(type.target) };
    case 'array':
      return { ...type, element: rename(type.element), index: rename(type.index) };
    case 'func-proto': {
      const params = type.params.map((param) => ({ ...param, type: rename(param.type) }));
      return { ...type, returns: rename(type.returns), params };
    }
    case 'func':
      return { ...type, proto: rename(type.proto) };
    case 'var':
      return { ...type, type: rename(type.type) };
    case 'datasec': {
      const vars = type.vars.map((variable) => ({ ...variable, type: rename(variable.type) }));
      return { ...type, vars };
    }
    case 'int':
    case 'float':
    case 'enum':
    case 'enum64':
    case 'fwd':
      return type;
    case 'void':
    case 'unknown':
      // `void` is never marked; of an unknown kind nothing but the name is known.
      return { kind: 'fwd', name: type.kind === 'unknown' ? type.name : '', of: 'struct' };
    default:
      return unreachable(type, 'BTF kind');
  }
}
