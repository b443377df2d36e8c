// Changes single fields of a well-formed 64-bit ELF object: for deliberate damage, in the
// invalid inputs and in fuzzing. Trusts the object that it starts from, and shares no code
// with the reader that it tests.

/** One section of the object; all offsets are in bytes from the start of the file. */
export interface EditSection {
  readonly index: number;
  readonly name: string;
  /** Where its section header is. */
  readonly header: number;
  readonly offset: number;
  readonly size: number;
  readonly type: number;
}

/** Offsets of fields in the file header. */
export const ehdr = {
  class: 4,
  type: 16,
  machine: 18,
  shoff: 40,
  shnum: 60,
  shstrndx: 62,
} as const;

/** Offsets of fields in a section header, of 64 bytes. */
export const shdr = {
  name: 0,
  type: 4,
  flags: 8,
  offset: 24,
  size: 32,
  link: 40,
  info: 44,
  entsize: 56,
} as const;

/** Offsets of fields in a symbol, of 24 bytes. */
export const sym = { name: 0, info: 4, shndx: 6, value: 8, size: 16 } as const;

/** An object being changed: a copy of the bytes that it was made from. */
export class ElfEdit {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly littleEndian: boolean;
  readonly sections: readonly EditSection[];
  readonly #view: DataView;

  constructor(original: Uint8Array) {
    this.bytes = new Uint8Array(original);
    this.#view = new DataView(this.bytes.buffer);
    this.littleEndian = this.bytes[5] === 1;
    this.sections = this.#readSections();
  }

  #readSections(): readonly EditSection[] {
    const table = Number(this.u64(ehdr.shoff));
    const count = this.u16(ehdr.shnum);
    const headers = Array.from({ length: count }, (_, index) => table + index * 64);
    const names = headers[this.u16(ehdr.shstrndx)] ?? table;
    const strings = Number(this.u64(names + shdr.offset));
    return headers.map((header, index) => ({
      index,
      name: this.string(strings + this.u32(header + shdr.name)),
      header,
      offset: Number(this.u64(header + shdr.offset)),
      size: Number(this.u64(header + shdr.size)),
      type: this.u32(header + shdr.type),
    }));
  }

  /** The section of that name; it must exist. */
  section(name: string): EditSection {
    const found = this.sections.find((section) => section.name === name);
    if (found === undefined) throw new Error(`no section ${name}`);
    return found;
  }

  /** File offset of the symbol of that name; it must exist. */
  symbol(name: string): number {
    const table = this.section('.symtab');
    const strings = this.sections[this.u32(table.header + shdr.link)]?.offset ?? 0;
    for (let at = table.offset; at < table.offset + table.size; at += 24) {
      if (this.string(strings + this.u32(at + sym.name)) === name) return at;
    }
    throw new Error(`no symbol ${name}`);
  }

  /** The text at a file offset, up to its zero byte. */
  string(at: number): string {
    return new TextDecoder().decode(this.bytes.subarray(at, this.bytes.indexOf(0, at)));
  }

  /** File offset of the first occurrence of a text with its zero byte, from `from` on. */
  find(text: string, from = 0): number {
    const at = Buffer.from(this.bytes.buffer).indexOf(`${text}\0`, from, 'latin1');
    if (at < 0) throw new Error(`no text ${text}`);
    return at;
  }

  u16(at: number): number {
    return this.#view.getUint16(at, this.littleEndian);
  }

  u32(at: number): number {
    return this.#view.getUint32(at, this.littleEndian);
  }

  u64(at: number): bigint {
    return this.#view.getBigUint64(at, this.littleEndian);
  }

  setU8(at: number, value: number): void {
    this.#view.setUint8(at, value);
  }

  setU16(at: number, value: number): void {
    this.#view.setUint16(at, value, this.littleEndian);
  }

  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, this.littleEndian);
  }

  setU64(at: number, value: bigint): void {
    this.#view.setBigUint64(at, value, this.littleEndian);
  }

  /** Writes a text over the bytes there, without a zero byte. */
  setText(at: number, text: string): void {
    this.bytes.set(new TextEncoder().encode(text), at);
  }
}
