import { BpfError } from '../../errors.ts';
import { BTF_KIND } from '../types.ts';
import {
  type Columns,
  elementOf,
  isComposite,
  isModifier,
  nameOf,
  sizeOrTypeOf,
  vlenOf,
} from './columns.ts';
import type { Work } from './work.ts';

/** How far a type is, 0 at first; libbpf's `enum btf_dump_type_order_state`. */
const ordering = 1;
export const ordered = 2;

/** Numbers for each open type on the stack. */
const frameSize = 4;

/*
 * In which order types must be defined so that C takes them.
 *
 * C wants a struct whole before it is embedded in another, but is content with its name
 * where there is only a pointer to it. So a reference is *strong* or *weak*: weak if there
 * is a pointer on the way and a name that can be declared ahead (a struct or union; an enum
 * or a typedef cannot), strong otherwise. An anonymous struct cannot be declared ahead
 * either: it is written out where it is used, pointer or not, and what is in it must be
 * there before.
 *
 * The walk goes depth first through strong references and puts a type in the queue when
 * all that it needs is in it. A typedef behind a pointer is queued at once if what it names
 * needs nothing more, and otherwise left to its own turn, or to the forward declarations
 * that `Definitions` writes. A struct met again while its members are being walked is a
 * circle that only a named struct behind a pointer can break.
 *
 * The walk is libbpf's `btf_dump_order_type`, step for step, because the order of the
 * output depends on each: what is marked as done and what is looked at again, and that a
 * type which is done already counts as strong. It differs in one thing: the stack is ours,
 * since a chain of a million references may be in a BTF.
 */
export class TypeOrder {
  readonly #columns: Columns;
  readonly #work: Work;
  /** By id; {@link ordered} for types that were in the queue with all that they need. */
  readonly states: Uint8Array;
  readonly #referenced: Uint8Array;
  /** What the last root needs, in the order to define it in; the first {@link count} count. */
  readonly queue: number[] = [];
  #count = 0;

  /**
   * Types whose references are being walked: id, whether through a pointer, which reference
   * is next, whether one was strong. An array with a counter, as setting `length` is slow:
   * it made a fifth of the time of a dump.
   */
  readonly #stack: number[] = [];
  #depth = 0;

  constructor(columns: Columns, work: Work) {
    this.#columns = columns;
    this.#work = work;
    this.states = new Uint8Array(columns.count);
    this.states[0] = ordered;
    this.#referenced = findReferenced(columns);
  }

  /** Length of the {@link queue}. */
  get count(): number {
    return this.#count;
  }

