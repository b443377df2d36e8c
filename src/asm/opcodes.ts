/**
 * The instruction set as data: one row for every encoding, up to cpu v4 and what came after
 * it. The disassembler, the VM's lowering and the JIT all read this table, so that an
 * instruction is described once.
 *
 * ```
 *   opcode of arithmetic and jumps         opcode of loads and stores
 *     7..4      3        2..0                7..5   4..3   2..0
 *   operation  source   class                mode   size   class
 * ```
 * Source: RFC 9669, sections 3 to 5; `bpf_check` in the kernel's verifier for what came later.
 */

/** Class of an instruction: bits 0 to 2 of the opcode. */
export const CLASS = {
  LD: 0x00,
  LDX: 0x01,
  ST: 0x02,
  STX: 0x03,
  ALU: 0x04,
  JMP: 0x05,
  JMP32: 0x06,
  ALU64: 0x07,
} as const;

/** Second operand of arithmetic and jumps: the immediate (`K`) or the source register (`X`). */
export const SOURCE = { K: 0x00, X: 0x08 } as const;

/** Width of a memory access: bits 3 and 4 of the opcode. */
export const SIZE = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;

/** Addressing mode of loads and stores: bits 5 to 7 of the opcode. */
export const MODE = {
  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  MEMSX: 0x80,
  ATOMIC: 0xc0,
} as const;

/** `src` of an `ld_imm64`: what its immediate stands for (`BPF_PSEUDO_*`). */
export const PSEUDO = {
  /** The number itself. */
  NONE: 0,
  /** A map, by descriptor. */
  MAP_FD: 1,
  /** An address in a map's value: descriptor in the first half, offset in the second. */
  MAP_VALUE: 2,
  /** A kernel variable, by BTF id; BTF descriptor in the second half. */
  BTF_ID: 3,
  /** A subprogram's address: distance in instructions from the next one. */
  FUNC: 4,
  /** A map, by index into the descriptor array of the load. */
  MAP_IDX: 5,
  /** As `MAP_VALUE`, by index. */
  MAP_IDX_VALUE: 6,
} as const;

/** `src` of a `call`: what its immediate stands for. */
export const CALL = {
  /** A helper, by number. */
  HELPER: 0,
  /** A subprogram: distance in instructions from the next one. */
  SUBPROGRAM: 1,
  /** A kernel function, by BTF id; `off` is an index into the load's descriptor array. */
  KFUNC: 2,
} as const;

/** Arithmetic with two operands; `div` and `mod` are unsigned, `sdiv` and `smod` signed. */
export type AluOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sdiv'
  | 'or'
  | 'and'
  | 'lsh'
  | 'rsh'
  | 'mod'
  | 'smod'
  | 'xor'
  | 'mov'
  | 'arsh';

/** Comparison of a conditional jump; `s…` are signed, `set` is `(a & b) != 0`. */
export type Comparison =
  | 'eq'
  | 'ne'
  | 'gt'
  | 'ge'
  | 'lt'
  | 'le'
  | 'set'
  | 'sgt'
  | 'sge'
  | 'slt'
  | 'sle';

/** Read-modify-write operation of an atomic instruction. */
export type AtomicOp = 'add' | 'or' | 'and' | 'xor' | 'exchange' | 'compare-exchange';

/** Bytes of a memory access. */
export type AccessSize = 1 | 2 | 4 | 8;

