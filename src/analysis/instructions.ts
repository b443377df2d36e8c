import type { Insns } from '../asm/insns.ts';
import { CALL, CLASS, MODE } from '../asm/opcodes.ts';
import type { InstructionGroup } from './requirements.ts';

/** Operation of a jump: bits 4 to 7 of the opcode. */
const jump = { goto: 0x0, lt: 0xa, le: 0xb, slt: 0xc, sle: 0xd, mayGoto: 0xe, call: 0x8 } as const;
/** Jumps that clang's -mcpu=v2 brought (`BPF_JLT` and its kin). */
const lessJumps: ReadonlySet<number> = new Set([jump.lt, jump.le, jump.slt, jump.sle]);

/** Operation of arithmetic: bits 4 to 7 of the opcode. */
const alu = { div: 0x3, mod: 0x9, mov: 0xb, swap: 0xd } as const;

/** `imm` of the ordered accesses, which are encoded as atomics. */
const loadAcquire = 0x100;
const storeRelease = 0x110;
/** `off` of a move between address spaces, and `imm`'s meaning is theirs. */
const addressSpaceCast = 1;

/** Which later group an instruction is of; undefined for those that all kernels have. */
export function groupOf(insns: Insns, at: number): InstructionGroup | undefined {
  const code = insns.code[at] as number;
  switch (code & 0x07) {
    case CLASS.JMP:
      return jumpGroup(insns, at);
    case CLASS.JMP32:
      return code >> 4 === jump.goto ? 'v4' : 'alu32';
    case CLASS.ALU:
    case CLASS.ALU64:
      return arithmeticGroup(insns, at);
    case CLASS.LDX:
      return (code & 0xe0) === MODE.MEMSX ? 'v4' : undefined;
    case CLASS.STX:
      return (code & 0xe0) === MODE.ATOMIC ? atomicGroup(insns.imm[at] as number) : undefined;
    default:
      return undefined;
  }
}

function jumpGroup(insns: Insns, at: number): InstructionGroup | undefined {
  const code = insns.code[at] as number;
  const operation = code >> 4;
  if (operation === jump.mayGoto) return 'may-goto';
  if (operation === jump.goto && (code & 0x08) !== 0) return 'indirect-jump';
  return lessJumps.has(operation) ? 'jump-less' : undefined;
}

function arithmeticGroup(insns: Insns, at: number): InstructionGroup | undefined {
  const code = insns.code[at] as number;
  const wide = (code & 0x07) === CLASS.ALU64;
  const off = insns.off[at] as number;
  const operation = code >> 4;
  if (operation === alu.mov && off !== 0) {
    // From or to an address space, or with its sign extended.
    return wide && off === addressSpaceCast ? 'address-space-cast' : 'v4';
  }
  if ((operation === alu.div || operation === alu.mod) && off !== 0) return 'v4';
  return wide && operation === alu.swap ? 'v4' : undefined;
}

function atomicGroup(operation: number): InstructionGroup | undefined {
  if (operation === loadAcquire || operation === storeRelease) return 'load-acquire';
  // Addition without a result is older than all others.
  return operation === 0 ? undefined : 'fetching-atomics';
}

/** Number of the helper that an instruction calls. */
export function helperAt(insns: Insns, at: number): number | undefined {
  const calls = insns.code[at] === (CLASS.JMP | (jump.call << 4));
  return calls && insns.src[at] === CALL.HELPER ? (insns.imm[at] as number) : undefined;
}

/** Indices of instructions; the second slots of wide ones are left out. */
export function* instructionsOf(insns: Insns): Generator<number> {
  for (let at = 0; at < insns.length; at += insns.isWide(at) ? 2 : 1) yield at;
}
