import { BpfError } from '../errors.ts';
import { childIds } from './children.ts';
import { type Extent, parseHeader } from './header.ts';
import { materialise } from './materialise.ts';
import { nameKey } from './name-hash.ts';
import { NameIndex } from './names.ts';
import { scanTypes } from './scan.ts';
import { checkStrings, StringTable } from './strings.ts';
import { BTF_KIND, type BtfKind, type BtfType, type TypeId, voidId } from './types.ts';

export interface ParseBtfOptions {
  /** The BTF that a split BTF (a kernel module's) stands on; itself possibly split. */
  readonly base?: Btf | undefined;
  /** For messages: a file's name, `vmlinux`, …; `BTF` if left out. */
  readonly name?: string | undefined;
  /** In bytes, where the file around the BTF tells; else guessed as libbpf does. */
  readonly pointerSize?: 4 | 8 | undefined;
}

/**
 * BTF as columns. Parsing fills one typed array, the place of each type in the type
 * section; a type becomes an object when asked for, and is kept. Ids and string offsets
 * count through the bases, so every method here reaches into them too.
 *
 * The bytes must not be changed afterwards.
 */
export class Btf {
  /** For messages. */
  readonly name: string;
  /** What this BTF stands on, if it is split. */
  readonly base: Btf | undefined;
  /** Byte order of the file. */
  readonly littleEndian: boolean;
  /** 1, or the base's `endId`. */
  readonly firstId: number;
  /** One past the last id. */
  readonly endId: number;
  /** The BTF as it was given. */
  readonly bytes: Uint8Array;
  /** Place and length of the type section in {@link bytes}. */
  readonly typeSection: Extent;
  /** The type section in the machine's byte order; for other modules of this folder. */
  readonly words: Uint32Array;
  /** Index in {@link words} of each type from `firstId` on; for other modules of this folder. */
  readonly offsets: Uint32Array;
  /** The strings of this level on those of its bases. */
  readonly strings: StringTable;
  /** The layout section, if there is one. */
  readonly layout: Uint8Array | undefined;
  readonly #types = new Map<TypeId, BtfType>();
  #index: NameIndex | undefined;
  #pointerSize: 4 | 8 | undefined;

  /** Use {@link parseBtf}. */
  constructor(parts: {
    readonly name: string;
    readonly base: Btf | undefined;
    readonly littleEndian: boolean;
    readonly pointerSize: 4 | 8 | undefined;
    readonly bytes: Uint8Array;
    readonly typeSection: Extent;
    readonly words: Uint32Array;
    readonly offsets: Uint32Array;
    readonly strings: StringTable;
    readonly layout: Uint8Array | undefined;
  }) {
    this.name = parts.name;
    this.base = parts.base;
    this.littleEndian = parts.littleEndian;
    this.firstId = parts.base?.endId ?? 1;
    this.endId = this.firstId + parts.offsets.length;
    this.bytes = parts.bytes;
    this.typeSection = parts.typeSection;
    this.words = parts.words;
    this.offsets = parts.offsets;
    this.strings = parts.strings;
    this.layout = parts.layout;
    this.#pointerSize = parts.pointerSize;
  }

