import { decodeText, encodeText } from '../bytes/text.ts';
import { BpfError } from '../errors.ts';

/**
 * Names longer than this are hashed by their start alone: otherwise many types with names
 * that begin at different places of one long string would cost its length each.
 */
const hashedBytes = 128;

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
    const level = this.#levelOf(offset);
    const at = offset - level.start;
    return decodeText(level.bytes.subarray(at, level.bytes.indexOf(0, at)));
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
    const level = offset >= this.start ? this : this.#levelOf(offset);
    const at = offset - level.start;
    const end = level.#flavours?.essentialEnd(at) ?? -1;
    return hashBytes(level.#view, at, end < 0 ? at + hashedBytes : Math.min(end, at + hashedBytes));
  }

  /** Hash of the whole name at an offset inside the table. */
  hash(offset: number): number {
    const level = offset >= this.start ? this : this.#levelOf(offset);
    const at = offset - level.start;
    return hashBytes(level.#view, at, at + hashedBytes);
  }

  /** Whether the whole name at an offset inside the table is `key`. */
  equals(offset: number, key: NameKey): boolean {
    const level = offset >= this.start ? this : this.#levelOf(offset);
    const at = offset - level.start;
    return startsWith(level.bytes, at, key.bytes) && level.bytes[at + key.bytes.length] === 0;
  }

  /** Whether the essential name at an offset inside the table is `key`. */
  equalsEssential(offset: number, key: NameKey): boolean {
    const level = offset >= this.start ? this : this.#levelOf(offset);
    const at = offset - level.start;
    if (!startsWith(level.bytes, at, key.bytes)) return false;
    const end = level.#flavours?.essentialEnd(at) ?? -1;
    const keyEnd = at + key.bytes.length;
    return end < 0 ? level.bytes[keyEnd] === 0 : end === keyEnd;
  }

  /** Finds the flavoured names of every level; `hashEssential` and `equalsEssential` need it done once. */
  prepareFlavours(): void {
    this.base?.prepareFlavours();
    this.#flavours ??= new Flavours(this.bytes);
  }

  #levelOf(offset: number): StringTable {
    let level: StringTable = this;
    while (offset < level.start && level.base !== undefined) level = level.base;
    if (!Number.isInteger(offset) || offset < 0 || offset >= level.end) {
      throw new BpfError({ code: 'btf-no-string', btf: this.#name, offset, end: this.end });
    }
    return level;
  }
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

/**
 * Where in one string section the flavour of a name starts: for each zero-terminated run
 * that has a separator, its start and the place of its last separator. A name may begin
 * anywhere in a run (suffixes may be shared), and only the last separator counts, so this
 * is all there is to know. Real BTF has a handful.
 */
class Flavours {
  readonly #bytes: Uint8Array;
  readonly #runs: number[] = [];
  readonly #separators: number[] = [];
  /**
   * 1 for each block of 1 KiB in which a name with a flavour may start: almost none. Saves
   * the search for nearly all names.
   */
  readonly #blocks: Uint8Array;

  /**
   * Three underscores leave two in one aligned word, and few words have two, so most of
   * the section is passed eight bytes a step: 0.8 ms for the 2.3 MB of vmlinux, where four
   * took 1.0 ms and looking at every third byte 1.7 ms.
   */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#blocks = new Uint8Array((bytes.length >>> blockShift) + 1);
    const first = Math.min(-bytes.byteOffset & 3, bytes.length);
    const pairs = (bytes.length - first) >>> 3;
    const start = pairs === 0 ? 0 : bytes.byteOffset + first;
    const words = new Int32Array(bytes.buffer, start, 2 * pairs);
    this.#lookAt(0, first);
    for (let i = 0; i < words.length; i += 2) {
      const low = zeroBytes((words[i] as number) ^ 0x5f5f5f5f);
      const high = zeroBytes((words[i + 1] as number) ^ 0x5f5f5f5f);
      if (((low & (low >>> 8)) | (high & (high >>> 8))) === 0) continue;
      this.#lookAt(first + 4 * i, first + 4 * i + 8);
    }
    this.#lookAt(first + 8 * pairs, bytes.length);
  }

  /** Where the essential part of the name at `at` ends if the name has a flavour, else -1. */
  essentialEnd(at: number): number {
    return this.#blocks[at >>> blockShift] === 0 ? -1 : this.#search(at);
  }

  #search(at: number): number {
    const separators = this.#separators;
    let low = 0;
    let high = separators.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // The separator needs a character of the name before it, hence `>`.
      if ((separators[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    const inSameRun = low < separators.length && (this.#runs[low] as number) <= at;
    return inSameRun ? (separators[low] as number) : -1;
  }

  /** Records the separators that cover one of these bytes. */
  #lookAt(start: number, end: number): void {
    for (let at = start; at < end; at++) {
      if (this.#bytes[at] !== underscore) continue;
      const separator = separatorAround(this.#bytes, at);
      if (separator > (this.#separators.at(-1) ?? 0)) this.#record(separator);
    }
  }

  #record(separator: number): void {
    // Going back no further than to the separator before keeps this linear.
    const before = this.#separators.at(-1) ?? 0;
    let run = separator;
    while (run > before && this.#bytes[run - 1] !== 0) run--;
    this.#blocks.fill(1, run >>> blockShift, (separator >>> blockShift) + 1);
    if (run === before && before > 0) {
      this.#separators[this.#separators.length - 1] = separator;
    } else {
      this.#runs.push(run);
      this.#separators.push(separator);
    }
  }
}

const blockShift = 10;

const underscore = 0x5f;

/** The start of the separator that covers the underscore at `at`, or -1: exactly three of
 * them, between two characters that are none (libbpf's `bpf_core_is_flavor_sep`). */
function separatorAround(bytes: Uint8Array, at: number): number {
  let start = at;
  while (start > at - 3 && bytes[start - 1] === underscore) start--;
  let end = at + 1;
  while (end < at + 4 && bytes[end] === underscore) end++;
  if (end - start !== 3) return -1;
  return isNamePart(bytes[start - 1]) && isNamePart(bytes[end]) ? start : -1;
}

function isNamePart(byte: number | undefined): boolean {
  return byte !== undefined && byte !== 0;
}

/** A name to look up, as bytes and with its hashes. */
export interface NameKey {
  readonly bytes: Uint8Array;
  /** Of the whole name. */
  readonly hash: number;
  /** Of the essential name. */
  readonly essentialHash: number;
}

/** The key for a name, or undefined if no name in any string section can be equal to it. */
export function nameKey(name: string): NameKey | undefined {
  const bytes = asciiBytes(name) ?? otherBytes(name);
  if (bytes === undefined || bytes.length === 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hash = hashBytes(view, 0, Math.min(bytes.length, hashedBytes));
  const end = essentialLength(bytes);
  const essentialHash =
    end === bytes.length ? hash : hashBytes(view, 0, Math.min(end, hashedBytes));
  return { bytes, hash, essentialHash };
}

/** Half the time of `encodeText`, for the names that there are. */
function asciiBytes(name: string): Uint8Array | undefined {
  const bytes = new Uint8Array(name.length);
  for (let i = 0; i < bytes.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 0 || code >= 0x80) return undefined;
    bytes[i] = code;
  }
  return bytes;
}

/** A lone surrogate would encode to the bytes of U+FFFD, which is another name. */
function otherBytes(name: string): Uint8Array | undefined {
  const bytes = encodeText(name);
  return !bytes.includes(0) && decodeText(bytes) === name ? bytes : undefined;
}

/** Length of the essential part of a name, as libbpf's `bpf_core_essential_name_len`. */
export function essentialLength(name: Uint8Array): number {
  for (let at = name.length - 4; at > 0; at--) {
    if (
      name[at] === underscore &&
      name[at + 1] === underscore &&
      name[at + 2] === underscore &&
      name[at - 1] !== underscore &&
      name[at + 3] !== underscore
    ) {
      return at;
    }
  }
  return name.length;
}

function startsWith(bytes: Uint8Array, at: number, key: Uint8Array): boolean {
  for (let i = 0; i < key.length; i++) {
    if (bytes[at + i] !== key[i]) return false;
  }
  return true;
}

/**
 * Hash of the bytes from `at` up to a zero byte or `end`. Four bytes a step: it runs once
 * for each type of vmlinux when the index is built, where single bytes took twice as long.
 */
function hashBytes(view: DataView, at: number, end: number): number {
  const last = Math.min(end, view.byteLength) - 4;
  let hash = 0x811c9dc5;
  let i = at;
  while (i <= last) {
    const word = view.getInt32(i, true);
    const zeros = zeroBytes(word);
    if (zeros !== 0) return finishHash(hash, word & (((zeros & -zeros) >>> 7) - 1));
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
    i += 4;
  }
  return finishHash(hash, tailWord(view, i, last + 4));
}

/**
 * The high bit of each byte of the word that is zero. A byte of 1 above a zero byte may be
 * marked, too: only the lowest mark is sure.
 */
function zeroBytes(word: number): number {
  return (word - 0x01010101) & ~word & 0x80808080;
}

/** Up to three bytes from `at` to a zero byte or `end`, as the low bytes of a word. */
function tailWord(view: DataView, at: number, end: number): number {
  let word = 0;
  for (let i = at, shift = 0; i < end; i++, shift += 8) {
    const byte = view.getUint8(i);
    if (byte === 0) break;
    word |= byte << shift;
  }
  return word;
}

function finishHash(hash: number, tail: number): number {
  const out = Math.imul(hash ^ tail, 0x85ebca6b);
  return (out ^ (out >>> 15)) >>> 0;
}
