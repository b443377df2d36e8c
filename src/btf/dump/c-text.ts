import { BpfError } from '../../errors.ts';
import { BTF_KIND } from '../types.ts';
import { Layout } from './c-layout.ts';
import { isNamed, NameCounts } from './c-names.ts';
import { Padding } from './c-padding.ts';
import {
  type Columns,
  elementOf,
  flagOf,
  isModifier,
  lengthOf,
  nameOf,
  sizeOrTypeOf,
  vlenOf,
} from './columns.ts';
import { literal, type TextSink } from './sink.ts';
import type { Work } from './work.ts';

/** Declarators and definitions inside one another; the kernel's deepest is about ten. */
const nestingLimit = 200;

/** Bytes of the longest name that libbpf makes by adding a suffix. */
const longestMadeName = 255;

const words = {
  struct: literal('struct'),
  union: literal('union'),
  enum: literal('enum'),
  void: literal('void'),
  const: literal('const '),
  volatile: literal('volatile '),
  restrict: literal('restrict '),
  afterConst: literal(' const'),
  afterVolatile: literal(' volatile'),
  afterRestrict: literal(' restrict'),
  attribute: literal(' __attribute__(('),
  attributeEnd: literal('))'),
  typeTag: literal(' __attribute__((btf_type_tag("'),
  typeTagEnd: literal('")))'),
  packed: literal(' __attribute__((packed))'),
  modeByte: literal(' __attribute__((mode(byte)))'),
  modeWord: literal(' __attribute__((mode(word)))'),
  suffix: literal('___'),
  equals: literal(' = '),
  comma: literal(', '),
  ellipsis: literal('...'),
  openFunction: literal(' ('),
  bits: literal(': '),
  longEnd: literal('LL,'),
  unsignedLongEnd: literal('ULL,'),
  typedef: literal('typedef '),
  vaListName: literal('__gnuc_va_list'),
  vaList: literal('typedef __builtin_va_list __gnuc_va_list'),
} as const;

const space = 0x20;
const star = 0x2a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openParenthesis = 0x28;
const closeParenthesis = 0x29;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const semicolon = 0x3b;
const comma = 0x2c;

/**
 * Writes types in C: definitions of structs, unions and enums, and declarations, byte for
 * byte as libbpf's `btf_dump`.
 *
 * A declaration is written from the inside of BTF's chain to its outside. For
 * `const int *(*name)[4]` the chain is pointer, array, pointer, const, int: all of it is
 * put on a stack, and then written from its end. Modifiers stand behind a pointer but in
 * front of anything else; arrays and functions close around what is still on the stack.
 *
 * Names that occur twice get a suffix (`name___2`), structs, unions and enums in one name
 * space, typedefs and enumerators in the other. Which one gets it depends on the order of
 * writing, so it has to be libbpf's.
 */
export class DeclarationWriter {
  readonly layout: Layout;
  readonly #columns: Columns;
  readonly #sink: TextSink;
  readonly #work: Work;
  readonly #padding: Padding;
  readonly #tagNames: NameCounts;
  readonly #identifiers: NameCounts;
  /** Which use of its name a type is, from 1; 0 where that is not settled yet. */
  readonly #uses: Uint32Array;
  /** Chains of types that are being written, one above the other. */
  readonly #chain: number[] = [];
  #chainLength = 0;
  #depth = 0;
  /** Leave out modifiers, and bodies of types without a name: for casts in typed data. */
  #stripModifiers = false;
  #skipBodies = false;
  /** Where the text of the declaration at work has its name, and how many bodies there were. */
  #nameStart = -1;
  #nameEnd = -1;
  #bodies = 0;
  /**
   * Places of a declaration of each type in the text: start, name, end of the name, end.
   * Only where what is written stays in the sink.
   */
  readonly #earlier: Uint32Array;
  readonly #keepsText: boolean;
  /** A name that is not in the string section; written where the offset is -1. */
  #givenName: Uint8Array = new Uint8Array();

