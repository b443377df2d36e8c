/**
 * Operations of the lowered form. Each BPF instruction becomes one of them (a legacy packet
 * load two), with widths, operand kinds and byte order settled, so that engines only look at
 * the number.
 *
 * `Imm` operands are in the columns `imm` and `imm64`, `Reg` operands in the source register.
 * Results of 32-bit operations are zero-extended. What is the same thing is one operation:
 * subtraction of an immediate is `add…Imm` of its negation, 32-bit `mov` and `and` of an
 * immediate are the 64-bit ones with a zero-extended immediate, conversions to the machine's
 * own byte order are `and64Imm`, `mov32Reg` or `mov64Reg`.
 */
export const OP = {
  mov64Imm: 0,
  mov64Reg: 1,
  mov32Reg: 2,
  add64Imm: 3,
  add64Reg: 4,
  add32Imm: 5,
  add32Reg: 6,
  mul64Imm: 7,
  mul64Reg: 8,
  mul32Imm: 9,
  mul32Reg: 10,
  or64Imm: 11,
  or64Reg: 12,
  or32Imm: 13,
  or32Reg: 14,
  xor64Imm: 15,
  xor64Reg: 16,
  xor32Imm: 17,
  xor32Reg: 18,
  and64Imm: 19,
  and64Reg: 20,
  and32Reg: 21,
  sub64Reg: 22,
  sub32Reg: 23,
  lsh64Imm: 24,
  lsh64Reg: 25,
  lsh32Imm: 26,
  lsh32Reg: 27,
  rsh64Imm: 28,
  rsh64Reg: 29,
  rsh32Imm: 30,
  rsh32Reg: 31,
  arsh64Imm: 32,
  arsh64Reg: 33,
  arsh32Imm: 34,
  arsh32Reg: 35,
  div64Imm: 36,
  div64Reg: 37,
  div32Imm: 38,
  div32Reg: 39,
  mod64Imm: 40,
  mod64Reg: 41,
  mod32Imm: 42,
  mod32Reg: 43,
  neg64: 44,
  neg32: 45,
  movsx8To64: 46,
  movsx16To64: 47,
  movsx32To64: 48,
  movsx8To32: 49,
  movsx16To32: 50,
  swap16: 51,
  swap32: 52,
  swap64: 53,
  load8: 54,
  load16: 55,
  load32: 56,
  load64: 57,
  loadSigned8: 58,
  loadSigned16: 59,
  loadSigned32: 60,
  store8Imm: 61,
  store8Reg: 62,
  store16Imm: 63,
  store16Reg: 64,
  store32Imm: 65,
  store32Reg: 66,
  store64Imm: 67,
  store64Reg: 68,
  goto: 69,
  jeq64Imm: 70,
  jeq64Reg: 71,
  jeq32Imm: 72,
  jeq32Reg: 73,
  jne64Imm: 74,
  jne64Reg: 75,
  jne32Imm: 76,
  jne32Reg: 77,
  jgt64Imm: 78,
  jgt64Reg: 79,
  jgt32Imm: 80,
  jgt32Reg: 81,
  jge64Imm: 82,
  jge64Reg: 83,
  jge32Imm: 84,
  jge32Reg: 85,
  jlt64Imm: 86,
  jlt64Reg: 87,
  jlt32Imm: 88,
  jlt32Reg: 89,
  jle64Imm: 90,
  jle64Reg: 91,
  jle32Imm: 92,
  jle32Reg: 93,
  jset64Imm: 94,
  jset64Reg: 95,
  jset32Imm: 96,
  jset32Reg: 97,
  jsgt64Imm: 98,
  jsgt64Reg: 99,
  jsgt32Imm: 100,
  jsgt32Reg: 101,
  jsge64Imm: 102,
  jsge64Reg: 103,
  jsge32Imm: 104,
  jsge32Reg: 105,
  jslt64Imm: 106,
  jslt64Reg: 107,
  jslt32Imm: 108,
  jslt32Reg: 109,
  jsle64Imm: 110,
  jsle64Reg: 111,
  jsle32Imm: 112,
  jsle32Reg: 113,
  mayGoto: 114,
  loadPacket: 115,
  helper: 116,
  tailCall: 117,
  call: 118,
  callReg: 119,
  exit: 120,
  hook: 121,
  // Seldom used or slow in themselves: small handlers, not the flat switch.
  sdiv64Imm: 122,
  sdiv64Reg: 123,
  sdiv32Imm: 124,
  sdiv32Reg: 125,
  smod64Imm: 126,
  smod64Reg: 127,
  smod32Imm: 128,
  smod32Reg: 129,
  atomicAdd64: 130,
  atomicFetchAdd64: 131,
  atomicAdd32: 132,
  atomicFetchAdd32: 133,
  atomicOr64: 134,
  atomicFetchOr64: 135,
  atomicOr32: 136,
  atomicFetchOr32: 137,
  atomicAnd64: 138,
  atomicFetchAnd64: 139,
  atomicAnd32: 140,
  atomicFetchAnd32: 141,
  atomicXor64: 142,
  atomicFetchXor64: 143,
  atomicXor32: 144,
  atomicFetchXor32: 145,
  atomicExchange64: 146,
  atomicCompareExchange64: 147,
  atomicExchange32: 148,
  atomicCompareExchange32: 149,
  loadBe16: 150,
  loadBe32: 151,
  loadBe64: 152,
  loadSignedBe16: 153,
  loadSignedBe32: 154,
  storeBe16Reg: 155,
  storeBe32Reg: 156,
  storeBe64Reg: 157,
  trap: 158,
} as const;

/** Name of an operation. */
export type OpName = keyof typeof OP;

/** First of the operations that `interpreter.ts` hands to the table of small handlers. */
export const firstRareOp = OP.sdiv64Imm;

/** Names by number, for messages and listings. */
export const opNames = Object.keys(OP) as readonly OpName[];

/**
 * Operation, registers and memory offset of one lowered instruction in 32 bits, because one
 * load and three shifts cost less than four loads (3.7 against 5.0 ns an instruction on the
 * integer loop, Node 20).
 *
 * ```
 *   31…16          15…12   11…8    7…0
 *   offset (s16)    src     dst     operation
 * ```
 */
export function packWord(op: number, dst: number, src: number, off: number): number {
  return (op & 0xff) | (dst << 8) | (src << 12) | (off << 16);
}

/** Operation of a packed word. */
export function wordOp(word: number): number {
  return word & 0xff;
}

/** Destination register of a packed word. */
export function wordDst(word: number): number {
  return (word >> 8) & 15;
}

/** Source register of a packed word. */
export function wordSrc(word: number): number {
  return (word >> 12) & 15;
}

/** True for the 44 conditional jumps. */
export function isConditionalJump(op: number): boolean {
  return op >= OP.jeq64Imm && op <= OP.jsle32Reg;
}

/**
 * True where the next instruction to run is not simply the next one: after it a basic block
 * ends, and the budget is charged anew.
 */
export function endsBlock(op: number): boolean {
  if (op >= OP.goto && op <= OP.loadPacket) return true;
  switch (op) {
    case OP.tailCall:
    case OP.call:
    case OP.callReg:
    case OP.exit:
    case OP.trap:
      return true;
    default:
      return false;
  }
}

/** True where the column `target` holds an index of the lowered form to continue at. */
export function hasTarget(op: number): boolean {
  return op >= OP.goto && op <= OP.loadPacket;
}
