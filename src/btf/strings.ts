import { decodeText, decodeTextAt } from '../bytes/text.ts';
import { BpfError } from '../errors.ts';
import { Flavours, lastSeparator, underscore } from './flavours.ts';
import { hashName, hashRange, type NameKey } from './name-hash.ts';

/**
 * The string section of one BTF, standing on those of its bases: offsets count through all
 * levels, as libbpf's `start_str_off`. Names are hashed and compared as bytes; decoding
 * all of vmlinux's to strings would cost more than ten times parsing it.
 */
export class StringTable {
  /** Strings of this level; ends with 0 unless it is empty. */
  readonly bytes: Uint8Array;
  readonly base: StringTable | undefined;
  /** Offset of the first string of this level. */
  readonly start: number;
  /** One past the last offset of this level. */
  readonly end: number;
  readonly #name: string;
  readonly #view: DataView;
  #searched = 0;
  #flavours: Flavours | undefined;

  /** `bytes` must have passed {@link checkStrings}. */
  constructor(bytes: Uint8Array, base: StringTable | undefined, name: string) {
    this.bytes = bytes;
    this.base = base;
    this.start = base?.end ?? 0;
    this.end = this.start + bytes.length;
    this.#name = name;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The string at an offset; {@link BpfError} `btf-no-string` outside. */
  decode(offset: number): string {
    const level = this.levelOf(offset);
    return decodeTextAt(level.bytes, offset - level.start);
  }

  /** Offset of the first occurrence of every string of all levels; decodes them all. */
  offsets(): ReadonlyMap<string, number> {
    const offsets = new Map(this.base?.offsets());
    for (let at = 0; at < this.bytes.length; ) {
      const end = this.bytes.indexOf(0, at);
      const text = decodeText(this.bytes.subarray(at, end));
      if (!offsets.has(text)) offsets.set(text, this.start + at);
      at = end + 1;
    }
    return offsets;
  }

  /** Hash of the essential name (see `essentialName`) at an offset inside the table. */
  hashEssential(offset: number): number {
    const level = offset >= this.start ? this : this.levelOf(offset);
    const at = offset - level.start;
    const hash = hashName(level.#view, at);
    return hash >= 0 ? hash : hashRange(level.#view, at, level.#flavourOf(at));
  }

  /** Whether the whole name at an offset inside the table is `key`. */
  equals(offset: number, key: NameKey): boolean {
    const level = offset >= this.start ? this : this.levelOf(offset);
    const at = offset - level.start;
    return startsWith(level.bytes, at, key.text) && level.bytes[at + key.text.length] === 0;
  }

  /** Whether the essential name at an offset inside the table is `key`. */
  equalsEssential(offset: number, key: NameKey): boolean {
    const level = offset >= this.start ? this : this.levelOf(offset);
    const at = offset - level.start;
    if (!startsWith(level.bytes, at, key.text)) return false;
    const end = at + key.text.length;
    const after = level.bytes[end];
    if (after === 0) return !key.flavoured;
    return after === underscore && level.#flavourOf(at) === end;
  }

  /**
   * Where the flavour of the name at `at` is set off, undefined if it has none. Looks
   * through the name, until more has been looked through than there is: then names
   * overlap, and a table pays.
   */
  #flavourOf(at: number): number | undefined {
    if (this.#flavours === undefined) {
      const end = this.bytes.indexOf(0, at);
      this.#searched += end - at;
      if (this.#searched <= this.bytes.length) return lastSeparator(this.bytes, at, end);
      this.#flavours = new Flavours(this.bytes);
    }
    return this.#flavours.separatorAfter(at);
  }

  /** The level that holds an offset; {@link BpfError} `btf-no-string` outside. */
  levelOf(offset: number): StringTable {
    let level: StringTable = this;
    while (offset < level.start && level.base !== undefined) level = level.base;
    if (!Number.isInteger(offset) || offset < 0 || offset >= level.end) {
      throw new BpfError({ code: 'btf-no-string', btf: this.#name, offset, end: this.end });
    }
    return level;
  }
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (bytes[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/**
 * Checks a string section as libbpf does: a zero byte at its end and, unless it stands on a
 * base, at its start; only that of a split BTF may be empty. `offset` is for the message.
 */
export function checkStrings(
  bytes: Uint8Array,
  options: { readonly name: string; readonly offset: number; readonly split: boolean },
): void {
  if (options.split && bytes.length === 0) return;
  const problem =
    bytes.length === 0
      ? 'is empty'
      : bytes[bytes.length - 1] !== 0
        ? 'has no zero byte at its end'
        : !options.split && bytes[0] !== 0
          ? 'does not start with the empty string'
          : undefined;
  if (problem === undefined) return;
  const { name: btf, offset } = options;
  const length = bytes.length;
  throw new BpfError({ code: 'btf-section', btf, section: 'string', offset, length, problem });
}
