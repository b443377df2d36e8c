import type { FlowGraph } from './flow-graph.ts';
import { type CountedLoop, type Counter, turnsOf } from './induction.ts';
import { bodyOf, loopNest, sources, spineOf } from './loop-nest.ts';
import type { Value } from './values.ts';

/**
 * How the blocks that every turn of a loop goes through are charged to the budget. Either each
 * turn at its start, as a whole, with what was not run given back on the ways out; or nothing
 * inside and everything on the ways out, worked out from the loop's counter. The latter goes
 * past the end of a budget by at most `mostUncharged` instructions.
 */
export interface LoopCharge {
  readonly head: number;
  readonly latch: number;
  /** Rows of one turn, without those of blocks that it may leave out. */
  readonly weight: number;
  /** All blocks of the loop. */
  readonly body: ReadonlySet<number>;
  /** Rows from the start of a turn to the end of each of the blocks that it goes through. */
  readonly upTo: ReadonlyMap<number, number>;
  /** Where turns are counted by a register. */
  readonly counter: LoopCounter | undefined;
}

/** A counter whose value before the first turn is known. */
export interface LoopCounter extends Counter {
  readonly first: number;
  /** How often it steps before the loop is left, where it decides that alone. */
  readonly exactTurns: number | undefined;
  /** See {@link CountedLoop}. */
  readonly steps: readonly number[];
}

const mostUncharged = 65_536;

/** Values of registers before the first turn of each counted loop, by the block at its start. */
export type LoopEntries = ReadonlyMap<number, readonly Value[]>;

/**
 * Charges by block, for the blocks that every turn of such a loop goes through. All others are
 * charged one by one.
 */
export function loopCharges(
  graph: FlowGraph,
  counted: ReadonlyMap<number, CountedLoop>,
  entries: LoopEntries,
): ReadonlyMap<number, LoopCharge> {
  const charges = new Map<number, LoopCharge>();
  if (!graph.reducible) return charges;
  const nest = loopNest(graph);
  const before = sources(graph);
  for (let latch = 0; latch < graph.start.length; latch++) {
    for (const head of [graph.next[latch] as number, graph.jump[latch] as number]) {
      if (head < 0 || head > latch || graph.backward[head] !== 1) continue;
      if (graph.next[latch] === graph.jump[latch]) continue;
      const spine = spineOf(graph, nest, head, latch).reverse();
      const body = bodyOf(before, head, latch);
      if (body === undefined || spine[0] !== head || !leavesFrom(graph, spine, body)) continue;
      const innermost = [...body].every((block) => nest.loopOf[block] === head);
      const loop = innermost ? counted.get(head) : undefined;
      const charge = chargeOf(graph, { spine, body, loop, entry: entries.get(head) });
      for (const block of spine) charges.set(block, charge);
    }
  }
  return charges;
}

/** Whether all ways out of a loop start at blocks of its spine. */
function leavesFrom(
  { next, jump }: FlowGraph,
  spine: readonly number[],
  body: ReadonlySet<number>,
): boolean {
  const onSpine = new Set(spine);
  for (const block of body) {
    if (onSpine.has(block)) continue;
    for (const to of [next[block] as number, jump[block] as number]) {
      if (to >= 0 && !body.has(to)) return false;
    }
  }
  return true;
}

interface Shape {
  readonly spine: readonly number[];
  readonly body: ReadonlySet<number>;
  readonly loop: CountedLoop | undefined;
  readonly entry: readonly Value[] | undefined;
}

function chargeOf(graph: FlowGraph, { spine, body, loop, entry }: Shape): LoopCharge {
  const rows = (block: number): number =>
    (graph.end[block] as number) - (graph.start[block] as number);
  const upTo = new Map<number, number>();
  let weight = 0;
  for (const block of spine) {
    weight += rows(block);
    upTo.set(block, weight);
  }
  const latch = spine.at(-1) as number;
  const shape = { head: spine[0] as number, latch, weight, upTo, body, counter: undefined };
  const first = loop && entry?.[loop.counter.register];
  const turns = loop && entry && turnsOf(loop, entry);
  if (loop === undefined || turns === undefined || first?.kind !== 'constant') return shape;
  const all = [...body].reduce((sum, block) => sum + rows(block), 0);
  if ((turns + 1) * all > mostUncharged || !upTo.has(loop.counter.block)) return shape;
  const exactTurns = loop.end.kind === 'equal' ? turns : undefined;
  const { steps } = loop;
  return { ...shape, counter: { ...loop.counter, first: Number(first.value), exactTurns, steps } };
}
