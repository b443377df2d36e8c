import { isConditionalJump, OP, opNames, wordDst, wordOp, wordSrc } from './operations.ts';
import type { LoweredCode, LoweredProgram } from './program.ts';

/**
 * A program's lowered form as text, one line for each row: row, instruction that it comes
 * from, operation and operands. Basic blocks are set apart, functions have their names.
 *
 * ```
 * count_packets:
 *      0  insn 0     mov64Imm      r6 = 1
 *      1  insn 1     jeq64Imm      r6, 0 → 4
 * ```
 */
export function describeLowered(program: LoweredProgram): string {
  const { code } = program;
  const blocks = new Set(code.blocks);
  const names = new Map(code.functions.map(({ name, start }) => [start, name]));
  const lines: string[] = [];
  for (let row = 0; row < code.length; row++) {
    const name = names.get(row);
    if (name !== undefined) lines.push(`${row === 0 ? '' : '\n'}${name}:`);
    else if (blocks.has(row)) lines.push('');
    lines.push(describeRow(code, row));
  }
  return `${lines.join('\n')}\n`;
}

/** One row as {@link describeLowered} shows it. */
export function describeRow(code: LoweredCode, row: number): string {
  const op = wordOp(code.words[row] as number);
  const place = `${row}`.padStart(6);
  const insn = `insn ${code.source[row]}`.padEnd(11);
  return `${place}  ${insn}${(opNames[op] ?? '').padEnd(18)}${operands(code, row, op)}`.trimEnd();
}

function operands(code: LoweredCode, row: number, op: number): string {
  const word = code.words[row] as number;
  const [dst, src] = [`r${wordDst(word)}`, `r${wordSrc(word)}`];
  const name = opNames[op] ?? '';
  const value = name.includes('Imm') ? immediate(code, row, name) : src;
  const address = (register: string): string => `[${register}${signed(word >> 16)}]`;
  if (isConditionalJump(op)) return `${dst}, ${value} → ${code.target[row]}`;
  if (name.startsWith('load') && op !== OP.loadPacket) return `${dst} = ${address(src)}`;
  if (name.startsWith('store')) return `${address(dst)} = ${value}`;
  if (name.startsWith('atomic')) return `${address(dst)}, ${src}`;
  switch (op) {
    case OP.goto:
    case OP.mayGoto:
    case OP.call:
      return `→ ${code.target[row]}`;
    case OP.helper:
    case OP.tailCall:
      return `${code.imm[row]}`;
    case OP.loadPacket:
      return `${wordDst(word) & 7} bytes at ${code.imm[row]}${(wordDst(word) & 8) === 0 ? '' : ` + ${src}`} → ${code.target[row]}`;
    case OP.callReg:
    case OP.neg64:
    case OP.neg32:
    case OP.swap16:
    case OP.swap32:
    case OP.swap64:
      return dst;
    case OP.exit:
    case OP.trap:
    case OP.hook:
      return '';
    default:
      return `${dst}, ${value}`;
  }
}

/** Amounts of shifts are in one column, all other immediates in the wide one too. */
function immediate(code: LoweredCode, row: number, name: string): string {
  return name.includes('sh') ? `${code.imm[row]}` : `${code.imm64[row]}`;
}

function signed(offset: number): string {
  return offset < 0 ? ` - ${-offset}` : ` + ${offset}`;
}
