import { literal, type TextSink } from './sink.ts';

/** A type to fill gaps with, and its bits. */
interface Filler {
  readonly name: Uint8Array;
  readonly bits: number;
}

const smallFillers: readonly Filler[] = [
  { name: literal('int: '), bits: 32 },
  { name: literal('short: '), bits: 16 },
  { name: literal('char: '), bits: 8 },
];

const long = literal('long: ');

const semicolon = 0x3b;

/**
 * Fills gaps between members, and at the ends of structs, with bit fields without names
 * (`long: 64;`), as libbpf's `btf_dump_emit_bit_padding`. Offsets are in bits.
 *
 * The compiler leaves gaps by itself where a member is aligned to more than where the one
 * before ends, so most gaps need nothing. For the rest the widest type is taken whose next
 * boundary is still in the gap: `type: 0` goes up to that boundary (in between bit fields:
 * the number of bits instead, as zero would end the run), and then full units of the type
 * follow, with the narrowest type that will do for what is left.
 */
export class Padding {
  readonly #sink: TextSink;
  /** The widest first. */
  readonly #fillers: readonly Filler[];

  constructor(sink: TextSink, pointerSize: number) {
    this.#sink = sink;
    this.#fillers = [{ name: long, bits: 8 * pointerSize }, ...smallFillers];
  }

  /**
   * Fills from `start` to `end`, if that is a gap. `alignment`, in bytes, is that of what
   * comes behind it, 0 if it has none; `inBitField`: there are bit fields on both sides.
   */
  fill(start: number, end: number, alignment: number, inBitField: boolean, level: number): void {
    if (start >= end) return;
    const filler = this.#widest(start, end);
    const boundary = roundUp(start, filler.bits);
    let at = start;
    if (boundary > at && boundary <= end) {
      if (inBitField) this.#field(filler, boundary - at, level);
      else if (needsMark(start, end, alignment, boundary)) this.#field(filler, 0, level);
      at = boundary;
    }
    for (; end - at >= filler.bits; at += filler.bits) this.#field(filler, filler.bits, level);
    if (at !== end) this.#field(this.#narrowest(end - at), end - at, level);
  }

  #widest(start: number, end: number): Filler {
    const fillers = this.#fillers;
    let i = 0;
    while (i < fillers.length - 1 && roundUp(start, (fillers[i] as Filler).bits) > end) i++;
    return fillers[i] as Filler;
  }

  #narrowest(bits: number): Filler {
    const fillers = this.#fillers;
    let i = fillers.length - 1;
    while ((fillers[i] as Filler).bits < bits) i--;
    return fillers[i] as Filler;
  }

  #field(filler: Filler, bits: number, level: number): void {
    this.#sink.line(level);
    this.#sink.text(filler.name);
    this.#sink.decimal(bits);
    this.#sink.byte(semicolon);
  }
}

/** Whether the compiler would not go to the boundary by itself. */
function needsMark(start: number, end: number, alignment: number, boundary: number): boolean {
  if (boundary === end) return roundUp(start, 8 * Math.max(1, alignment)) !== boundary;
  // What follows would fit into the gap before the boundary, too.
  return end - boundary <= boundary - start;
}

function roundUp(value: number, unit: number): number {
  return Math.trunc((value + unit - 1) / unit) * unit;
}
