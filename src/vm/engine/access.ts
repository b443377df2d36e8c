import { MemoryFault, windows } from '../machine.ts';
import type { RareHandler } from './arithmetic.ts';
import { OP, wordDst, wordSrc } from './operations.ts';
import type { InterpreterRun } from './run.ts';
import { RunStop } from './stop.ts';

/** An exact address: register and offset added in 64 bits. */
export interface Address {
  readonly low: number;
  readonly high: number;
}

/** Address that the memory instruction at `word` accesses through `register`. */
export function addressOf(run: InterpreterRun, word: number, register: number): Address {
  const { half } = run.cpu;
  const sum = ((half[2 * register] as number) >>> 0) + (word >> 16);
  const carry = sum > 0xffff_ffff ? 1 : sum < 0 ? -1 : 0;
  return { low: sum | 0, high: ((half[2 * register + 1] as number) + carry) | 0 };
}

/**
 * A load from outside of main memory: a context's field, a probe load, or a fault. Almost all
 * loads that come here are of fields.
 */
export function loadSlow(run: InterpreterRun, row: number, size: number, signed: boolean): void {
  run.row = row;
  const { context, program } = run;
  const word = program.code.words[row] as number;
  const dst = wordDst(word);
  const { low, high } = addressOf(run, word, wordSrc(word));
  if (context.fields !== undefined && high === context.addressHigh) {
    context.fields.load((low - context.addressLow) | 0, size, run.cpu.half, dst);
    if (signed) run.cpu.regs[dst] = BigInt.asIntN(8 * size, run.cpu.regs[dst] as bigint);
  } else if (program.probeLoads) run.cpu.regs[dst] = 0n;
  else throw new MemoryFault(low, high, size, 'load');
}

/** A store to outside of writable main memory: to a context's field, or a fault. */
export function storeSlow(
  run: InterpreterRun,
  row: number,
  size: number,
  valueLow: number,
  valueHigh: number,
): void {
  run.row = row;
  const { context, program } = run;
  const word = program.code.words[row] as number;
  const { low, high } = addressOf(run, word, wordDst(word));
  if (context.fields !== undefined && high === context.addressHigh) {
    context.fields.store((low - context.addressLow) | 0, size, valueLow, valueHigh);
  } else program.memory.resolve(low, high, size, 'store');
}

/** Bit 3 of a packet load's `dst`: the source register is part of the offset. */
const indexed = 8;

/**
 * A legacy packet load: `size` bytes at `offset` (plus the low half of `src`) of the packet,
 * big-endian, to r0. False, with r0 = 0, where the packet ends before: the program exits.
 * r1 to r5 are lost, as in the kernel; here they keep their values.
 */
export function loadPacket(run: InterpreterRun, word: number, offset: number): boolean {
  const { packet } = run.context;
  if (packet === undefined) throw new RunStop('no-packet');
  const form = wordDst(word);
  const index = (form & indexed) === 0 ? 0 : (run.cpu.half[2 * wordSrc(word)] as number);
  const value = packet((offset + index) | 0, form & ~indexed);
  run.cpu.regs[0] = BigInt((value ?? 0) >>> 0);
  return value !== undefined;
}

/** Handlers of the loads and stores of big-endian programs, by operation. */
export function bigEndianHandlers(): Map<number, RareHandler> {
  return new Map([
    [OP.loadBe16, loadBe(2, false)],
    [OP.loadBe32, loadBe(4, false)],
    [OP.loadBe64, loadBe(8, false)],
    [OP.loadSignedBe16, loadBe(2, true)],
    [OP.loadSignedBe32, loadBe(4, true)],
    [OP.storeBe16Reg, storeBe(2)],
    [OP.storeBe32Reg, storeBe(4)],
    [OP.storeBe64Reg, storeBe(8)],
  ]);
}

function loadBe(size: 2 | 4 | 8, signed: boolean): RareHandler {
  return (run, row) => {
    const { memory, code } = run.program;
    const word = code.words[row] as number;
    const address = addressOf(run, word, wordSrc(word));
    if (!inMain(address, size, memory.mainLow, memory.mainEnd)) loadSlow(run, row, size, signed);
    else {
      const value = readMemory(memory.view, address.low >>> 0, size, false);
      const bits = signed ? 8 * size : 64;
      run.cpu.regs[wordDst(word)] = BigInt.asIntN(bits, value);
    }
  };
}

function storeBe(size: 2 | 4 | 8): RareHandler {
  return (run, row) => {
    const { memory, code } = run.program;
    const { half, regs } = run.cpu;
    const word = code.words[row] as number;
    const address = addressOf(run, word, wordDst(word));
    const src = wordSrc(word);
    if (inMain(address, size, memory.storeLow, memory.mainEnd)) {
      writeMemory(memory.view, address.low >>> 0, size, false, regs[src] as bigint);
    } else storeSlow(run, row, size, half[2 * src] as number, half[2 * src + 1] as number);
  };
}

function inMain({ low, high }: Address, size: number, start: number, end: number): boolean {
  const offset = low >>> 0;
  return high === windows.main && offset >= start && offset <= end - size;
}

/** An unsigned number in memory. */
export function readMemory(
  view: DataView,
  at: number,
  size: 2 | 4 | 8,
  littleEndian: boolean,
): bigint {
  if (size === 8) return view.getBigUint64(at, littleEndian);
  return BigInt(size === 4 ? view.getUint32(at, littleEndian) : view.getUint16(at, littleEndian));
}

/** Writes the low bytes of a number. */
export function writeMemory(
  view: DataView,
  at: number,
  size: 2 | 4 | 8,
  littleEndian: boolean,
  value: bigint,
): void {
  if (size === 8) view.setBigInt64(at, value, littleEndian);
  else if (size === 4) view.setInt32(at, Number(BigInt.asIntN(32, value)), littleEndian);
  else view.setInt16(at, Number(BigInt.asIntN(16, value)), littleEndian);
}