/** What one instruction does. Registers, offset and immediate stay in the instruction. */
export type Operation =
  /** `dst = dst op operand`; `mov` is `dst = operand`. 32-bit results are zero-extended. */
  | {
      readonly kind: 'alu';
      readonly op: AluOp;
      readonly width: 32 | 64;
      readonly operand: 'imm' | 'reg';
    }
  | { readonly kind: 'neg'; readonly width: 32 | 64 }
  /** `dst = (s8|s16|s32) src`. */
  | { readonly kind: 'movsx'; readonly width: 32 | 64; readonly bits: 8 | 16 | 32 }
  /** Conversion to an address space: `imm` is the new one in bits 16 to 31, the old one below. */
  | { readonly kind: 'addr-space-cast' }
  /** Byte order: to little, to big, or swapped whatever the machine; the upper bits become 0. */
  | { readonly kind: 'swap'; readonly to: 'le' | 'be' | 'swapped'; readonly bits: 16 | 32 | 64 }
  /** Two slots; `src` is one of {@link PSEUDO}. */
  | { readonly kind: 'ld-imm64' }
  /** `dst = *(size *)(src + off)`. */
  | { readonly kind: 'load'; readonly size: AccessSize; readonly signed: boolean }
  /** `*(size *)(dst + off) = operand`. */
  | { readonly kind: 'store'; readonly size: AccessSize; readonly operand: 'imm' | 'reg' }
  /**
   * `*(size *)(dst + off) op= src`. With `fetch` the old value goes to `src`, for
   * `compare-exchange` to r0, which also holds the value to compare with.
   */
  | {
      readonly kind: 'atomic';
      readonly op: AtomicOp;
      readonly size: 4 | 8;
      readonly fetch: boolean;
    }
  /** `dst = *(size *)(src + off)`, ordered before all later accesses. */
  | { readonly kind: 'load-acquire'; readonly size: AccessSize }
  /** `*(size *)(dst + off) = src`, ordered after all earlier accesses. */
  | { readonly kind: 'store-release'; readonly size: AccessSize }
  /** `r0 = packet[imm]` or `r0 = packet[src + imm]`, big-endian; context in r6; leaves the program when outside. */
  | { readonly kind: 'load-packet'; readonly size: 1 | 2 | 4; readonly index: 'imm' | 'reg' }
  /** Distance in `off`, or in `imm` for the long form, from the next instruction. */
  | { readonly kind: 'goto'; readonly long: boolean }
  /** Jump to the address in `dst` (cpu v4 jump tables). */
  | { readonly kind: 'goto-register' }
  /** Jump by `off` once the loop's allowance is used up. */
  | { readonly kind: 'may-goto' }
  | {
      readonly kind: 'jump-if';
      readonly comparison: Comparison;
      readonly width: 32 | 64;
      readonly operand: 'imm' | 'reg';
    }
  | { readonly kind: 'call'; readonly callee: 'helper' | 'subprogram' | 'kfunc' }
  /** Call of the address in `dst`; clang makes it, no kernel accepts it. */
  | { readonly kind: 'call-register' }
  | { readonly kind: 'exit' };

/** A field of an instruction besides its opcode. */
export type InsnField = 'dst' | 'src' | 'off' | 'imm';

/**
 * One encoding. Where `src`, `off` or `imm` is given, the field must have that value for
 * the row to apply. `uses` lists the fields that mean something (the fixed ones included);
 * the verifier wants all others to be zero.
 */
export interface OpcodeRow {
  /** Place in {@link opcodeRows}: a small number to switch on in hot code. */
  readonly id: number;
  readonly code: number;
  readonly src?: number;
  readonly off?: number;
  readonly imm?: number;
  readonly uses: readonly InsnField[];
  readonly operation: Operation;
}

type RowSeed = Omit<OpcodeRow, 'id'>;

const aluOps = [
  { op: 'add', code: 0x00 },
  { op: 'sub', code: 0x10 },
  { op: 'mul', code: 0x20 },
  { op: 'div', code: 0x30 },
  { op: 'sdiv', code: 0x30, off: 1 },
  { op: 'or', code: 0x40 },
  { op: 'and', code: 0x50 },
  { op: 'lsh', code: 0x60 },
  { op: 'rsh', code: 0x70 },
  { op: 'mod', code: 0x90 },
  { op: 'smod', code: 0x90, off: 1 },
  { op: 'xor', code: 0xa0 },
  { op: 'mov', code: 0xb0 },
  { op: 'arsh', code: 0xc0 },
] as const satisfies readonly { op: AluOp; code: number; off?: number }[];

const comparisons = [
  { comparison: 'eq', code: 0x10 },
  { comparison: 'gt', code: 0x20 },
  { comparison: 'ge', code: 0x30 },
  { comparison: 'set', code: 0x40 },
  { comparison: 'ne', code: 0x50 },
  { comparison: 'sgt', code: 0x60 },
  { comparison: 'sge', code: 0x70 },
  { comparison: 'lt', code: 0xa0 },
  { comparison: 'le', code: 0xb0 },
  { comparison: 'slt', code: 0xc0 },
  { comparison: 'sle', code: 0xd0 },
] as const satisfies readonly { comparison: Comparison; code: number }[];

