import type { LoadedProgram } from '../machine.ts';

/** A program in a {@link CodeSpace}. */
export interface CodeRange {
  /** Lower half of the first instruction's address. */
  readonly base: number;
  /** In instruction slots. */
  readonly length: number;
  readonly program: LoadedProgram;
}

/** Bytes of address for one instruction slot, as in memory. */
const slotSize = 8;

/** Addresses below are never valid, so that a small number is not taken for a function. */
const firstAddress = 0x1_0000;

/**
 * Addresses of the functions of all programs of a VM: the lower halves in the window
 * `windows.code`. An instruction's address is its program's base plus 8 times its index in
 * the image. Addresses are not given out again, so a function of a closed program never
 * turns into another one: 2^29 instruction slots can be loaded over the life of a VM.
 */
export class CodeSpace {
  /** In the order of their bases. */
  readonly #ranges: CodeRange[] = [];
  #next = firstAddress;

  /** Reserves addresses for `length` instruction slots; undefined once none are left. */
  reserve(length: number): number | undefined {
    const base = this.#next;
    if (base + length * slotSize > 0x1_0000_0000) return undefined;
    this.#next += length * slotSize;
    return base;
  }

  /** Makes the functions of a program findable at what `reserve` gave for it. */
  add(range: CodeRange): void {
    this.#ranges.splice(this.#search(range.base), 0, range);
  }

  /** Forgets a program; its addresses stay unused. */
  remove(program: LoadedProgram): void {
    const at = this.#ranges.findIndex((range) => range.program === program);
    if (at >= 0) this.#ranges.splice(at, 1);
  }

  /** The program and the index in its image at an address, undefined where there is none. */
  find(low: number): { readonly program: LoadedProgram; readonly insn: number } | undefined {
    const address = low >>> 0;
    const range = this.#ranges[this.#search(address + 1) - 1];
    if (range === undefined) return undefined;
    const insn = (address - range.base) / slotSize;
    return Number.isInteger(insn) && insn < range.length
      ? { program: range.program, insn }
      : undefined;
  }

  /** Number of ranges with a base below `address`. */
  #search(address: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as CodeRange).base < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Lower half of the address of instruction `insn` in a program that starts at `base`. */
export function codeAddress(base: number, insn: number): number {
  return (base + insn * slotSize) | 0;
}
