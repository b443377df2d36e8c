import { OP, wordOp } from '../engine/operations.ts';
import type { LoweredProgram } from '../engine/program.ts';
import type { Area } from './values.ts';

/**
 * Rows that load the address of a map's value, with the memory of all its values: it stays
 * where it is for as long as the program is loaded, so accesses inside need no check.
 */
export function findAreas({ code, image, memory }: LoweredProgram): ReadonlyMap<number, Area> {
  const offsets = new Map<number, number>();
  for (const slot of image.slots) {
    if (slot.kind === 'map-value') offsets.set(slot.insn, slot.offset);
  }
  const areas = new Map<number, Area>();
  if (offsets.size === 0) return areas;
  const known = new Map<number, Area>();
  for (let row = 0; row < code.length; row++) {
    const offset = offsets.get(code.source[row] as number);
    if (offset === undefined || wordOp(code.words[row] as number) !== OP.mov64Imm) continue;
    const start = ((code.imm[row] as number) >>> 0) - offset;
    const block = memory.blockAt(start);
    if (block === undefined) continue;
    const area = known.get(start) ?? { start, size: block.size, readOnly: block.readOnly };
    known.set(start, area);
    areas.set(row, area);
  }
  return areas;
}