const atomics = [
  { op: 'add', imm: 0x00, fetch: false },
  { op: 'add', imm: 0x01, fetch: true },
  { op: 'or', imm: 0x40, fetch: false },
  { op: 'or', imm: 0x41, fetch: true },
  { op: 'and', imm: 0x50, fetch: false },
  { op: 'and', imm: 0x51, fetch: true },
  { op: 'xor', imm: 0xa0, fetch: false },
  { op: 'xor', imm: 0xa1, fetch: true },
  { op: 'exchange', imm: 0xe1, fetch: true },
  { op: 'compare-exchange', imm: 0xf1, fetch: true },
] as const satisfies readonly { op: AtomicOp; imm: number; fetch: boolean }[];

/** `imm` of the ordered accesses, which share mode `ATOMIC`. */
const ORDERED = { LOAD_ACQUIRE: 0x100, STORE_RELEASE: 0x110 } as const;

const sizes = [
  { size: 4, code: SIZE.W },
  { size: 2, code: SIZE.H },
  { size: 1, code: SIZE.B },
  { size: 8, code: SIZE.DW },
] as const;

const widths = [
  { width: 64, alu: CLASS.ALU64, jump: CLASS.JMP },
  { width: 32, alu: CLASS.ALU, jump: CLASS.JMP32 },
] as const;

const operands = [
  { operand: 'imm', code: SOURCE.K, field: 'imm' },
  { operand: 'reg', code: SOURCE.X, field: 'src' },
] as const;

function* arithmeticRows(): Generator<RowSeed> {
  for (const { width, alu } of widths) {
    for (const row of aluOps) {
      for (const { operand, code, field } of operands) {
        yield {
          code: alu | row.code | code,
          off: 'off' in row ? row.off : 0,
          uses: ['dst', 'off', field],
          operation: { kind: 'alu', op: row.op, width, operand },
        };
      }
    }
    yield { code: alu | 0x80, uses: ['dst'], operation: { kind: 'neg', width } };
    for (const bits of [8, 16, 32] as const) {
      if (bits === width) continue;
      yield {
        code: alu | 0xb0 | SOURCE.X,
        off: bits,
        uses: ['dst', 'src', 'off'],
        operation: { kind: 'movsx', width, bits },
      };
    }
  }
  yield {
    code: CLASS.ALU64 | 0xb0 | SOURCE.X,
    off: 1,
    uses: ['dst', 'src', 'off', 'imm'],
    operation: { kind: 'addr-space-cast' },
  };
}

const swaps = [
  { to: 'le', code: CLASS.ALU | 0xd0 | SOURCE.K },
  { to: 'be', code: CLASS.ALU | 0xd0 | SOURCE.X },
  { to: 'swapped', code: CLASS.ALU64 | 0xd0 | SOURCE.K },
] as const;

function* swapRows(): Generator<RowSeed> {
  for (const { to, code } of swaps) {
    for (const bits of [16, 32, 64] as const) {
      yield { code, imm: bits, uses: ['dst', 'imm'], operation: { kind: 'swap', to, bits } };
    }
  }
}

function* memoryRows(): Generator<RowSeed> {
  yield {
    code: CLASS.LD | MODE.IMM | SIZE.DW,
    uses: ['dst', 'src', 'imm'],
    operation: { kind: 'ld-imm64' },
  };
  for (const { size, code } of sizes) {
    yield {
      code: CLASS.LDX | MODE.MEM | code,
      uses: ['dst', 'src', 'off'],
      operation: { kind: 'load', size, signed: false },
    };
    if (size !== 8) yield* narrowLoadRows(size, code);
    yield {
      code: CLASS.ST | MODE.MEM | code,
      uses: ['dst', 'off', 'imm'],
      operation: { kind: 'store', size, operand: 'imm' },
    };
    yield {
      code: CLASS.STX | MODE.MEM | code,
      uses: ['dst', 'src', 'off'],
      operation: { kind: 'store', size, operand: 'reg' },
    };
  }
}