  /** `keepsText`: what is written stays in the sink, and may be copied from there. */
  constructor(columns: Columns, sink: TextSink, work: Work, keepsText: boolean) {
    this.#columns = columns;
    this.#sink = sink;
    this.#work = work;
    this.layout = new Layout(columns, work);
    this.#padding = new Padding(sink, this.layout.pointerSize);
    this.#tagNames = new NameCounts(columns, work);
    this.#identifiers = new NameCounts(columns, work);
    this.#uses = new Uint32Array(columns.count);
    this.#earlier = new Uint32Array(keepsText ? 4 * columns.count : 0);
    this.#keepsText = keepsText;
  }

  /** Like libbpf's `btf_dump__emit_type_decl`, and its inner form for casts. */
  declare(
    id: number,
    name: Uint8Array,
    level: number,
    options: { readonly stripModifiers: boolean; readonly skipBodies: boolean },
  ): void {
    this.#stripModifiers = options.stripModifiers;
    this.#skipBodies = options.skipBodies;
    this.#givenName = name;
    this.#depth = 0;
    this.#chainLength = 0;
    this.#declaration(id, name.length === 0 ? 0 : -1, 1, level);
    this.#stripModifiers = false;
    this.#skipBodies = false;
  }

  /** A declaration with a name of the string section. */
  declareNamed(id: number, name: number): void {
    this.#depth = 0;
    this.#chainLength = 0;
    this.#declaration(id, name, 1, 0);
  }

  /** `struct name` or `union name`. */
  tag(id: number): void {
    this.#sink.text(this.#columns.kinds[id] === BTF_KIND.STRUCT ? words.struct : words.union);
    this.#spacedName(id);
  }

  /** `struct name` or `union name` for a forward declaration in the BTF. */
  forward(id: number): void {
    this.#sink.text(flagOf(this.#columns, id) ? words.union : words.struct);
    this.#sink.byte(space);
    this.#ownName(id, this.#useOf(id, this.#tagNames));
  }

  /** `typedef … name`. */
  typedef(id: number): void {
    const target = sizeOrTypeOf(this.#columns, id);
    const name = nameOf(this.#columns, id);
    const use = this.#useOf(id, this.#identifiers);
    // Old versions of gcc say that it is `void`.
    const isVaList = isNamed(this.#columns.strings, name, words.vaListName);
    if (target === 0 && use === 1 && isVaList) {
      this.#sink.text(words.vaList);
      return;
    }
    this.#sink.text(words.typedef);
    this.#depth = 0;
    this.#chainLength = 0;
    this.#declaration(target, name, use, 0);
  }

  /** Which use of its name a type in the name space of tags is, counted from 1. */
  tagUse(id: number): number {
    return this.#useOf(id, this.#tagNames);
  }

  #useOf(id: number, counts: NameCounts): number {
    const known = this.#uses[id] as number;
    if (known !== 0) return known;
    const name = nameOf(this.#columns, id);
    if (name === 0) return 1;
    const use = this.#isDeclaredElsewhere(id) ? 1 : counts.use(name);
    this.#uses[id] = use;
    return use;
  }

  /** Forward declarations share the name of what they declare. */
  #isDeclaredElsewhere(id: number): boolean {
    const kind = this.#columns.kinds[id];
    if (kind === BTF_KIND.FWD) return true;
    return kind === BTF_KIND.ENUM && vlenOf(this.#columns, id) === 0;
  }

  #ownName(id: number, use: number): void {
    this.#name(nameOf(this.#columns, id), use);
  }

  /** A name of the string section as the `use`th of its kind. */
  #name(offset: number, use: number): void {
    if (offset < 0) this.#sink.text(this.#givenName);
    else this.#sink.name(offset);
    if (use > 1) this.#suffix(offset, use);
  }

  #suffix(offset: number, use: number): void {
    const digits = String(use).length;
    const end = this.#columns.strings.indexOf(0, offset);
    const over = end - offset + words.suffix.length + digits - longestMadeName;
    if (over <= 0) {
      this.#sink.text(words.suffix);
      this.#sink.decimal(use);
      return;
    }
    // libbpf makes the name in a buffer of 256 bytes, and what is over is lost.
    this.#sink.cut(this.#sink.length - (end - offset));
    const whole = new Uint8Array(longestMadeName);
    const name = this.#columns.strings.subarray(offset, Math.min(end, offset + longestMadeName));
    const suffix = literal(`___${use}`);
    whole.set(name);
    whole.set(suffix.subarray(0, longestMadeName - name.length), name.length);
    this.#sink.text(whole);
  }

