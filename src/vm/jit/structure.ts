import { clearTurns, pushClearTurns, setStop } from './clear-turns.ts';
import { copyFacts } from './facts.ts';
import type { FlowGraph } from './flow-graph.ts';
import type { FunctionWriter } from './function-writer.ts';
import { LOCAL, registerLocal } from './locals.ts';
import { loopLeft, loopNest } from './loop-nest.ts';
import { emitBlock, emitEdgeCharge, hasEdgeCharge, pushTaken } from './rows.ts';
import { W } from './wasm-codes.ts';

/**
 * Writes a function's blocks as structured control flow, after Norman Ramsey, "Beyond
 * Relooper" (ICFP 2022): what a block dominates is written behind it, each dominated block
 * that is reached by a jump behind the end of a WebAssembly block that the jump leaves, each
 * loop header in a WebAssembly loop. Where both ways out of a block go to blocks of their
 * own, the smaller subtree is nested, so that chains of conditions do not nest deeply. Keeps
 * its own stack, since programs have tens of thousands of blocks.
 */
export function emitStructured(writer: FunctionWriter): void {
  new Structure(writer).run();
}

/** Nests of loops beyond are written as they come: finding what is behind them takes too long. */
const deepestNest = 64;

type Task =
  | { readonly kind: 'tree'; readonly block: number }
  /** What a way out of a loop costs, behind the loop. */
  | { readonly kind: 'way-out'; readonly from: number; readonly to: number }
  | { readonly kind: 'close' };

const closeTask: Task = { kind: 'close' };

class Structure {
  readonly #writer: FunctionWriter;
  readonly #graph: FlowGraph;
  /** Blocks that are written with each block, ascending: what it dominates at once. */
  readonly #children: readonly number[][];
  /** For each block that starts a loop, what is written behind the loop. */
  readonly #behindLoop: readonly number[][];
  /** Block that each block is written with, or behind whose loop. */
  readonly #parent: Int32Array;
  /** Blocks in each block's subtree. */
  readonly #size: Int32Array;
  /** Height at which the WebAssembly block before a block, and its loop, were opened. */
  readonly #blockHeight: Int32Array;
  readonly #loopHeight: Int32Array;
  /** The same for ways out of loops, by their two blocks. */
  readonly #wayHeight = new Map<string, number>();
  readonly #tasks: Task[] = [{ kind: 'tree', block: 0 }];

  constructor(writer: FunctionWriter) {
    this.#writer = writer;
    this.#graph = writer.plan.graph;
    const { dominator, start } = this.#graph;
    this.#children = Array.from(start, () => []);
    this.#behindLoop = Array.from(start, () => []);
    this.#parent = new Int32Array(start.length).fill(-1);
    this.#size = new Int32Array(start.length).fill(1);
    this.#blockHeight = new Int32Array(start.length).fill(-1);
    this.#loopHeight = new Int32Array(start.length).fill(-1);
    const nest = loopNest(this.#graph);
    for (let block = 1; block < start.length; block++) {
      const above = dominator[block] as number;
      // What a loop is left for goes behind it: V8 keeps registers better in tight loops.
      const loop = nest.depth > deepestNest ? -1 : loopLeft(nest, above, block);
      this.#parent[block] = loop >= 0 ? loop : above;
      if (loop >= 0) this.#behindLoop[loop]?.push(block);
      else this.#children[above]?.push(block);
    }
    for (let block = start.length - 1; block > 0; block--) {
      const above = this.#parent[block] as number;
      this.#size[above] = (this.#size[above] as number) + (this.#size[block] as number);
    }
  }

  run(): void {
    for (let task = this.#tasks.pop(); task !== undefined; task = this.#tasks.pop()) {
      if (task.kind === 'close') this.#writer.close();
      else if (task.kind === 'tree') this.#tree(task.block);
      else {
        emitEdgeCharge(this.#writer, task.from);
        this.#branch(W.br, task.from, task.to);
      }
    }
  }

  #tree(block: number): void {
    const writer = this.#writer;
    const inlined = this.#inlined(block);
    if ((this.#graph.backward[block] as number) > 0) this.#openLoop(block);
    const children = this.#children[block] as readonly number[];
    this.#openBlocks(children.filter((child) => child !== inlined));
    writer.facts = copyFacts(writer.plan.facts[block] as typeof writer.facts);
    emitBlock(writer, block);
    this.#leave(block, inlined);
    if (inlined >= 0) this.#tasks.push({ kind: 'tree', block: inlined });
  }

  /** Opens WebAssembly blocks that end before blocks; the last to be written is the outermost. */
  #openBlocks(blocks: readonly number[]): void {
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block = blocks[i] as number;
      this.#blockHeight[block] = this.#writer.height;
      this.#writer.open(W.block);
      this.#tasks.push({ kind: 'tree', block }, closeTask);
    }
  }

  #openLoop(head: number): void {
    const writer = this.#writer;
    this.#openBlocks(this.#behindLoop[head] as readonly number[]);
    const { charges } = writer.plan;
    const { next, jump } = this.#graph;
    const path = charges.get(head)?.head === head ? charges.get(head)?.upTo.keys() : undefined;
    for (const from of path ?? []) {
      for (const to of [next[from] as number, jump[from] as number]) {
        if (to < 0 || !hasEdgeCharge(writer, from, to)) continue;
        this.#wayHeight.set(`${from} ${to}`, writer.height);
        writer.open(W.block);
        this.#tasks.push({ kind: 'way-out', from, to }, closeTask);
      }
    }
    this.#clearTurns(head);
    this.#loopHeight[head] = writer.height;
    writer.open(W.loop);
    this.#tasks.push(closeTask);
  }

