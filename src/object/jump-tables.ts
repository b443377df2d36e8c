import { type InsnIndex, insnSize } from '../asm/insns.ts';
import { Cursor } from '../bytes/cursor.ts';
import { plainContents } from '../elf/elf.ts';
import type { JumpTableFault } from '../errors/object.ts';
import type { FunctionPlace } from './functions.ts';
import type { ObjectSections } from './sections.ts';

/** Bytes of an entry: an offset in the code's section. */
const entrySize = 8;

/**
 * Bound on the entries of all tables that are read, as symbols may share the bytes of the
 * section; the largest real ones have some hundreds.
 */
const entryLimit = 1 << 20;

/** What a reference to a jump table leads to, or what is wrong with it. */
export type JumpTable =
  | { readonly targets: readonly InsnIndex[] }
  | { readonly fault: JumpTableFault };

/**
 * Reads the tables of `.jumptables`, which clang 22 and newer emit for `switch` (indirect
 * jumps, cpu v4). Each table is a symbol; its entries are 64-bit offsets in bytes from the
 * start of the section that the code is in (libbpf's `create_jt_map`).
 */
export class JumpTableReader {
  readonly #sections: ObjectSections;
  /** By symbol, then by function. */
  readonly #known = new Map<number, Map<FunctionPlace, JumpTable>>();
  #entries = 0;

  constructor(sections: ObjectSections) {
    this.#sections = sections;
  }

  /** The table at `symbol`, with its entries counted from the start of the function. */
  read(symbol: number, place: FunctionPlace): JumpTable {
    let tables = this.#known.get(symbol);
    if (tables === undefined) {
      tables = new Map();
      this.#known.set(symbol, tables);
    }
    const known = tables.get(place);
    if (known !== undefined) return known;
    const table = this.#decode(symbol, place);
    tables.set(place, table);
    return table;
  }

  #decode(symbol: number, place: FunctionPlace): JumpTable {
    const { symbols, sections, littleEndian } = this.#sections.elf;
    const offset = symbols.value(symbol);
    const size = symbols.size(symbol);
    if (size === 0 || size % entrySize !== 0) return { fault: { kind: 'jump-table-size', size } };
    if (offset % entrySize !== 0) return { fault: { kind: 'jump-table-alignment', offset } };
    this.#entries += size / entrySize;
    if (this.#entries > entryLimit) {
      return { fault: { kind: 'jump-table-total', limit: entryLimit } };
    }
    const section = sections[symbols.section(symbol)];
    if (section === undefined) throw new Error(`symbol ${symbol} has no section`);
    const bytes = plainContents(section).subarray(offset, offset + size);
    return decodeEntries(new Cursor(bytes, { littleEndian, section: section.name }), place);
  }
}

function decodeEntries(cursor: Cursor, place: FunctionPlace): JumpTable {
  const start = place.start * insnSize;
  const end = place.end * insnSize;
  const targets: InsnIndex[] = [];
  while (cursor.remaining > 0) {
    const target = cursor.u64();
    const isInside = target >= BigInt(start) && target < BigInt(end);
    if (!isInside || Number(target) % insnSize !== 0) {
      const index = targets.length;
      return { fault: { kind: 'jump-table-target', index, target, start, end } };
    }
    targets.push(((Number(target) - start) / insnSize) as InsnIndex);
  }
  return { targets };
}
