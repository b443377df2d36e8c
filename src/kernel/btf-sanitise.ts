import type { Btf } from '../btf/btf.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../btf/types.ts';
import { encodeBtf } from './btf-encode.ts';
import { definedExterns } from './btf-externs.ts';
import type { BtfFeature } from './btf-features.ts';

/** Word indices in `struct btf_type`. */
const nameWord = 0;
const infoWord = 1;
const sizeWord = 2;
/** Words of `struct btf_type` itself; what follows depends on the kind. */
const head = 3;

/** Encoding word of an `int` of 8 bits. */
const eightBits = 8;

/** The copy that is being rewritten. */
interface Draft {
  readonly btf: Btf;
  readonly words: Uint32Array;
  readonly strings: Uint8Array;
  /** Id of a 4-byte `int` at the end, which stands in where a rewritten type needs one. */
  readonly placeholder: number;
  /** Offset of an identifier, for what must have a name after rewriting and had none. */
  readonly someName: number;
}

/**
 * The object's types as a kernel with `features` takes them: kinds that it does not know
 * become kinds of the same size in words that it knows, so every type keeps its id. The
 * rules are those of libbpf's `bpf_object__sanitize_btf`. The object's own BTF is not
 * touched.
 */
export function sanitisedBtf(btf: Btf, features: ReadonlySet<BtfFeature>): Uint8Array {
  const rewrites = rules.filter((rule) => !features.has(rule.without));
  const defined = definedExterns(btf);
  if (rewrites.length === 0) return encodeBtf(defined.words, defined.strings);
  const needsInt = !features.has('enum64');
  const words = new Uint32Array(defined.words.length + (needsInt ? head + 1 : 0));
  words.set(defined.words);
  if (needsInt) words.set([intName(btf), infoOf(BTF_KIND.INT, 0), 4, 32], defined.words.length);
  const strings = defined.strings.slice();
  const someName = firstName(btf, BTF_KIND.FUNC);
  const draft: Draft = { btf, words, strings, placeholder: defined.endId, someName };
  const rewrite = (kind: BtfKind, at: number): void => {
    for (const rule of rewrites) if (rule.kinds.includes(kind)) rule.rewrite(draft, at);
  };
  for (let id = btf.firstId; id < btf.endId; id++) {
    rewrite(btf.kindOf(id as TypeId), btf.offsets[id - btf.firstId] as number);
  }
  // What was added for externs are integers and variables, of four words each.
  for (let at = btf.words.length; at < defined.words.length; at += head + 1) {
    rewrite(((words[at + infoWord] as number) >>> 24) as BtfKind, at);
  }
  return encodeBtf(words, strings);
}

interface Rule {
  readonly without: BtfFeature;
  readonly kinds: readonly BtfKind[];
  rewrite(draft: Draft, at: number): void;
}

const rules: readonly Rule[] = [
  { without: 'qmark-datasec', kinds: [BTF_KIND.DATASEC], rewrite: cleanSectionName },
  { without: 'datasec', kinds: [BTF_KIND.DATASEC], rewrite: sectionToStruct },
  { without: 'datasec', kinds: [BTF_KIND.VAR], rewrite: wordToInt },
  { without: 'decl-tag', kinds: [BTF_KIND.DECL_TAG], rewrite: wordToInt },
  { without: 'func', kinds: [BTF_KIND.FUNC_PROTO], rewrite: prototypeToEnum },
  { without: 'func', kinds: [BTF_KIND.FUNC], rewrite: functionToTypedef },
  { without: 'global-func', kinds: [BTF_KIND.FUNC], rewrite: clearLinkage },
  { without: 'float', kinds: [BTF_KIND.FLOAT], rewrite: floatToStruct },
  { without: 'type-tag', kinds: [BTF_KIND.TYPE_TAG], rewrite: tagToConst },
  { without: 'enum64', kinds: [BTF_KIND.ENUM], rewrite: clearSign },
  { without: 'enum64', kinds: [BTF_KIND.ENUM64], rewrite: wideEnumToUnion },
];

function infoOf(kind: BtfKind, vlen: number): number {
  return ((kind << 24) | vlen) >>> 0;
}

