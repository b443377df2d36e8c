import type { ProgramImage, Slot } from '../../object/image.ts';

/** A slot of an image that a jump table goes to. */
export type JumpTableSlot = Extract<Slot, { readonly kind: 'jump-table' }>;

export function isJumpTable(slot: Slot): slot is JumpTableSlot {
  return slot.kind === 'jump-table';
}

/** Size of an entry of a table: a 64-bit address. */
export const entrySize = 8;

/**
 * What a jump table's entry holds for an instruction: not an address in memory, but one more
 * than its index, so that 0 leads nowhere.
 */
export function entryOf(insn: number): number {
  return insn + 1;
}

/** A function of an image, by its instructions. */
export interface FunctionRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Where indirect jumps may go to, by the start of their function: the entries of all tables
 * that the function uses, each once and ascending. As in the kernel, a table is for one
 * function. `functions` are ascending.
 */
export function jumpTargets(
  image: ProgramImage,
  functions: readonly FunctionRange[],
): ReadonlyMap<number, readonly number[]> {
  const found = new Map<number, Set<number>>();
  for (const slot of image.slots) {
    if (slot.kind !== 'jump-table') continue;
    const own = functionAt(functions, slot.insn);
    if (own === undefined) continue;
    const targets = found.get(own.start) ?? new Set<number>();
    found.set(own.start, targets);
    for (const target of slot.targets) {
      if (target >= own.start && target < own.end) targets.add(target);
    }
  }
  return new Map([...found].map(([start, set]) => [start, [...set].sort((a, b) => a - b)]));
}

/** The function that an instruction is in. */
export function functionAt(
  functions: readonly FunctionRange[],
  insn: number,
): FunctionRange | undefined {
  let [low, high] = [0, functions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((functions[middle] as FunctionRange).start <= insn) low = middle + 1;
    else high = middle;
  }
  const found = functions[low - 1];
  return found !== undefined && insn < found.end ? found : undefined;
}

/**
 * Most rows of all searches of a program: each indirect jump has one through all targets of
 * its function, and programs that no compiler made have many of both.
 */
export const mostSearchRows = 1 << 20;

/** Rows of an indirect jump between so many targets: a search through them, and a trap. */
export function searchRows(targets: number): number {
  return targets === 0 ? 1 : 3 * targets;
}

/** A row of the search, with rows counted from its first one. */
export type SearchRow =
  /** Goes to a row where the register is at least this. */
  | { readonly kind: 'at-least'; readonly value: number; readonly row: number }
  /** Goes to a row where the register is another number. */
  | { readonly kind: 'other'; readonly value: number; readonly row: number }
  /** Goes to the instruction. */
  | { readonly kind: 'goto'; readonly target: number }
  | { readonly kind: 'trap' };

/**
 * A binary search for where to go, of jumps that both engines have: an indirect jump costs
 * the logarithm of its targets, and is no way to anywhere else.
 */
export function searchFor(targets: readonly number[]): readonly SearchRow[] {
  const rows: SearchRow[] = [];
  const trap = searchRows(targets.length) - 1;
  const visit = (low: number, high: number): void => {
    if (high - low === 1) {
      const target = targets[low] as number;
      rows.push({ kind: 'other', value: entryOf(target), row: trap }, { kind: 'goto', target });
      return;
    }
    const middle = (low + high) >> 1;
    const value = entryOf(targets[middle] as number);
    // Behind this row and the left half, which has 3 rows a target less one.
    rows.push({ kind: 'at-least', value, row: rows.length + 3 * (middle - low) });
    visit(low, middle);
    visit(middle, high);
  };
  if (targets.length > 0) visit(0, targets.length);
  rows.push({ kind: 'trap' });
  return rows;
}
