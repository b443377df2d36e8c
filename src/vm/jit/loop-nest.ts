import type { FlowGraph } from './flow-graph.ts';

/** The loops of a reducible graph. A loop is named by the block that it starts at. */
export interface LoopNest {
  /** Innermost loop of each block, -1 outside of all; a loop's first block is in the loop. */
  readonly loopOf: Int32Array;
  /** Loop around each loop, -1 for none. */
  readonly around: Int32Array;
  /** Most loops that are around one another. */
  readonly depth: number;
}

/**
 * Finds the loops from the inside out: what leads to the edges back to a loop's start is in
 * the loop, with loops found before as one. Nearly linear in the size of the graph.
 */
export function loopNest(graph: FlowGraph): LoopNest {
  const { start, backward } = graph;
  const before = sources(graph);
  const loopOf = new Int32Array(start.length).fill(-1);
  const around = new Int32Array(start.length).fill(-1);
  /** What each block counts as: itself, or the start of a loop around it. */
  const merged = Int32Array.from(start, (_, block) => block);
  const top = (block: number): number => {
    let at = block;
    while (merged[at] !== at) {
      merged[at] = merged[merged[at] as number] as number;
      at = merged[at] as number;
    }
    return at;
  };
  for (let head = start.length - 1; head >= 0; head--) {
    if (backward[head] === 0) continue;
    loopOf[head] = head;
    const waiting = (before[head] as readonly number[]).filter((from) => from >= head);
    for (let from = waiting.pop(); from !== undefined; from = waiting.pop()) {
      const block = top(from);
      if (block === head) continue;
      merged[block] = head;
      if (loopOf[block] === -1) loopOf[block] = head;
      else around[block] = head;
      for (const source of before[block] as readonly number[]) waiting.push(source);
    }
  }
  return { loopOf, around, depth: nestDepth(loopOf, around) };
}

/** Loops around a loop start before it. */
function nestDepth(loopOf: Int32Array, around: Int32Array): number {
  const depths = new Int32Array(loopOf.length);
  let most = 0;
  for (let head = 0; head < loopOf.length; head++) {
    if (loopOf[head] !== head) continue;
    const outer = around[head] as number;
    const depth = outer < 0 ? 1 : (depths[outer] as number) + 1;
    depths[head] = depth;
    most = Math.max(most, depth);
  }
  return most;
}

/** Blocks that come before each block. */
export function sources({ next, jump, start }: FlowGraph): readonly (readonly number[])[] {
  const out: number[][] = Array.from(start, () => []);
  for (let block = 0; block < start.length; block++) {
    out[next[block] as number]?.push(block);
    out[jump[block] as number]?.push(block);
  }
  return out;
}

/**
 * The outermost loop that holds one block but not another one; -1 where all loops around the
 * first hold the second as well.
 */
export function loopLeft({ loopOf, around }: LoopNest, from: number, to: number): number {
  const holding = new Set<number>();
  for (let loop = loopOf[to] as number; loop >= 0; loop = around[loop] as number) holding.add(loop);
  let left = -1;
  for (let loop = loopOf[from] as number; loop >= 0; loop = around[loop] as number) {
    if (holding.has(loop)) break;
    left = loop;
  }
  return left;
}

/** Longest spine that is looked at. */
const longestSpine = 64;

/** Blocks that every turn goes through exactly once, from the last one back to the first. */
export function spineOf(graph: FlowGraph, nest: LoopNest, head: number, latch: number): number[] {
  const spine: number[] = [];
  for (let block = latch; spine.length < longestSpine; block = graph.dominator[block] as number) {
    if (nest.loopOf[block] === head) spine.push(block);
    if (block === head) break;
  }
  return spine;
}

/** Loops with more blocks are not looked into: a deep nest of them would take quadratic time. */
const largestBody = 512;

/**
 * Blocks of the loop: those from which the latch is reached without its head. Undefined for
 * a large loop.
 */
export function bodyOf(
  before: readonly (readonly number[])[],
  head: number,
  latch: number,
): ReadonlySet<number> | undefined {
  const inside = new Set([head, latch]);
  const waiting = latch === head ? [] : [latch];
  for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
    for (const from of before[block] as readonly number[]) {
      if (inside.has(from)) continue;
      inside.add(from);
      waiting.push(from);
    }
    if (inside.size > largestBody) return undefined;
  }
  return inside;
}
