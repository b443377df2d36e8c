import { insnSize } from '../asm/insns.ts';
import { STT } from '../elf/constants.ts';
import type { ElfSection } from '../elf/elfy.ts';
import type { SymbolTable } from '../elf/symbols.ts';
import type { FunctionFault } from '../errors/object.ts';
import { BpfError } from '../errors.ts';
import type { ObjectSections } from './sections.ts';
import type { FunctionIndex, FunctionSpec } from './spec.ts';

/** Name of the section whose functions are subprograms. */
export const textSection = '.text';

/** A function as its symbol says; places in instructions from the start of its section. */
export interface FunctionPlace extends Pick<FunctionSpec, 'name' | 'binding' | 'hidden'> {
  readonly section: ElfSection;
  readonly start: number;
  /** One past the last instruction. */
  readonly end: number;
}

/** The functions of an object in section and offset order, none overlapping another. */
export class FunctionTable {
  readonly functions: readonly FunctionPlace[];
  /** First index and one past the last, by section index. */
  readonly #ranges = new Map<number, { readonly first: number; readonly end: number }>();

  /** `functions` must be sorted by section, then by start. */
  constructor(functions: readonly FunctionPlace[]) {
    this.functions = functions;
    let first = 0;
    for (let i = 1; i <= functions.length; i++) {
      const section = functions[first]?.section.index;
      if (section === undefined || functions[i]?.section.index === section) continue;
      this.#ranges.set(section, { first, end: i });
      first = i;
    }
  }

  /** Indices of the functions of a section. */
  rangeOf(section: number): { readonly first: number; readonly end: number } {
    return this.#ranges.get(section) ?? { first: 0, end: 0 };
  }

  /** The function that starts at instruction `start` of a section. */
  startingAt(section: number, start: number): FunctionIndex | undefined {
    let { first: low, end: high } = this.rangeOf(section);
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = (this.functions[middle] as FunctionPlace).start;
      if (at === start) return middle as FunctionIndex;
      if (at < start) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }
}

/**
 * Finds the functions of all executable sections by their symbols (libbpf's
 * `bpf_object__add_programs`). A function that is not made of whole instructions, that
 * overlaps another, or that is static outside `.text`, is an error that names it.
 */
export function findFunctions(sections: ObjectSections): FunctionTable {
  const { symbols } = sections.elf;
  const functions: FunctionPlace[] = [];
  for (let i = 0; i < symbols.length; i++) {
    if (symbols.type(i) !== STT.FUNC || !symbols.isDefined(i)) continue;
    const index = symbols.section(i);
    const section = sections.elf.sections[index];
    if (section === undefined || sections.roles[index] !== 'code') continue;
    functions.push(placeFunction(symbols, i, section));
  }
  functions.sort((a, b) => a.section.index - b.section.index || a.start - b.start);
  checkOverlaps(functions);
  return new FunctionTable(functions);
}

function placeFunction(symbols: SymbolTable, symbol: number, section: ElfSection): FunctionPlace {
  const name = symbols.name(symbol);
  const offset = symbols.value(symbol);
  const size = symbols.size(symbol);
  if (name === '') throw badFunction(section, name, { kind: 'no-name', offset });
  if (size === 0 || size % insnSize !== 0 || offset % insnSize !== 0) {
    throw badFunction(section, name, { kind: 'alignment', offset, size });
  }
  const binding = symbols.binding(symbol);
  if (binding === 'local' && section.name !== textSection) {
    throw badFunction(section, name, { kind: 'static' });
  }
  const start = offset / insnSize;
  const hidden = symbols.hidden(symbol);
  return { name, section, start, end: start + size / insnSize, binding, hidden };
}

function checkOverlaps(functions: readonly FunctionPlace[]): void {
  for (let i = 1; i < functions.length; i++) {
    const before = functions[i - 1] as FunctionPlace;
    const here = functions[i] as FunctionPlace;
    if (before.section !== here.section || before.end <= here.start) continue;
    throw badFunction(here.section, here.name, { kind: 'overlap', other: before.name });
  }
}

function badFunction(section: ElfSection, symbol: string, fault: FunctionFault): BpfError {
  const context = [{ section: section.name }];
  return new BpfError({ code: 'function-symbol', symbol, fault }, { context });
}
