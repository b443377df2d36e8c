import { typeToString } from '../graph.ts';
import type { BtfComposite, BtfDataSection, BtfType, TypeId } from '../types.ts';
import type { DiffMember } from './diff.ts';
import type { Shapes } from './diff-shapes.ts';

/** A member with what it is compared by. */
export interface FlatMember {
  readonly shown: DiffMember;
  /** Number of its type, see `Shapes.reference`. */
  readonly reference: number;
}

/** Deeper, structs without a name stay one member. */
const nestingLimit = 32;

/** Members taken out of structs without a name, over all types of one comparison. */
const takenLimit = 2 ** 18;

/**
 * Lists members as C reaches them: those of a member without a name as if they were the
 * outer struct's own, those of a member of a struct without a name as `outer.inner`, offsets
 * from the outermost struct. What contains itself, or is so entangled that its members
 * outgrow any sense, stays one member.
 */
export class MemberLister {
  readonly #shapes: Shapes;
  #taken = 0;

  constructor(shapes: Shapes) {
    this.#shapes = shapes;
  }

  list(type: BtfComposite | BtfDataSection): readonly FlatMember[] {
    const out: FlatMember[] = [];
    if (type.kind === 'datasec') {
      for (const { type: id, offset, size } of type.vars) {
        const name = this.#shapes.btf.nameOf(id);
        out.push(this.#member({ name, type: id, bitOffset: 8 * offset, bitSize: 0 }, size));
      }
    } else this.#into(type, '', 0, 0, out);
    return out;
  }

  #into(type: BtfComposite, path: string, base: number, depth: number, out: FlatMember[]): void {
    for (const member of type.members) {
      const bitOffset = base + member.bitOffset;
      const inner = depth < nestingLimit ? this.#unnamedComposite(member.type) : undefined;
      const mayTake = inner !== undefined && this.#taken + inner.type.members.length <= takenLimit;
      const name = path + member.name;
      if (member.name !== '' || !mayTake) {
        const flat = this.#member({ ...member, name, bitOffset }, this.#shapes.size(member.type));
        // What differs inside is told by the inner members.
        out.push(mayTake ? { ...flat, reference: -1 - inner.dimensions } : flat);
      }
      if (!mayTake) continue;
      this.#taken += inner.type.members.length;
      const innerPath = member.name === '' ? path : `${name}${inner.dimensions > 0 ? '[]' : ''}.`;
      this.#into(inner.type, innerPath, bitOffset, depth + 1, out);
    }
  }

  #member(
    member: { name: string; type: TypeId; bitOffset: number; bitSize: number },
    size: number | undefined,
  ): FlatMember {
    const { name, type, bitOffset, bitSize } = member;
    const { btf } = this.#shapes;
    return {
      shown: { name, bitOffset, bitSize, size, typeId: type, type: typeToString(btf, type) },
      reference: this.#shapes.reference(type),
    };
  }

  /** The struct or union without a name that a member, or each element of it, is. */
  #unnamedComposite(id: TypeId): { type: BtfComposite; dimensions: number } | undefined {
    const { btf } = this.#shapes;
    let at = id;
    for (let dimensions = 0; dimensions <= nestingLimit; dimensions++) {
      const type: BtfType = btf.type(at);
      if (type.kind === 'array') at = type.element;
      else if (type.kind === 'struct' || type.kind === 'union') {
        return type.name === '' ? { type, dimensions } : undefined;
      } else if (type.kind === 'const' || type.kind === 'volatile') at = type.target;
      else return undefined; // a typedef is a name
    }
    return undefined;
  }
}