function vlenAt(draft: Draft, at: number): number {
  return (draft.words[at + infoWord] as number) & 0xffffff;
}

/** A variable or declaration tag has one word more, as an `int` has. */
function wordToInt({ words }: Draft, at: number): void {
  words[at + infoWord] = infoOf(BTF_KIND.INT, 0);
  words[at + sizeWord] = 1;
  words[at + head] = eightBits;
}

/** `?.struct_ops` and the like: older kernels want letters, digits, `_` and `.`. */
function cleanSectionName(draft: Draft, at: number): void {
  const start = draft.words[at + nameWord] as number;
  if (draft.strings[start] === 0x3f) draft.strings[start] = 0x5f;
}

/** `{ type, offset, size }` of each variable becomes the member `{ name, type, bit offset }`. */
function sectionToStruct(draft: Draft, at: number): void {
  const { btf, words, strings, someName } = draft;
  const count = vlenAt(draft, at);
  words[at + infoWord] = infoOf(BTF_KIND.STRUCT, count);
  for (let byte = words[at + nameWord] as number; strings[byte] !== 0; byte++) {
    if (strings[byte] === 0x2e || strings[byte] === 0x3f) strings[byte] = 0x5f;
  }
  for (let i = 0; i < count; i++) {
    const member = at + head + 3 * i;
    const type = words[member] as TypeId;
    const offset = words[member + 1] as number;
    // By the original: the variable itself may have been rewritten already.
    words[member] = type < btf.endId ? btf.nameOffsetOf(type) : someName;
    words[member + 1] = type;
    words[member + 2] = 8 * offset;
  }
}

/** Parameters `{ name, type }` become enumerators `{ name, value }`, which need names. */
function prototypeToEnum(draft: Draft, at: number): void {
  const { words, someName } = draft;
  const count = vlenAt(draft, at);
  words[at + infoWord] = infoOf(BTF_KIND.ENUM, count);
  words[at + sizeWord] = 4;
  for (let i = 0; i < count; i++) {
    const parameter = at + head + 2 * i;
    if (words[parameter] === 0) words[parameter] = someName;
  }
}

function functionToTypedef({ words }: Draft, at: number): void {
  words[at + infoWord] = infoOf(BTF_KIND.TYPEDEF, 0);
}

/** The linkage is where other kinds have their count; 0 is static. */
function clearLinkage(draft: Draft, at: number): void {
  const { words } = draft;
  const kind = ((words[at + infoWord] as number) >>> 24) & 0x7f;
  if (kind === BTF_KIND.FUNC) words[at + infoWord] = infoOf(BTF_KIND.FUNC, 0);
}

function floatToStruct({ words }: Draft, at: number): void {
  words[at + nameWord] = 0;
  words[at + infoWord] = infoOf(BTF_KIND.STRUCT, 0);
}

function tagToConst({ words }: Draft, at: number): void {
  words[at + nameWord] = 0;
  words[at + infoWord] = infoOf(BTF_KIND.CONST, 0);
}

/** The flag for signed enumerators came together with 64-bit enums. */
function clearSign({ words }: Draft, at: number): void {
  words[at + infoWord] = (words[at + infoWord] as number) & 0x7fff_ffff;
}

/** Enumerators `{ name, low, high }` become members `{ name, type, offset 0 }`. */
function wideEnumToUnion(draft: Draft, at: number): void {
  const { words, placeholder } = draft;
  const count = vlenAt(draft, at);
  words[at + infoWord] = infoOf(BTF_KIND.UNION, count);
  for (let i = 0; i < count; i++) {
    words[at + head + 3 * i + 1] = placeholder;
    words[at + head + 3 * i + 2] = 0;
  }
}

/** Offset of a name that an `int` may carry: that of another one, else the first string. */
function intName(btf: Btf): number {
  return firstName(btf, BTF_KIND.INT) || Math.min(1, btf.strings.bytes.length - 1);
}

/** Offset of the name of the first type of a kind, 0 where there is none. */
function firstName(btf: Btf, kind: BtfKind): number {
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    if (btf.kindOf(id) === kind) return btf.nameOffsetOf(id);
  }
  return 0;
}
