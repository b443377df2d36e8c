import { Cursor } from '../bytes/cursor.ts';
import { BpfError } from '../errors.ts';
import type { Btf } from './btf.ts';
import { btfMagic, type Extent } from './header.ts';
import type { TypeId } from './types.ts';

/** One function record (`struct bpf_func_info`): its first instruction and its FUNC. */
export interface ExtFuncInfo {
  /** In bytes from the start of the ELF section. */
  readonly insnOffset: number;
  readonly type: TypeId;
}

/** One line record (`struct bpf_line_info`). String offsets are into the object's BTF. */
export interface ExtLineInfo {
  /** In bytes from the start of the ELF section. */
  readonly insnOffset: number;
  readonly fileNameOffset: number;
  readonly lineOffset: number;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 where unknown. */
  readonly column: number;
}

/** One CO-RE relocation (`struct bpf_core_relo`). */
export interface ExtCoreRelocation {
  /** In bytes from the start of the ELF section. */
  readonly insnOffset: number;
  /** Root type of the access, in the object's BTF. */
  readonly type: TypeId;
  /** Access string, such as `0:1:2`. */
  readonly access: string;
  /** `enum bpf_core_relo_kind`, as stored. */
  readonly kind: number;
}

/**
 * What `.BTF.ext` says, by the name of the ELF section that holds the code; records in the
 * order in which they are stored.
 */
export interface BtfExt {
  readonly funcInfo: ReadonlyMap<string, readonly ExtFuncInfo[]>;
  readonly lineInfo: ReadonlyMap<string, readonly ExtLineInfo[]>;
  readonly coreRelocations: ReadonlyMap<string, readonly ExtCoreRelocation[]>;
}

type Part = 'func info' | 'line info' | 'CO-RE relocations';

/** Bytes of the header without and with the CO-RE part, which came with Linux 5.4. */
const shortHeaderLength = 24;
const longHeaderLength = 32;

/**
 * Reads the section `.BTF.ext`, of either byte order and with records of any size that
 * holds the known fields. The header:
 *
 *     0 magic u16   2 version u8   3 flags u8   4 hdr_len u32
 *     8 func_info_off, len   16 line_info_off, len   [24 core_relo_off, len]
 *
 * Each part is the record size (u32), then for each ELF section: sec_name_off u32,
 * num_info u32, the records. Type ids and string offsets are checked against `btf`.
 * `name` is the file's, for messages. {@link BpfError} for anything damaged.
 */
export function parseBtfExt(
  bytes: Uint8Array,
  options: { readonly btf: Btf; readonly name: string },
): BtfExt {
  const reader = new ExtReader(bytes, options.btf, options.name);
  const { func, line, core } = reader.header();
  return {
    funcInfo: reader.records('func info', func, 8, (at) => reader.funcInfo(at)),
    lineInfo: reader.records('line info', line, 16, (at) => reader.lineInfo(at)),
    coreRelocations: reader.records('CO-RE relocations', core, 16, (at) =>
      reader.coreRelocation(at),
    ),
  };
}

class ExtReader {
  readonly #cursor: Cursor;
  readonly #view: DataView;
  readonly #btf: Btf;
  readonly #file: string;
  /** Access strings and names of sections are few and repeated: decoded once each. */
  readonly #decoded = new Map<number, string>();
  #part: 'header' | Part = 'header';

