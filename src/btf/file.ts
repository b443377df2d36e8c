import { Cursor } from '../bytes/cursor.ts';
import { BpfError } from '../errors.ts';
import { type Btf, parseBtf } from './btf.ts';
import { imageFormat } from './file-format.ts';
import { relocateBtf } from './relocate/relocate.ts';

/** A file that is read in parts: a vmlinux with debug information takes a gigabyte. */
export interface ByteSource {
  /** In bytes. */
  readonly size: number;
  /** `length` bytes from `offset`; both lie in the file. */
  read(offset: number, length: number): Uint8Array;
}

/** The type information of a file. */
export interface BtfContents {
  /** Contents of `.BTF`, or the whole of a file that is raw BTF. */
  readonly btf: Uint8Array;
  /** Contents of `.BTF.base`: the distilled base of a module's split BTF. */
  readonly base: Uint8Array | undefined;
  /** Contents of `.BTF.ext`. */
  readonly ext: Uint8Array | undefined;
  /** In bytes, by the ELF class as libbpf has it; undefined for raw BTF. */
  readonly pointerSize: 4 | 8 | undefined;
}

/** Options of {@link parseBtfFile}. */
export interface BtfFileOptions {
  /** The file's name, for messages. */
  readonly name: string;
  /** What a split BTF stands on, or is put on if it has a `.BTF.base` (see `relocateBtf`). */
  readonly base?: Btf | undefined;
}

/**
 * Parses the types of a file: raw BTF, or `.BTF` of an ELF file of any kind, machine, class
 * and byte order (a vmlinux, a module, an object, a program).
 *
 * A module's types with a distilled base (`.BTF.base`) stand on that, and with a base given
 * are put on it, as libbpf's `btf__parse_split` does.
 *
 * {@link BpfError} `btf-file` for a file without usable types, which says what to do, also
 * with a compressed kernel image; the errors of `parseBtf` for damaged types.
 *
 * @example
 * ```ts
 * const btf = parseBtfFile(readFileSync('vmlinux'), { name: 'vmlinux' });
 * ```
 */
export function parseBtfFile(file: Uint8Array | ByteSource, options: BtfFileOptions): Btf {
  const { name } = options;
  const { btf, base: own, pointerSize } = findBtf(file, name);
  if (own === undefined) return parseBtf(btf, { name, base: options.base, pointerSize });
  const distilled = parseBtf(own, { name: `${name} (.BTF.base)`, pointerSize });
  const module = parseBtf(btf, { name, base: distilled, pointerSize });
  return options.base === undefined ? module : relocateBtf(module, options.base);
}

/**
 * Finds the type information of a file without parsing it; see {@link parseBtfFile}. What is
 * neither ELF nor known not to be BTF counts as raw BTF. Reads the section table, section
 * names and what is asked for, nothing else.
 */
export function findBtf(file: Uint8Array | ByteSource, name: string): BtfContents {
  const source = file instanceof Uint8Array ? memorySource(file) : file;
  const start = source.read(0, Math.min(source.size, imageFormatBytes));
  if (isElf(start)) return new ElfSections(source, start, name).contents();
  const format = imageFormat(start);
  if (format !== undefined) {
    throw new BpfError({ code: 'btf-file', file: name, fault: { kind: 'packed', ...format } });
  }
  // What is no BTF at all need not be read: its first bytes are enough for the error.
  const isBtf =
    (start[0] === 0x9f && start[1] === 0xeb) || (start[0] === 0xeb && start[1] === 0x9f);
  const btf = isBtf && source.size <= maxBytes ? source.read(0, source.size) : start;
  return { btf, base: undefined, ext: undefined, pointerSize: undefined };
}

/** More than this is not read at once, whatever a file says; the BTF of a kernel has 6 MB. */
const maxBytes = 2 ** 31 - 1;

/** Bytes from the start that tell what a file is. */
const imageFormatBytes = 0x210;

function memorySource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

function isElf(start: Uint8Array): boolean {
  return start[0] === 0x7f && start[1] === 0x45 && start[2] === 0x4c && start[3] === 0x46;
}

/** `SHT_NOBITS`: the section is described, its contents are in another file. */
const noBits = 8;

/** `SHF_COMPRESSED`. */
const compressedFlag = 0x800;

/** `SHN_XINDEX`: the index is in the first section header, since it needs more than 16 bits. */
const extendedIndex = 0xffff;

/** Headers, and bytes of section names, of the largest files are far below. */
const maxSections = 1 << 20;
const maxNameBytes = 1 << 26;

/** One section header, as far as it counts here. */
interface Section {
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/**
 * The section table of an ELF file. Fields marked N have 4 bytes in 32-bit files, 8 in
 * 64-bit ones:
 *
 *     header:  16 of identification (4 class, 5 byte order), type:2 machine:2 version:4
 *              entry:N phoff:N shoff:N flags:4 ehsize:2 phentsize:2 phnum:2
 *              shentsize:2 shnum:2 shstrndx:2
 *     section: name:4 type:4 flags:N addr:N offset:N size:N link:4 info:4 addralign:N entsize:N
 *
 * Not the reader of `elf/`, on purpose: that is for BPF objects, checks all of them and has
 * them in memory; this finds three sections in files of any size, for callers (the kernel
 * backend, this library alone in a browser) that use no object reader.
 */
class ElfSections {
  readonly #source: ByteSource;
  readonly #file: string;
  readonly #wide: boolean;
  readonly #littleEndian: boolean;
  readonly #sections: readonly Section[];
  readonly #names: Uint8Array;

