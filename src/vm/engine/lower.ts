import { CALL, type Comparison, type Operation, opcodeRows, PSEUDO } from '../../asm/opcodes.ts';
import type { MissingFunction } from '../../errors/vm-engine.ts';
import { BpfError } from '../../errors.ts';
import type { ProgramImage } from '../../object/image.ts';
import { type HelperFunction, type ProgramEnvironment, windows } from '../machine.ts';
import { codeAddress } from './code-space.ts';
import {
  badInstruction,
  type DecodedProgram,
  decodeProgram,
  functionTarget,
  wideTail,
} from './decode.ts';
import { emitters, type InsnFields, type RowSink } from './emit.ts';
import { functionAt, jumpTargets, mostSearchRows, searchFor, searchRows } from './jump-tables.ts';
import { endsBlock, hasTarget, OP, packWord, wordOp } from './operations.ts';
import {
  type Fault,
  insnContext,
  type LoweredCode,
  type LoweredFunction,
  sourceText,
} from './program.ts';
import { reachableRows } from './reachable.ts';
import { checkStack, stackDepths } from './stack.ts';

/** `bpf_tail_call`, which the engine carries out itself. */
const tailCallHelper = 12;

/** Immediate of the call that replaces an instruction whose CO-RE relocation found nothing. */
const poisonedCall = 195_896_080;

/**
 * Decodes, checks and lowers a program, once for all its runs. Refuses with a `BpfError`
 * that names instruction and source line: what no kernel would decode, jumps and calls to
 * where no instruction starts, functions without an end, maps without a slot, more stack or
 * calls than the kernel allows, and functions that the VM does not have (all of them in one
 * error, dead code left out). Takes time linear in the program's size.
 */
export function lowerProgram(image: ProgramImage, environment: ProgramEnvironment): LoweredCode {
  const decoded = decodeProgram(image);
  const lowering = new Lowering(decoded, environment);
  return lowering.run();
}

class Lowering implements RowSink {
  readonly littleEndian: boolean;
  readonly #image: ProgramImage;
  readonly #decoded: DecodedProgram;
  readonly #environment: ProgramEnvironment;
  /** Where indirect jumps go, by the start of their function. */
  readonly #jumpTargets: ReadonlyMap<number, readonly number[]>;
  /** Row of each slot; second halves of wide loads have that of the instruction after. */
  readonly #place: Int32Array;
  readonly #words: Int32Array;
  readonly #imm: Int32Array;
  readonly #imm64: BigInt64Array;
  readonly #imm64Halves: Int32Array;
  readonly #target: Int32Array;
  readonly #source: Int32Array;
  readonly #slots = new Map<number, ProgramImage['slots'][number]>();
  readonly #poisoned = new Map<number, string>();
  readonly #helpers: HelperFunction[] = [];
  readonly #helperIndex = new Map<number, number>();
  readonly #faults: Fault[] = [];
  readonly #addressTaken = new Map<number, number>();
  readonly #addressRows: number[] = [];
  #missing = false;
  /** Rows written so far. */
  #length = 0;
  /** Slot that is being lowered. */
  #at = 0;
  /** Function that holds it. */
  #start = 0;
  #end = 0;

  constructor(decoded: DecodedProgram, environment: ProgramEnvironment) {
    this.#decoded = decoded;
    this.#image = decoded.image;
    this.#environment = environment;
    this.littleEndian = decoded.image.littleEndian;
    this.#jumpTargets = jumpTargets(decoded.image, decoded.functions);
    this.#place = placeRows(decoded, searches(decoded, this.#jumpTargets));
    const rows = this.#place[decoded.rows.length] as number;
    this.#words = new Int32Array(rows);
    this.#imm = new Int32Array(rows);
    this.#imm64 = new BigInt64Array(rows);
    this.#imm64Halves = new Int32Array(this.#imm64.buffer);
    this.#target = new Int32Array(rows);
    this.#source = new Int32Array(rows);
    for (const slot of decoded.image.slots) this.#slots.set(slot.insn, slot);
    for (const { insn, reason } of decoded.image.poisoned) this.#poisoned.set(insn, reason);
  }

