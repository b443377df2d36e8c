import { decodeText, encodeText } from '../../bytes/text.ts';
import { BpfError } from '../../errors.ts';
import type { Columns } from './columns.ts';

/** Bytes of text that any BTF may give, and bytes for each of its own. Real ones: 1 to 3. */
const fewestBytes = 1 << 22;
const bytesPerByte = 32;

const newline = 0x0a;
const tab = 0x09;

/** libbpf has no more tabs than these in store. */
const mostTabs = 13;

/** Most bytes of text for one BTF: what has more has long names used again and again. */
export function textLimit({ words, strings }: Columns): number {
  return fewestBytes + bytesPerByte * (4 * words.length + strings.length);
}

/**
 * Text in the making, as bytes. Names go from the string section into it byte by byte and
 * never become strings: for the C dump of vmlinux this takes 4 ms, where decoding the names
 * alone takes 15 ms.
 */
export class TextSink {
  #bytes: Uint8Array;
  #at = 0;
  readonly #strings: Uint8Array;
  readonly #btf: string;
  #limit: number;
  readonly #ownLimit: number;
  /** Digits of a number, last first. */
  readonly #digits = new Uint8Array(10);

  /** `expected` bytes of text are made room for at once; for more the room is doubled. */
  constructor(columns: Columns, expected: number) {
    this.#bytes = new Uint8Array(Math.max(256, expected));
    this.#strings = columns.strings;
    this.#btf = columns.btf.name;
    this.#ownLimit = textLimit(columns);
    this.#limit = this.#ownLimit;
  }

  /** Number of bytes so far. */
  get length(): number {
    return this.#at;
  }

  /** One byte. */
  byte(byte: number): void {
    if (this.#at === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#at++] = byte;
  }

  /** Text made by {@link literal}, or any other bytes. */
  text(text: Uint8Array): void {
    const end = this.#at + text.length;
    if (end > this.#bytes.length) this.#grow(text.length);
    const bytes = this.#bytes;
    // Texts are short: a loop is faster than `set`.
    for (let i = 0, at = this.#at; at < end; i++, at++) bytes[at] = text[i] as number;
    this.#at = end;
  }

  /** A new line with `level` tabs, but no more than libbpf writes. */
  line(level: number): void {
    const count = 1 + Math.min(level, mostTabs);
    if (this.#at + count > this.#bytes.length) this.#grow(count);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = newline;
    for (let i = 1; i < count; i++) bytes[at++] = tab;
    this.#at = at;
  }

  /**
   * Once more what was written from `start` to `nameStart` and from `nameEnd` to `end`, with
   * the name at an offset of the string section in between.
   */
  again(start: number, nameStart: number, name: number, nameEnd: number, end: number): void {
    this.#copy(start, nameStart);
    this.name(name);
    if (nameEnd < end) this.#copy(nameEnd, end);
  }

  #copy(start: number, end: number): void {
    const last = this.#at + end - start;
    if (last > this.#bytes.length) this.#grow(end - start);
    const bytes = this.#bytes;
    for (let from = start, at = this.#at; from < end; from++, at++) {
      bytes[at] = bytes[from] as number;
    }
    this.#at = last;
  }

  /** The name at an offset of the string section. */
  name(offset: number): void {
    const strings = this.#strings;
    let bytes = this.#bytes;
    let at = this.#at;
    for (let i = offset; ; i++) {
      const byte = strings[i] as number;
      if (byte === 0) break;
      if (at === bytes.length) {
        this.#at = at;
        this.#grow(1);
        bytes = this.#bytes;
      }
      bytes[at++] = byte;
    }
    this.#at = at;
  }

  /**
   * The name at an offset of the string section, if it stands in a JSON string as it is:
   * printable ASCII but `"` and `\\`. Otherwise nothing is written and false returned.
   */
  plainName(offset: number): boolean {
    const strings = this.#strings;
    const start = this.#at;
    let bytes = this.#bytes;
    let at = start;
    for (let i = offset; ; i++) {
      const byte = strings[i] as number;
      if (byte === 0) break;
      if (byte < 0x20 || byte >= 0x7f || byte === 0x22 || byte === 0x5c) {
        this.#at = start;
        return false;
      }
      if (at === bytes.length) {
        this.#at = at;
        this.#grow(1);
        bytes = this.#bytes;
      }
      bytes[at++] = byte;
    }
    this.#at = at;
    return true;
  }

  /** An unsigned number of up to 32 bits. */
  decimal(value: number): void {
    if (value < 10) {
      this.byte(0x30 + value);
      return;
    }
    const digits = this.#digits;
    let count = 0;
    for (let left = value; left !== 0; ) {
      // The quotient of two integers below 2^32 is exact enough to be cut.
      const next = Math.floor(left / 10);
      digits[count++] = 0x30 + left - 10 * next;
      left = next;
    }
    if (this.#at + count > this.#bytes.length) this.#grow(count);
    const bytes = this.#bytes;
    let at = this.#at;
    while (count > 0) bytes[at++] = digits[--count] as number;
    this.#at = at;
  }

  /** A number of 32 bits with its sign. */
  signed(value: number): void {
    if (value < 0) this.byte(0x2d);
    this.decimal(Math.abs(value));
  }

  /** Text that is not there yet as bytes. */
  string(text: string): void {
    const start = this.#at;
    if (start + text.length > this.#bytes.length) this.#grow(text.length);
    const bytes = this.#bytes;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.text(encodeText(text));
        return;
      }
      bytes[start + i] = code;
    }
    this.#at = start + text.length;
  }

  /** Empties it; `more` bytes are allowed for what is beside the BTF. */
  restart(more = 0): void {
    this.#at = 0;
    this.#limit = this.#ownLimit + more;
  }

  /** Goes back to an earlier {@link length}. */
  cut(length: number): void {
    this.#at = length;
  }

  /** The bytes since an earlier {@link length}. They change with the next text. */
  since(start: number): Uint8Array {
    return this.#bytes.subarray(start, this.#at);
  }

  /** All of it as text; see `bytes/text.ts` for names that are not UTF-8. */
  toString(): string {
    return decodeText(this.since(0));
  }

  #grow(need: number): void {
    const least = this.#at + need;
    if (least > this.#limit) {
      const limit = this.#limit;
      throw new BpfError({ code: 'btf-dump-limit', btf: this.#btf, limited: 'text', limit });
    }
    const bytes = new Uint8Array(Math.max(least, Math.min(2 * this.#bytes.length, this.#limit)));
    bytes.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = bytes;
  }
}

/** Text of ours as bytes, for {@link TextSink.text}. */
export const literal = encodeText;
