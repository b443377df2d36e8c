import type { Btf } from '../btf.ts';
import { childIds } from '../children.ts';
import { sizeOf } from '../graph.ts';
import { BTF_KIND, type BtfType, type TypeId } from '../types.ts';

/** Numbers for texts, the same for equal ones, from 1 on; shared by the BTFs that are compared. */
export class Interner {
  readonly #numbers = new Map<string, number>();

  number(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#numbers.size + 1;
    this.#numbers.set(text, number);
    return number;
  }
}

/** State of a type whose parts are being numbered. */
const open = -1;

/** Marks a type that has no size. */
const noSize = -1;

/**
 * One BTF, seen so that it can be compared with another: two references are the same type
 * where their {@link Shapes.reference} is the same number. A type with a name is its kind
 * and name; a type without one (a pointer, an array, `struct { … }`) is all that it is made
 * of, down to the next names. So each type is looked at once, however often it is used.
 */
export class Shapes {
  readonly btf: Btf;
  readonly #interner: Interner;
  /** Number of the string at each offset, 0 where not asked for yet. */
  readonly #names: Int32Array;
  readonly #references: Int32Array;
  readonly #sizes: Float64Array;

  constructor(btf: Btf, interner: Interner) {
    this.btf = btf;
    this.#interner = interner;
    this.#names = new Int32Array(btf.strings.end);
    this.#references = new Int32Array(btf.endId);
    this.#sizes = new Float64Array(btf.endId).fill(Number.NaN);
  }

  /** Number of the name of a type. */
  name(id: TypeId): number {
    const offset = this.btf.nameOffsetOf(id);
    const known = this.#names[offset] as number;
    if (known !== 0) return known;
    const number = this.#interner.number(this.btf.string(offset));
    this.#names[offset] = number;
    return number;
  }

  /** Size in bytes of a value, undefined for what has none. */
  size(id: TypeId): number | undefined {
    let size = this.#sizes[id] as number;
    if (Number.isNaN(size)) {
      size = this.#findSize(id);
      this.#sizes[id] = size;
    }
    return size === noSize ? undefined : size;
  }

  #findSize(id: TypeId): number {
    try {
      return sizeOf(this.btf, id);
    } catch {
      return noSize;
    }
  }

  /** Number of a type as another one refers to it. */
  reference(id: TypeId): number {
    const references = this.#references;
    // A stack of its own: chains of references may be as long as the BTF.
    const stack: TypeId[] = [id];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const state = references[top] as number;
      if (state === 0 && !isNamed(this.btf, top)) {
        references[top] = open;
        for (const child of childIds(this.btf.type(top))) {
          if (references[child] === 0) stack.push(child);
        }
        continue;
      }
      if (state <= 0) references[top] = this.#number(top, state === open);
      stack.pop();
    }
    return references[id] as number;
  }

  #number(id: TypeId, unnamed: boolean): number {
    const type = this.btf.type(id);
    return this.#interner.number(
      unnamed ? this.definition(type) : `${referenceKind(type)} ${this.name(id)}`,
    );
  }

  /**
   * All that a type is but its name, as text that is the same for equal types; `full` adds
   * what belongs to a type itself and not to a reference to it (names of parameters).
   */
  definition(type: BtfType, full = false): string {
    const ref = (id: TypeId): number => this.#known(id);
    switch (type.kind) {
      case 'struct':
      case 'union': {
        let text = `${type.kind} ${type.size}`;
        for (const { name, type: id, bitOffset, bitSize } of type.members) {
          text += `;${name}\0${bitOffset}:${bitSize}:${ref(id)}:${this.size(id)}`;
        }
        return text;
      }
      case 'enum':
      case 'enum64': {
        let text = `${type.kind} ${type.size} ${type.signed}`;
        for (const { name, value } of type.values) text += `;${name}\0${value}`;
        return text;
      }
      case 'func-proto': {
        let text = `proto ${ref(type.returns)}`;
        for (const param of type.params) text += `;${full ? param.name : ''}\0${ref(param.type)}`;
        return text;
      }
      case 'int':
        return `int ${type.size} ${type.bits} ${type.bitOffset} ${type.signed} ${type.char} ${type.bool}`;
      case 'float':
        return `float ${type.size}`;
      case 'array':
        return `array ${type.length} ${ref(type.element)}`;
      case 'func': {
        const proto = this.btf.type(type.proto);
        const full = proto.kind === 'func-proto' ? this.definition(proto, true) : ref(type.proto);
        return `func ${type.linkage} ${full}`;
      }
      case 'var':
        return `var ${type.linkage} ${ref(type.type)}`;
      case 'datasec': {
        let text = `datasec ${type.size}`;
        for (const { type: id, offset, size } of type.vars) {
          text += `;${this.btf.nameOf(id)}\0${offset}:${size}:${ref(id)}`;
        }
        return text;
      }
      case 'fwd':
        return `fwd ${type.of}`;
      case 'void':
      case 'unknown':
        return type.kind;
      default:
        return `${type.kind} ${type.kind === 'typedef' ? '' : type.name} ${ref(type.target)}`;
    }
  }

  /** While a type without a name is numbered, its parts are known, or are around it. */
  #known(id: TypeId): number {
    const known = this.#references[id] as number;
    return known === 0 ? this.reference(id) : known;
  }
}

/** Whether a type is told from others by its kind and name; tags are, with their target. */
function isNamed(btf: Btf, id: TypeId): boolean {
  const kind = btf.kindOf(id);
  if (kind === BTF_KIND.TYPE_TAG || kind === BTF_KIND.DECL_TAG) return false;
  return id === 0 || btf.nameOffsetOf(id) !== 0;
}

/** A declaration and a definition, an enum of 32 and one of 64 bits are the same to a reference. */
function referenceKind(type: BtfType): string {
  if (type.kind === 'fwd') return type.of;
  return type.kind === 'enum64' ? 'enum' : type.kind;
}