  run(): LoweredCode {
    for (const { start, end } of this.#decoded.functions) {
      this.#start = start;
      this.#end = end;
      for (let at = start; at < end; at++) this.#lowerSlot(at);
    }
    const bounds = this.#decoded.functions.map(({ start, end }) => ({
      start: this.#row(start),
      end: this.#row(end),
    }));
    const blocks = blockStarts(this.#words, this.#target, bounds);
    const code: LoweredCode = {
      length: this.#length,
      words: this.#words,
      imm: this.#imm,
      imm64: this.#imm64,
      target: this.#target,
      weight: weights(this.#words),
      source: this.#source,
      blocks,
      functions: this.#functions(bounds, blocks),
      helpers: this.#helpers,
      faults: this.#faults,
      addressTaken: this.#addressTaken,
      codeBase: 0,
    };
    if (this.#missing) this.#refuseMissing(code);
    checkStack(this.#image, code);
    return this.#addressRows.length === 0 ? code : { ...code, codeBase: this.#placeCode() };
  }

  push(
    op: number,
    dst: number,
    src: number,
    off: number,
    imm: number,
    low: number,
    high: number,
  ): void {
    const row = this.#length++;
    this.#words[row] = packWord(op, dst, src, off);
    this.#imm[row] = imm;
    this.#imm64Halves[2 * row] = low;
    this.#imm64Halves[2 * row + 1] = high;
    this.#source[row] = this.#at;
  }

  /** A row that refers to another one, a helper or a fault. */
  #pushTarget(op: number, dst: number, src: number, imm: number, target: number): void {
    this.#target[this.#length] = target;
    this.push(op, dst, src, 0, imm, imm, imm >> 31);
  }

  #row(slot: number): number {
    return this.#place[slot] as number;
  }

  #lowerSlot(at: number): void {
    const id = this.#decoded.rows[at] as number;
    if (id === wideTail) return;
    this.#at = at;
    const { insns } = this.#image;
    const fields: InsnFields = {
      dst: insns.dst[at] as number,
      src: insns.src[at] as number,
      off: insns.off[at] as number,
      imm: insns.imm[at] as number,
    };
    const emit = emitters[id];
    if (emit !== undefined) emit(this, fields);
    else this.#lowerOther((opcodeRows[id] as { readonly operation: Operation }).operation, fields);
  }

  #lowerOther(operation: Operation, { dst, src, off, imm }: InsnFields): void {
    switch (operation.kind) {
      case 'ld-imm64':
        this.#lowerWide(dst, src);
        break;
      case 'goto':
        this.#pushTarget(OP.goto, 0, 0, 0, this.#jumpTarget(operation.long ? imm : off));
        break;
      case 'may-goto':
        this.#pushTarget(OP.mayGoto, 0, 0, 0, this.#jumpTarget(off));
        break;
      case 'jump-if': {
        const { comparison, width, operand } = operation;
        const op = jumpOps[`${comparison}${width}${operand}`];
        this.#pushTarget(op, dst, src, imm, this.#jumpTarget(off));
        break;
      }
      case 'call':
        this.#lowerCall(src, imm);
        break;
      case 'load-packet':
        this.#lowerPacketLoad(operation.size, operation.index === 'reg', src, imm);
        break;
      case 'goto-register':
        this.#lowerIndirectJump(dst);
        break;
      case 'addr-space-cast':
        throw this.#unsupported('a conversion between address spaces (arena)');
      default:
        throw new Error(`${operation.kind} has no emitter`);
    }
  }

  /** A search for the register's value among the targets that the function's tables have. */
  #lowerIndirectJump(dst: number): void {
    const targets = this.#jumpTargets.get(this.#start) ?? [];
    if (targets.length === 0) throw this.#unsupported('an indirect jump without a jump table');
    const first = this.#length;
    for (const step of searchFor(targets)) {
      if (step.kind === 'trap') this.#pushTrap({ reason: 'jump-target', note: undefined });
      else if (step.kind === 'goto') {
        const distance = step.target - this.#at - 1;
        this.#pushTarget(OP.goto, 0, 0, 0, this.#jumpTarget(distance));
      } else {
        const op = step.kind === 'at-least' ? OP.jge64Imm : OP.jne64Imm;
        this.#pushTarget(op, dst, 0, step.value, first + step.row);
      }
    }
  }

  #unsupported(what: string): BpfError {
    return new BpfError(
      { code: 'vm-unsupported-instruction', insn: this.#at, what },
      { context: insnContext(this.#image, this.#at) },
    );
  }

  /** Row that a jump over `distance` slots goes to. */
  #jumpTarget(distance: number): number {
    const slot = this.#at + 1 + distance;
    if (slot < this.#start || slot >= this.#end) {
      throw badInstruction(this.#image, this.#at, 'jump-outside', slot);
    }
    if (this.#decoded.rows[slot] === wideTail) {
      throw badInstruction(this.#image, this.#at, 'jump-into-wide', slot);
    }
    return this.#row(slot);
  }

  /**
   * A packet load jumps over an exit when the packet is long enough; the load itself sets r0
   * to 0 when it is not.
   */
  #lowerPacketLoad(size: number, indexed: boolean, src: number, imm: number): void {
    this.#pushTarget(OP.loadPacket, indexed ? size | 8 : size, src, imm, this.#length + 2);
    this.push(OP.exit, 0, 0, 0, 0, 0, 0);
  }

  #lowerWide(dst: number, src: number): void {
    const { imm } = this.#image.insns;
    const low = imm[this.#at] as number;
    switch (src) {
      case PSEUDO.NONE:
        this.push(OP.mov64Imm, dst, 0, 0, low, low, imm[this.#at + 1] as number);
        break;
      case PSEUDO.MAP_FD:
      case PSEUDO.MAP_VALUE:
      case PSEUDO.MAP_IDX:
      case PSEUDO.MAP_IDX_VALUE:
        this.#lowerSlotAddress(dst);
        break;
      case PSEUDO.FUNC:
        this.#lowerFunctionAddress(dst);
        break;
      case PSEUDO.BTF_ID:
        throw this.#unsupported('the address of a kernel variable');
      default:
        throw badInstruction(this.#image, this.#at, 'bad-pseudo', src);
    }
  }

  /** The lower half follows once everything else is known to be right, see `#placeCode`. */
  #lowerFunctionAddress(dst: number): void {
    const target = functionTarget(this.#image, this.#at);
    this.#addressTaken.set(target, this.#row(target));
    this.#addressRows.push(this.#length);
    this.push(OP.mov64Imm, dst, 0, 0, 0, 0, windows.code);
  }

  #lowerSlotAddress(dst: number): void {
    const slot = this.#slots.get(this.#at);
    if (slot === undefined) throw badInstruction(this.#image, this.#at, 'no-slot');
    const { low, high } = this.#environment.slotAddress(slot);
    this.push(OP.mov64Imm, dst, 0, 0, low, low, high);
  }

  #lowerCall(src: number, imm: number): void {
    const reason = this.#poisoned.get(this.#at);
    if (reason !== undefined || (src === CALL.HELPER && imm === poisonedCall)) {
      this.#pushTrap({ reason: 'poisoned', note: reason });
    } else if (src === CALL.SUBPROGRAM) {
      const target = this.#row(functionTarget(this.#image, this.#at));
      this.#pushTarget(OP.call, 0, 0, 0, target);
    } else if (src === CALL.KFUNC) {
      this.#missing = true;
      this.#pushTrap({ reason: 'missing-function', note: `kernel function (BTF id ${imm})` });
    } else this.#lowerHelperCall(imm);
  }

  #lowerHelperCall(number: number): void {
    let index = this.#helperIndex.get(number);
    if (index === undefined) {
      const helper = this.#environment.helper(number);
      if (helper === undefined) {
        this.#missing = true;
        const note = this.#environment.helperName(number);
        this.#pushTrap({ reason: 'missing-function', note });
        return;
      }
      index = this.#helpers.push(helper) - 1;
      this.#helperIndex.set(number, index);
    }
    const op = number === tailCallHelper ? OP.tailCall : OP.helper;
    this.#pushTarget(op, 0, 0, number, index);
  }

  #pushTrap(fault: Fault): void {
    this.#pushTarget(OP.trap, 0, 0, 0, this.#faults.push(fault) - 1);
  }

  #functions(
    bounds: readonly { readonly start: number; readonly end: number }[],
    blocks: Int32Array,
  ): LoweredFunction[] {
    const depths = stackDepths({ words: this.#words, imm64: this.#imm64, blocks }, bounds);
    return this.#decoded.functions.map(({ name, start }, i) => ({
      name,
      start: this.#row(start),
      end: bounds[i]?.end ?? this.#length,
      insn: start,
      stackDepth: depths[i] as number,
    }));
  }

  /**
   * One error for all missing functions that can be reached. A call that constants guard
   * (`if (bpf_core_enum_value_exists(…))` after relocation) stays, as a trap.
   */
  #refuseMissing(code: LoweredCode): void {
    const reachable = reachableRows(code);
    const first = new Map<string, MissingFunction>();
    for (let row = 0; row < code.length; row++) {
      if (wordOp(code.words[row] as number) !== OP.trap || reachable[row] === 0) continue;
      const fault = code.faults[code.target[row] as number];
      if (fault?.reason !== 'missing-function' || first.has(fault.note)) continue;
      const insn = code.source[row] as number;
      first.set(fault.note, { name: fault.note, insn, source: sourceText(this.#image, insn) });
    }
    if (first.size === 0) return;
    const detail = { code: 'vm-missing-functions', missing: [...first.values()] } as const;
    throw new BpfError(detail, { context: [{ program: this.#image.name }] });
  }

  /** Gives the program its addresses and writes them where functions' addresses are loaded. */
  #placeCode(): number {
    const base = this.#environment.code.reserve(this.#decoded.rows.length);
    if (base === undefined) {
      throw new BpfError({ code: 'vm-code-space' }, { context: [{ program: this.#image.name }] });
    }
    for (const row of this.#addressRows) {
      const target = functionTarget(this.#image, this.#source[row] as number);
      const low = codeAddress(base, target);
      this.#imm[row] = low;
      this.#imm64Halves[2 * row] = low;
    }
    return base;
  }
}

const jumpOps = collectJumpOps();

type JumpKey = `${Comparison}${32 | 64}${'imm' | 'reg'}`;

function collectJumpOps(): Record<JumpKey, number> {
  const out: Partial<Record<JumpKey, number>> = {};
  for (const { operation } of opcodeRows) {
    if (operation.kind !== 'jump-if') continue;
    const { comparison, width, operand } = operation;
    const op = OP[`j${comparison}${width}${operand === 'imm' ? 'Imm' : 'Reg'}`];
    out[`${comparison}${width}${operand}`] = op;
  }
  return out as Record<JumpKey, number>;
}

/** First row of each slot; one more entry holds the number of rows. */
function placeRows({ rows }: DecodedProgram, long: ReadonlyMap<number, number>): Int32Array {
  const place = new Int32Array(rows.length + 1);
  for (let at = 0, row = 0; at < rows.length; at++) {
    place[at] = row;
    const id = rows[at] as number;
    const isPacketLoad = opcodeRows[id]?.operation.kind === 'load-packet';
    if (id !== wideTail) row += isPacketLoad ? 2 : (long.get(at) ?? 1);
    place[at + 1] = row;
  }
  return place;
}

/** Rows of all searches for where indirect jumps go, by their instructions. */
function searches(
  { image, rows, functions }: DecodedProgram,
  targets: ReadonlyMap<number, readonly number[]>,
): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  let all = 0;
  for (let at = 0; targets.size > 0 && at < rows.length; at++) {
    if (opcodeRows[rows[at] as number]?.operation.kind !== 'goto-register') continue;
    const own = functionAt(functions, at);
    const count = searchRows(targets.get(own?.start ?? -1)?.length ?? 0);
    all += count;
    if (all > mostSearchRows) {
      const what = 'indirect jumps with so many targets';
      throw new BpfError(
        { code: 'vm-unsupported-instruction', insn: at, what },
        { context: insnContext(image, at) },
      );
    }
    found.set(at, count);
  }
  return found;
}

/** See {@link LoweredCode.weight}. */
function weights(words: Int32Array): Int32Array {
  const out = new Int32Array(words.length);
  let weight = 0;
  for (let row = words.length - 1; row >= 0; row--) {
    weight = endsBlock(wordOp(words[row] as number)) ? 1 : weight + 1;
    out[row] = weight;
  }
  return out;
}

/** See {@link LoweredCode.blocks}. */
function blockStarts(
  words: Int32Array,
  target: Int32Array,
  functions: readonly { readonly start: number }[],
): Int32Array {
  const leader = new Uint8Array(words.length + 1);
  for (const { start } of functions) leader[start] = 1;
  for (let row = 0; row < words.length; row++) {
    const op = wordOp(words[row] as number);
    if (endsBlock(op)) leader[row + 1] = 1;
    if (hasTarget(op)) leader[target[row] as number] = 1;
  }
  const out: number[] = [];
  for (let row = 0; row < words.length; row++) if (leader[row] === 1) out.push(row);
  return Int32Array.from(out);
}