  /**
   * Writes a declaration. Three of four are of a type that was declared before, and differ
   * from that only in the name: these are copied (a third less time for vmlinux). Not so
   * where the name is missing, which changes the spaces, or where a body was written out.
   */
  #declaration(type: number, name: number, use: number, level: number): void {
    const isKept = this.#keepsText && this.#columns.strings[name] !== 0;
    if (isKept && use === 1 && this.#earlier[4 * type + 3] !== 0) {
      this.#again(4 * type, name);
      return;
    }
    const outerStart = this.#nameStart;
    const outerEnd = this.#nameEnd;
    const bodies = this.#bodies;
    const start = this.#sink.length;
    this.#nameStart = -1;
    this.#chainFrom(type, name, use, level);
    if (isKept && bodies === this.#bodies && this.#nameStart >= 0) this.#keep(4 * type, start);
    this.#nameStart = outerStart;
    this.#nameEnd = outerEnd;
  }

  #again(at: number, name: number): void {
    const earlier = this.#earlier;
    this.#sink.again(
      earlier[at] as number,
      earlier[at + 1] as number,
      name,
      earlier[at + 2] as number,
      earlier[at + 3] as number,
    );
  }

  #keep(at: number, start: number): void {
    this.#earlier[at] = start;
    this.#earlier[at + 1] = this.#nameStart;
    this.#earlier[at + 2] = this.#nameEnd;
    this.#earlier[at + 3] = this.#sink.length;
  }

  /** Puts the chain from `start` on the stack and writes it. */
  #chainFrom(start: number, name: number, use: number, level: number): void {
    const columns = this.#columns;
    const chain = this.#chain;
    const bottom = this.#chainLength;
    let top = bottom;
    let id = start;
    for (let ended = false; !ended; ) {
      const kind = columns.kinds[id] as number;
      if (!(this.#stripModifiers && isModifier(kind))) chain[top++] = id;
      if (isModifier(kind) || kind === BTF_KIND.PTR || kind === BTF_KIND.FUNC_PROTO) {
        id = sizeOrTypeOf(columns, id);
        // A circle of references would never end.
        this.#work.charge(1);
      } else if (kind === BTF_KIND.ARRAY) {
        id = elementOf(columns, id);
        this.#work.charge(1);
      } else {
        ended = true;
      }
    }
    this.#chainLength = top;
    this.#chainOf(bottom, top, name, use, level);
    this.#chainLength = bottom;
  }

  /** Enters one more level of text inside text. */
  #nest(): void {
    if (++this.#depth > nestingLimit) {
      throw new BpfError({
        code: 'btf-dump-limit',
        btf: this.#columns.btf.name,
        limited: 'nesting',
        limit: nestingLimit,
      });
    }
  }

  /** Writes the types on the stack from `top` down to `bottom`, around a name. */
  #chainOf(bottom: number, startTop: number, name: number, use: number, level: number): void {
    const columns = this.#columns;
    const chain = this.#chain;
    const sink = this.#sink;
    let top = startTop;
    // Where there is only a pointer, as in `(*name)`, no space goes before it.
    let afterPointer = true;
    while (top > bottom) {
      const id = chain[--top] as number;
      const kind = columns.kinds[id] as number;
      switch (kind) {
        case BTF_KIND.PTR:
          if (!afterPointer) sink.byte(space);
          sink.byte(star);
          break;
        case BTF_KIND.VOLATILE:
          sink.text(words.afterVolatile);
          break;
        case BTF_KIND.CONST:
          sink.text(words.afterConst);
          break;
        case BTF_KIND.RESTRICT:
          sink.text(words.afterRestrict);
          break;
        case BTF_KIND.TYPE_TAG:
          top = this.#modifiers(bottom, top);
          this.#typeTag(id);
          break;
        case BTF_KIND.ARRAY:
          this.#array(id, bottom, top, name, use, level, afterPointer);
          return;
        case BTF_KIND.FUNC_PROTO:
          this.#function(id, bottom, top, name, use, level, afterPointer);
          return;
        default:
          if (!isBase(kind)) return;
          top = this.#modifiers(bottom, top);
          this.#base(id, kind, level);
      }
      afterPointer = kind === BTF_KIND.PTR;
    }
    this.#declaredName(name, use, afterPointer);
  }

  /** The name that is declared, with a space before it unless it follows a pointer. */
  #declaredName(name: number, use: number, afterPointer: boolean): void {
    if (!this.#isNamed(name)) return;
    if (!afterPointer) this.#sink.byte(space);
    this.#nameStart = this.#sink.length;
    this.#name(name, use);
    this.#nameEnd = this.#sink.length;
  }

  #isNamed(name: number): boolean {
    return name < 0 || this.#columns.strings[name] !== 0;
  }

  /** What the whole declaration starts with. */
  #base(id: number, kind: number, level: number): void {
    const hasBody = nameOf(this.#columns, id) === 0 && !this.#skipBodies;
    switch (kind) {
      case BTF_KIND.VOID:
        this.#sink.text(words.void);
        break;
      case BTF_KIND.STRUCT:
      case BTF_KIND.UNION:
        if (hasBody) this.#bodies++;
        if (hasBody) this.struct(id, level);
        else this.tag(id);
        break;
      case BTF_KIND.ENUM:
      case BTF_KIND.ENUM64:
        if (hasBody) this.#bodies++;
        if (hasBody) this.enum(id, level);
        else this.#enumTag(id);
        break;
      case BTF_KIND.FWD:
        this.forward(id);
        break;
      case BTF_KIND.TYPEDEF:
        this.#ownName(id, this.#useOf(id, this.#identifiers));
        break;
      default:
        this.#sink.name(nameOf(this.#columns, id));
    }
  }

  /** Modifiers at the top of the stack, as they stand in front of a type; the new top. */
  #modifiers(bottom: number, startTop: number): number {
    let top = startTop;
    for (; top > bottom; top--) {
      const kind = this.#columns.kinds[this.#chain[top - 1] as number];
      if (kind === BTF_KIND.CONST) this.#sink.text(words.const);
      else if (kind === BTF_KIND.VOLATILE) this.#sink.text(words.volatile);
      else if (kind === BTF_KIND.RESTRICT) this.#sink.text(words.restrict);
      else break;
    }
    return top;
  }

  /** Compilers put modifiers of elements on the array, too, where they mean nothing. */
  #withoutModifiers(bottom: number, startTop: number): number {
    let top = startTop;
    while (top > bottom && isModifier(this.#columns.kinds[this.#chain[top - 1] as number] ?? 0)) {
      top--;
    }
    return top;
  }

  #typeTag(id: number): void {
    const isAttribute = flagOf(this.#columns, id);
    this.#sink.text(isAttribute ? words.attribute : words.typeTag);
    this.#sink.name(nameOf(this.#columns, id));
    this.#sink.text(isAttribute ? words.attributeEnd : words.typeTagEnd);
  }

  #array(
    id: number,
    bottom: number,
    startTop: number,
    name: number,
    use: number,
    level: number,
    afterPointer: boolean,
  ): void {
    const top = this.#withoutModifiers(bottom, startTop);
    if (top === bottom) {
      this.#declaredName(name, use, afterPointer);
    } else {
      const next = this.#columns.kinds[this.#chain[top - 1] as number];
      const isPointedTo = next !== BTF_KIND.ARRAY;
      if (this.#isNamed(name) && !afterPointer) this.#sink.byte(space);
      if (isPointedTo) this.#sink.byte(openParenthesis);
      this.#nest();
      this.#chainOf(bottom, top, name, use, level);
      this.#depth--;
      if (isPointedTo) this.#sink.byte(closeParenthesis);
    }
    this.#sink.byte(openBracket);
    this.#sink.decimal(lengthOf(this.#columns, id));
    this.#sink.byte(closeBracket);
  }

  #function(
    id: number,
    bottom: number,
    startTop: number,
    name: number,
    use: number,
    level: number,
    afterPointer: boolean,
  ): void {
    const top = this.#withoutModifiers(bottom, startTop);
    this.#nest();
    if (top === bottom) {
      this.#declaredName(name, use, afterPointer);
    } else {
      this.#sink.text(words.openFunction);
      this.#chainOf(bottom, top, name, use, level);
      this.#sink.byte(closeParenthesis);
    }
    this.#sink.byte(openParenthesis);
    this.#params(id, level);
    this.#sink.byte(closeParenthesis);
    this.#depth--;
  }

  /** Parameters: name, type. A last one of type `void` is the ellipsis; alone it is none. */
  #params(id: number, level: number): void {
    const { words: stored, places } = this.#columns;
    const start = (places[id] as number) + 3;
    const count = vlenOf(this.#columns, id);
    if (count === 0 || (count === 1 && stored[start + 1] === 0)) {
      this.#sink.text(words.void);
      return;
    }
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#sink.text(words.comma);
      const type = stored[start + 2 * i + 1] as number;
      if (i === count - 1 && type === 0) this.#sink.text(words.ellipsis);
      else this.#declaration(type, stored[start + 2 * i] as number, 1, level);
    }
  }

  /** A struct or union with its members, each on a line; `level` is that of its last line. */
  struct(id: number, level: number): void {
    const columns = this.#columns;
    const sink = this.#sink;
    const isStruct = columns.kinds[id] === BTF_KIND.STRUCT;
    const size = sizeOrTypeOf(columns, id);
    const count = vlenOf(columns, id);
    const alignment = this.layout.alignment(id);
    const packed = isStruct && this.layout.isPacked(id);
    this.tag(id);
    sink.byte(space);
    sink.byte(openBrace);
    this.#nest();
    const end = this.#members(id, level + 1, packed);
    this.#depth--;
    // In C's 32 bits, as libbpf counts.
    if (isStruct) this.#padding.fill(end, Math.imul(size, 8), alignment, false, level + 1);
    if (count !== 0 || size !== 0) {
      sink.line(level);
    }
    sink.byte(closeBrace);
    if (packed) sink.text(words.packed);
  }

  /** The offset in bits at which the last member ends. */
  #members(id: number, level: number, packed: boolean): number {
    const columns = this.#columns;
    const { words: stored, places } = columns;
    const sink = this.#sink;
    const flag = flagOf(columns, id);
    const start = (places[id] as number) + 3;
    const end = start + 3 * vlenOf(columns, id);
    let bits = 0;
    let afterBitField = false;
    for (let i = start; i < end; i += 3) {
      const type = stored[i + 1] as number;
      const position = stored[i + 2] as number;
      // With kind_flag the upper 8 bits are the width of a bit field.
      const width = flag ? position >>> 24 : 0;
      const offset = flag ? position & 0xffffff : position | 0;
      if (bits < offset) {
        const alignment = packed ? 1 : this.layout.alignment(type);
        this.#padding.fill(bits, offset, alignment, afterBitField && width !== 0, level);
      }
      sink.line(level);
      this.#declaration(type, stored[i] as number, 1, level);
      if (width !== 0) {
        sink.text(words.bits);
        sink.decimal(width);
        bits = offset + width;
      } else {
        bits = (offset + Math.imul(Math.max(0, this.layout.size(type)), 8)) | 0;
      }
      afterBitField = width !== 0;
      sink.byte(semicolon);
    }
    return bits;
  }

  #enumTag(id: number): void {
    this.#sink.text(words.enum);
    this.#sink.byte(space);
    this.#ownName(id, this.#useOf(id, this.#tagNames));
  }

  #spacedName(id: number): void {
    if (nameOf(this.#columns, id) === 0) return;
    this.#sink.byte(space);
    this.#ownName(id, this.#useOf(id, this.#tagNames));
  }

  /** An enum with its enumerators; only its name if it has none. */
  enum(id: number, level: number): void {
    const columns = this.#columns;
    const sink = this.#sink;
    sink.text(words.enum);
    this.#spacedName(id);
    if (vlenOf(columns, id) === 0) return;
    sink.byte(space);
    sink.byte(openBrace);
    if (columns.kinds[id] === BTF_KIND.ENUM) this.#values32(id, level + 1);
    else this.#values64(id, level + 1);
    sink.line(level);
    sink.byte(closeBrace);
    const size = sizeOrTypeOf(columns, id);
    if (size === 1) sink.text(words.modeByte);
    else if (size === 8 && this.#needsWordMode(id)) sink.text(words.modeWord);
  }

  #enumerator(name: number, level: number): void {
    const use = this.#identifiers.use(name);
    this.#sink.line(level);
    this.#sink.name(name);
    if (use > 1) {
      this.#sink.text(words.suffix);
      this.#sink.decimal(use);
    }
    this.#sink.text(words.equals);
  }

  /** Enumerators: name, value. */
  #values32(id: number, level: number): void {
    const { words: stored, places } = this.#columns;
    const signed = flagOf(this.#columns, id);
    const start = (places[id] as number) + 3;
    const end = start + 2 * vlenOf(this.#columns, id);
    for (let i = start; i < end; i += 2) {
      this.#enumerator(stored[i] as number, level);
      const value = stored[i + 1] as number;
      if (signed) this.#sink.signed(value | 0);
      else this.#sink.decimal(value);
      this.#sink.byte(comma);
    }
  }

  /** Enumerators: name, lower half of the value, upper half. */
  #values64(id: number, level: number): void {
    const { words: stored, places } = this.#columns;
    const signed = flagOf(this.#columns, id);
    const start = (places[id] as number) + 3;
    const end = start + 3 * vlenOf(this.#columns, id);
    for (let i = start; i < end; i += 3) {
      this.#enumerator(stored[i] as number, level);
      this.#sink.string(decimal64(stored[i + 2] as number, stored[i + 1] as number, signed));
      this.#sink.text(signed ? words.longEnd : words.unsignedLongEnd);
    }
  }

  /** An enum of 8 bytes is so by itself only if a value needs more than 32 bits. */
  #needsWordMode(id: number): boolean {
    if (this.layout.pointerSize !== 8) return false;
    if (this.#columns.kinds[id] === BTF_KIND.ENUM) return true;
    const { words: stored, places } = this.#columns;
    const start = (places[id] as number) + 3;
    const end = start + 3 * vlenOf(this.#columns, id);
    for (let i = start; i < end; i += 3) if (stored[i + 2] !== 0) return false;
    return true;
  }
}

/** Whether a declaration may start with it: functions and data sections are no types. */
function isBase(kind: number): boolean {
  return (
    kind === BTF_KIND.VOID ||
    kind === BTF_KIND.INT ||
    kind === BTF_KIND.FLOAT ||
    (kind >= BTF_KIND.STRUCT && kind <= BTF_KIND.TYPEDEF) ||
    kind === BTF_KIND.ENUM64
  );
}

/** Two halves of a number of 64 bits in decimal. */
export function decimal64(high: number, low: number, signed: boolean): string {
  const value = (BigInt(high) << 32n) | BigInt(low);
  return String(signed ? BigInt.asIntN(64, value) : value);
}
