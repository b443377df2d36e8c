import { BTF_KIND } from '../types.ts';
import {
  type Columns,
  elementOf,
  isComposite,
  isModifier,
  lengthOf,
  sizeOrTypeOf,
  vlenOf,
} from './columns.ts';
import type { Work } from './work.ts';

/** References that libbpf's `btf__resolve_size` looks through. */
const sizeDepth = 32;

/** Marks in the column of alignments; real ones are 0 (there is none) to 8. */
const unknown = 0xff;
const inProgress = 0xfe;

/**
 * Sizes, alignments and packing as libbpf computes them for its dumps. Unlike `sizeOf` and
 * `alignOf` these never fail: what has no size or alignment (`void`, functions, forward
 * declarations, circles) has 0.
 */
export class Layout {
  readonly #columns: Columns;
  readonly #work: Work;
  readonly #pointerSize: number;
  /** Of structs and unions, by id. */
  readonly #alignments: Uint8Array;
  /** 1 for those that need the attribute `packed`. */
  readonly #packed: Uint8Array;
  /** Sizes by id as far as they were asked for, plus 2. */
  readonly #sizes: Float64Array;
  /** Structs whose alignment is being found, and which member of each is next. */
  readonly #ids: number[] = [];
  readonly #next: number[] = [];

  constructor(columns: Columns, work: Work) {
    this.#columns = columns;
    this.#work = work;
    this.#pointerSize = columns.btf.pointerSize;
    this.#alignments = new Uint8Array(columns.count).fill(unknown);
    this.#packed = new Uint8Array(columns.count);
    this.#sizes = new Float64Array(columns.count);
  }

  /** Bytes of a pointer. */
  get pointerSize(): number {
    return this.#pointerSize;
  }

  /** libbpf's `btf__resolve_size`, -1 for its errors. */
  size(id: number): number {
    const known = this.#sizes[id] as number;
    if (known !== 0) return known - 2;
    const size = this.#resolveSize(id);
    this.#sizes[id] = size + 2;
    return size;
  }