  /**
   * The same types with other `bytes`: a copy of {@link bytes} in which only sizes and the like
   * of the `changed` types differ, no name, kind, count or reference, so that nothing is found
   * and checked anew.
   */
  withBytes(bytes: Uint8Array, changed: readonly TypeId[]): Btf {
    const { name, base, littleEndian, typeSection, offsets, strings, layout } = this;
    const words = wordsOf(bytes, typeSection, littleEndian, name);
    const pointerSize = this.#pointerSize;
    const copy = new Btf({
      name,
      base,
      littleEndian,
      pointerSize,
      bytes,
      typeSection,
      words,
      offsets,
      strings,
      layout,
    });
    for (const [id, type] of this.#types) copy.#types.set(id, type);
    for (const id of changed) copy.#types.delete(id);
    return copy;
  }

  /**
   * Bytes of a pointer: what the file around the BTF said, else the size of `long` if
   * there is one (libbpf's `determine_ptr_size`), else 8.
   */
  get pointerSize(): 4 | 8 {
    this.#pointerSize ??= this.base?.pointerSize ?? guessPointerSize(this);
    return this.#pointerSize;
  }

  /** Whether `id` is one of this BTF or its bases; 0, `void`, is. */
  has(id: number): boolean {
    return Number.isInteger(id) && id >= 0 && id < this.endId;
  }

  /** The kind; a number above `BTF_KIND` for one that only the layout section knows. */
  kindOf(id: TypeId): BtfKind {
    return ((this.#word(id, 1) >>> 24) & 0x7f) as BtfKind;
  }

  /** Number of members, parameters, enumerators or variables; a function's linkage. */
  vlenOf(id: TypeId): number {
    return this.#word(id, 1) & 0xffffff;
  }

  kindFlagOf(id: TypeId): boolean {
    return this.#word(id, 1) >>> 31 === 1;
  }

  /** The third word: a size in bytes or a type id, as the kind says. */
  sizeOrTypeOf(id: TypeId): number {
    return this.#word(id, 2);
  }

  nameOffsetOf(id: TypeId): number {
    return this.#word(id, 0);
  }

  /** The type as plain data; the same object each time. {@link BpfError} `btf-no-type` outside. */
  type(id: TypeId): BtfType {
    const level = this.#levelOf(id);
    const known = level.#types.get(id);
    if (known !== undefined) return known;
    const type = id === voidId ? voidType : level.#materialise(id);
    level.#types.set(id, type);
    return type;
  }

  /** Name of a type, empty if it has none. */
  nameOf(id: TypeId): string {
    return this.strings.decode(this.#word(id, 0));
  }

  /** The string at an offset; {@link BpfError} `btf-no-string` outside. */
  string(offset: number): string {
    return this.strings.decode(offset);
  }

  /**
   * The first type of that name (and kind), bases first. `void` is found as id 0; types
   * without a name are not found.
   */
  find(name: string, kind?: BtfKind): TypeId | undefined {
    if (name === 'void' && (kind ?? BTF_KIND.VOID) === BTF_KIND.VOID) return voidId;
    const key = nameKey(name);
    if (key === undefined) return undefined;
    for (const level of this.#levels()) {
      const index = level.#names().find(key, kind);
      if (index >= 0) return (level.firstId + index) as TypeId;
    }
    return undefined;
  }

  /** All types of that name (and kind), in the order of their ids, bases first. */
  findAll(name: string, kind?: BtfKind): readonly TypeId[] {
    const key = nameKey(name);
    const found: TypeId[] = [];
    if (key === undefined) return found;
    for (const level of this.#levels()) {
      const names = level.#names();
      for (let i = names.find(key, kind); i >= 0; i = names.find(key, kind, i)) {
        found.push((level.firstId + i) as TypeId);
      }
    }
    return found;
  }

  /**
   * All types whose essential name (see `essentialName`) is `essential`, in the order of
   * their ids: `task_struct` and `task_struct___old` for `task_struct`.
   */
  findEssential(essential: string): readonly TypeId[] {
    const key = nameKey(essential);
    const found: TypeId[] = [];
    if (key === undefined) return found;
    for (const level of this.#levels()) {
      const names = level.#names();
      for (let i = names.findEssential(key); i >= 0; i = names.findEssential(key, i)) {
        found.push((level.firstId + i) as TypeId);
      }
    }
    return found;
  }

  #names(): NameIndex {
    this.#index ??= new NameIndex(this);
    return this.#index;
  }

  /** This BTF and its bases, the lowest base first. */
  #levels(): readonly Btf[] {
    if (this.base === undefined) return [this];
    const levels: Btf[] = [this];
    for (let level: Btf | undefined = this.base; level !== undefined; level = level.base) {
      levels.push(level);
    }
    return levels.reverse();
  }

  /** A word of the common part of a type; `void` is all zero. */
  #word(id: TypeId, index: 0 | 1 | 2): number {
    if (id === voidId) return 0;
    const level = this.#levelOf(id);
    return level.words[(level.offsets[id - level.firstId] as number) + index] as number;
  }

  #materialise(id: TypeId): BtfType {
    const { words, strings } = this;
    const at = this.offsets[id - this.firstId] as number;
    return materialise({ words, at, id, strings });
  }

  #levelOf(id: TypeId): Btf {
    if (!this.has(id)) {
      throw new BpfError({ code: 'btf-no-type', btf: this.name, id, end: this.endId });
    }
    let level: Btf = this;
    while (id < level.firstId && level.base !== undefined) level = level.base;
    return level;
  }
}

const voidType: BtfType = { kind: 'void', id: voidId };

