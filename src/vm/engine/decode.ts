import { CALL, findRow, type OpcodeRow, opcodeRows, PSEUDO } from '../../asm/opcodes.ts';
import type { InstructionProblem } from '../../errors/vm-engine.ts';
import { BpfError } from '../../errors.ts';
import type { ProgramImage } from '../../object/image.ts';
import { insnContext } from './program.ts';

/** Row of `decoded.rows` for the second slot of an `ld_imm64`. */
export const wideTail = -1;

/** A program whose every instruction has a known encoding and is valid by itself. */
export interface DecodedProgram {
  readonly image: ProgramImage;
  /** Index in `opcodeRows` for each slot, {@link wideTail} for second halves. */
  readonly rows: Int16Array;
  /** Functions in the order of their starts; together they cover the program. */
  readonly functions: readonly DecodedFunction[];
}

/** A function as a range of slots. */
export interface DecodedFunction {
  readonly name: string;
  readonly start: number;
  /** One past the last slot. */
  readonly end: number;
}

const uses = { dst: 1, src: 2, off: 4, imm: 8 } as const;

/** Bits of {@link uses} for each opcode row. */
const usedFields = Uint8Array.from(opcodeRows, (row) =>
  row.uses.reduce((mask, field) => mask | uses[field], 0),
);

/** Rows whose `src` is a register. */
const srcIsRegister = opcodeRows.map(
  ({ operation: { kind }, uses: fields }) =>
    fields.includes('src') && kind !== 'ld-imm64' && kind !== 'call',
);

/** Register that an instruction writes besides r0: its `dst`, its `src`, or none. */
const written = opcodeRows.map(({ operation }): 'dst' | 'src' | undefined => {
  switch (operation.kind) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'addr-space-cast':
    case 'swap':
    case 'ld-imm64':
    case 'load':
    case 'load-acquire':
      return 'dst';
    case 'atomic':
      return operation.fetch && operation.op !== 'compare-exchange' ? 'src' : undefined;
    default:
      return undefined;
  }
});

/** The error for instruction `insn`. */
export function badInstruction(
  image: ProgramImage,
  insn: number,
  problem: InstructionProblem,
  value?: string | number,
): BpfError {
  const opcode = image.insns.code[insn] ?? 0;
  const context = insnContext(image, insn);
  return new BpfError({ code: 'vm-bad-instruction', insn, opcode, problem, value }, { context });
}

/**
 * Finds each instruction's row in the opcode table and refuses what is wrong with it alone
 * (unknown encodings, reserved fields, registers), then finds the functions.
 */
export function decodeProgram(image: ProgramImage): DecodedProgram {
  const { insns } = image;
  if (insns.length === 0) {
    throw new BpfError({ code: 'vm-no-instructions' }, { context: [{ program: image.name }] });
  }
  const rows = new Int16Array(insns.length);
  for (let at = 0; at < insns.length; at++) {
    const row = decodeInsn(image, at);
    rows[at] = row.id;
    if (row.operation.kind !== 'ld-imm64') continue;
    at += 1;
    checkWideTail(image, at);
    rows[at] = wideTail;
  }
  const functions = findFunctions(image, rows);
  for (const body of functions) checkLast(image, rows, body);
  return { image, rows, functions };
}

function decodeInsn(image: ProgramImage, at: number): OpcodeRow {
  const { code, dst, src, off, imm } = image.insns;
  const row = findRow(code[at] as number, src[at] as number, off[at] as number, imm[at] as number);
  if (row === undefined) throw badInstruction(image, at, 'unknown-opcode');
  const mask = usedFields[row.id] as number;
  for (const field of ['dst', 'src', 'off', 'imm'] as const) {
    if ((mask & uses[field]) === 0 && image.insns[field][at] !== 0) {
      throw badInstruction(image, at, 'reserved-field', field);
    }
  }
  if ((dst[at] as number) > 10) throw badInstruction(image, at, 'bad-register', dst[at]);
  if (srcIsRegister[row.id] && (src[at] as number) > 10) {
    throw badInstruction(image, at, 'bad-register', src[at]);
  }
  const result = written[row.id];
  if (result !== undefined && image.insns[result][at] === 10) {
    throw badInstruction(image, at, 'frame-pointer-written');
  }
  return row;
}

function checkWideTail(image: ProgramImage, at: number): void {
  const { code, dst, src, off } = image.insns;
  const zero = ((code[at] ?? 1) | (dst[at] ?? 1) | (src[at] ?? 1) | (off[at] ?? 1)) === 0;
  if (!zero) throw badInstruction(image, at - 1, 'incomplete-wide');
}

/** Slot that a call or an address of a function at `at` goes to. */
export function functionTarget(image: ProgramImage, at: number): number {
  return at + 1 + (image.insns.imm[at] as number);
}

/** Functions start where the image says, where calls go and where addresses are taken. */
function findFunctions(image: ProgramImage, rows: Int16Array): DecodedFunction[] {
  const names = new Map<number, string>([[0, image.name]]);
  for (const { name, start } of image.functions) {
    if (rows[start] !== undefined && rows[start] !== wideTail) names.set(start, name);
  }
  for (let at = 0; at < rows.length; at++) {
    if (!refersToFunction(image, rows, at)) continue;
    const target = functionTarget(image, at);
    if (rows[target] === undefined) throw badInstruction(image, at, 'call-outside', target);
    if (rows[target] === wideTail) throw badInstruction(image, at, 'jump-into-wide', target);
    if (!names.has(target)) names.set(target, `function@${target}`);
  }
  const starts = [...names.keys()].sort((a, b) => a - b);
  return starts.map((start, i) => ({
    name: names.get(start) ?? '',
    start,
    end: starts[i + 1] ?? rows.length,
  }));
}

/** True where the slot calls a subprogram or takes a function's address. */
export function refersToFunction(image: ProgramImage, rows: Int16Array, at: number): boolean {
  const operation = opcodeRows[rows[at] as number]?.operation;
  if (operation?.kind === 'call') return image.insns.src[at] === CALL.SUBPROGRAM;
  return operation?.kind === 'ld-imm64' && image.insns.src[at] === PSEUDO.FUNC;
}

/** As the kernel's verifier: a function's last instruction is an exit or an unconditional jump. */
function checkLast(image: ProgramImage, rows: Int16Array, body: DecodedFunction): void {
  const last = body.end - 1;
  const kind = opcodeRows[rows[last] as number]?.operation.kind;
  if (kind === 'exit' || kind === 'goto' || kind === 'goto-register') return;
  const at = rows[last] === wideTail ? last - 1 : last;
  throw badInstruction(image, at, 'falls-off', body.name);
}