  #resolveSize(start: number): number {
    const columns = this.#columns;
    let id = start;
    let count = 1;
    for (let depth = 0; depth < sizeDepth; depth++) {
      const kind = columns.kinds[id] as number;
      const size = this.#ownSize(id, kind);
      if (size >= 0)
        return count !== 0 && size > Math.floor(0xffffffff / count) ? -1 : count * size;
      if (kind === BTF_KIND.ARRAY) {
        const length = lengthOf(columns, id);
        if (count !== 0 && length > Math.floor(0xffffffff / count)) return -1;
        count *= length;
        id = elementOf(columns, id);
      } else if (isSizeReference(kind)) {
        id = sizeOrTypeOf(columns, id);
      } else {
        return -1;
      }
    }
    return -1;
  }

  /** Size of what states it, and of pointers; -1 for the rest. */
  #ownSize(id: number, kind: number): number {
    switch (kind) {
      case BTF_KIND.PTR:
        return this.#pointerSize;
      case BTF_KIND.INT:
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
      case BTF_KIND.DATASEC:
      case BTF_KIND.FLOAT:
        return sizeOrTypeOf(this.#columns, id);
      default:
        return -1;
    }
  }

  /** libbpf's `btf__align_of`, 0 for its errors. */
  alignment(id: number): number {
    const leaf = this.#leaf(id);
    const simple = this.#simple(leaf);
    return simple >= 0 ? simple : this.#composite(leaf);
  }

  /** Whether a struct needs the attribute `packed` to be laid out as it is. */
  isPacked(id: number): boolean {
    this.#composite(id);
    return this.#packed[id] === 1;
  }

  /** The type that decides the alignment: behind typedefs, modifiers and arrays; 0 for circles. */
  #leaf(start: number): number {
    const columns = this.#columns;
    let id = start;
    for (let steps = 0; steps <= columns.count; steps++) {
      const kind = columns.kinds[id] as number;
      if (kind === BTF_KIND.ARRAY) id = elementOf(columns, id);
      else if (kind === BTF_KIND.TYPEDEF || isModifier(kind)) id = sizeOrTypeOf(columns, id);
      else {
        // What a chain costs is charged only where it is no ordinary one.
        if (steps > sizeDepth) this.#work.charge(steps);
        return id;
      }
    }
    return 0;
  }

  /** Of everything but structs and unions, for which -1. */
  #simple(id: number): number {
    const kind = this.#columns.kinds[id] as number;
    switch (kind) {
      case BTF_KIND.PTR:
        return this.#pointerSize;
      case BTF_KIND.INT:
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
      case BTF_KIND.FLOAT:
        return Math.min(this.#pointerSize, sizeOrTypeOf(this.#columns, id));
      default:
        return isComposite(kind) ? -1 : 0;
    }
  }

  #composite(root: number): number {
    const alignments = this.#alignments;
    if (alignments[root] === unknown) this.#compute(root);
    const alignment = alignments[root] as number;
    return alignment >= inProgress ? 0 : alignment;
  }

  /** A stack of our own: structs may be nested as deep as there are types. */
  #compute(root: number): void {
    const ids = this.#ids;
    const next = this.#next;
    ids.push(root);
    next.push(0);
    for (let id = ids.at(-1); id !== undefined; id = ids.at(-1)) {
      const needed = this.#nextUnknown(id, ids.length - 1);
      if (needed === 0) {
        this.#alignments[id] = this.#fromMembers(id);
        ids.pop();
        next.pop();
      } else {
        this.#alignments[id] = inProgress;
        ids.push(needed);
        next.push(0);
      }
    }
  }

  /** The next struct or union among the members whose alignment must be found first, or 0. */
  #nextUnknown(id: number, top: number): number {
    const { kinds, words, places } = this.#columns;
    const start = (places[id] as number) + 3;
    const count = vlenOf(this.#columns, id);
    for (let i = this.#next[top] as number; i < count; i++) {
      const leaf = this.#leaf(words[start + 3 * i + 1] as number);
      if (!isComposite(kinds[leaf] as number) || leaf === id) continue;
      if (this.#alignments[leaf] === unknown) {
        this.#next[top] = i + 1;
        return leaf;
      }
    }
    return 0;
  }

  /**
   * That of the strictest member, or 1 if offsets or size show that the type is packed, or 0
   * for one with a member without alignment before that. libbpf finds out whether the
   * attribute is needed (`btf_is_struct_packed`) in a way that such members do not disturb.
   */
  #fromMembers(id: number): number {
    const { words, places } = this.#columns;
    const place = places[id] as number;
    const flag = (words[place + 1] as number) >>> 31;
    const end = place + 3 + 3 * vlenOf(this.#columns, id);
    let greatest = 1;
    let decided = -1;
    let packed = false;
    for (let i = place + 3; i < end; i += 3) {
      const alignment = this.#memberAlignment(words[i + 1] as number);
      if (alignment === 0) {
        if (decided < 0) decided = 0;
        continue;
      }
      if (alignment > greatest) greatest = alignment;
      const offset = words[i + 2] as number;
      const isBitField = flag === 1 && offset >>> 24 !== 0;
      if (!isBitField && offset % (8 * alignment) !== 0) {
        if (decided < 0) decided = 1;
        packed = true;
      }
    }
    const isOddSize = sizeOrTypeOf(this.#columns, id) % greatest !== 0;
    this.#packed[id] = packed || isOddSize ? 1 : 0;
    if (decided >= 0) return decided;
    return isOddSize ? 1 : greatest;
  }

  #memberAlignment(type: number): number {
    const leaf = this.#leaf(type);
    const simple = this.#simple(leaf);
    const alignment = simple >= 0 ? simple : (this.#alignments[leaf] as number);
    return alignment >= inProgress ? 0 : alignment;
  }
}

/** What `btf__resolve_size` looks through. */
function isSizeReference(kind: number): boolean {
  return (
    kind === BTF_KIND.TYPEDEF ||
    isModifier(kind) ||
    kind === BTF_KIND.VAR ||
    kind === BTF_KIND.DECL_TAG
  );
}