/**
 * Parses raw BTF (`/sys/kernel/btf/vmlinux`, the section `.BTF` of an object) of either
 * byte order, and checks it: what passes can be read without further checks, except that
 * references may still go in circles (see `resolveType`, `sizeOf`). The bytes are not
 * copied where they are aligned to 4 and in the machine's byte order.
 *
 * {@link BpfError} for anything damaged.
 *
 * Measured on vmlinux of Linux 6.18 (5.5 MB) with Node 20: 1.8 ms warm (libbpf 1.7: 3.3 ms),
 * 15 to 20 ms as the first call of a process, before the engine has compiled the scan.
 * Beside the bytes it keeps 0.6 MB, and 0.8 MB more after the first lookup by name.
 *
 * @example
 * ```ts
 * const btf = parseBtf(readFileSync('/sys/kernel/btf/vmlinux'), { name: 'vmlinux' });
 * const id = btf.find('task_struct', BTF_KIND.STRUCT);
 * ```
 */
export function parseBtf(bytes: Uint8Array, options: ParseBtfOptions = {}): Btf {
  const { base, name = 'BTF', pointerSize } = options;
  const raw = plainBytes(bytes);
  const header = parseHeader(raw, name);
  const stringBytes = slice(raw, header.strings);
  const split = base !== undefined;
  checkStrings(stringBytes, { name, offset: header.strings.offset, split });
  const strings = new StringTable(stringBytes, base?.strings, name);
  const words = wordsOf(raw, header.types, header.littleEndian, name);
  const layout = header.layout === undefined ? undefined : slice(raw, header.layout);
  const { offsets, maxReference } = scanTypes({
    name,
    words,
    firstId: base?.endId ?? 1,
    stringEnd: strings.end,
    // A split BTF without a layout was written by the same hand as its base (libbpf's rule).
    layout: layout ?? base?.layout,
  });
  const btf = new Btf({
    name,
    base,
    littleEndian: header.littleEndian,
    pointerSize,
    bytes: raw,
    typeSection: header.types,
    words,
    offsets,
    strings,
    layout: layout ?? base?.layout,
  });
  if (maxReference >= btf.endId) throw badReference(btf);
  return btf;
}

/** Not a Node `Buffer`, whose `slice` does not copy, nor shared memory, which can change. */
function plainBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer instanceof ArrayBuffer) {
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  return Uint8Array.from(bytes);
}

function slice(bytes: Uint8Array, { offset, length }: Extent): Uint8Array {
  return bytes.subarray(offset, offset + length);
}

const hostLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The type section as words: a view where that is possible, else a copy. */
function wordsOf(
  bytes: Uint8Array,
  extent: Extent,
  littleEndian: boolean,
  name: string,
): Uint32Array {
  if (extent.length % 4 !== 0) {
    const problem = 'is cut inside a type';
    throw new BpfError({ code: 'btf-section', btf: name, section: 'type', ...extent, problem });
  }
  const section = slice(bytes, extent);
  if (littleEndian !== hostLittleEndian) return swappedWords(section, littleEndian);
  const aligned = section.byteOffset % 4 === 0 ? section : section.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, extent.length / 4);
}

function swappedWords(section: Uint8Array, littleEndian: boolean): Uint32Array {
  const view = new DataView(section.buffer, section.byteOffset, section.length);
  const words = new Uint32Array(section.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = view.getUint32(4 * i, littleEndian);
  return words;
}

/** The error for the first reference past the end; the scan only knows that there is one. */
function badReference(btf: Btf): BpfError {
  for (let id = btf.firstId; id < btf.endId; id++) {
    const target = childIds(btf.type(id as TypeId)).find((child) => !btf.has(child));
    if (target === undefined) continue;
    return new BpfError({ code: 'btf-reference', btf: btf.name, id, target, end: btf.endId });
  }
  throw new Error('the scan saw a reference that the types do not have');
}

/** The spellings of `long` that compilers write, from libbpf's `determine_ptr_size`. */
const longNames: ReadonlySet<string> = new Set([
  'long',
  'long int',
  'int long',
  'unsigned long',
  'long unsigned',
  'unsigned long int',
  'unsigned int long',
  'long unsigned int',
  'long int unsigned',
  'int unsigned long',
  'int long unsigned',
]);

function guessPointerSize(btf: Btf): 4 | 8 {
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    if (btf.kindOf(id) !== BTF_KIND.INT) continue;
    const size = btf.sizeOrTypeOf(id);
    if ((size === 4 || size === 8) && longNames.has(btf.nameOf(id))) return size;
  }
  return 8;
}
