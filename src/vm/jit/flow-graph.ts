import { isConditionalJump, OP, wordOp } from '../engine/operations.ts';
import type { LoweredCode, LoweredFunction } from '../engine/program.ts';

/**
 * Control flow of one function. Blocks that can be reached are numbered in reverse postorder,
 * so an edge to a number that is not greater goes back. Block 0 is the entry.
 */
export interface FlowGraph {
  /** First row of each block. */
  readonly start: Int32Array;
  /** One past the last row of each block. */
  readonly end: Int32Array;
  /** Block that runs next where the last row does not jump; -1 where there is none. */
  readonly next: Int32Array;
  /** Block that the last row jumps to; -1 where it does not. */
  readonly jump: Int32Array;
  /** Immediate dominators; the entry has itself. */
  readonly dominator: Int32Array;
  /** Edges that come from a block before. */
  readonly forward: Int32Array;
  /** Edges that come from the block itself or one behind. */
  readonly backward: Int32Array;
  /** Whether every loop is entered at one block only: the target of each edge back dominates its source. */
  readonly reducible: boolean;
}

/** The rows at which a function's blocks start, and the two ways out of each. */
interface RawBlocks {
  readonly start: Int32Array;
  readonly end: Int32Array;
  readonly next: Int32Array;
  readonly jump: Int32Array;
}

/** The control flow of a function of a lowered program, in time that is nearly linear in its size. */
export function flowGraph(code: LoweredCode, fn: LoweredFunction): FlowGraph {
  const raw = rawBlocks(code, fn);
  const order = reversePostorder(raw);
  const number = new Int32Array(raw.start.length).fill(-1);
  order.forEach((block, i) => {
    number[block] = i;
  });
  const follow = (edges: Int32Array) =>
    order.map((block) => {
      const to = edges[block] as number;
      return to < 0 ? -1 : (number[to] as number);
    });
  const next = follow(raw.next);
  const jump = follow(raw.jump);
  const dominator = dominators(next, jump);
  const forward = new Int32Array(order.length);
  const backward = new Int32Array(order.length);
  let reducible = true;
  for (let from = 0; from < order.length; from++) {
    for (const to of [next[from] as number, jump[from] as number]) {
      if (to > from) forward[to] = (forward[to] as number) + 1;
      else if (to >= 0) {
        backward[to] = (backward[to] as number) + 1;
        reducible &&= dominates(dominator, to, from);
      }
    }
  }
  return {
    start: order.map((block) => raw.start[block] as number),
    end: order.map((block) => raw.end[block] as number),
    next,
    jump,
    dominator,
    forward,
    backward,
    reducible,
  };
}

/** How control leaves a row that ends a block: on to the next row, to its target, or not at all. */
function waysOut(op: number): { readonly next: boolean; readonly jump: boolean } {
  if (op === OP.goto) return { next: false, jump: true };
  if (isConditionalJump(op) || op === OP.mayGoto || op === OP.loadPacket) {
    return { next: true, jump: true };
  }
  return { next: op !== OP.exit && op !== OP.trap, jump: false };
}

function rawBlocks(code: LoweredCode, fn: LoweredFunction): RawBlocks {
  const first = lowerBound(code.blocks, fn.start);
  const start = code.blocks.subarray(first, lowerBound(code.blocks, fn.end));
  const end = start.map((_, i) => start[i + 1] ?? fn.end);
  const blockAt = (row: number): number => lowerBound(start, row);
  const next = new Int32Array(start.length).fill(-1);
  const jump = new Int32Array(start.length).fill(-1);
  for (let block = 0; block < start.length; block++) {
    const last = (end[block] as number) - 1;
    const out = waysOut(wordOp(code.words[last] as number));
    if (out.next && block + 1 < start.length) next[block] = block + 1;
    if (out.jump) jump[block] = blockAt(code.target[last] as number);
  }
  return { start, end, next, jump };
}

