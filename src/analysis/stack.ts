import { BPF_FUNC } from '../abi/bpf.ts';
import { CLASS } from '../asm/opcodes.ts';
import type { FunctionIndex, FunctionSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { helperAt, instructionsOf } from './instructions.ts';

/** Stack that a program uses, in bytes. */
export interface StackUse {
  /** Of each function, as it is reached: a multiple of 8. */
  readonly functions: readonly { readonly name: string; readonly bytes: number }[];
  /**
   * What the verifier counts along the deepest chain of calls, each frame rounded up as it
   * rounds (`round_up_stack_depth`); undefined where calls go round in a circle, or too deep. At most 512.
   */
  readonly deepest: number | undefined;
}

/** Register of the frame pointer. */
const framePointer = 10;

/** Calls that go deeper than this are as good as a circle: the kernel allows 8. */
const deepestCalls = 64;

/** Frames are counted in units of 32 bytes by the verifier, at least one (`MAX_BPF_STACK` / 16). */
const frameUnit = 32;

/**
 * Estimates the stack that a program uses from its code alone: every place that it names
 * through the frame pointer, whether reached or not. The verifier follows values instead, and
 * so may find more where addresses are computed, less where code is dead.
 */
export function stackUse(spec: ObjectSpec, program: ProgramSpec): StackUse {
  const own = new Map<FunctionIndex, number>();
  const chains = new Map<FunctionIndex, number>();
  const open = new Set<FunctionIndex>();
  const visit = (index: FunctionIndex): number | undefined => {
    const known = chains.get(index);
    if (known !== undefined) return known;
    if (open.has(index) || open.size >= deepestCalls) return undefined;
    open.add(index);
    const fn = spec.functions[index] as FunctionSpec;
    const bytes = frameSize(fn);
    own.set(index, bytes);
    let below = 0;
    for (const relocation of fn.relocations) {
      if (relocation.kind !== 'call' && relocation.kind !== 'function-address') continue;
      const depth = visit(relocation.target);
      if (depth === undefined) return undefined;
      below = Math.max(below, depth);
    }
    open.delete(index);
    const total = Math.ceil(Math.max(bytes, 1) / frameUnit) * frameUnit + below;
    chains.set(index, total);
    return total;
  };
  const deepest = visit(program.function);
  const functions = [...own].map(([index, bytes]) => {
    return { name: (spec.functions[index] as FunctionSpec).name, bytes };
  });
  return { functions, deepest };
}

/** Registers that the verifier saves around a call of `bpf_loop` that it puts in line. */
const inlinedLoop = 24;

/** Stack of one function: in whole words of 8 bytes, with what inlining adds. */
function frameSize(fn: FunctionSpec): number {
  const { insns } = fn;
  const loops = Array.from(instructionsOf(insns)).some(
    (at) => helperAt(insns, at) === BPF_FUNC.loop,
  );
  return Math.ceil(deepestPlace(fn) / 8) * 8 + (loops ? inlinedLoop : 0);
}

/** The deepest place below the frame pointer that a function names. */
function deepestPlace({ insns }: FunctionSpec): number {
  // Where each register points below the frame pointer; forgotten where ways may meet.
  const places = new Map<number, number>([[framePointer, 0]]);
  let deepest = 0;
  for (let at = 0; at < insns.length; at += insns.isWide(at) ? 2 : 1) {
    const code = insns.code[at] as number;
    const [dst, src] = [insns.dst[at] as number, insns.src[at] as number];
    const off = insns.off[at] as number;
    const kind = code & 0x07;
    if (kind === CLASS.LDX) deepest = Math.max(deepest, depthAt(places, src, off));
    if (kind === CLASS.ST || kind === CLASS.STX) {
      deepest = Math.max(deepest, depthAt(places, dst, off));
    }
    if (kind === CLASS.ALU64) follow(places, { code, dst, src, imm: insns.imm[at] as number });
    else if (kind === CLASS.LDX || kind === CLASS.LD || kind === CLASS.ALU) places.delete(dst);
    else if (kind === CLASS.JMP && code >> 4 === 0x8) {
      for (let register = 0; register <= 5; register++) places.delete(register);
    }
    for (const place of places.values()) deepest = Math.max(deepest, -place);
  }
  return deepest;
}

function depthAt(places: ReadonlyMap<number, number>, register: number, off: number): number {
  const place = places.get(register);
  return place === undefined ? 0 : -(place + off);
}

interface Step {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  readonly imm: number;
}

function follow(places: Map<number, number>, { code, dst, src, imm }: Step): void {
  const operation = code >> 4;
  const isImmediate = (code & 0x08) === 0;
  const from = places.get(operation === 0xb ? src : dst);
  if (dst === framePointer) return;
  if (operation === 0xb && !isImmediate && from !== undefined) places.set(dst, from);
  else if (operation === 0x0 && isImmediate && from !== undefined) places.set(dst, from + imm);
  else places.delete(dst);
}
