import type { InsnIndex } from '../asm/insns.ts';
import { BpfError } from '../errors.ts';
import type { FunctionIndex } from '../object/spec.ts';
import type { CallSite } from './calls.ts';

/** Most instructions of one program that a kernel takes (`BPF_COMPLEXITY_LIMIT_INSNS`). */
export const programInsnLimit = 1_000_000;

/** A function and where its copy begins in a program's image. */
export interface PlacedFunction {
  readonly function: FunctionIndex;
  readonly start: InsnIndex;
}

/** The new immediate of a call or of a function's address. */
export interface CallFixup {
  /** In the image. */
  readonly insn: InsnIndex;
  readonly kind: CallSite['kind'];
  /** Distance from the next instruction to the function, in instructions. */
  readonly to: number;
}

/** Which functions make up a program's image, in which order, and how their calls come out. */
export interface ProgramLayout {
  /** The entry function first. */
  readonly functions: readonly PlacedFunction[];
  readonly calls: readonly CallFixup[];
  /** In instructions. */
  readonly length: number;
}

/** What {@link planLayout} asks about functions. */
export interface CallGraph {
  /** Number of instructions. */
  sizeOf(fn: FunctionIndex): number;
  callSites(fn: FunctionIndex): readonly CallSite[];
}

/** A function whose references are being followed. */
interface Visit {
  readonly start: number;
  readonly sites: readonly CallSite[];
  next: number;
}

/**
 * Lays out a program as libbpf's `bpf_object__reloc_code` does: the entry function, then each
 * subprogram once, appended when the first reference to it is met; the references of an
 * appended subprogram are followed before those that come after the reference that appended
 * it. libbpf recurses; this keeps its own stack, so that no chain of calls is too long.
 * Functions that nothing refers to are not in the image, but for `last`, which comes behind all
 * others.
 */
export function planLayout(
  graph: CallGraph,
  entry: FunctionIndex,
  last?: FunctionIndex,
): ProgramLayout {
  const starts = new Map<FunctionIndex, number>();
  const calls: CallFixup[] = [];
  const stack: Visit[] = [];
  let length = 0;
  const place = (fn: FunctionIndex): number => {
    const start = length;
    starts.set(fn, start);
    length += graph.sizeOf(fn);
    if (length > programInsnLimit) {
      throw new BpfError({ code: 'image-too-large', limit: programInsnLimit });
    }
    stack.push({ start, sites: graph.callSites(fn), next: 0 });
    return start;
  };
  place(entry);
  for (let visit = stack.at(-1); visit !== undefined; visit = stack.at(-1)) {
    const site = visit.sites[visit.next++];
    if (site === undefined) {
      stack.pop();
      if (stack.length === 0 && last !== undefined && !starts.has(last)) place(last);
      continue;
    }
    const insn = (visit.start + site.insn) as InsnIndex;
    const target = starts.get(site.target) ?? place(site.target);
    calls.push({ insn, kind: site.kind, to: target - insn - 1 });
  }
  const functions = [...starts].map(([fn, start]) => ({
    function: fn,
    start: start as InsnIndex,
  }));
  return { functions, calls, length };
}
