import { unreachable } from '../errors.ts';
import type { Insns } from './insns.ts';
import {
  type AccessSize,
  type AluOp,
  type AtomicOp,
  type Comparison,
  findRow,
  type OpcodeRow,
  type Operation,
  PSEUDO,
} from './opcodes.ts';

/** How {@link disassemble} writes an instruction. */
export interface DisassembleOptions {
  /**
   * 32-bit loads, stores and atomics with `w` registers, as `llvm-objdump --mcpu=v3` writes
   * them. Without it they are written with `r` registers, as `llvm-objdump` does by itself.
   */
  readonly halfRegisters?: boolean;
  /** Name of the place that a jump goes to, by index; written behind the distance in `<…>`. */
  readonly label?: (target: number) => string | undefined;
  /** Name of what the `ld_imm64` or `call` at an index refers to; written instead of the number. */
  readonly reference?: (at: number) => string | undefined;
}

/** What `llvm-objdump` prints where the bytes are no instruction. */
export const unknownInsn = '<unknown>';

/** Highest register that LLVM knows; r11 is not for programs, but can be encoded. */
const lastRegister = 11;

/**
 * The instruction at `at` in LLVM's assembly, exactly as `llvm-objdump-19 -d` prints it;
 * of an `ld_imm64` the first slot stands for both. Fields that an instruction does not
 * use are not looked at. Two things differ, because LLVM 19 prints them wrongly: 32-bit
 * atomics that return the old value (LLVM writes them all as additions unless told
 * `--mcpu=v3`), and the ordered accesses of newer instruction sets.
 *
 * @example
 * ```ts
 * disassemble(decodeInsns(bytes, { littleEndian: true, section: 'xdp' }), 0); // 'r0 = 0x1'
 * ```
 */
export function disassemble(insns: Insns, at: number, options: DisassembleOptions = {}): string {
  const code = insns.code[at];
  if (code === undefined) return unknownInsn;
  const src = insns.src[at] as number;
  const dst = insns.dst[at] as number;
  const off = insns.off[at] as number;
  const imm = insns.imm[at] as number;
  // Only calls are told apart by `src`; LLVM prints them whatever it holds.
  const row = findRow(code, src, off, imm) ?? findRow(code, 0, off, imm);
  if (row === undefined || !knowsRegisters(row, dst, src)) return unknownInsn;
  return operationText({ insns, at, options }, row.operation);
}

function knowsRegisters(row: OpcodeRow, dst: number, src: number): boolean {
  const { kind } = row.operation;
  const srcIsRegister = row.uses.includes('src') && kind !== 'ld-imm64' && kind !== 'call';
  return (
    !(row.uses.includes('dst') && dst > lastRegister) && !(srcIsRegister && src > lastRegister)
  );
}

/** The instruction being written. */
interface Place {
  readonly insns: Insns;
  readonly at: number;
  readonly options: DisassembleOptions;
}

function operationText(place: Place, operation: Operation): string {
  switch (operation.kind) {
    case 'alu':
      return aluText(place, operation);
    case 'neg':
      return `${dst(place, operation.width)} = -${dst(place, operation.width)}`;
    case 'movsx':
      return `${dst(place, operation.width)} = (s${operation.bits})${src(place, operation.width)}`;
    case 'addr-space-cast':
      return addressSpaceCastText(place);
    case 'swap':
      return `${dst(place)} = ${swapNames[operation.to]}${operation.bits} ${dst(place)}`;
    case 'ld-imm64':
      return wideText(place);
    case 'load': {
      const sign = operation.signed ? 's' : 'u';
      const width = operation.signed ? 64 : accessWidth(place, operation.size);
      return `${dst(place, width)} = *(${sign}${operation.size * 8} *)(${src(place)} ${offset(place)})`;
    }
    case 'store':
      return storeText(place, operation);
    case 'atomic':
      return atomicText(place, operation);
    case 'load-acquire':
      return `${dst(place, orderedWidth(operation.size))} = load_acquire(${pointer(operation.size, src(place), place)})`;
    case 'store-release':
      return `store_release(${pointer(operation.size, dst(place), place)}, ${src(place, orderedWidth(operation.size))})`;
    case 'load-packet': {
      const index = operation.index === 'imm' ? imm(place) : src(place);
      return `r0 = *(u${operation.size * 8} *)skb[${index}]`;
    }
    case 'goto':
      return operation.long
        ? `gotol ${jump(place, place.insns.imm[place.at] as number)}`
        : `goto ${jumpByOffset(place)}`;
    case 'goto-register':
      return `gotox ${dst(place)}`;
    case 'may-goto':
      return `may_goto ${jumpByOffset(place)}`;
    case 'jump-if':
      return jumpText(place, operation);
    case 'call':
      return `call ${place.options.reference?.(place.at) ?? imm(place)}`;
    case 'call-register':
      return `callx ${dst(place)}`;
    case 'exit':
      return 'exit';
    default:
      return unreachable(operation, 'operation');
  }
}

const aluSymbols: Readonly<Record<AluOp, string>> = {
  add: '+=',
  sub: '-=',
  mul: '*=',
  div: '/=',
  sdiv: 's/=',
  or: '|=',
  and: '&=',
  lsh: '<<=',
  rsh: '>>=',
  mod: '%=',
  smod: 's%=',
  xor: '^=',
  mov: '=',
  arsh: 's>>=',
};

