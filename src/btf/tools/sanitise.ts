import { encodeText } from '../../bytes/text.ts';
import { type Btf, parseBtf } from '../btf.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../types.ts';
import { ownLayout, writeBtf } from './reencode.ts';

/** Every part of the BTF format that kernels learnt later than BTF itself, in that order. */
export const BTF_FEATURES = [
  /** FUNC and FUNC_PROTO; Linux 5.0. */
  'func',
  /** VAR and DATASEC; 5.2. */
  'datasec',
  /** FUNC that says that it is global; 5.6. */
  'global-func',
  /** FLOAT; 5.13. */
  'float',
  /** DECL_TAG; 5.16. */
  'decl-tag',
  /** TYPE_TAG; 5.17. */
  'type-tag',
  /** ENUM64, and the flag for signed values of ENUM; 6.0. */
  'enum64',
  /** Names of DATASEC that start with `?`; 6.9. */
  'qmark-datasec',
  /** The layout section; 7.1. */
  'layout',
] as const;

/** One of {@link BTF_FEATURES}. */
export type BtfFeature = (typeof BTF_FEATURES)[number];

/**
 * The types of an object as a kernel that has only some features takes them: kinds that it does
 * not know become kinds that it knows, in as many words, so that every type keeps its id. What
 * depends on the kinds that are lost does not work there, but the object loads. The BTF itself
 * is not changed; where it needs no change, it is the result.
 *
 * The rules are those of libbpf's `bpf_object__sanitize_btf`:
 *
 * | without | becomes |
 * |---|---|
 * | `func` | FUNC_PROTO an ENUM of its parameters, FUNC a TYPEDEF |
 * | `global-func` | a global FUNC a static one |
 * | `datasec` | DATASEC a STRUCT of its variables, VAR an INT of a byte |
 * | `qmark-datasec` | the `?` that starts a name `_` |
 * | `float` | FLOAT a STRUCT of its size, without name and members |
 * | `decl-tag` | DECL_TAG an INT of a byte |
 * | `type-tag` | TYPE_TAG a CONST |
 * | `enum64` | ENUM64 a UNION of its enumerators, signed ENUM an unsigned one |
 * | `layout` | the layout section is left out |
 *
 * One thing is more than libbpf does: enumerators must have names, so parameters without one
 * get one.
 *
 * @example
 * ```ts
 * const old = sanitiseBtf(btf, new Set(['func', 'datasec', 'global-func']));
 * ```
 */
export function sanitiseBtf(btf: Btf, features: ReadonlySet<BtfFeature>): Btf {
  const rules = BTF_FEATURES.filter((feature) => !features.has(feature));
  if (!needsChange(btf, new Set(rules))) return btf;
  const draft = new Draft(btf, features);
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    draft.rewrite(btf.kindOf(id), btf.offsets[id - btf.firstId] as number);
  }
  return draft.finish();
}

/** The kinds that a feature is about. */
const kindsOf: { readonly [F in BtfFeature]: readonly BtfKind[] } = {
  func: [BTF_KIND.FUNC, BTF_KIND.FUNC_PROTO],
  datasec: [BTF_KIND.VAR, BTF_KIND.DATASEC],
  'global-func': [BTF_KIND.FUNC],
  float: [BTF_KIND.FLOAT],
  'decl-tag': [BTF_KIND.DECL_TAG],
  'type-tag': [BTF_KIND.TYPE_TAG],
  enum64: [BTF_KIND.ENUM, BTF_KIND.ENUM64],
  'qmark-datasec': [BTF_KIND.DATASEC],
  layout: [],
};

function needsChange(btf: Btf, missing: ReadonlySet<BtfFeature>): boolean {
  if (missing.has('layout') && ownLayout(btf, btf.littleEndian) !== undefined) return true;
  const kinds = new Set([...missing].flatMap((feature) => kindsOf[feature]));
  if (kinds.size === 0) return false;
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    if (kinds.has(btf.kindOf(id))) return true;
  }
  return false;
}

