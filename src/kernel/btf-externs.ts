import { type Btf, parseBtf } from '../btf/btf.ts';
import { alignOf, sizeOf } from '../btf/graph.ts';
import { writeBtf } from '../btf/tools/reencode.ts';
import { BTF_KIND, type BtfSectionVar, type TypeId } from '../btf/types.ts';

/** Word indices in `struct btf_type`, and the words of it. */
const infoWord = 1;
const sizeWord = 2;
const head = 3;
/** Linkage of what is defined: of functions in `info`, of variables behind the head. */
const globalLinkage = 1;

/**
 * An object's types with its `extern` declarations as definitions, since the kernel takes no
 * others (libbpf's `bpf_object__collect_externs`): variables and functions of `.ksyms` become
 * integers in a row, those of `.kconfig` lie as in their map. All ids stay the same; what is
 * new comes at the end. Without externs, the object's own BTF.
 */
export function definedExterns(btf: Btf): Btf {
  const symbols = btf.find('.ksyms', BTF_KIND.DATASEC);
  const config = btf.find('.kconfig', BTF_KIND.DATASEC);
  if (symbols === undefined && config === undefined) return btf;
  const rewrite = new Rewrite(btf);
  if (symbols !== undefined) rewrite.symbols(symbols);
  if (config !== undefined) rewrite.config(config);
  return rewrite.finish();
}

class Rewrite {
  readonly #btf: Btf;
  readonly #words: Uint32Array;
  readonly #added: number[] = [];
  readonly #encoder = new TextEncoder();
  #strings: Uint8Array;
  #endId: number;
  #int: TypeId | undefined;
  #dummy: { readonly id: number; readonly name: number } | undefined;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#words = btf.words.slice();
    this.#strings = btf.strings.bytes;
    this.#endId = btf.endId;
  }

  finish(): Btf {
    const words = new Uint32Array(this.#words.length + this.#added.length);
    words.set(this.#words);
    words.set(this.#added, this.#words.length);
    const { littleEndian, name, pointerSize } = this.#btf;
    const bytes = writeBtf({ littleEndian, words, strings: this.#strings });
    return parseBtf(bytes, { name, pointerSize });
  }

  /** A function has no place in a section: a variable stands for all of them. */
  symbols(id: TypeId): void {
    const entries = this.#variables(id).map(({ type }, index): BtfSectionVar => {
      const isFunction = this.#btf.kindOf(type) === BTF_KIND.FUNC;
      if (isFunction) this.#defineFunction(type);
      else this.#defineVariable(type, this.#intType());
      const variable = isFunction ? (this.#dummyVariable().id as TypeId) : type;
      return { type: variable, offset: 4 * index, size: 4 };
    });
    this.#writeSection(id, entries, 4 * entries.length);
  }

  config(id: TypeId): void {
    const btf = this.#btf;
    let size = 0;
    const entries = this.#variables(id)
      .map((entry) => {
        const type = btf.sizeOrTypeOf(entry.type) as TypeId;
        const name = btf.nameOf(entry.type);
        return { type: entry.type, name, size: sizeOf(btf, type), align: alignOf(btf, type) };
      })
      .sort(byPlace)
      .map((entry): BtfSectionVar => {
        const offset = Math.ceil(size / entry.align) * entry.align;
        size = offset + entry.size;
        this.#defineVariable(entry.type, undefined);
        return { type: entry.type, offset, size: entry.size };
      });
    this.#writeSection(id, entries, size);
  }

  #variables(id: TypeId): readonly BtfSectionVar[] {
    const section = this.#btf.type(id);
    return section.kind === 'datasec' ? section.vars : [];
  }

  #at(id: TypeId): number {
    return this.#btf.offsets[id - this.#btf.firstId] as number;
  }

  #writeSection(id: TypeId, entries: readonly BtfSectionVar[], size: number): void {
    const at = this.#at(id);
    this.#words[at + sizeWord] = size;
    entries.forEach((entry, index) => {
      this.#words.set([entry.type, entry.offset, entry.size], at + head + 3 * index);
    });
  }

  /** Its parameters need names, as those of any function that is defined. */
  #defineFunction(id: TypeId): void {
    this.#words[this.#at(id) + infoWord] = ((BTF_KIND.FUNC << 24) | globalLinkage) >>> 0;
    const proto = this.#btf.sizeOrTypeOf(id) as TypeId;
    if (this.#btf.kindOf(proto) !== BTF_KIND.FUNC_PROTO) return;
    const at = this.#at(proto) + head;
    for (let i = 0; i < this.#btf.vlenOf(proto); i++) {
      const isVariadic = this.#words[at + 2 * i + 1] === 0;
      if (this.#words[at + 2 * i] === 0 && !isVariadic) {
        this.#words[at + 2 * i] = this.#dummyVariable().name;
      }
    }
  }

  #defineVariable(id: TypeId, type: TypeId | undefined): void {
    const at = this.#at(id);
    if (this.#btf.kindOf(id) !== BTF_KIND.VAR) return;
    if (type !== undefined) this.#words[at + sizeWord] = type;
    this.#words[at + head] = globalLinkage;
  }

  #dummyVariable(): { readonly id: number; readonly name: number } {
    if (this.#dummy === undefined) {
      const name = this.#addString('dummy_ksym');
      const type = this.#intType();
      const id = this.#add([name, (BTF_KIND.VAR << 24) >>> 0, type, globalLinkage]);
      this.#dummy = { id, name };
    }
    return this.#dummy;
  }

  /** An integer of 4 bytes, the object's if it has one. */
  #intType(): TypeId {
    this.#int ??=
      this.#findInt() ??
      (this.#add([this.#addString('int'), BTF_KIND.INT << 24, 4, 0x0100_0020]) as TypeId);
    return this.#int;
  }

  #findInt(): TypeId | undefined {
    const btf = this.#btf;
    for (let id = btf.firstId as TypeId; id < btf.endId; id = (id + 1) as TypeId) {
      if (btf.kindOf(id) !== BTF_KIND.INT || btf.sizeOrTypeOf(id) !== 4) continue;
      const type = btf.type(id);
      if (type.kind === 'int' && type.bits === 32 && type.bitOffset === 0) return id;
    }
    return undefined;
  }

  #add(words: readonly number[]): number {
    this.#added.push(...words);
    return this.#endId++;
  }

  #addString(text: string): number {
    const added = this.#encoder.encode(`${text}\0`);
    const offset = this.#strings.length;
    const strings = new Uint8Array(offset + added.length);
    strings.set(this.#strings);
    strings.set(added, offset);
    this.#strings = strings;
    return offset;
  }
}

interface Placed {
  readonly name: string;
  readonly size: number;
  readonly align: number;
}

/** The order of configuration values in their map (libbpf's `cmp_externs`). */
function byPlace(a: Placed, b: Placed): number {
  if (a.align !== b.align) return b.align - a.align;
  if (a.size !== b.size) return a.size - b.size;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