function* narrowLoadRows(size: 1 | 2 | 4, code: number): Generator<RowSeed> {
  yield {
    code: CLASS.LDX | MODE.MEMSX | code,
    uses: ['dst', 'src', 'off'],
    operation: { kind: 'load', size, signed: true },
  };
  yield {
    code: CLASS.LD | MODE.ABS | code,
    uses: ['imm'],
    operation: { kind: 'load-packet', size, index: 'imm' },
  };
  yield {
    code: CLASS.LD | MODE.IND | code,
    uses: ['src', 'imm'],
    operation: { kind: 'load-packet', size, index: 'reg' },
  };
}

function* atomicRows(): Generator<RowSeed> {
  const uses = ['dst', 'src', 'off', 'imm'] as const;
  for (const { size, code } of sizes) {
    const opcode = CLASS.STX | MODE.ATOMIC | code;
    if (size === 4 || size === 8) {
      for (const { op, imm, fetch } of atomics) {
        yield { code: opcode, imm, uses, operation: { kind: 'atomic', op, size, fetch } };
      }
    }
    const acquire = { kind: 'load-acquire', size } as const;
    yield { code: opcode, imm: ORDERED.LOAD_ACQUIRE, uses, operation: acquire };
    const release = { kind: 'store-release', size } as const;
    yield { code: opcode, imm: ORDERED.STORE_RELEASE, uses, operation: release };
  }
}

function* jumpRows(): Generator<RowSeed> {
  yield { code: 0x05, uses: ['off'], operation: { kind: 'goto', long: false } };
  yield { code: 0x06, uses: ['imm'], operation: { kind: 'goto', long: true } };
  yield { code: 0x0d, uses: ['dst'], operation: { kind: 'goto-register' } };
  yield { code: 0xe5, uses: ['off'], operation: { kind: 'may-goto' } };
  for (const { width, jump } of widths) {
    for (const { comparison, code } of comparisons) {
      for (const { operand, code: source, field } of operands) {
        yield {
          code: jump | code | source,
          uses: ['dst', 'off', field],
          operation: { kind: 'jump-if', comparison, width, operand },
        };
      }
    }
  }
}

const callees = [
  { callee: 'helper', src: CALL.HELPER, uses: ['src', 'imm'] },
  { callee: 'subprogram', src: CALL.SUBPROGRAM, uses: ['src', 'imm'] },
  { callee: 'kfunc', src: CALL.KFUNC, uses: ['src', 'off', 'imm'] },
] as const;

function* callRows(): Generator<RowSeed> {
  for (const { callee, src, uses } of callees) {
    yield { code: 0x85, src, uses, operation: { kind: 'call', callee } };
  }
  yield { code: 0x8d, uses: ['dst'], operation: { kind: 'call-register' } };
  yield { code: 0x95, imm: 0, uses: ['imm'], operation: { kind: 'exit' } };
}

function collectRows(): OpcodeRow[] {
  const seeds = [
    ...arithmeticRows(),
    ...swapRows(),
    ...memoryRows(),
    ...atomicRows(),
    ...jumpRows(),
    ...callRows(),
  ];
  return seeds.map((seed, id) => ({ id, ...seed }));
}

/** Every encoding; a row's `id` is its index here. */
export const opcodeRows: readonly OpcodeRow[] = collectRows();

const byCode: readonly (readonly OpcodeRow[])[] = Array.from({ length: 256 }, (_, code) =>
  opcodeRows.filter((row) => row.code === code),
);

/** Rows that share an opcode byte; empty where no instruction has it. */
export function rowsOfCode(code: number): readonly OpcodeRow[] {
  return byCode[code & 0xff] ?? [];
}

/** The row that an instruction's fields select, undefined where there is none. */
export function findRow(
  code: number,
  src: number,
  off: number,
  imm: number,
): OpcodeRow | undefined {
  const rows = byCode[code] ?? [];
  for (const row of rows) {
    if (row.src !== undefined && row.src !== src) continue;
    if (row.off !== undefined && row.off !== off) continue;
    if (row.imm !== undefined && row.imm !== imm) continue;
    return row;
  }
  return undefined;
}