/** Word indices in `struct btf_type`; what follows its words depends on the kind. */
const nameWord = 0;
const infoWord = 1;
const sizeWord = 2;
const head = 3;

/** The word behind an `int` of 8 bits without a sign. */
const eightBits = 8;

const dot = 0x2e;
const questionMark = 0x3f;
const underscore = 0x5f;

function infoOf(kind: BtfKind, vlen: number): number {
  return ((kind << 24) | vlen) >>> 0;
}

/** The copy that is being rewritten. */
class Draft {
  readonly #btf: Btf;
  readonly #features: ReadonlySet<BtfFeature>;
  readonly #words: Uint32Array;
  readonly #addedWords: number[] = [];
  readonly #strings: Uint8Array;
  /** What comes behind the strings that there are. */
  readonly #addedStrings: number[] = [];
  /** Where names have been made identifiers, so that names that overlap take no longer. */
  readonly #cleaned: Uint8Array;
  #placeholder: number | undefined;
  #argument: number | undefined;

  constructor(btf: Btf, features: ReadonlySet<BtfFeature>) {
    this.#btf = btf;
    this.#features = features;
    this.#words = btf.words.slice();
    this.#strings = btf.strings.bytes.slice();
    this.#cleaned = new Uint8Array(this.#strings.length);
  }

  finish(): Btf {
    const { littleEndian, base, name, pointerSize } = this.#btf;
    const layout = this.#features.has('layout') ? ownLayout(this.#btf, littleEndian) : undefined;
    const words = joined(Uint32Array, this.#words, this.#addedWords);
    const strings = joined(Uint8Array, this.#strings, this.#addedStrings);
    const bytes = writeBtf({ littleEndian, words, strings, layout });
    return parseBtf(bytes, { base, name, pointerSize });
  }

  /** Rewrites the type whose words start at `at`. */
  rewrite(kind: BtfKind, at: number): void {
    const lacks = (feature: BtfFeature): boolean => !this.#features.has(feature);
    switch (kind) {
      case BTF_KIND.VAR:
        if (lacks('datasec')) this.#wordToInt(at);
        return;
      case BTF_KIND.DECL_TAG:
        if (lacks('decl-tag')) this.#wordToInt(at);
        return;
      case BTF_KIND.DATASEC:
        if (lacks('datasec')) this.#sectionToStruct(at);
        else if (lacks('qmark-datasec')) this.#replaceQuestionMark(at);
        return;
      case BTF_KIND.FUNC_PROTO:
        if (lacks('func')) this.#prototypeToEnum(at);
        return;
      case BTF_KIND.FUNC:
        if (lacks('func')) this.#words[at + infoWord] = infoOf(BTF_KIND.TYPEDEF, 0);
        else if (lacks('global-func')) this.#words[at + infoWord] = infoOf(BTF_KIND.FUNC, 0);
        return;
      case BTF_KIND.FLOAT:
        // C compilers take no struct of the name `float`.
        if (lacks('float')) this.#renameless(at, BTF_KIND.STRUCT);
        return;
      case BTF_KIND.TYPE_TAG:
        if (lacks('type-tag')) this.#renameless(at, BTF_KIND.CONST);
        return;
      case BTF_KIND.ENUM:
        if (lacks('enum64')) this.#words[at + infoWord] = this.#info(at) & 0x7fff_ffff;
        return;
      case BTF_KIND.ENUM64:
        if (lacks('enum64')) this.#wideEnumToUnion(at);
        return;
      default:
        return;
    }
  }

  #info(at: number): number {
    return this.#words[at + infoWord] as number;
  }

  #vlen(at: number): number {
    return this.#info(at) & 0xffffff;
  }

