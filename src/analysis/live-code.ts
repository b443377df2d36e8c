import { BPF_F_RDONLY_PROG } from '../abi/bpf.ts';
import type { Insns } from '../asm/insns.ts';
import { CLASS, MODE } from '../asm/opcodes.ts';
import type { FunctionSpec, MapIndex, ObjectSpec } from '../object/spec.ts';

/** What a register is known to hold. */
type Value =
  | bigint
  /** An address in the contents of a data section. */
  | { readonly map: MapIndex; readonly offset: number }
  /** The address of something that is there. */
  | 'not-zero'
  | undefined;

type State = Value[];

const registers = 11;

/** The code to look at: of one function, with what CO-RE has made of it. */
export interface LiveCode {
  readonly spec: ObjectSpec;
  readonly fn: FunctionSpec;
  /** The function's instructions after relocation. */
  readonly insns: Insns;
  /** Whether the kernel has an extern, by its index. */
  readonly has: (extern: number) => boolean;
}

/**
 * Which instructions of a function may run, as far as constants decide it: a check that CO-RE
 * has answered, a weak symbol that is not there, a constant of `.rodata`. The verifier goes the
 * same ways and more, so what is left out here it never looks at. Index 1 for those that may.
 */
export function liveInstructions(code: LiveCode): Uint8Array {
  return new Walk(code).run();
}

class Walk {
  readonly #code: LiveCode;
  readonly #insns: Insns;
  readonly #live: Uint8Array;
  /** What is known where jumps lead to. */
  readonly #states = new Map<number, State>();
  readonly #targets: ReadonlySet<number>;
  readonly #relocations: ReadonlyMap<number, FunctionSpec['relocations'][number]>;
  readonly #waiting: number[] = [];

  constructor(code: LiveCode) {
    this.#code = code;
    this.#insns = code.insns;
    this.#live = new Uint8Array(code.insns.length);
    this.#relocations = new Map(code.fn.relocations.map((each) => [each.insn, each]));
    this.#targets = jumpTargets(code);
  }

  run(): Uint8Array {
    this.#meet(0, new Array<Value>(registers).fill(undefined));
    for (const relocation of this.#code.fn.relocations) {
      if (relocation.kind !== 'jump-table') continue;
      for (const target of relocation.targets) this.#meet(target, unknown());
    }
    for (let at = this.#waiting.pop(); at !== undefined; at = this.#waiting.pop()) {
      this.#walk(at, [...(this.#states.get(at) as State)]);
    }
    return this.#live;
  }

  /** Goes on at a place; what two ways know differently is not known. */
  #meet(at: number, state: State): void {
    if (at < 0 || at >= this.#insns.length) return;
    const known = this.#states.get(at);
    if (known === undefined) {
      this.#states.set(at, [...state]);
      this.#waiting.push(at);
      return;
    }
    let changed = false;
    for (let i = 0; i < registers; i++) {
      if (known[i] === undefined || isSame(known[i], state[i])) continue;
      known[i] = undefined;
      changed = true;
    }
    if (changed) this.#waiting.push(at);
  }

