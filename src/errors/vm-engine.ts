import { quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** What is wrong with an instruction that the VM refuses before anything runs. */
export type InstructionProblem =
  | 'unknown-opcode'
  | 'reserved-field'
  | 'bad-register'
  | 'frame-pointer-written'
  | 'incomplete-wide'
  | 'jump-outside'
  | 'jump-into-wide'
  | 'call-outside'
  | 'falls-off'
  | 'no-slot'
  | 'bad-pseudo';

/** Why a run was stopped. */
export type TrapReason =
  | 'access'
  | 'budget'
  | 'call-depth'
  | 'stack'
  | 'poisoned'
  | 'missing-function'
  | 'jump-target'
  | 'function-address'
  | 'no-packet';

/** One function of the call stack at a trap. */
export interface TrapFrame {
  readonly program: string;
  readonly function: string;
  /** Index in the program's image. */
  readonly insn: number;
  /** `file:line: text`, names escaped. */
  readonly source?: string | undefined;
}

/** A function that a program calls and the VM does not have. */
export interface MissingFunction {
  readonly name: string;
  /** First instruction that calls it. */
  readonly insn: number;
  readonly source?: string | undefined;
}

/** Errors of the VM's engines. Instruction indices count 8-byte slots of the program's image. */
export type VmEngineErrorDetail =
  | { readonly code: 'vm-no-instructions' }
  | {
      readonly code: 'vm-bad-instruction';
      readonly insn: number;
      readonly opcode: number;
      readonly problem: InstructionProblem;
      /** The register, field or target in question. */
      readonly value?: string | number | undefined;
    }
  /** A valid instruction that this VM does not run. */
  | { readonly code: 'vm-unsupported-instruction'; readonly insn: number; readonly what: string }
  | { readonly code: 'vm-missing-functions'; readonly missing: readonly MissingFunction[] }
  /** The stack of a chain of calls is over 512 bytes; `functions` is the chain. */
  | {
      readonly code: 'vm-stack-size';
      readonly bytes: number;
      readonly functions: readonly string[];
    }
  /** More than 8 functions deep, or recursive. */
  | { readonly code: 'vm-call-depth'; readonly functions: readonly string[] }
  /** A function that makes tail calls below 256 bytes of stack. */
  | { readonly code: 'vm-tail-call-stack'; readonly bytes: number; readonly function: string }
  /** Function addresses of the VM are used up. */
  | { readonly code: 'vm-code-space' }
  | {
      readonly code: 'vm-trap';
      readonly reason: TrapReason;
      /** Innermost first; empty where not even the entry function could start. */
      readonly calls: readonly TrapFrame[];
      readonly access?:
        | {
            readonly kind: 'load' | 'store';
            /** In bytes. */
            readonly size: number;
            /** Unsigned 64-bit. */
            readonly address: bigint;
            /** The nearest allocation, in words. */
            readonly place: string;
          }
        | undefined;
      /** More about the reason: why an access is not allowed, which helper is missing. */
      readonly note?: string | undefined;
      /** r0 to r10, unsigned 64-bit. */
      readonly registers: readonly bigint[];
    };

const problems: { readonly [P in InstructionProblem]: (value: string | number) => string } = {
  'unknown-opcode': () => 'no instruction has this encoding',
  'reserved-field': (field) => `field ${field} is reserved here and must be zero`,
  'bad-register': (register) => `there is no register r${register}`,
  'frame-pointer-written': () => 'r10, the frame pointer, cannot be written',
  'incomplete-wide': () => 'a 64-bit immediate load needs a second slot with opcode 0',
  'jump-outside': (target) => `it jumps to instruction ${target}, outside of its function`,
  'jump-into-wide': (target) =>
    `it goes to instruction ${target}, the second half of a 64-bit immediate load`,
  'call-outside': (target) => `it refers to a function at ${target}, outside of the program`,
  'falls-off': (name) =>
    `function ${quoteName(String(name))} runs past its end; its last instruction must be an exit or a jump`,
  'no-slot': () => 'it names a map, but no map was given for it',
  'bad-pseudo': (value) => `src ${value} is no known source of a 64-bit immediate`,
};

const reasons: { readonly [R in TrapReason]: string } = {
  access: 'memory access',
  budget: 'the instruction budget is used up; raise it if the program is not looping forever',
  'call-depth': 'more than 8 functions deep',
  stack: 'the stack of this CPU is used up by runs inside of runs',
  poisoned: 'the instruction was made unusable by a relocation that found nothing',
  'missing-function': 'the called function is not in this VM',
  'jump-target': 'an indirect jump to what is in none of the jump tables of the function',
  'function-address': 'the address called is no function of a loaded program',
  'no-packet': 'a legacy packet load in a program that has no packet',
};

const address = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`;

function sourceSuffix(source: string | undefined): string {
  return source === undefined ? '' : ` (${source})`;
}

function describeTrap(d: Extract<VmEngineErrorDetail, { readonly code: 'vm-trap' }>): string {
  const frame = d.calls[0];
  const where =
    frame === undefined
      ? ''
      : ` in ${quoteName(frame.function)} at instruction ${frame.insn}${sourceSuffix(frame.source)}`;
  const note = d.note === undefined ? '' : `: ${d.note}`;
  if (d.access === undefined) return `trap${where}: ${reasons[d.reason]}${note}`;
  const { kind, size, place } = d.access;
  const bytes = size === 1 ? '1 byte' : `${size} bytes`;
  return `trap${where}: ${kind} of ${bytes} at ${address(d.access.address)}, ${place}${note}`;
}

const names = (functions: readonly string[]): string => functions.map(quoteName).join(' → ');

export const vmEngineWords: Words<VmEngineErrorDetail> = {
  'vm-no-instructions': () => 'the program has no instructions',
  'vm-bad-instruction': (d) =>
    `opcode 0x${d.opcode.toString(16).padStart(2, '0')}: ${problems[d.problem](d.value ?? '')}`,
  'vm-unsupported-instruction': (d) => `${d.what}: the VM does not run this`,
  'vm-missing-functions': (d) => {
    const list = d.missing.map(
      (m) => `${quoteName(m.name)} (instruction ${m.insn}${m.source ? `, ${m.source}` : ''})`,
    );
    return `the VM lacks ${list.length === 1 ? 'a function' : `${list.length} functions`} that the program calls: ${list.join(', ')}`;
  },
  'vm-stack-size': (d) =>
    `the calls ${names(d.functions)} need ${d.bytes} bytes of stack together; 512 are allowed`,
  'vm-call-depth': (d) =>
    `the calls ${names(d.functions)} are more than 8 functions deep or recursive`,
  'vm-tail-call-stack': (d) =>
    `${quoteName(d.function)} makes tail calls below ${d.bytes} bytes of stack; fewer than 256 are allowed`,
  'vm-code-space': () => 'the VM has no function addresses left; use a new VM',
  'vm-trap': describeTrap,
};