  /**
   * Fills {@link queue} with what `root` needs and is not ordered yet, and itself.
   * {@link BpfError} `btf-contains-itself` for what no order can define.
   */
  order(root: number): void {
    this.#count = 0;
    this.#depth = 0;
    if (this.states[root] === ordered) return;
    let strong = this.#enter(root, 0);
    while (this.#depth > 0) strong = this.#resume(strong);
    if (isModifier(this.#columns.kinds[root] as number)) this.#markChain(root);
  }

  #enqueue(id: number): void {
    this.queue[this.#count++] = id;
  }

  /**
   * All that a root reaches without a pointer is done now: to walk it again would change
   * nothing, however long the chain is.
   */
  #markChain(root: number): void {
    const { kinds } = this.#columns;
    let id = root;
    while (isModifier(kinds[id] as number) && this.states[id] !== ordered) {
      this.states[id] = ordered;
      id = sizeOrTypeOf(this.#columns, id);
    }
  }

  /**
   * Walks to the end of a chain of references. Whether it is a strong one; where a type was
   * put on the stack, the answer is for the topmost one.
   */
  #enter(start: number, startWeak: number): boolean {
    const columns = this.#columns;
    const states = this.states;
    let id = start;
    let weak = startWeak;
    for (;;) {
      this.#work.charge(1);
      const state = states[id] as number;
      if (state === ordered) return true;
      const kind = columns.kinds[id] as number;
      if (state === ordering) return this.#circle(id, weak);
      switch (kind) {
        case BTF_KIND.INT:
        case BTF_KIND.FLOAT:
        case BTF_KIND.FUNC:
        case BTF_KIND.VAR:
        case BTF_KIND.DATASEC:
        case BTF_KIND.DECL_TAG:
          states[id] = ordered;
          return false;
        case BTF_KIND.PTR:
          this.#push(id, weak);
          weak = 1;
          id = sizeOrTypeOf(columns, id);
          break;
        case BTF_KIND.ARRAY:
          // Elements must be whole even behind a pointer.
          weak = 0;
          id = elementOf(columns, id);
          break;
        case BTF_KIND.CONST:
        case BTF_KIND.VOLATILE:
        case BTF_KIND.RESTRICT:
        case BTF_KIND.TYPE_TAG:
          id = sizeOrTypeOf(columns, id);
          break;
        case BTF_KIND.STRUCT:
        case BTF_KIND.UNION:
          if (weak !== 0 && nameOf(columns, id) !== 0) return false;
          states[id] = ordering;
          this.#push(id, weak);
          return false;
        case BTF_KIND.ENUM:
        case BTF_KIND.ENUM64:
        case BTF_KIND.FWD:
          // One without a name that nothing refers to is there for its enumerators.
          if (nameOf(columns, id) !== 0 || this.#referenced[id] === 0) this.#enqueue(id);
          states[id] = ordered;
          return true;
        case BTF_KIND.TYPEDEF:
        case BTF_KIND.FUNC_PROTO:
          this.#push(id, weak);
          id = sizeOrTypeOf(columns, id);
          break;
        default:
          throw new BpfError({ code: 'btf-dump-kind', btf: columns.btf.name, id, kind });
      }
    }
  }

  #push(id: number, weak: number): void {
    const at = frameSize * this.#depth++;
    // More open types than there are: a circle of pointers or typedefs.
    if (this.#depth > 2 * this.#columns.count) throw this.#containsItself(id);
    const stack = this.#stack;
    stack[at] = id;
    stack[at + 1] = weak;
    stack[at + 2] = 0;
    stack[at + 3] = 0;
  }

  /** A struct that is being walked was met again. */
  #circle(id: number, weak: number): boolean {
    if (weak !== 0 && nameOf(this.#columns, id) !== 0) return false;
    throw this.#containsItself(id);
  }

  #containsItself(id: number): BpfError {
    const { btf } = this.#columns;
    const name = btf.string(nameOf(this.#columns, id));
    return new BpfError({ code: 'btf-contains-itself', btf: btf.name, id, name });
  }

  /** Goes on with the topmost type, whose last reference was `strong` or not. */
  #resume(strong: boolean): boolean {
    const at = frameSize * (this.#depth - 1);
    const id = this.#stack[at] as number;
    const kind = this.#columns.kinds[id] as number;
    if (isComposite(kind)) return this.#resumeMembers(at, id);
    if (kind === BTF_KIND.FUNC_PROTO) return this.#resumeParams(at, id, strong);
    this.#depth--;
    if (kind === BTF_KIND.TYPEDEF) {
      if (this.#stack[at + 1] !== 0 && !strong) return false;
      this.#enqueue(id);
      this.states[id] = ordered;
      return true;
    }
    this.states[id] = ordered;
    return strong;
  }

  #resumeMembers(at: number, id: number): boolean {
    const { words, places } = this.#columns;
    const depth = this.#depth;
    const body = (places[id] as number) + 3;
    const count = vlenOf(this.#columns, id);
    for (let i = this.#stack[at + 2] as number; i < count; i++) {
      const type = words[body + 3 * i + 1] as number;
      // Most types were met before: no call for these.
      if (this.states[type] === ordered) continue;
      const result = this.#enter(type, 0);
      if (this.#depth > depth) {
        this.#stack[at + 2] = i + 1;
        return result;
      }
    }
    this.#depth--;
    if (nameOf(this.#columns, id) !== 0) this.#enqueue(id);
    this.states[id] = ordered;
    return true;
  }

  #resumeParams(at: number, id: number, last: boolean): boolean {
    const { words, places } = this.#columns;
    const stack = this.#stack;
    const depth = this.#depth;
    const body = (places[id] as number) + 3;
    const count = vlenOf(this.#columns, id);
    const weak = stack[at + 1] as number;
    let strong = last || stack[at + 3] !== 0;
    for (let i = stack[at + 2] as number; i < count; i++) {
      const result = this.#enter(words[body + 2 * i + 1] as number, weak);
      if (this.#depth > depth) {
        stack[at + 2] = i + 1;
        stack[at + 3] = strong ? 1 : 0;
        return result;
      }
      if (result) strong = true;
    }
    this.#depth--;
    return strong;
  }
}

/**
 * 1 for each type that another refers to (libbpf's `btf_dump_mark_referenced`, which leaves
 * out what functions return). {@link BpfError} `btf-dump-kind` for kinds that are not known.
 */
function findReferenced(columns: Columns): Uint8Array {
  const { kinds, words, places, count } = columns;
  const referenced = new Uint8Array(count);
  for (let id = 1; id < count; id++) {
    const place = places[id] as number;
    const vlen = (words[place + 1] as number) & 0xffffff;
    const body = place + 3;
    switch (kinds[id]) {
      case BTF_KIND.INT:
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
      case BTF_KIND.FWD:
      case BTF_KIND.FLOAT:
        break;
      case BTF_KIND.ARRAY:
        referenced[words[body] as number] = 1;
        referenced[words[body + 1] as number] = 1;
        break;
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        for (let i = body; i < body + 3 * vlen; i += 3) referenced[words[i + 1] as number] = 1;
        break;
      case BTF_KIND.FUNC_PROTO:
        for (let i = body; i < body + 2 * vlen; i += 2) referenced[words[i + 1] as number] = 1;
        break;
      case BTF_KIND.DATASEC:
        for (let i = body; i < body + 3 * vlen; i += 3) referenced[words[i] as number] = 1;
        break;
      case BTF_KIND.PTR:
      case BTF_KIND.TYPEDEF:
      case BTF_KIND.CONST:
      case BTF_KIND.VOLATILE:
      case BTF_KIND.RESTRICT:
      case BTF_KIND.TYPE_TAG:
      case BTF_KIND.DECL_TAG:
      case BTF_KIND.FUNC:
      case BTF_KIND.VAR:
        referenced[words[place + 2] as number] = 1;
        break;
      default: {
        const kind = kinds[id] as number;
        throw new BpfError({ code: 'btf-dump-kind', btf: columns.btf.name, id, kind });
      }
    }
  }
  return referenced;
}