  /** A variable or declaration tag has one word more, as an `int` has. */
  #wordToInt(at: number): void {
    this.#words[at + infoWord] = infoOf(BTF_KIND.INT, 0);
    // More could be too much for the place of a variable in its section.
    this.#words[at + sizeWord] = 1;
    this.#words[at + head] = eightBits;
  }

  #renameless(at: number, kind: BtfKind): void {
    this.#words[at + nameWord] = 0;
    this.#words[at + infoWord] = infoOf(kind, 0);
  }

  /** `{ type, offset, size }` of each variable becomes the member `{ name, type, bit offset }`. */
  #sectionToStruct(at: number): void {
    const words = this.#words;
    const count = this.#vlen(at);
    words[at + infoWord] = infoOf(BTF_KIND.STRUCT, count);
    words[at + nameWord] = this.#identifier(words[at + nameWord] as number);
    for (let i = 0; i < count; i++) {
      const member = at + head + 3 * i;
      const type = words[member] as TypeId;
      const offset = words[member + 1] as number;
      words[member] = this.#btf.nameOffsetOf(type);
      words[member + 1] = type;
      words[member + 2] = 8 * offset;
    }
  }

  /** The offset of a section's name as an identifier; changed in place, as by libbpf. */
  #identifier(offset: number): number {
    const { start } = this.#btf.strings;
    if (offset < start) return this.#addString(this.#btf.string(offset).replaceAll(/[.?]/g, '_'));
    const bytes = this.#strings;
    for (let i = offset - start; bytes[i] !== 0 && this.#cleaned[i] === 0; i++) {
      this.#cleaned[i] = 1;
      if (bytes[i] === dot || bytes[i] === questionMark) bytes[i] = underscore;
    }
    return offset;
  }

  /** `?.struct_ops` and the like: older kernels want letters, digits, `_` and `.`. */
  #replaceQuestionMark(at: number): void {
    const offset = this.#words[at + nameWord] as number;
    const { start } = this.#btf.strings;
    if (offset >= start) {
      if (this.#strings[offset - start] === questionMark)
        this.#strings[offset - start] = underscore;
      return;
    }
    const name = this.#btf.string(offset);
    if (name.startsWith('?')) this.#words[at + nameWord] = this.#addString(`_${name.slice(1)}`);
  }

  /** Parameters `{ name, type }` become enumerators `{ name, value }`, which need names. */
  #prototypeToEnum(at: number): void {
    const words = this.#words;
    const count = this.#vlen(at);
    words[at + infoWord] = infoOf(BTF_KIND.ENUM, count);
    words[at + sizeWord] = 4;
    for (let i = 0; i < count; i++) {
      const parameter = at + head + 2 * i;
      if (words[parameter] !== 0) continue;
      this.#argument ??= this.#addString('argument');
      words[parameter] = this.#argument;
    }
  }

  /** Enumerators `{ name, low, high }` become members `{ name, type, offset 0 }`. */
  #wideEnumToUnion(at: number): void {
    const count = this.#vlen(at);
    this.#placeholder ??= this.#addPlaceholder();
    this.#words[at + infoWord] = infoOf(BTF_KIND.UNION, count);
    for (let i = 0; i < count; i++) {
      this.#words[at + head + 3 * i + 1] = this.#placeholder;
      this.#words[at + head + 3 * i + 2] = 0;
    }
  }

  /** A type for members that stand for enumerators; of a byte, so that it fits in any. */
  #addPlaceholder(): number {
    const name = this.#addString('enum64_placeholder');
    this.#addedWords.push(name, infoOf(BTF_KIND.INT, 0), 1, eightBits);
    return this.#btf.endId;
  }

  #addString(text: string): number {
    const offset = this.#btf.strings.end + this.#addedStrings.length;
    for (const byte of encodeText(text)) this.#addedStrings.push(byte);
    this.#addedStrings.push(0);
    return offset;
  }
}

function joined<T extends Uint8Array | Uint32Array>(
  Kind: new (length: number) => T,
  first: T,
  second: readonly number[],
): T {
  const whole = new Kind(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}
