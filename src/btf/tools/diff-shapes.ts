import { BpfError } from '../../errors.ts';
import type { Btf } from '../btf.ts';
import { childIds } from '../children.ts';
import { sizeOf } from '../graph.ts';
import { BTF_KIND, type BtfType, type TypeId } from '../types.ts';

/** Numbers for texts, the same for equal ones, from 1 on; shared by the BTFs that are compared. */
export class Interner {
  readonly #texts = new Map<string, number>();
  readonly #pairs = new Map<number, number>();
  #last = 0;

  text(text: string): number {
    let number = this.#texts.get(text);
    if (number === undefined) {
      number = ++this.#last;
      this.#texts.set(text, number);
    }
    return number;
  }

  /** The number for a small tag (below 256) with another number, which no text has. */
  pair(tag: number, number: number): number {
    const key = 256 * number + tag;
    let known = this.#pairs.get(key);
    if (known === undefined) {
      known = ++this.#last;
      this.#pairs.set(key, known);
    }
    return known;
  }
}

/** Marks a type whose parts are being numbered. */
const open = -1;

/** Marks a type that has no size. */
const noSize = -1;

/**
 * One BTF, seen so that it can be compared with another: two references are to the same type
 * where their {@link Shapes.reference} is the same number. A type with a name is its kind
 * and name; a type without one (a pointer, an array, `struct { … }`) is all that it is made
 * of, down to the next names. So each type is looked at once, however often it is used.
 *
 * The frequent kinds are read from the columns: objects for all types of two kernels cost
 * half of the comparison's time (1.0 s instead of 0.5 s), most of it in the collector.
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
    return this.#string(this.btf.nameOffsetOf(id));
  }

  #string(offset: number): number {
    let number = this.#names[offset] as number;
    if (number === 0) {
      number = this.#interner.text(this.btf.string(offset));
      this.#names[offset] = number;
    }
    return number;
  }

  /** Size in bytes of a value, undefined for what has none. */
  size(id: TypeId): number | undefined {
    const size = this.#size(id);
    return size === noSize ? undefined : size;
  }

  #size(id: TypeId): number {
    let size = this.#sizes[id] as number;
    if (Number.isNaN(size)) {
      size = this.btf.kindOf(id) === BTF_KIND.PTR ? this.btf.pointerSize : this.#findSize(id);
      this.#sizes[id] = size;
    }
    return size;
  }

  #findSize(id: TypeId): number {
    try {
      return sizeOf(this.btf, id);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      return noSize;
    }
  }

  /** Number of a type as another one refers to it. */
  reference(id: TypeId): number {
    const known = this.#references[id] as number;
    return known > 0 ? known : this.#findReference(id);
  }

  #findReference(id: TypeId): number {
    const { btf } = this;
    const references = this.#references;
    // A stack of its own: chains of references may be as long as the BTF.
    const stack: TypeId[] = [id];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const state = references[top] as number;
      if (state > 0) stack.pop();
      else if (isNamed(btf, top)) {
        references[top] = this.#interner.pair(referenceKind(btf, top), this.name(top));
      } else if (state === open) references[top] = this.#numberOfParts(top);
      else {
        references[top] = open;
        if (isPlainReference(btf, top)) this.#push(btf.sizeOrTypeOf(top) as TypeId, stack);
        else for (const child of childIds(btf.type(top))) this.#push(child, stack);
      }
    }
    return references[id] as number;
  }

  #push(id: TypeId, stack: TypeId[]): void {
    if (this.#references[id] === 0) stack.push(id);
  }

  #numberOfParts(id: TypeId): number {
    if (!isPlainReference(this.btf, id)) return this.#interner.text(this.definition(id));
    const target = this.#known(this.btf.sizeOrTypeOf(id) as TypeId);
    // The one type that a circle is entered by stands in it as -1.
    return this.#interner.pair(128 + this.btf.kindOf(id), target + 1);
  }

  /**
   * All that a type is but its name, as text that is the same for equal types. Parameters'
   * names belong to functions, not to prototypes: a pointer to a function is the same
   * without them.
   */
  definition(id: TypeId): string {
    switch (this.btf.kindOf(id)) {
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        return this.#composite(id);
      case BTF_KIND.FUNC: {
        const proto = this.btf.sizeOrTypeOf(id) as TypeId;
        const isProto = this.btf.kindOf(proto) === BTF_KIND.FUNC_PROTO;
        const what = isProto ? this.#prototype(proto, true) : String(this.#known(proto));
        return `func ${this.btf.vlenOf(id)} ${what}`;
      }
      case BTF_KIND.FUNC_PROTO:
        return this.#prototype(id, false);
      default:
        return this.#other(this.btf.type(id));
    }
  }

  #composite(id: TypeId): string {
    const { btf } = this;
    let text = `${btf.kindOf(id)} ${btf.kindFlagOf(id)} ${btf.sizeOrTypeOf(id)}`;
    const { words, start } = bodyOf(btf, id);
    // Three words for each member: name, type, offset with the width of a bit field.
    for (let at = start, end = start + 3 * btf.vlenOf(id); at < end; at += 3) {
      const type = words[at + 1] as TypeId;
      const name = this.#string(words[at] as number);
      text += `;${name}:${words[at + 2]}:${this.#known(type)}:${this.#size(type)}`;
    }
    return text;
  }

  #prototype(id: TypeId, named: boolean): string {
    const { btf } = this;
    let text = `proto ${this.#known(btf.sizeOrTypeOf(id) as TypeId)}`;
    const { words, start } = bodyOf(btf, id);
    for (let at = start, end = start + 2 * btf.vlenOf(id); at < end; at += 2) {
      const name = named ? this.#string(words[at] as number) : 0;
      text += `;${name}:${this.#known(words[at + 1] as TypeId)}`;
    }
    return text;
  }

  #other(type: BtfType): string {
    const name = (text: string): number => this.#interner.text(text);
    switch (type.kind) {
      case 'enum':
      case 'enum64': {
        let text = `enum ${type.size} ${type.signed}`;
        for (const value of type.values) text += `;${name(value.name)}=${value.value}`;
        return text;
      }
      case 'int':
        return `int ${type.size} ${type.bits} ${type.bitOffset} ${type.signed} ${type.char} ${type.bool}`;
      case 'float':
        return `float ${type.size}`;
      case 'array':
        return `array ${type.length} ${this.#known(type.element)}`;
      case 'var':
        return `var ${type.linkage} ${this.#known(type.type)}`;
      case 'datasec': {
        let text = `datasec ${type.size}`;
        for (const { type: id, offset, size } of type.vars) {
          text += `;${offset}:${size}:${this.#known(id)}`;
        }
        return text;
      }
      case 'fwd':
        return `fwd ${type.of}`;
      case 'typedef':
        return `typedef ${this.#known(type.target)}`;
      case 'type-tag':
        return `type-tag ${type.attribute} ${name(type.name)} ${this.#known(type.target)}`;
      case 'decl-tag':
        return `decl-tag ${type.component} ${name(type.name)} ${this.#known(type.target)}`;
      default:
        return type.kind;
    }
  }

  /** While a type without a name is numbered, its parts are known, or are around it (-1). */
  #known(id: TypeId): number {
    const known = this.#references[id] as number;
    return known === 0 ? this.#findReference(id) : known;
  }
}