  /** Writes the turns of a loop that need not ask whether to leave it. */
  #clearTurns(head: number): void {
    const writer = this.#writer;
    const charge = writer.plan.charges.get(head);
    const turns = charge?.head === head && clearTurns(writer.code, this.#graph, charge);
    if (!turns) return;
    writer.open(W.block);
    pushClearTurns(writer.sink, turns);
    writer.sink.op(W.i64Eqz);
    writer.sink.indexed(W.brIf, 0);
    setStop(writer.sink, turns);
    writer.open(W.loop);
    for (let turn = 0; turn < turns.together; turn++) {
      for (const block of turns.blocks) {
        writer.facts = copyFacts(writer.plan.facts[block] as typeof writer.facts);
        emitBlock(writer, block);
      }
    }
    writer.sink.get(registerLocal(turns.counter.register));
    writer.sink.get(LOCAL.stop);
    writer.sink.op(W.i64Ne);
    writer.sink.indexed(W.brIf, 0);
    writer.close();
    writer.close();
  }

  /** The successor that is written right behind a block, without a label; -1 for none. */
  #inlined(block: number): number {
    const { next, jump, dominator, forward } = this.#graph;
    const fits = (to: number): boolean =>
      to > block &&
      dominator[to] === block &&
      forward[to] === 1 &&
      this.#parent[to] === block &&
      !this.#behindLoop[block]?.includes(to);
    const [a, b] = [next[block] as number, jump[block] as number];
    if (!fits(a)) return fits(b) ? b : -1;
    if (!fits(b)) return a;
    return (this.#size[a] as number) <= (this.#size[b] as number) ? a : b;
  }

  /** Writes the ways out of a block. */
  #leave(block: number, inlined: number): void {
    const { next, jump, end } = this.#graph;
    const writer = this.#writer;
    const [on, to] = [next[block] as number, jump[block] as number];
    if (on >= 0 && to >= 0) {
      pushTaken(writer, (end[block] as number) - 1);
      const jumps = to !== inlined;
      if (!jumps) writer.sink.op(W.i32Eqz);
      this.#leaveTo(W.brIf, block, jumps ? to : on);
      const other = jumps ? on : to;
      if (other !== inlined) this.#leaveTo(W.br, block, other);
    } else if (on >= 0 || to >= 0) {
      const only = on >= 0 ? on : to;
      if (only !== inlined) this.#leaveTo(W.br, block, only);
    }
  }

  /** Goes from one block to another, past what that costs. */
  #leaveTo(code: typeof W.br | typeof W.brIf, from: number, to: number): void {
    const way = this.#wayHeight.get(`${from} ${to}`);
    if (way === undefined) this.#branch(code, from, to);
    else this.#writer.sink.indexed(code, this.#writer.height - 1 - way);
  }

  #branch(code: typeof W.br | typeof W.brIf, from: number, to: number): void {
    const heights = to <= from ? this.#loopHeight : this.#blockHeight;
    this.#writer.sink.indexed(code, this.#writer.height - 1 - (heights[to] as number));
  }
}

/**
 * Writes a function whose loops have more than one entry: a loop around a jump table, with
 * all blocks in their order, so that what follows falls through.
 */
export function emitDispatch(writer: FunctionWriter): void {
  const { sink } = writer;
  const { graph, facts } = writer.plan;
  const count = graph.start.length;
  writer.open(W.loop);
  const loop = writer.height;
  for (let block = count - 1; block >= 0; block--) writer.open(W.block);
  sink.get(LOCAL.label);
  sink.op(W.brTable);
  sink.unsigned(count - 1);
  for (let block = 0; block < count; block++) sink.unsigned(block);
  const goTo = (block: number): void => {
    sink.i32(block);
    sink.set(LOCAL.label);
    sink.indexed(W.br, writer.height - loop);
  };
  for (let block = 0; block < count; block++) {
    writer.close();
    writer.facts = copyFacts(facts[block] as typeof writer.facts);
    emitBlock(writer, block);
    const [next, jump] = [graph.next[block] as number, graph.jump[block] as number];
    if (next >= 0 && jump >= 0) {
      pushTaken(writer, (graph.end[block] as number) - 1);
      writer.open(W.if);
      goTo(jump);
      writer.close();
    }
    const rest = next >= 0 ? next : jump;
    if (rest >= 0 && rest !== block + 1) goTo(rest);
  }
  writer.close();
}
