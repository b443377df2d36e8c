import type { InsnIndex } from '../asm/insns.ts';
import { CALL, PSEUDO } from '../asm/opcodes.ts';
import { BpfError } from '../errors.ts';
import type { FunctionIndex, FunctionSpec, InsnRelocation, ObjectSpec } from '../object/spec.ts';

/** Opcode of `call`. */
export const callCode = 0x85;

/** Opcode of `ld_imm64`. */
export const wideCode = 0x18;

/** One instruction of a function that refers to another function. */
export interface CallSite {
  /** Relative to the function. */
  readonly insn: InsnIndex;
  /** A call, or a `ld_imm64` of the function's address. */
  readonly kind: 'call' | 'address';
  readonly target: FunctionIndex;
}

/** Finds functions by their place, for calls within a section, which carry no relocation. */
export class FunctionPlaces {
  readonly #bySection = new Map<string, Map<number, FunctionIndex>>();

  constructor(functions: readonly FunctionSpec[]) {
    functions.forEach((fn, index) => {
      let places = this.#bySection.get(fn.section);
      if (places === undefined) {
        places = new Map();
        this.#bySection.set(fn.section, places);
      }
      // Aliases share a place; the first stands for all of them.
      if (!places.has(fn.sectionOffset)) places.set(fn.sectionOffset, index as FunctionIndex);
    });
  }

  /** The function that begins at instruction `at` of a section. */
  find(section: string, at: number): FunctionIndex | undefined {
    return this.#bySection.get(section)?.get(at);
  }
}

/**
 * Every reference of a function to functions, in instruction order. The rules are those of
 * libbpf's `bpf_object__reloc_code`: a call with a relocation goes where that says, a call
 * without one is relative to its place in the section, an address always has a relocation.
 */
export function findCallSites(
  spec: ObjectSpec,
  fn: FunctionSpec,
  places: FunctionPlaces,
): readonly CallSite[] {
  const relocations = new Map<number, InsnRelocation>();
  for (const relocation of fn.relocations) relocations.set(relocation.insn, relocation);
  const { code, src } = fn.insns;
  const sites: CallSite[] = [];
  for (let i = 0; i < code.length; i++) {
    const isCall = code[i] === callCode && src[i] === CALL.SUBPROGRAM;
    const isWide = code[i] === wideCode;
    if (!isCall && !isWide) continue;
    const site = callSite(spec, fn, places, i as InsnIndex, relocations.get(i));
    if (site !== undefined) sites.push(site);
    if (isWide) i++;
  }
  return sites;
}

function callSite(
  spec: ObjectSpec,
  fn: FunctionSpec,
  places: FunctionPlaces,
  insn: InsnIndex,
  relocation: InsnRelocation | undefined,
): CallSite | undefined {
  const kind = fn.insns.code[insn] === callCode ? 'call' : 'address';
  if (relocation?.kind === 'call' || relocation?.kind === 'function-address') {
    checkFunction(spec, insn, relocation.target);
    return { insn, kind, target: relocation.target };
  }
  // Every other relocation is not about functions; `relocate.ts` checks and applies it.
  if (relocation !== undefined) return undefined;
  if (kind === 'call') return { insn, kind, target: nearTarget(fn, places, insn) };
  if (fn.insns.src[insn] !== PSEUDO.FUNC) return undefined;
  throw new BpfError({ code: 'function-address-without-relocation' }, { context: [{ insn }] });
}

function checkFunction(spec: ObjectSpec, insn: InsnIndex, target: FunctionIndex): void {
  const have = spec.functions.length;
  if (target >= 0 && target < have) return;
  throw new BpfError(
    { code: 'relocation-target', subject: 'subprogram', index: target, have },
    { context: [{ insn }] },
  );
}

/** The function that a call without relocation reaches, counted from its place in the section. */
function nearTarget(fn: FunctionSpec, places: FunctionPlaces, insn: InsnIndex): FunctionIndex {
  const at = fn.sectionOffset + insn + 1 + (fn.insns.imm[insn] as number);
  const target = places.find(fn.section, at);
  if (target !== undefined) return target;
  throw new BpfError(
    { code: 'call-target', section: fn.section, target: at },
    { context: [{ insn }] },
  );
}
