import { OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { LoweredCode } from '../engine/program.ts';
import { isAtomic, writtenBy } from './effects.ts';
import type { Facts, RegisterSet, Surroundings } from './facts.ts';
import { FactFlow, programFacts } from './facts.ts';
import { type FlowGraph, flowGraph } from './flow-graph.ts';
import type { LoopCharge } from './loop-charges.ts';
import { loadForms, storeForms } from './memory-forms.ts';

/** What the translation of a program needs to know besides its rows. */
export interface Source extends Surroundings {
  readonly code: LoweredCode;
  readonly littleEndian: boolean;
  readonly probeLoads: boolean;
  /** Lowest offset in VM memory that programs may store to. */
  readonly storeLow: number;
}

/** Analysis of one function. */
export interface FunctionPlan {
  readonly graph: FlowGraph;
  /** Facts at the start of each block. */
  readonly facts: readonly Facts[];
  /** How loops are charged to the budget, by block. */
  readonly charges: ReadonlyMap<number, LoopCharge>;
  /** Registers that locals may have values for: parameters, what the function writes, r10. */
  readonly touched: RegisterSet;
  readonly hasMayGoto: boolean;
  /** Sizes of accesses that it may check: bit i for 2^i bytes. One byte is always among them. */
  readonly loadSizes: number;
  readonly storeSizes: number;
}

/** Parameters and r10. */
const alwaysTouched: RegisterSet = 0b100_0011_1110;

/** Analyses all functions of a program. */
export function planFunctions(source: Source): {
  readonly functions: readonly FunctionPlan[];
  readonly flow: FactFlow;
} {
  const { code } = source;
  const graphs = code.functions.map((fn) => flowGraph(code, fn));
  const { functions: facts, assumed } = programFacts(code, graphs, source);
  const functions = graphs.map((graph, i) => ({
    graph,
    facts: facts[i]?.blocks ?? [],
    charges: facts[i]?.charges ?? new Map(),
    ...scan(code, graph),
  }));
  return { functions, flow: new FactFlow(code, source, assumed) };
}

function scan(code: LoweredCode, graph: FlowGraph) {
  let touched = alwaysTouched;
  let hasMayGoto = false;
  let loadSizes = 1;
  let storeSizes = 1;
  for (let block = 0; block < graph.start.length; block++) {
    const end = graph.end[block] as number;
    for (let row = graph.start[block] as number; row < end; row++) {
      const word = code.words[row] as number;
      const op = wordOp(word);
      const written = writtenBy[op];
      if (written === 'dst') touched |= 1 << wordDst(word);
      else if (written === 'src') touched |= 1 << wordSrc(word);
      else if (written === 'r0') touched |= 1;
      if (op === OP.mayGoto) hasMayGoto = true;
      const load = loadForms.get(op)?.size ?? 1;
      const store = storeForms.get(op)?.size ?? (isAtomic(op) ? 12 : 1);
      loadSizes |= load;
      storeSizes |= store;
      if (isAtomic(op)) loadSizes |= 12;
      if (op === OP.helper) loadSizes |= 15;
    }
  }
  return { touched, hasMayGoto, loadSizes, storeSizes };
}
