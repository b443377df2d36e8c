import { BPF_FUNC } from '../../abi/bpf.ts';
import { isConditionalJump, OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { LoweredCode, LoweredFunction } from '../engine/program.ts';
import type { PacketFields } from './context-fields.ts';
import { isAtomic, writtenBy } from './effects.ts';
import { fastCall, fastResult } from './fast-calls.ts';
import type { FlowGraph } from './flow-graph.ts';
import { type CountedLoop, countedLoops, valueInLoop } from './induction.ts';
import { type LoopCharge, loopCharges } from './loop-charges.ts';
import type { MapPlan } from './map-plans.ts';
import { type Comparison, refine } from './refine.ts';
import { type Area, dataId, meet, resultOf, type Value } from './values.ts';

/** Registers as a set: bit r for register r. */
export type RegisterSet = number;

/** Every register. */
export const allRegisters: RegisterSet = 0x7ff;

const arguments5: RegisterSet = 0b11_1110;

/** What is known at one place of a function. */
export interface Facts {
  /** Registers that may hold a pointer to the context, whose fields only the host can read. */
  context: RegisterSet;
  /** Registers whose value in the CPU's register file may be out of date. */
  stale: RegisterSet;
  readonly values: Value[];
}

/** What functions of a program assume of each other; grows until it is true. */
export interface Assumptions {
  /** Parameters that may be the context, by function. */
  readonly parameters: RegisterSet[];
  /** First rows of functions that others call directly. */
  readonly called: ReadonlySet<number>;
  /** A pointer to the context may be in memory. */
  escapes: boolean;
  /** A function may return it. */
  returned: boolean;
  /** Callbacks may get it. */
  callbacks: boolean;
}

/** Where rows load the address of an area of memory: by row. */
export type Areas = ReadonlyMap<number, Area>;

/** What the analysis knows of the world around the program. */
export interface Surroundings {
  readonly areas: Areas;
  /** Maps whose addresses rows load, by row. */
  readonly maps: ReadonlyMap<number, MapPlan>;
  /** Fields of the context with the packet's bounds, where compiled code can read them. */
  readonly packet: PacketFields | undefined;
}

/** What is known of a function. */
export interface FunctionFacts {
  /** Facts at the start of each block. */
  readonly blocks: readonly Facts[];
  /** How loops are charged, by block. */
  readonly charges: ReadonlyMap<number, LoopCharge>;
}

/** Rounds after which all is assumed. */
const mostRounds = 5;

/**
 * Facts at the start of every block of every function. A forward analysis over each control
 * flow graph, repeated while functions learn of each other; each register's value changes at
 * most once for a block, so that it is linear but for the nesting of loops.
 */
export function programFacts(
  code: LoweredCode,
  graphs: readonly FlowGraph[],
  world: Surroundings,
): { readonly functions: readonly FunctionFacts[]; readonly assumed: Assumptions } {
  const assumed = firstAssumptions(code);
  for (let round = 0; ; round++) {
    if (round === mostRounds) assumeAll(assumed);
    const before = JSON.stringify(assumed);
    const functions = graphs.map((graph, i) => functionFacts(code, graph, i, world, assumed));
    if (JSON.stringify(assumed) === before) return { functions, assumed };
  }
}

function firstAssumptions(code: LoweredCode): Assumptions {
  const parameters = code.functions.map((_, i) => (i === 0 ? 2 : 0));
  const called = new Set<number>();
  code.words.forEach((word, row) => {
    if (wordOp(word) === OP.call) called.add(code.target[row] as number);
    if (wordOp(word) !== OP.helper || code.imm[row] !== BPF_FUNC.loop) return;
    for (const callback of code.addressTaken.values()) called.add(callback);
  });
  return { parameters, called, escapes: false, returned: false, callbacks: false };
}

function assumeAll(assumed: Assumptions): void {
  assumed.parameters.fill(arguments5);
  assumed.escapes = true;
  assumed.returned = true;
  assumed.callbacks = true;
}

function functionFacts(
  code: LoweredCode,
  graph: FlowGraph,
  index: number,
  world: Surroundings,
  assumed: Assumptions,
): FunctionFacts {
  const flow = new FactFlow(code, world, assumed);
  const loops = countedLoops(code, graph);
  const entries = new Map<number, Value[]>();
  const count = graph.start.length;
  const known: (Facts | undefined)[] = new Array(count).fill(undefined);
  known[0] = entryFacts(code, index, assumed);
  const waiting = new Uint8Array(count);
  waiting[0] = 1;
  for (let again = true; again; ) {
    again = false;
    for (let block = 0; block < count; block++) {
      if (waiting[block] === 0) continue;
      waiting[block] = 0;
      const facts = copyFacts(known[block] as Facts);
      const end = graph.end[block] as number;
      for (let row = graph.start[block] as number; row < end; row++) flow.step(facts, row);
      const [next, jump] = [graph.next[block] as number, graph.jump[block] as number];
      const comparison = next >= 0 && jump >= 0 ? comparisonAt(code, end - 1) : undefined;
      const jumped = comparison === undefined ? facts : copyFacts(facts);
      if (comparison !== undefined) {
        refine(facts.values, comparison, false);
        refine(jumped.values, comparison, true);
      }
      for (const [to, arriving] of [
        [next, facts],
        [jump, jumped],
      ] as const) {
        if (to < 0) continue;
        const loop = loops.get(to);
        const values = loop && valuesInLoop(loop, to, to <= block, arriving.values, entries);
        if (!mergeInto(known, to, arriving, values)) continue;
        waiting[to] = 1;
        if (to <= block) again = true;
      }
    }
  }
  return { blocks: known as Facts[], charges: loopCharges(graph, loops, entries) };
}

function comparisonAt(code: LoweredCode, row: number): Comparison | undefined {
  const packed = code.words[row] as number;
  const op = wordOp(packed);
  if (!isConditionalJump(op)) return undefined;
  return { op, dst: wordDst(packed), src: wordSrc(packed), imm64: code.imm64[row] as bigint };
}

/**
 * At the start of a function that another one called, everything is in locals, and what the
 * register file has is the caller's. One that the runner starts has its arguments from there.
 */
function entryFacts(code: LoweredCode, index: number, assumed: Assumptions): Facts {
  const fn = code.functions[index] as LoweredFunction;
  const callback = assumed.callbacks && [...code.addressTaken.values()].includes(fn.start);
  const values: Value[] = new Array(11).fill(undefined);
  values[10] = { kind: 'pointer', area: 'stack', low: 0, high: 0 };
  if (index === 0 && !assumed.called.has(0) && !code.addressTaken.has(0)) {
    values[1] = { kind: 'context', offset: 0 };
  }
  const context = (assumed.parameters[index] as number) | (callback ? arguments5 : 0);
  return { context, stale: assumed.called.has(fn.start) ? allRegisters : 0, values };
}

/** A copy that can be changed by {@link FactFlow.step}. */
export function copyFacts({ context, stale, values }: Facts): Facts {
  return { context, stale, values: values.slice() };
}

/** Adds what comes in over an edge; true where that changed something. */
function mergeInto(
  known: (Facts | undefined)[],
  block: number,
  facts: Facts,
  values: readonly Value[] = facts.values,
): boolean {
  const old = known[block];
  const arriving = values.map((value, register) => renamed(value, block, register));
  if (old === undefined) {
    known[block] = { ...facts, values: arriving };
    return true;
  }
  const context = old.context | facts.context;
  const stale = old.stale | facts.stale;
  let changed = context !== old.context || stale !== old.stale;
  old.context = context;
  old.stale = stale;
  for (let register = 0; register < 10; register++) {
    const before = old.values[register];
    const after = meet(before, arriving[register], packetId(block, register));
    if (after !== before) changed = true;
    old.values[register] = after;
  }
  return changed;
}

/**
 * What arrives at the start of a counted loop, with what all its turns do to registers already
 * in it: from the values before the first turn, which `entries` keeps by block. An edge back
 * brings nothing new for those registers.
 */
function valuesInLoop(
  loop: CountedLoop,
  block: number,
  back: boolean,
  arriving: readonly Value[],
  entries: Map<number, Value[]>,
): readonly Value[] {
  const known = entries.get(block);
  const entry = back
    ? known
    : known?.map((value, r) => meet(value, arriving[r], packetId(block, r)));
  const first = entry ?? arriving.slice();
  entries.set(block, first);
  return arriving.map((value, register) => valueInLoop(loop, register, first) ?? value);
}

/** Id of the packet pointers that first come to be where paths meet. */
function packetId(block: number, register: number): number {
  return 16 * block + register;
}

/**
 * A packet pointer that was named at this very block, in an earlier turn of a loop, and is in
 * another register now: its base is not the one that the name stands for in this turn.
 */
function renamed(value: Value, block: number, register: number): Value {
  if (value?.kind !== 'packet' || value.id < 0) return value;
  if (Math.floor(value.id / 16) !== block || value.id === packetId(block, register)) return value;
  if (value.offset < 0) return undefined;
  return { kind: 'packet', id: packetId(block, register), offset: 0, range: 0 };
}

/** How facts change from row to row. The translator steps along with it. */
export class FactFlow {
  readonly #code: LoweredCode;
  readonly #world: Surroundings;
  readonly #assumed: Assumptions;
  readonly #functionAt = new Map<number, number>();

  constructor(code: LoweredCode, world: Surroundings, assumed: Assumptions) {
    this.#code = code;
    this.#world = world;
    this.#assumed = assumed;
    code.functions.forEach(({ start }, i) => {
      this.#functionAt.set(start, i);
    });
  }

  /** Facts after a row, in place. Works for the rows of one block in their order. */
  step(facts: Facts, row: number): void {
    const word = this.#code.words[row] as number;
    const op = wordOp(word);
    if (op === OP.helper || op === OP.tailCall || op === OP.call || op === OP.callReg) {
      this.#call(facts, row, op);
      return;
    }
    if (op === OP.store64Reg || op === OP.storeBe64Reg || isAtomic(op)) {
      if (has(facts.context, wordSrc(word))) this.#assumed.escapes = true;
    }
    if (op === OP.exit && has(facts.context, 0)) this.#assumed.returned = true;
    const written = writtenBy[op];
    if (written === 'none' || written === undefined) return;
    const register = written === 'dst' ? wordDst(word) : written === 'src' ? wordSrc(word) : 0;
    const bit = 1 << register;
    const context = this.#mayBeContext(facts, op, word);
    const value = this.#value(facts, op, row, word);
    if (value?.kind === 'packet' && value.id === ~row) forgetPacket(facts.values, value.id);
    facts.values[register] = value;
    facts.context = context ? facts.context | bit : facts.context & ~bit;
    facts.stale |= bit;
  }

  #value(facts: Facts, op: number, row: number, word: number): Value {
    const { imm, imm64 } = this.#code;
    const area = op === OP.mov64Imm ? this.#world.areas.get(row) : undefined;
    if (area?.start !== undefined) {
      const low = ((imm[row] as number) >>> 0) - area.start;
      return { kind: 'pointer', area, low, high: low };
    }
    if (op === OP.mov64Imm) {
      const map = this.#world.maps.get(row);
      if (map !== undefined) return { kind: 'map', map };
    }
    if (writtenBy[op] !== 'dst') return undefined;
    if (op === OP.load32) {
      const field = packetField(facts, word, this.#world.packet);
      if (field === 'data') return { kind: 'packet', id: dataId, offset: 0, range: 0 };
      if (field === 'data-end') return { kind: 'packet-end' };
    }
    const fields = { row, packed: word, imm: imm[row] as number, imm64: imm64[row] as bigint };
    return resultOf(op, fields, facts.values);
  }

  /** Whether the result of a row may be a pointer to the context: only 64-bit results can. */
  #mayBeContext(facts: Facts, op: number, word: number): boolean {
    if (isAtomic(op) || op === OP.load64 || op === OP.loadBe64) return this.#assumed.escapes;
    switch (op) {
      case OP.mov64Reg:
        return has(facts.context, wordSrc(word));
      case OP.add64Imm:
      case OP.or64Imm:
      case OP.xor64Imm:
      case OP.and64Imm:
        return has(facts.context, wordDst(word));
      case OP.add64Reg:
      case OP.sub64Reg:
      case OP.or64Reg:
      case OP.xor64Reg:
      case OP.and64Reg:
        return has(facts.context, wordDst(word)) || has(facts.context, wordSrc(word));
      default:
        return false;
    }
  }

  #call(facts: Facts, row: number, op: number): void {
    const fast = fastCall(this.#code, row, facts.values);
    if (fast !== undefined && fast.kind !== 'loop') {
      facts.values[0] = fastResult(fast);
      facts.context &= ~1;
      facts.stale |= 1;
      return;
    }
    const assumed = this.#assumed;
    if (op === OP.call) {
      const callee = this.#functionAt.get(this.#code.target[row] as number) as number;
      assumed.parameters[callee] =
        (assumed.parameters[callee] as number) | (facts.context & arguments5);
    } else if (op === OP.callReg) {
      if ((facts.context & arguments5) !== 0) assumed.callbacks = true;
    } else if (this.#callsBack(row) && has(facts.context, 3)) assumed.callbacks = true;
    if (op !== OP.helper || !keepsPacket.has(this.#code.imm[row] as number)) {
      forgetPackets(facts.values);
    }
    facts.values[0] = undefined;
    if (op === OP.call || op === OP.callReg || fast !== undefined) {
      facts.context = assumed.returned ? facts.context | 1 : facts.context & ~1;
      // The register file is as the callee left it.
      facts.stale = allRegisters;
    } else {
      facts.context &= ~1;
      facts.stale = 0;
    }
  }

  /** Helpers that hand their third argument to a callback; numbers that nobody knows may do so too. */
  #callsBack(row: number): boolean {
    const number = this.#code.imm[row] as number;
    return number === BPF_FUNC.loop || number === BPF_FUNC.for_each_map_elem || number > 211;
  }
}

function has(set: RegisterSet, register: number): boolean {
  return (set & (1 << register)) !== 0;
}

/** The bound of the packet that a 4-byte load reads from the context, if it does. */
export function packetField(
  facts: Facts,
  packed: number,
  packet: PacketFields | undefined,
): 'data' | 'data-end' | undefined {
  const base = facts.values[wordSrc(packed)];
  if (packet === undefined || base?.kind !== 'context') return undefined;
  const offset = base.offset + (packed >> 16);
  return offset === packet.data ? 'data' : offset === packet.dataEnd ? 'data-end' : undefined;
}

/** Helpers that leave the packet where it is. All others may move it, or give its memory back. */
const keepsPacket: ReadonlySet<number> = new Set([
  BPF_FUNC.map_lookup_elem,
  BPF_FUNC.map_update_elem,
  BPF_FUNC.map_delete_elem,
  BPF_FUNC.map_lookup_percpu_elem,
  BPF_FUNC.ktime_get_ns,
  BPF_FUNC.ktime_get_boot_ns,
  BPF_FUNC.ktime_get_coarse_ns,
  BPF_FUNC.get_prandom_u32,
  BPF_FUNC.get_smp_processor_id,
  BPF_FUNC.trace_printk,
  BPF_FUNC.ringbuf_reserve,
  BPF_FUNC.ringbuf_submit,
  BPF_FUNC.ringbuf_discard,
  BPF_FUNC.ringbuf_output,
  BPF_FUNC.probe_read_kernel,
  BPF_FUNC.csum_diff,
]);

function forgetPackets(values: Value[]): void {
  for (let register = 0; register < values.length; register++) {
    const kind = values[register]?.kind;
    if (kind === 'packet' || kind === 'packet-end') values[register] = undefined;
  }
}

function forgetPacket(values: Value[], id: number): void {
  for (let register = 0; register < values.length; register++) {
    const value = values[register];
    if (value?.kind === 'packet' && value.id === id) values[register] = undefined;
  }
}
