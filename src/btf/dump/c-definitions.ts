import { BTF_KIND } from '../types.ts';
import { isNamed } from './c-names.ts';
import type { DeclarationWriter } from './c-text.ts';
import { type Columns, elementOf, isComposite, nameOf, sizeOrTypeOf, vlenOf } from './columns.ts';
import { literal, type TextSink } from './sink.ts';
import type { Work } from './work.ts';

/** How far a type is, 0 at first; libbpf's `enum btf_dump_type_emit_state` and a bit beside. */
const inProgress = 1;
const written = 2;
/** A forward declaration is written, or a typedef that is good enough behind a pointer. */
const declaredAhead = 4;

/** Numbers for each open type on the stack. */
const frameSize = 3;

const end = literal(';\n\n');

/** Types of gcc for Arm's vector instructions, which clang lacks. */
const missingTypes = [
  ['__Poly8_t', 'unsigned char'],
  ['__Poly16_t', 'unsigned short'],
  ['__Poly64_t', 'unsigned long long'],
  ['__Poly128_t', 'unsigned __int128'],
].map(([name, alias]) => ({
  name: literal(`${name}`),
  definition: literal(`typedef ${alias} ${name};\n\n`),
}));

/** The compiler has it, and refuses another. */
const builtinVaList = literal('__builtin_va_list');

/**
 * Writes definitions at the top level, with the forward declarations that each needs before
 * it: libbpf's `btf_dump_emit_type`, with a stack of its own in place of recursion.
 */
export class Definitions {
  readonly #columns: Columns;
  readonly #sink: TextSink;
  readonly #work: Work;
  readonly #writer: DeclarationWriter;
  readonly #states: Uint8Array;

  /** Types being looked through: id, the type that contains it (0 for none), next reference. */
  readonly #stack: number[] = [];
  #depth = 0;

  constructor(columns: Columns, sink: TextSink, work: Work, writer: DeclarationWriter) {
    this.#columns = columns;
    this.#sink = sink;
    this.#work = work;
    this.#writer = writer;
    this.#states = new Uint8Array(columns.count);
    this.#states[0] = written;
  }

  /** Defines a type, unless that was done before. */
  define(root: number): void {
    this.#depth = 0;
    this.#enter(root, 0);
    while (this.#depth > 0) this.#resume();
  }

  #push(id: number, container: number): void {
    const at = frameSize * this.#depth++;
    this.#stack[at] = id;
    this.#stack[at + 1] = container;
    this.#stack[at + 2] = 0;
  }