  #walk(start: number, state: State): void {
    const { code } = this.#insns;
    for (let at = start; at < code.length; ) {
      if (at !== start && this.#targets.has(at)) {
        this.#meet(at, state);
        return;
      }
      this.#live[at] = 1;
      const next = at + (this.#insns.isWide(at) ? 2 : 1);
      if (!this.#step(at, next, state)) return;
      at = next;
    }
  }

  /** Takes an instruction; false where nothing follows it. */
  #step(at: number, next: number, state: State): boolean {
    const { code, dst, src } = this.#insns;
    const opcode = code[at] as number;
    const to = dst[at] as number;
    switch (opcode & 0x07) {
      case CLASS.LD:
        if (this.#insns.isWide(at)) state[to] = this.#wide(at);
        else state.fill(undefined, 0, 6);
        return true;
      case CLASS.LDX:
        state[to] = this.#load(at, state[src[at] as number]);
        return true;
      case CLASS.STX:
        // An atomic may give back what was there.
        if ((opcode & 0xe0) === MODE.ATOMIC) {
          state[src[at] as number] = undefined;
          state[0] = undefined;
          state[to] = undefined;
        }
        return true;
      case CLASS.ALU:
      case CLASS.ALU64:
        state[to] = arithmetic(this.#insns, at, state);
        return true;
      case CLASS.JMP:
      case CLASS.JMP32:
        return this.#jump(at, next, state);
      default:
        return true;
    }
  }

  #wide(at: number): Value {
    const relocation = this.#relocations.get(at);
    if (relocation === undefined) {
      return (this.#insns.src[at] as number) === 0 ? this.#insns.imm64(at) : undefined;
    }
    if (relocation.kind === 'map-value') return { map: relocation.map, offset: relocation.offset };
    if (relocation.kind !== 'extern-address') return undefined;
    const { kind } = this.#code.spec.externs[relocation.extern] ?? {};
    if (kind === 'kconfig') return undefined;
    return this.#code.has(relocation.extern) ? 'not-zero' : 0n;
  }

  /** A value that nobody writes to any more once programs run. */
  #load(at: number, address: Value): Value {
    if (typeof address !== 'object') return undefined;
    const map = this.#code.spec.maps[address.map];
    const opcode = this.#insns.code[at] as number;
    const plain = (opcode & 0xe0) === MODE.MEM;
    if (map?.data?.kind !== 'rodata' || (map.flags & BPF_F_RDONLY_PROG) === 0 || !plain) {
      return undefined;
    }
    const size = [4, 2, 1, 8][(opcode >> 3) & 3] as number;
    const from = address.offset + (this.#insns.off[at] as number);
    const bytes = map.data.contents.subarray(Math.max(0, from), from + size);
    if (from < 0 || bytes.length !== size) return undefined;
    const ordered = this.#code.spec.littleEndian ? [...bytes].reverse() : [...bytes];
    return ordered.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  #jump(at: number, next: number, state: State): boolean {
    const { code, off, imm } = this.#insns;
    const opcode = code[at] as number;
    const operation = opcode >> 4;
    if (operation === 0x8) {
      state.fill(undefined, 0, 6);
      return true;
    }
    if (operation === 0x9) return false;
    const isLong = opcode === (CLASS.JMP32 | 0);
    const target = next + ((isLong ? imm[at] : off[at]) as number);
    if (operation === 0x0) {
      if ((opcode & 0x08) === 0) this.#meet(target, state);
      return false;
    }
    const taken = decide(this.#insns, at, state);
    if (taken !== false) this.#meet(target, state);
    return taken !== true;
  }
}

function unknown(): State {
  return new Array<Value>(registers).fill(undefined);
}

function jumpTargets({ insns, fn }: LiveCode): ReadonlySet<number> {
  const targets = new Set<number>();
  for (const relocation of fn.relocations) {
    if (relocation.kind === 'jump-table') for (const each of relocation.targets) targets.add(each);
  }
  for (let at = 0; at < insns.length; at += insns.isWide(at) ? 2 : 1) {
    const opcode = insns.code[at] as number;
    const isJump = (opcode & 0x07) === CLASS.JMP || (opcode & 0x07) === CLASS.JMP32;
    const operation = opcode >> 4;
    if (!isJump || operation === 0x8 || operation === 0x9) continue;
    const isLong = opcode === CLASS.JMP32;
    targets.add(at + 1 + ((isLong ? insns.imm[at] : insns.off[at]) as number));
  }
  return targets;
}

function isSame(a: Value, b: Value): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b;
  return a.map === b.map && a.offset === b.offset;
}

const wrap = (value: bigint, wide: boolean): bigint => BigInt.asUintN(wide ? 64 : 32, value);

/** The result of arithmetic on constants; undefined for what is seldom used in checks. */
function arithmetic({ code, dst, src, off, imm }: Insns, at: number, state: State): Value {
  const opcode = code[at] as number;
  const wide = (opcode & 0x07) === CLASS.ALU64;
  const operand = (opcode & 0x08) === 0 ? BigInt(imm[at] as number) : state[src[at] as number];
  const operation = opcode >> 4;
  if (operation === 0xb) {
    if ((off[at] as number) !== 0) return undefined;
    return typeof operand === 'bigint' ? wrap(operand, wide) : wide ? operand : undefined;
  }
  const before = state[dst[at] as number];
  if (typeof operand !== 'bigint') return undefined;
  if (typeof before === 'object') {
    const moved = wide && operation === 0x0;
    return moved ? { map: before.map, offset: before.offset + Number(operand) } : undefined;
  }
  if (typeof before !== 'bigint') return undefined;
  const result = operations.get(operation)?.(wrap(before, wide), wrap(operand, wide), wide);
  return result === undefined ? undefined : wrap(result, wide);
}

type Operation = (a: bigint, b: bigint, wide: boolean) => bigint;

const operations: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [0x0, (a, b) => a + b],
  [0x1, (a, b) => a - b],
  [0x4, (a, b) => a | b],
  [0x5, (a, b) => a & b],
  [0x6, (a, b, wide) => a << (b & (wide ? 63n : 31n))],
  [0x7, (a, b, wide) => a >> (b & (wide ? 63n : 31n))],
  [0xa, (a, b) => a ^ b],
]);

/** Whether a conditional jump is taken; undefined where that is not known. */
function decide({ code, dst, src, imm }: Insns, at: number, state: State): boolean | undefined {
  const opcode = code[at] as number;
  const wide = (opcode & 0x07) === CLASS.JMP;
  const left = state[dst[at] as number];
  const right = (opcode & 0x08) === 0 ? BigInt(imm[at] as number) : state[src[at] as number];
  const operation = opcode >> 4;
  if (left === 'not-zero' && right === 0n) {
    return operation === 0x1 ? false : operation === 0x5 ? true : undefined;
  }
  if (typeof left !== 'bigint' || typeof right !== 'bigint') return undefined;
  return comparisons.get(operation)?.(wrap(left, wide), wrap(right, wide), wide ? 64 : 32);
}

type Comparison = (a: bigint, b: bigint, bits: number) => boolean;

const signed =
  (compare: (a: bigint, b: bigint) => boolean): Comparison =>
  (a, b, bits) =>
    compare(BigInt.asIntN(bits, a), BigInt.asIntN(bits, b));

const comparisons: ReadonlyMap<number, Comparison> = new Map<number, Comparison>([
  [0x1, (a, b) => a === b],
  [0x2, (a, b) => a > b],
  [0x3, (a, b) => a >= b],
  [0x4, (a, b) => (a & b) !== 0n],
  [0x5, (a, b) => a !== b],
  [0x6, signed((a, b) => a > b)],
  [0x7, signed((a, b) => a >= b)],
  [0xa, (a, b) => a < b],
  [0xb, (a, b) => a <= b],
  [0xc, signed((a, b) => a < b)],
  [0xd, signed((a, b) => a <= b)],
]);