  constructor(source: ByteSource, start: Uint8Array, file: string) {
    this.#source = source;
    this.#file = file;
    const [size, order] = [start[4], start[5]];
    if ((size !== 1 && size !== 2) || (order !== 1 && order !== 2)) {
      throw this.#damaged('its ELF class or byte order is none that exists');
    }
    this.#wide = size === 2;
    this.#littleEndian = order === 1;
    const { sections, names } = this.#table(start);
    this.#sections = sections;
    this.#names = this.#contentsOf(names, 'section names', maxNameBytes);
    this.#checkNames(sections);
  }

  contents(): BtfContents {
    const btf = this.#find('.BTF');
    if (btf === undefined) {
      throw new BpfError({ code: 'btf-file', file: this.#file, fault: { kind: 'no-section' } });
    }
    return {
      btf,
      base: this.#find('.BTF.base'),
      ext: this.#find('.BTF.ext'),
      pointerSize: this.#wide ? 8 : 4,
    };
  }

  #table(start: Uint8Array): { readonly sections: readonly Section[]; readonly names: Section } {
    const cursor = this.#cursor(start, 'ELF header').seek(24);
    const word = (): number => this.#word(cursor);
    cursor.skip(this.#wide ? 16 : 8);
    const offset = word();
    cursor.skip(4 + 2 + 2 + 2);
    const entrySize = cursor.u16();
    const count = cursor.u16();
    const namesIndex = cursor.u16();
    if (offset === 0) throw this.#damaged('its table of sections was stripped');
    const wanted = this.#wide ? 64 : 40;
    if (entrySize !== wanted) {
      throw this.#damaged(`its section headers have ${entrySize} bytes instead of ${wanted}`);
    }
    const first = this.#headers(offset, 1)[0] as Section;
    const sections = this.#headers(offset, count === 0 ? first.size : count);
    const names = sections[namesIndex === extendedIndex ? first.link : namesIndex];
    if (names === undefined) throw this.#damaged('its section names are in no section');
    return { sections, names };
  }

  #headers(offset: number, count: number): readonly Section[] {
    const length = count * (this.#wide ? 64 : 40);
    if (count > maxSections) throw this.#damaged(`it says to have ${count} sections`);
    const cursor = this.#cursor(this.#read(offset, length, 'section table'), 'section table');
    return Array.from({ length: count }, () => {
      const [nameOffset, type] = [cursor.u32(), cursor.u32()];
      const flags = this.#word(cursor);
      this.#word(cursor); // address
      const [at, size] = [this.#word(cursor), this.#word(cursor)];
      const link = cursor.u32();
      cursor.skip(4 + (this.#wide ? 16 : 8));
      return { nameOffset, type, flags, offset: at, size, link };
    });
  }

  /** libelf gives up at a name that is nowhere, and bpftool with it: the file is damaged. */
  #checkNames(sections: readonly Section[]): void {
    const stray = sections.findIndex(({ nameOffset }) => nameOffset >= this.#names.length);
    if (stray > 0) throw this.#damaged(`the name of section ${stray} is outside its section names`);
  }

  #find(name: string): Uint8Array | undefined {
    const section = this.#sections.find((each) => this.#isNamed(each, name));
    return section === undefined ? undefined : this.#contentsOf(section, name, maxBytes);
  }

  #isNamed({ nameOffset }: Section, name: string): boolean {
    for (let i = 0; i < name.length; i++) {
      if (this.#names[nameOffset + i] !== name.charCodeAt(i)) return false;
    }
    return this.#names[nameOffset + name.length] === 0;
  }

  #contentsOf(section: Section, name: string, limit: number): Uint8Array {
    const fault = (kind: 'no-contents' | 'compressed-section'): BpfError =>
      new BpfError({ code: 'btf-file', file: this.#file, fault: { kind, section: name } });
    if (section.type === noBits) throw fault('no-contents');
    // Division, since a bit operation would lose the upper half.
    if (Math.floor(section.flags / compressedFlag) % 2 === 1) throw fault('compressed-section');
    if (section.size > limit) throw this.#damaged(`${section.size} bytes of ${name} are too many`);
    return this.#read(section.offset, section.size, name);
  }

  #read(offset: number, length: number, what: string): Uint8Array {
    const { size } = this.#source;
    if (offset + length <= size) return this.#source.read(offset, length);
    throw this.#damaged(
      `${what} (${length} bytes at offset ${offset}) ends after the file of ${size} bytes; is it cut off?`,
    );
  }

  #cursor(bytes: Uint8Array, section: string): Cursor {
    return new Cursor(bytes, { littleEndian: this.#littleEndian, section });
  }

  /** A field of 4 or 8 bytes; beyond 2^53 inexact, but then outside of any file. */
  #word(cursor: Cursor): number {
    return this.#wide ? Number(cursor.u64()) : cursor.u32();
  }

  #damaged(problem: string): BpfError {
    return new BpfError({
      code: 'btf-file',
      file: this.#file,
      fault: { kind: 'damaged', problem },
    });
  }
}