  /** Follows a chain of references up to what has to be written, or goes on the stack. */
  #enter(start: number, startContainer: number): void {
    const columns = this.#columns;
    const states = this.#states;
    let id = start;
    let container = startContainer;
    // Where the pointers, arrays and modifiers in front of `id` begin.
    let chain = start;
    for (;;) {
      this.#work.charge(1);
      const state = states[id] as number;
      if ((state & written) !== 0) {
        this.#settle(chain, id);
        return;
      }
      const kind = columns.kinds[id] as number;
      if ((state & inProgress) !== 0) {
        this.#declareAhead(id, kind, container);
        return;
      }
      switch (kind) {
        case BTF_KIND.PTR:
        case BTF_KIND.CONST:
        case BTF_KIND.VOLATILE:
        case BTF_KIND.RESTRICT:
        case BTF_KIND.TYPE_TAG:
          id = sizeOrTypeOf(columns, id);
          break;
        case BTF_KIND.ARRAY:
          id = elementOf(columns, id);
          break;
        case BTF_KIND.TYPEDEF:
          states[id] = state | inProgress;
          this.#push(id, container);
          container = id;
          id = sizeOrTypeOf(columns, id);
          chain = id;
          break;
        case BTF_KIND.FUNC_PROTO:
          this.#push(id, container);
          id = sizeOrTypeOf(columns, id);
          chain = id;
          break;
        case BTF_KIND.STRUCT:
        case BTF_KIND.UNION:
          if (container !== 0 && (state & declaredAhead) !== 0) {
            this.#settle(chain, id);
            return;
          }
          this.#composite(id, container, state);
          return;
        default:
          this.#leaf(id, kind, container);
          return;
      }
    }
  }

  /** References to what needs nothing more will never need anything: they are not followed again. */
  #settle(chain: number, end: number): void {
    if (chain !== end) this.#states[chain] = (this.#states[chain] as number) | written;
  }

  /** Something inside a type refers back to it. */
  #declareAhead(id: number, kind: number, container: number): void {
    if (((this.#states[id] as number) & declaredAhead) !== 0) return;
    if (isComposite(kind)) {
      // Inside of itself a struct is known already; without a name it cannot be declared.
      if (id === container || nameOf(this.#columns, id) === 0) return;
      this.#forward(id);
    } else if (kind === BTF_KIND.TYPEDEF) {
      this.#typedef(id);
      this.#states[id] = (this.#states[id] as number) | declaredAhead;
    }
  }

  #forward(id: number): void {
    this.#writer.tag(id);
    this.#sink.text(end);
    this.#states[id] = (this.#states[id] as number) | declaredAhead;
  }

  #typedef(id: number): void {
    const { strings } = this.#columns;
    const name = nameOf(this.#columns, id);
    if (name !== 0 && isNamed(strings, name, builtinVaList)) return;
    this.#writer.typedef(id);
    this.#sink.text(end);
  }

  /** A struct is looked into only where it will be written out: at the top, or without a name. */
  #composite(id: number, container: number, state: number): void {
    if (container === 0 || nameOf(this.#columns, id) === 0) {
      this.#states[id] = state | inProgress;
      this.#push(id, container);
    } else if ((state & declaredAhead) === 0 && id !== container) {
      this.#forward(id);
    }
  }

  #leaf(id: number, kind: number, container: number): void {
    switch (kind) {
      case BTF_KIND.INT:
        this.#missingType(id);
        break;
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
        if (container === 0) {
          this.#writer.enum(id, 0);
          this.#sink.text(end);
        }
        break;
      case BTF_KIND.FWD:
        this.#writer.forward(id);
        this.#sink.text(end);
        break;
      default:
        return;
    }
    this.#states[id] = written;
  }

  /** The name of an integer takes part in the counting of names, as in libbpf. */
  #missingType(id: number): void {
    if (this.#writer.tagUse(id) > 1) return;
    const { strings } = this.#columns;
    const name = nameOf(this.#columns, id);
    const found = missingTypes.find((each) => isNamed(strings, name, each.name));
    if (found !== undefined) this.#sink.text(found.definition);
  }

  /** Goes on with the topmost type. */
  #resume(): void {
    const at = frameSize * (this.#depth - 1);
    const id = this.#stack[at] as number;
    const kind = this.#columns.kinds[id] as number;
    if (kind === BTF_KIND.TYPEDEF) this.#endTypedef(id);
    else if (kind === BTF_KIND.FUNC_PROTO) this.#resumeParams(at, id);
    else this.#resumeMembers(at, id);
  }

  #endTypedef(id: number): void {
    this.#depth--;
    if (((this.#states[id] as number) & declaredAhead) === 0) this.#typedef(id);
    this.#states[id] = written;
  }

  #resumeParams(at: number, id: number): void {
    const { words, places } = this.#columns;
    const depth = this.#depth;
    const container = this.#stack[at + 1] as number;
    const start = (places[id] as number) + 3;
    const count = vlenOf(this.#columns, id);
    for (let i = this.#stack[at + 2] as number; i < count; i++) {
      this.#enter(words[start + 2 * i + 1] as number, container);
      if (this.#depth > depth) {
        this.#stack[at + 2] = i + 1;
        return;
      }
    }
    this.#depth--;
  }

  #resumeMembers(at: number, id: number): void {
    const { words, places } = this.#columns;
    const depth = this.#depth;
    const container = this.#stack[at + 1] as number;
    const inner = nameOf(this.#columns, id) === 0 ? container : id;
    const start = (places[id] as number) + 3;
    const count = vlenOf(this.#columns, id);
    for (let i = this.#stack[at + 2] as number; i < count; i++) {
      const type = words[start + 3 * i + 1] as number;
      if (((this.#states[type] as number) & written) !== 0) continue;
      this.#enter(type, inner);
      if (this.#depth > depth) {
        this.#stack[at + 2] = i + 1;
        return;
      }
    }
    this.#depth--;
    this.#endComposite(id, container);
  }

  #endComposite(id: number, container: number): void {
    if (container !== 0) {
      this.#states[id] = (this.#states[id] as number) & declaredAhead;
      return;
    }
    this.#writer.struct(id, 0);
    this.#sink.text(end);
    this.#states[id] = written;
  }
}
