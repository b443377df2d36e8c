import { OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { LoweredCode } from '../engine/program.ts';
import { writtenBy } from './effects.ts';
import type { FlowGraph } from './flow-graph.ts';
import { bodyOf, loopNest, sources, spineOf } from './loop-nest.ts';
import { mostOf, type Value } from './values.ts';

/** The register that a loop counts with. One addition in each turn is all that writes it. */
export interface Counter {
  readonly register: number;
  /** What the addition adds, not 0. */
  readonly step: number;
  /** Block of the addition. */
  readonly block: number;
}

/** When a counted loop is left: the counter equals a constant, or is no longer below a bound. */
export type LoopEnd =
  | { readonly kind: 'equal'; readonly register: number; readonly limit: number }
  | {
      readonly kind: 'below';
      readonly register: number;
      /** A constant, or a register that the loop does not write. */
      readonly bound: { readonly constant: number } | { readonly register: number };
      /** It goes on at the bound itself. */
      readonly inclusive: boolean;
    };

/**
 * A loop such as `do { … r += step; } while (r != limit)` or `while (r < limit)`, which every
 * turn asks. Only one edge goes back to its start.
 */
export interface CountedLoop {
  readonly counter: Counter;
  readonly end: LoopEnd;
  /** Each turn steps before it asks. */
  readonly stepsFirst: boolean;
  /** What each turn adds to registers that a single addition of a positive number writes; 0 for all others. */
  readonly steps: readonly number[];
}

/** Counted loops of a function, by the block at their start. */
export function countedLoops(
  code: LoweredCode,
  graph: FlowGraph,
): ReadonlyMap<number, CountedLoop> {
  const loops = new Map<number, CountedLoop>();
  if (!graph.reducible) return loops;
  const nest = loopNest(graph);
  const before = sources(graph);
  for (let latch = 0; latch < graph.start.length; latch++) {
    for (const head of [graph.next[latch] as number, graph.jump[latch] as number]) {
      if (head < 0 || head > latch || graph.backward[head] !== 1) continue;
      const spine = spineOf(graph, nest, head, latch);
      const body = bodyOf(before, head, latch);
      if (body === undefined) continue;
      const additions = additionsIn(code, graph, body, new Set(spine));
      const loop = countedLoop(code, graph, spine, body, additions);
      if (loop !== undefined) loops.set(head, loop);
    }
  }
  return loops;
}

/** Registers that one addition on the spine is all that writes in the loop. */
function additionsIn(
  code: LoweredCode,
  graph: FlowGraph,
  body: ReadonlySet<number>,
  spine: ReadonlySet<number>,
): readonly Counter[] {
  const writes = new Array<number>(11).fill(0);
  const found = new Map<number, Counter>();
  for (const block of body) {
    for (let row = graph.start[block] as number; row < (graph.end[block] as number); row++) {
      const word = code.words[row] as number;
      const op = wordOp(word);
      const written = writtenBy[op];
      if (written === 'none' || written === undefined) continue;
      const register = written === 'dst' ? wordDst(word) : written === 'r0' ? 0 : wordSrc(word);
      writes[register] = (writes[register] as number) + 1;
      const adds = op === OP.add64Imm || op === OP.add32Imm;
      const step = adds && spine.has(block) ? (code.imm[row] as number) : 0;
      // A 32-bit addition keeps the register a number of 32 bits, which only counts down or up to its limit.
      if (step !== 0) found.set(register, { register, step, block });
    }
  }
  return [...found.values()].filter(({ register }) => writes[register] === 1);
}

function countedLoop(
  code: LoweredCode,
  graph: FlowGraph,
  spine: readonly number[],
  body: ReadonlySet<number>,
  additions: readonly Counter[],
): CountedLoop | undefined {
  for (const block of spine) {
    const end = endAt(code, graph, block, body);
    const counter = additions.find(({ register }) => register === end?.register);
    if (end === undefined || counter === undefined) continue;
    const steps = new Array<number>(11).fill(0);
    for (const { register, step } of additions) {
      if (step > 0 && isWide(code, graph, register, body)) steps[register] = step;
    }
    // The spine is backwards: what comes later in it runs earlier.
    const stepsFirst = spine.indexOf(counter.block) >= spine.indexOf(block);
    if (end.kind === 'below') {
      const { bound } = end;
      const fixed = 'constant' in bound || !isWritten(code, graph, bound.register, body);
      if (!fixed || steps[counter.register] === 0) continue;
    }
    return { counter, end, stepsFirst, steps };
  }
  return undefined;
}

/** Whether the addition to a register in a loop is one of 64 bits. */
function isWide(
  code: LoweredCode,
  graph: FlowGraph,
  register: number,
  body: ReadonlySet<number>,
): boolean {
  for (const block of body) {
    for (let row = graph.start[block] as number; row < (graph.end[block] as number); row++) {
      const word = code.words[row] as number;
      if (wordOp(word) === OP.add32Imm && wordDst(word) === register) return false;
    }
  }
  return true;
}

function isWritten(
  code: LoweredCode,
  graph: FlowGraph,
  register: number,
  body: ReadonlySet<number>,
): boolean {
  for (const block of body) {
    for (let row = graph.start[block] as number; row < (graph.end[block] as number); row++) {
      const word = code.words[row] as number;
      const written = writtenBy[wordOp(word)];
      if (written === 'dst' && wordDst(word) === register) return true;
      if (written === 'src' && wordSrc(word) === register) return true;
      if (written === 'r0' && register === 0) return true;
    }
  }
  return false;
}

/** Comparisons that say whether a counter is below a bound: the loop goes on where they are `true`. */
const below: ReadonlyMap<number, { readonly goesOn: boolean; readonly inclusive: boolean }> =
  new Map([
    [OP.jlt64Imm, { goesOn: true, inclusive: false }],
    [OP.jlt64Reg, { goesOn: true, inclusive: false }],
    [OP.jle64Imm, { goesOn: true, inclusive: true }],
    [OP.jle64Reg, { goesOn: true, inclusive: true }],
    [OP.jge64Imm, { goesOn: false, inclusive: false }],
    [OP.jge64Reg, { goesOn: false, inclusive: false }],
    [OP.jgt64Imm, { goesOn: false, inclusive: true }],
    [OP.jgt64Reg, { goesOn: false, inclusive: true }],
  ]);

/** The comparison at the end of a block, where it leaves the loop by a counter. */
function endAt(
  code: LoweredCode,
  graph: FlowGraph,
  block: number,
  body: ReadonlySet<number>,
): LoopEnd | undefined {
  const row = (graph.end[block] as number) - 1;
  const word = code.words[row] as number;
  const jumps = body.has(graph.jump[block] as number);
  if (jumps === body.has(graph.next[block] as number)) return undefined;
  const [wide, narrow] = jumps ? [OP.jne64Imm, OP.jne32Imm] : [OP.jeq64Imm, OP.jeq32Imm];
  const op = wordOp(word);
  const register = wordDst(word);
  const limit = code.imm[row] as number;
  if (op === wide || op === narrow) {
    return limit >= 0 ? { kind: 'equal', register, limit } : undefined;
  }
  const form = below.get(op);
  if (form === undefined || form.goesOn !== jumps) return undefined;
  const { inclusive } = form;
  if (((op - OP.jeq64Imm) & 3) === 1) {
    return { kind: 'below', register, bound: { register: wordSrc(word) }, inclusive };
  }
  return limit >= 0
    ? { kind: 'below', register, bound: { constant: limit }, inclusive }
    : undefined;
}

/**
 * What a register holds at the start of each turn, from what registers hold before the first;
 * undefined where the loop does not say.
 */
export function valueInLoop(loop: CountedLoop, register: number, first: readonly Value[]): Value {
  const value = first[register];
  const most = turnsOf(loop, first);
  if (most === undefined || value === undefined) return undefined;
  const step = loop.steps[register] as number;
  if (step === 0) {
    const counts = register === loop.counter.register && value.kind === 'constant';
    if (!counts || loop.end.kind !== 'equal') return undefined;
    return { kind: 'number', most: Math.max(Number(value.value), loop.end.limit) };
  }
  const by = (loop.stepsFirst ? most - 1 : most) * step;
  if (by > 0xffff_ffff) return undefined;
  if (value.kind === 'pointer' && value.nullable !== true) {
    return { ...value, high: value.high + by };
  }
  if (value.kind !== 'constant' || value.value > 0xffff_ffffn) return undefined;
  return { kind: 'number', most: Number(value.value) + by };
}

/** How often the counter steps at most before the loop is left; undefined where that is not known. */
export function turnsOf(
  { counter, end }: CountedLoop,
  first: readonly Value[],
): number | undefined {
  const value = first[counter.register];
  if (value?.kind !== 'constant' || value.value > 0x7fff_ffffn) return undefined;
  const start = Number(value.value);
  if (end.kind === 'equal') {
    const turns = (end.limit - start) / counter.step;
    return Number.isInteger(turns) && turns > 0 ? turns : undefined;
  }
  const bound = 'constant' in end.bound ? end.bound.constant : mostOf(first[end.bound.register]);
  if (bound === undefined || counter.step < 0) return undefined;
  return Math.max(1, Math.ceil((bound + (end.inclusive ? 1 : 0) - start) / counter.step));
}
