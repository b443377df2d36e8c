import { decodeText, encodeText } from '../bytes/text.ts';
import { lastSeparator } from './flavours.ts';

/**
 * Names longer than this are hashed by their start alone: otherwise many types with names
 * that begin at different places of one long string would cost its length each.
 */
const hashedBytes = 128;

/** A name to look up: its bytes as characters, and its hashes. */
export interface NameKey {
  /** One character for each byte, U+0001 to U+00FF. */
  readonly text: string;
  /** Of the whole name. */
  readonly hash: number;
  /** Of the essential name. */
  readonly essentialHash: number;
  /** Whether the two differ. */
  readonly flavoured: boolean;
}

/** The key for a name, or undefined if no name in any string section can be equal to it. */
export function nameKey(name: string): NameKey | undefined {
  const text = isAscii(name) ? name : byteCharacters(name);
  if (text === undefined || text === '') return undefined;
  const hash = hashText(text, text.length);
  const bytes = text.includes('___') ? encodeText(name) : noBytes;
  const separator = lastSeparator(bytes, 0, bytes.length);
  if (separator === undefined) return { text, hash, essentialHash: hash, flavoured: false };
  return { text, hash, essentialHash: hashText(text, separator), flavoured: true };
}

const noBytes = new Uint8Array();

function isAscii(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 0 || code >= 0x80) return false;
  }
  return true;
}

/** A lone surrogate would encode to the bytes of U+FFFD, which is another name. */
function byteCharacters(name: string): string | undefined {
  const bytes = encodeText(name);
  if (bytes.includes(0) || decodeText(bytes) !== name) return undefined;
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

/**
 * Hash of the zero-terminated name at `at`, or -1 where it may have a flavour or is too long
 * to tell, for {@link hashRange} to do with care.
 *
 * Four bytes a step, and looks for three underscores on the way: it runs once for each type
 * of vmlinux when the index is built, where single bytes took twice as long and another pass
 * for the flavours 0.9 ms.
 */
export function hashName(view: DataView, at: number): number {
  const last = Math.min(at + hashedBytes, view.byteLength) - 4;
  let hash = seed;
  let before = 0;
  let triples = 0;
  for (let i = at; i <= last; i += 4) {
    const word = view.getInt32(i, true);
    const zeros = zeroBytes(word);
    // The underscores of this word; three in a row may begin in the word before.
    const marks = zeroBytes(word ^ 0x5f5f5f5f);
    triples |= marks & (marks >>> 8) & (marks >>> 16);
    triples |= (before >>> 24) & marks & ((before >>> 16) | (marks >>> 8));
    if (zeros !== 0) {
      return triples === 0 ? finish(hash, word & (((zeros & -zeros) >>> 7) - 1)) : -1;
    }
    hash = mix(hash, word);
    before = marks;
  }
  return -1;
}

/** The same hash for the name at `start` as far as `end`, where that is given. */
export function hashRange(view: DataView, start: number, end: number | undefined): number {
  const limit = Math.min(end ?? view.byteLength, start + hashedBytes);
  let stop = start;
  while (stop < limit && view.getUint8(stop) !== 0) stop++;
  let hash = seed;
  let at = start;
  for (; at + 4 <= stop; at += 4) hash = mix(hash, view.getInt32(at, true));
  let tail = 0;
  for (let shift = 0; at < stop; at++, shift += 8) tail |= view.getUint8(at) << shift;
  return finish(hash, tail);
}

/** The same hash for the first `end` characters of a text that has one for each byte. */
function hashText(text: string, end: number): number {
  const stop = Math.min(end, hashedBytes);
  let hash = seed;
  let at = 0;
  for (; at + 4 <= stop; at += 4) {
    const low = text.charCodeAt(at) | (text.charCodeAt(at + 1) << 8);
    const high = text.charCodeAt(at + 2) | (text.charCodeAt(at + 3) << 8);
    hash = mix(hash, low | (high << 16));
  }
  let tail = 0;
  for (let shift = 0; at < stop; at++, shift += 8) tail |= text.charCodeAt(at) << shift;
  return finish(hash, tail);
}

/** Any number with many bits set; an int32, so that the hash is one all along. */
const seed = 0x811c9dc5 | 0;

function mix(hash: number, word: number): number {
  const out = Math.imul(hash ^ word, 0x9e3779b1);
  return out ^ (out >>> 15);
}

/** Takes in the last zero to three bytes; 31 bits, which leaves -1 free. */
function finish(hash: number, tail: number): number {
  const out = Math.imul(hash ^ tail, 0x85ebca6b);
  return (out ^ (out >>> 15)) & 0x7fffffff;
}

/**
 * The high bit of each byte of the word that is zero. A byte of 1 above a zero byte may be
 * marked, too: only the lowest mark is sure.
 */
function zeroBytes(word: number): number {
  return (word - 0x01010101) & ~word & 0x80808080;
}