/** The words behind `struct btf_type`, in the level that holds the type. */
function bodyOf(btf: Btf, id: TypeId): { readonly words: Uint32Array; readonly start: number } {
  let level = btf;
  while (id < level.firstId && level.base !== undefined) level = level.base;
  return { words: level.words, start: (level.offsets[id - level.firstId] as number) + 3 };
}

/** Whether a type is told from others by its kind and name; tags are, with their target. */
function isNamed(btf: Btf, id: TypeId): boolean {
  const kind = btf.kindOf(id);
  if (kind === BTF_KIND.TYPE_TAG || kind === BTF_KIND.DECL_TAG) return false;
  return id === 0 || btf.nameOffsetOf(id) !== 0;
}

function isPlainReference(btf: Btf, id: TypeId): boolean {
  const kind = btf.kindOf(id);
  return (
    kind === BTF_KIND.PTR ||
    kind === BTF_KIND.CONST ||
    kind === BTF_KIND.VOLATILE ||
    kind === BTF_KIND.RESTRICT
  );
}

/** A declaration and a definition, an enum of 32 and one of 64 bits are the same to a reference. */
function referenceKind(btf: Btf, id: TypeId): number {
  const kind = btf.kindOf(id);
  if (kind === BTF_KIND.FWD) return btf.kindFlagOf(id) ? BTF_KIND.UNION : BTF_KIND.STRUCT;
  return kind === BTF_KIND.ENUM64 ? BTF_KIND.ENUM : kind;
}