const comparisonSymbols: Readonly<Record<Comparison, string>> = {
  eq: '==',
  ne: '!=',
  gt: '>',
  ge: '>=',
  lt: '<',
  le: '<=',
  set: '&',
  sgt: 's>',
  sge: 's>=',
  slt: 's<',
  sle: 's<=',
};

const atomicNames: Readonly<Record<AtomicOp, { readonly symbol: string; readonly name: string }>> =
  {
    add: { symbol: '+=', name: 'add' },
    or: { symbol: '|=', name: 'or' },
    and: { symbol: '&=', name: 'and' },
    xor: { symbol: '^=', name: 'xor' },
    exchange: { symbol: '', name: 'xchg' },
    'compare-exchange': { symbol: '', name: 'cmpxchg' },
  };

const swapNames = { le: 'le', be: 'be', swapped: 'bswap' } as const;

function aluText(place: Place, operation: Extract<Operation, { kind: 'alu' }>): string {
  const { width, op } = operation;
  const operand = operation.operand === 'imm' ? imm(place) : src(place, width);
  return `${dst(place, width)} ${aluSymbols[op]} ${operand}`;
}

function addressSpaceCastText(place: Place): string {
  const spaces = place.insns.imm[place.at] as number;
  const to = (spaces >>> 16).toString(16);
  const from = (spaces & 0xffff).toString(16);
  return `${dst(place)} = addr_space_cast(${src(place)}, 0x${to}, 0x${from})`;
}

function wideText(place: Place): string {
  const { insns, at, options } = place;
  if (!insns.isWide(at)) return unknownInsn;
  const name = options.reference?.(at);
  if (name !== undefined) return `${dst(place)} = ${name} ll`;
  const pseudo = insns.src[at] as number;
  if (pseudo === PSEUDO.NONE) {
    const value = BigInt.asIntN(64, insns.imm64(at));
    return `${dst(place)} = ${hex(value)} ll`;
  }
  return `ld_pseudo\t${dst(place)}, ${hex(pseudo)}, ${imm(place)}`;
}

function storeText(place: Place, operation: Extract<Operation, { kind: 'store' }>): string {
  const { size, operand } = operation;
  const value = operand === 'imm' ? imm(place) : src(place, accessWidth(place, size));
  return `*(u${size * 8} *)(${dst(place)} ${offset(place)}) = ${value}`;
}

function atomicText(place: Place, operation: Extract<Operation, { kind: 'atomic' }>): string {
  const { op, size, fetch } = operation;
  const bits = size * 8;
  const names = atomicNames[op];
  if (!fetch) {
    const value = src(place, accessWidth(place, size));
    return `lock *(u${bits} *)(${dst(place)} ${offset(place)}) ${names.symbol} ${value}`;
  }
  const width = size === 4 ? 32 : 64;
  const value = src(place, width);
  const location = `${dst(place)} ${offset(place)}`;
  const suffix = size === 4 ? '32_32' : '_64';
  if (op === 'exchange') return `${value} = xchg${suffix}(${location}, ${value})`;
  if (op === 'compare-exchange') {
    const old = register(0, width);
    return `${old} = cmpxchg${suffix}(${location}, ${old}, ${value})`;
  }
  return `${value} = atomic_fetch_${names.name}((u${bits} *)(${location}), ${value})`;
}

function jumpText(place: Place, operation: Extract<Operation, { kind: 'jump-if' }>): string {
  const { width, comparison } = operation;
  const right = operation.operand === 'imm' ? imm(place) : src(place, width);
  const test = `${dst(place, width)} ${comparisonSymbols[comparison]} ${right}`;
  return `if ${test} goto ${jumpByOffset(place)}`;
}

function jumpByOffset(place: Place): string {
  return jump(place, place.insns.off[place.at] as number);
}

function jump(place: Place, distance: number): string {
  const label = place.options.label?.(place.at + 1 + distance);
  const text = distance < 0 ? hex(distance) : `+${hex(distance)}`;
  return label === undefined ? text : `${text} <${label}>`;
}

/** Register width in which a memory access of `size` bytes is written. */
function accessWidth(place: Place, size: AccessSize): 32 | 64 {
  return place.options.halfRegisters === true && size !== 8 ? 32 : 64;
}

/** LLVM has the ordered accesses on `w` registers only, but for 8 bytes. */
function orderedWidth(size: AccessSize): 32 | 64 {
  return size === 8 ? 64 : 32;
}

function pointer(size: AccessSize, base: string, place: Place): string {
  return `(u${size * 8} *)(${base} ${offset(place)})`;
}

function register(number: number, width: 32 | 64): string {
  return `${width === 32 ? 'w' : 'r'}${number}`;
}

function dst(place: Place, width: 32 | 64 = 64): string {
  return register(place.insns.dst[place.at] as number, width);
}

function src(place: Place, width: 32 | 64 = 64): string {
  return register(place.insns.src[place.at] as number, width);
}

function imm(place: Place): string {
  return hex(place.insns.imm[place.at] as number);
}

function offset(place: Place): string {
  const off = place.insns.off[place.at] as number;
  return off < 0 ? `- ${hex(-off)}` : `+ ${hex(off)}`;
}

/** Signed hexadecimal: `0x10`, `-0x8`. */
function hex(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