  constructor(bytes: Uint8Array, btf: Btf, file: string) {
    const probe = new Cursor(bytes, { littleEndian: true, section: '.BTF.ext' });
    const magic = probe.u16();
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#btf = btf;
    this.#file = file;
    this.#cursor = new Cursor(bytes, {
      littleEndian: magic === btfMagic,
      section: '.BTF.ext',
    });
    if (magic !== btfMagic && magic !== 0x9feb) {
      throw this.#error(0, `it starts with 0x${magic.toString(16)} instead of 0xeb9f`);
    }
  }

  header(): { readonly func: Extent; readonly line: Extent; readonly core: Extent } {
    const cursor = this.#cursor.seek(2);
    const version = cursor.u8();
    if (version !== 1) throw this.#error(2, `version ${version} is not supported`);
    const flags = cursor.u8();
    if (flags !== 0) throw this.#error(3, `flags ${flags} are not supported`);
    const length = cursor.u32();
    if (length < shortHeaderLength) throw this.#error(4, `${length} bytes are too short`);
    const extent = (): Extent => ({ offset: length + cursor.u32(), length: cursor.u32() });
    const func = extent();
    const line = extent();
    const core = length >= longHeaderLength ? extent() : { offset: length, length: 0 };
    cursor.seek(length);
    return { func, line, core };
  }

  /**
   * One part: what `read` makes of the record at each offset, by the name of the ELF section.
   * That a section's records lie in the part is checked before, so single reads check nothing.
   */
  records<R>(
    part: Part,
    extent: Extent,
    minimum: number,
    read: (at: number) => R,
  ): ReadonlyMap<string, readonly R[]> {
    const bySection = new Map<string, R[]>();
    if (extent.length === 0) return bySection;
    this.#part = part;
    const end = extent.offset + extent.length;
    if (end > this.#cursor.length) {
      throw this.#error(extent.offset, `its ${extent.length} bytes end after the section`);
    }
    const size = this.#recordSize(extent.offset, end, minimum);
    for (let at = extent.offset + 4; at < end; ) {
      const count = this.#recordCount(at, end, size);
      const section = this.#string(at);
      const known = bySection.get(section);
      const records = known ?? [];
      if (known === undefined) bySection.set(section, records);
      at += 8;
      for (const stop = at + count * size; at < stop; at += size) records.push(read(at));
    }
    return bySection;
  }

  funcInfo(at: number): ExtFuncInfo {
    return { insnOffset: this.#u32(at), type: this.#type(at + 4) };
  }

  /** The last word: column in bits 0-9, line in the rest. */
  lineInfo(at: number): ExtLineInfo {
    const insnOffset = this.#u32(at);
    const fileNameOffset = this.#stringOffset(at + 4);
    const lineOffset = this.#stringOffset(at + 8);
    const place = this.#u32(at + 12);
    return { insnOffset, fileNameOffset, lineOffset, line: place >>> 10, column: place & 0x3ff };
  }

  coreRelocation(at: number): ExtCoreRelocation {
    const insnOffset = this.#u32(at);
    const type = this.#type(at + 4);
    return { insnOffset, type, access: this.#string(at + 8), kind: this.#u32(at + 12) };
  }

  #recordSize(at: number, end: number, minimum: number): number {
    if (end - at < 4) throw this.#error(at, 'there is no record size');
    const size = this.#u32(at);
    if (size >= minimum && size % 4 === 0) return size;
    throw this.#error(at, `a record size of ${size} (at least ${minimum}, a multiple of 4)`);
  }

  /** From the head of a section: its name's offset, number of records. */
  #recordCount(at: number, end: number, recordSize: number): number {
    if (end - at < 8) throw this.#error(at, 'it ends inside the head of a section');
    this.#stringOffset(at);
    const count = this.#u32(at + 4);
    if (count === 0) throw this.#error(at, 'a section without records');
    if (count * recordSize <= end - at - 8) return count;
    throw this.#error(at, `${count} records of ${recordSize} bytes do not fit`);
  }

  #type(at: number): TypeId {
    const id = this.#u32(at);
    if (this.#btf.has(id)) return id as TypeId;
    throw this.#error(at, `type ${id} is not in the BTF, which ends at ${this.#btf.endId - 1}`);
  }

  #string(at: number): string {
    const offset = this.#stringOffset(at);
    let text = this.#decoded.get(offset);
    if (text === undefined) {
      text = this.#btf.string(offset);
      this.#decoded.set(offset, text);
    }
    return text;
  }

  #stringOffset(at: number): number {
    const offset = this.#u32(at);
    if (offset < this.#btf.strings.end) return offset;
    throw this.#error(at, `string offset ${offset}, the strings end at ${this.#btf.strings.end}`);
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, this.#cursor.littleEndian);
  }

  #error(offset: number, problem: string): BpfError {
    const [file, part] = [this.#file, this.#part];
    return new BpfError({ code: 'btf-ext', file, part, offset, problem });
  }
}
