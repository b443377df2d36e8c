import { ERRNO } from '../../abi/errno.ts';
import { decodeText, encodeText } from '../../bytes/text.ts';
import type { VmMemory } from '../memory.ts';
import { copyString, tryResolve } from './probe.ts';

/** Most arguments of one format (`MAX_BPRINTF_VARARGS`). */
export const maxFormatArguments = 12;

/** A conversion of a format, such as `%-08llx` or `%pI4`. */
interface Conversion {
  /** Start of the text after it. */
  readonly end: number;
  readonly flags: string;
  readonly width: number;
  /** What to print: an integer kind with its size in bits, or what a pointer is to. */
  readonly kind: 'd' | 'u' | 'x' | 'X' | 'c' | 's' | 'p' | 'symbol' | 'address';
  readonly bits: 32 | 64;
  /** For addresses: `I4`, `i4`, `I6`, `i6`. */
  readonly style: string;
}

/** Text between conversions, or a conversion. */
type Piece = string | Conversion;

/**
 * Splits a format by the rules of the kernel's `bpf_bprintf_prepare`; undefined for one that
 * it refuses with EINVAL. `length` excludes the zero at the end.
 */
function parseFormat(text: string): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  let at = 0;
  while (at < text.length) {
    const percent = text.indexOf('%', at);
    const plain = percent < 0 ? text.slice(at) : text.slice(at, percent);
    if (!isPlain(plain)) return undefined;
    if (plain !== '') pieces.push(plain);
    if (percent < 0) break;
    if (text[percent + 1] === '%') {
      pieces.push('%');
      at = percent + 2;
      continue;
    }
    const conversion = parseConversion(text, percent + 1);
    if (conversion === undefined) return undefined;
    pieces.push(conversion);
    at = conversion.end;
  }
  return pieces;
}

/** Printable characters and white space; all beyond ASCII counts as text (UTF-8). */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && !(code >= 9 && code <= 13)) || code === 0x7f) return false;
  }
  return true;
}

function parseConversion(text: string, start: number): Conversion | undefined {
  fieldPattern.lastIndex = start;
  const [, flags = '', digits = '0'] = fieldPattern.exec(text) ?? [];
  const at = fieldPattern.lastIndex;
  const common = { flags, width: fieldWidth(digits), bits: 64, style: '' } as const;
  const rest = text.slice(at, at + 4);
  if (rest.startsWith('p')) {
    const pointer = parsePointer(rest, at, common);
    return pointer && { ...pointer, end: skipWord(text, pointer.end) };
  }
  if (rest.startsWith('s')) {
    return endsWell(rest[1]) ? { ...common, kind: 's', end: at + 1 } : undefined;
  }
  if (rest.startsWith('c')) return { ...common, kind: 'c', end: at + 1 };
  const [, long = '', kind] = /^(l{0,2})([diuxX])/.exec(rest) ?? [];
  if (kind === undefined) return undefined;
  return {
    ...common,
    kind: kind === 'i' ? 'd' : (kind as 'd' | 'u' | 'x' | 'X'),
    bits: long === '' ? 32 : 64,
    end: at + long.length + 1,
  };
}

type Common = Pick<Conversion, 'flags' | 'width' | 'bits' | 'style'>;

/** Flags and width; always matches. */
const fieldPattern = /([0+\- ]*)([1-9][0-9]*)?/y;

/** A width as Linux reads it: a 32-bit number that may overflow, cut to what it allows. */
function fieldWidth(digits: string): number {
  const width = Number(BigInt.asIntN(32, BigInt(digits)));
  return Math.min(Math.max(width, 0), widestField);
}

/** Linux cuts wider fields to this (`FIELD_WIDTH_MAX` of lib/vsprintf.c). */
const widestField = (1 << 23) - 1;

/** `%p` and what may follow it; `rest` starts with the p. */
function parsePointer(rest: string, at: number, common: Common): Conversion | undefined {
  const next = rest[1];
  if (endsWell(next)) return { ...common, kind: 'p', end: at + 1 };
  const string = /^p[ku]s/.test(rest);
  if (string) return endsWell(rest[3]) ? { ...common, kind: 's', end: at + 3 } : undefined;
  if (next === 'K' || next === 'x') return { ...common, kind: 'p', end: at + 2 };
  if (next === 's' || next === 'S' || next === 'B')
    return { ...common, kind: 'symbol', end: at + 2 };
  const style = /^p([iI][46])/.exec(rest)?.[1];
  return style === undefined ? undefined : { ...common, style, kind: 'address', end: at + 3 };
}

/** Linux swallows letters and digits after a pointer conversion, whatever they are. */
function skipWord(text: string, start: number): number {
  let at = start;
  while (/[a-z0-9]/i.test(text[at] ?? '')) at++;
  return at;
}