function lowerBound(values: Int32Array, wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Blocks that can be reached, in reverse postorder. The jump is followed first, so that what
 * falls through comes right behind its block.
 */
function reversePostorder({ next, jump }: RawBlocks): Int32Array {
  const seen = new Uint8Array(next.length);
  const step = new Uint8Array(next.length);
  const postorder: number[] = [];
  const path = [0];
  seen[0] = 1;
  for (let block = path.at(-1); block !== undefined; block = path.at(-1)) {
    const edge = step[block] as number;
    if (edge === 2) {
      postorder.push(block);
      path.pop();
      continue;
    }
    step[block] = edge + 1;
    const to = (edge === 0 ? jump : next)[block] as number;
    if (to < 0 || seen[to] === 1) continue;
    seen[to] = 1;
    path.push(to);
  }
  return Int32Array.from(postorder.reverse());
}

/**
 * Immediate dominators by the algorithm of Lengauer and Tarjan in its simple form (semi-
 * dominators over a forest with path compression), O(m log n) for any graph. The usual
 * iteration over reverse postorder takes quadratic time where thousands of jumps share one
 * way out, and BPF programs do that.
 */
function dominators(next: Int32Array, jump: Int32Array): Int32Array {
  const count = next.length;
  const { order, place, parent } = depthFirst(next, jump);
  const { from, firstIn } = incoming(next, jump);
  const semi = place.slice();
  const ancestor = new Int32Array(count).fill(-1);
  const label = Int32Array.from({ length: count }, (_, i) => i);
  const out = new Int32Array(count);
  const bucketHead = new Int32Array(count).fill(-1);
  const bucketNext = new Int32Array(count).fill(-1);
  const path: number[] = [];

  const evaluate = (block: number): number => {
    if ((ancestor[block] as number) < 0) return block;
    let at = block;
    while ((ancestor[ancestor[at] as number] as number) >= 0) {
      path.push(at);
      at = ancestor[at] as number;
    }
    for (let low = path.pop(); low !== undefined; low = path.pop()) {
      const above = ancestor[low] as number;
      const best = label[above] as number;
      if ((semi[best] as number) < (semi[label[low] as number] as number)) label[low] = best;
      ancestor[low] = ancestor[above] as number;
    }
    return label[block] as number;
  };

  for (let i = count - 1; i > 0; i--) {
    const block = order[i] as number;
    for (let edge = firstIn[block] as number; edge < (firstIn[block + 1] as number); edge++) {
      const best = evaluate(from[edge] as number);
      if ((semi[best] as number) < (semi[block] as number)) semi[block] = semi[best] as number;
    }
    const head = order[semi[block] as number] as number;
    bucketNext[block] = bucketHead[head] as number;
    bucketHead[head] = block;
    const above = parent[block] as number;
    ancestor[block] = above;
    for (let at = bucketHead[above] as number; at >= 0; at = bucketNext[at] as number) {
      const best = evaluate(at);
      out[at] = (semi[best] as number) < (semi[at] as number) ? best : above;
    }
    bucketHead[above] = -1;
  }
  for (let i = 1; i < count; i++) {
    const block = order[i] as number;
    const head = order[semi[block] as number] as number;
    if (out[block] !== head) out[block] = out[out[block] as number] as number;
  }
  return out;
}

/** A depth-first walk: blocks in its order, the place of each in it, and where each was found from. */
function depthFirst(next: Int32Array, jump: Int32Array) {
  const count = next.length;
  const place = new Int32Array(count).fill(-1);
  const parent = new Int32Array(count).fill(-1);
  const order = new Int32Array(count);
  const waiting: (readonly [block: number, from: number])[] = [[0, -1]];
  let length = 0;
  for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) {
    const [block, from] = item;
    if ((place[block] as number) >= 0) continue;
    place[block] = length;
    parent[block] = from;
    order[length++] = block;
    for (const to of [next[block] as number, jump[block] as number]) {
      if (to >= 0 && (place[to] as number) < 0) waiting.push([to, block]);
    }
  }
  return { order, place, parent };
}

/** Sources of the edges into each block: those of block b are `from[firstIn[b]…firstIn[b + 1]]`. */
function incoming(next: Int32Array, jump: Int32Array) {
  const count = next.length;
  const firstIn = new Int32Array(count + 1);
  const each = (visit: (from: number, to: number) => void): void => {
    for (let block = 0; block < count; block++) {
      const [a, b] = [next[block] as number, jump[block] as number];
      if (a >= 0) visit(block, a);
      if (b >= 0) visit(block, b);
    }
  };
  each((_, to) => {
    firstIn[to + 1] = (firstIn[to + 1] as number) + 1;
  });
  for (let i = 0; i < count; i++)
    firstIn[i + 1] = (firstIn[i + 1] as number) + (firstIn[i] as number);
  const from = new Int32Array(firstIn[count] as number);
  const fill = firstIn.slice();
  each((source, to) => {
    const at = fill[to] as number;
    fill[to] = at + 1;
    from[at] = source;
  });
  return { from, firstIn };
}

/** Whether `above` dominates `block`: dominators have lower numbers, so the walk up ends. */
function dominates(dominator: Int32Array, above: number, block: number): boolean {
  let at = block;
  while (at > above) at = dominator[at] as number;
  return at === above;
}
