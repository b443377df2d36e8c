// Builds ELF files byte by byte for tests, sound or not; shares no code with the reader.
import { Writer } from '../../src/bytes/writer.ts';

export interface BuildSection {
  readonly name: string | Uint8Array;
  readonly type?: number;
  readonly flags?: bigint;
  readonly data?: Uint8Array;
  /** Size of a section without contents (type 8). */
  readonly size?: bigint;
  readonly link?: number;
  readonly info?: number;
  readonly alignment?: bigint;
  readonly entrySize?: bigint;
}

export interface BuildSymbol {
  readonly name: string | Uint8Array;
  /** `STT_*`. */
  readonly type?: number;
  /** `STB_*`. */
  readonly binding?: number;
  readonly visibility?: number;
  readonly section: number;
  readonly value?: bigint;
  readonly size?: bigint;
}

export interface BuildRelocation {
  readonly offset: bigint;
  readonly type: number;
  readonly symbol: number;
}

export interface BuildElf {
  readonly littleEndian?: boolean;
  readonly type?: number;
  readonly machine?: number;
  readonly sections: readonly BuildSection[];
  readonly symbols?: readonly BuildSymbol[];
  /** Relocations by index of the target section. */
  readonly relocations?: ReadonlyMap<number, readonly BuildRelocation[]>;
}

const encoder = new TextEncoder();

/** A string table: its bytes, and the offset that each added name got. */
class Strings {
  readonly #parts: number[] = [0];

  add(name: string | Uint8Array): number {
    const bytes = typeof name === 'string' ? encoder.encode(name) : name;
    if (bytes.length === 0) return 0;
    const at = this.#parts.length;
    for (const byte of bytes) this.#parts.push(byte);
    this.#parts.push(0);
    return at;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }
}

/**
 * A 64-bit file: the given sections from index 1 on, then the symbol table, the relocation
 * sections and the string table that all names are in.
 */
export function buildElf(elf: BuildElf): Uint8Array {
  const littleEndian = elf.littleEndian ?? true;
  const strings = new Strings();
  const symbolTable = elf.sections.length + 1;
  const groups = [...(elf.relocations ?? [])];
  const stringTable = symbolTable + 1 + groups.length;
  const sections: BuildSection[] = [
    { name: '', type: 0 },
    ...elf.sections,
    {
      name: '.symtab',
      type: 2,
      data: symbolBytes(elf.symbols ?? [], strings, littleEndian),
      link: stringTable,
      entrySize: 24n,
    },
    ...groups.map(([target, entries]) => ({
      name: `.rel${target}`,
      type: 9,
      data: relocationBytes(entries, littleEndian),
      link: symbolTable,
      info: target,
      entrySize: 16n,
    })),
  ];
  const names = [...sections.map((section) => strings.add(section.name)), strings.add('.strtab')];
  sections.push({ name: '.strtab', type: 3, data: strings.bytes() });
  return layOut(elf, sections, names, littleEndian);
}

function symbolBytes(symbols: readonly BuildSymbol[], strings: Strings, littleEndian: boolean) {
  const out = new Writer({ littleEndian });
  out.bytes(new Uint8Array(24));
  for (const symbol of symbols) {
    out.u32(strings.add(symbol.name));
    out.u8(((symbol.binding ?? 1) << 4) | (symbol.type ?? 0));
    out.u8(symbol.visibility ?? 0);
    out.u16(symbol.section);
    out.u64(symbol.value ?? 0n).u64(symbol.size ?? 0n);
  }
  return out.finish();
}

function relocationBytes(entries: readonly BuildRelocation[], littleEndian: boolean) {
  const out = new Writer({ littleEndian });
  for (const { offset, type, symbol } of entries) {
    out.u64(offset).u64((BigInt(symbol) << 32n) | BigInt(type));
  }
  return out.finish();
}

/** Header, contents, section headers. */
function layOut(
  elf: BuildElf,
  sections: readonly BuildSection[],
  names: readonly number[],
  littleEndian: boolean,
): Uint8Array {
  const body = new Writer({ littleEndian });
  const offsets = sections.map((section) => {
    body.align(8);
    const at = 64 + body.length;
    body.bytes(section.data ?? new Uint8Array(0));
    return at;
  });
  body.align(8);
  const out = new Writer({ littleEndian });
  out.bytes(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, littleEndian ? 1 : 2, 1, 0));
  out.u64(0n);
  out
    .u16(elf.type ?? 1)
    .u16(elf.machine ?? 247)
    .u32(1);
  out
    .u64(0n)
    .u64(0n)
    .u64(BigInt(64 + body.length));
  out.u32(0).u16(64).u16(0).u16(0).u16(64);
  out.u16(sections.length).u16(sections.length - 1);
  out.bytes(body.finish());
  sections.forEach((section, index) => {
    const size = section.size ?? BigInt(section.data?.length ?? 0);
    out
      .u32(names[index] ?? 0)
      .u32(section.type ?? 1)
      .u64(section.flags ?? 0n)
      .u64(0n);
    out.u64(BigInt(offsets[index] ?? 0)).u64(size);
    out.u32(section.link ?? 0).u32(section.info ?? 0);
    out.u64(section.alignment ?? 1n).u64(section.entrySize ?? 0n);
  });
  return out.finish();
}

/** Flags of a section of code. */
export const codeFlags = 6n;

/** `r0 = 0; exit` in either byte order. */
export function exitCode(littleEndian = true): Uint8Array {
  return new Writer({ littleEndian })
    .bytes(Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0))
    .finish();
}

/** A copy with some bytes replaced. */
export function patched(bytes: Uint8Array, offset: number, ...values: number[]): Uint8Array {
  const out = bytes.slice();
  out.set(values, offset);
  return out;
}