/** After a pointer or string only white space, punctuation or the end may follow. */
function endsWell(next: string | undefined): boolean {
  return next === undefined || /[\s!-/:-@[-`{-~]/.test(next);
}

/** Reads argument i of a format, unsigned 64 bits. */
export type FormatArguments = (index: number) => bigint;

/** What a format gives. */
export interface FormattedText {
  /** As much of it as fits in the buffer, perhaps more. */
  readonly text: string;
  /** Bytes of all of it. */
  readonly length: number;
}

/** Where a format's text goes. */
export interface FormatTarget {
  readonly memory: VmMemory;
  /** Size of the buffer in bytes: padding beyond it is counted and never made. */
  readonly room: number;
}

/**
 * Formats by the kernel's rules: the text, or a negated errno. Strings and addresses are
 * read through pointers in the arguments; what cannot be read prints as nothing.
 */
export function formatText(
  target: FormatTarget,
  format: Uint8Array,
  args: FormatArguments,
  count: number,
): FormattedText | number {
  const zero = format.indexOf(0);
  if (zero < 0) return -ERRNO.EINVAL;
  const pieces = parseFormat(decodeText(format.subarray(0, zero)));
  if (pieces === undefined) return -ERRNO.EINVAL;
  const printer = new Printer(target);
  let used = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') printer.text += piece;
    else if (used >= count) return -ERRNO.EINVAL;
    else printer.convert(piece, args(used++));
  }
  return { text: printer.text, length: encodeText(printer.text).length + printer.hidden };
}

/** Collects a formatted text. */
class Printer {
  text = '';
  /** Bytes of padding that no buffer would show. */
  hidden = 0;
  readonly #memory: VmMemory;
  readonly #room: number;

  constructor(target: FormatTarget) {
    this.#memory = target.memory;
    this.#room = target.room;
  }

  convert(piece: Conversion, value: bigint): void {
    switch (piece.kind) {
      case 's':
        this.#pad(readText(this.#memory, value), piece);
        return;
      case 'c':
        this.#pad(String.fromCharCode(Number(value & 0xffn)), piece);
        return;
      case 'p':
        // Without a width Linux prints all 16 digits.
        if (piece.width === 0) this.text += value.toString(16).padStart(16, '0');
        else this.#number(value.toString(16), piece);
        return;
      case 'symbol':
        // The simulated kernel has no symbols; then Linux prints the address.
        this.#pad(`0x${value.toString(16)}`, piece);
        return;
      case 'address':
        this.text += readAddress(this.#memory, value, piece.style);
        return;
      default:
        this.#number(integer(value, piece), piece);
        return;
    }
  }

  #pad(text: string, piece: Conversion): void {
    const padding = this.#padding(' ', piece.width - text.length);
    this.text += piece.flags.includes('-') ? text + padding : padding + text;
  }

  /** Signs and zeros as in C: `-` beats `0`, and `+` beats a space. */
  #number(text: string, piece: Conversion): void {
    const { flags, width } = piece;
    let sign = text.startsWith('-') ? '-' : '';
    const digits = text.slice(sign.length);
    if (piece.kind === 'd' && sign === '') {
      sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
    }
    if (!flags.includes('0') || flags.includes('-')) {
      this.#pad(sign + digits, piece);
      return;
    }
    this.text += sign + this.#padding('0', width - sign.length - digits.length) + digits;
  }

  #padding(fill: string, size: number): string {
    const shown = Math.max(0, Math.min(size, this.#room));
    this.hidden += Math.max(0, size) - shown;
    return fill.repeat(shown);
  }
}

function integer(value: bigint, piece: Conversion): string {
  if (piece.kind === 'd') return BigInt.asIntN(piece.bits, value).toString();
  const unsigned = BigInt.asUintN(piece.bits, value);
  if (piece.kind === 'u') return unsigned.toString();
  const hex = unsigned.toString(16);
  return piece.kind === 'X' ? hex.toUpperCase() : hex;
}

/** Longest string that one argument gives. */
const maxString = 1024;

function readText(memory: VmMemory, address: bigint): string {
  const [low, high] = halves(address);
  const scratch = memory.allocate(maxString, { label: 'format' });
  try {
    const size = copyString(memory, scratch, maxString, low, high);
    return size <= 0 ? '' : decodeText(memory.bytes.slice(scratch, scratch + size - 1));
  } finally {
    memory.free(scratch);
  }
}

function readAddress(memory: VmMemory, address: bigint, style: string): string {
  const size = style.endsWith('4') ? 4 : 16;
  const [low, high] = halves(address);
  const at = tryResolve(memory, low, high, size);
  const bytes = at < 0 ? new Uint8Array(size) : memory.bytes.slice(at, at + size);
  if (size === 4) {
    const parts = Array.from(bytes, String);
    return (style === 'i4' ? parts.map((part) => part.padStart(3, '0')) : parts).join('.');
  }
  const words = Array.from({ length: 8 }, (_, i) => {
    return (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number))
      .toString(16)
      .padStart(4, '0');
  });
  return words.join(style === 'i6' ? '' : ':');
}

function halves(address: bigint): readonly [number, number] {
  return [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
}
