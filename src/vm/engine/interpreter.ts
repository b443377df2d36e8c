import { type HelperFunction, windows } from '../machine.ts';
import { loadPacket, loadSlow, storeSlow } from './access.ts';
import type { RareHandler } from './arithmetic.ts';
import { swap32 } from './emit.ts';
import type { FUSED } from './fuse.ts';
import { firstRareOp, type OP } from './operations.ts';
import { rareHandlers } from './rare.ts';
import type { InterpreterRun } from './run.ts';

type Op = typeof OP;
type Fused = typeof FUSED;

/** Powers of two: a shift by a register is a multiplication. */
const powers = BigInt64Array.from({ length: 64 }, (_, by) => BigInt.asIntN(64, 1n << BigInt(by)));

/**
 * Runs `run.program` from row `start` until the function at depth `run.base` exits (the
 * result is -1), or until another program goes on (its row is the result): a tail call, or
 * a return from a tail-called program to the one before. Everything that may throw finds
 * `run.row` up to date.
 *
 * Measured on Node 20 (AMD EPYC), nanoseconds an instruction on an integer loop: one switch
 * over packed words 3.7, over separate columns 5.0, closures in arrays by basic block 7.3, a
 * table of handlers 12.0. Hence one function with a flat switch over what programs do most;
 * the rest is in the table of `rare.ts`. What was measured for single operations:
 * - 64-bit registers as BigInt64Array with `BigInt.asIntN` around each result: V8 compiles
 *   that to machine arithmetic without allocation (1.2 ns; as 32-bit halves 3.1 ns). Results
 *   are always written as 64 bits, because reading 64 bits right after writing two halves
 *   waits for both stores (5 ns more).
 * - Shifts by a variable amount are not compiled (8 to 22 ns): left shifts multiply by a
 *   power of two (1 ns), right shifts are put together from halves (2.2 ns).
 * - `DataView.getBigInt64` allocates (10.7 ns): aligned words come from a BigInt64Array, the
 *   others from two halves (1.6 ns).
 * - The case labels are literal numbers, since V8 makes a jump table only of those; the
 *   compiler checks each against its name.
 *
 * The address of an access is `base + off` in the lower half only: where that carries into
 * the upper half, the lower half comes out below 32768 or less than 32768 below 2^32, which
 * `VmMemory` never makes valid, and the slow path looks at the exact address.
 */
export function interpret(run: InterpreterRun, start: number): number {
  const { program, frames, base } = run;
  const { code, memory, words: wide } = program;
  const { imm, imm64, target, weight, helpers } = code;
  const words = run.hook === undefined ? program.fusedWords : program.hookedWords;
  const { regs, half } = run.cpu;
  const { unsigned } = frames;
  const unsignedImm = program.unsignedImm;
  const { bytes, view, storeLow } = memory;
  const main = windows.main;
  let low = memory.mainLow;
  let end = memory.mainEnd;
  let budget = run.budget;
  let row = start;
  block: for (;;) {
    budget -= weight[row] as number;
    if (budget < 0) throw run.outOfBudget(row);
    for (;;) {
      let w = words[row] as number;
      for (;;) {
        switch (w & 0xff) {
          case 0 satisfies Op['mov64Imm']:
            regs[(w >> 8) & 15] = imm64[row] as bigint;
            break;
          case 1 satisfies Op['mov64Reg']:
            regs[(w >> 8) & 15] = regs[(w >> 12) & 15] as bigint;
            break;
          case 2 satisfies Op['mov32Reg']:
            regs[(w >> 8) & 15] = BigInt((half[(w >> 11) & 30] as number) >>> 0);
            break;
          case 3 satisfies Op['add64Imm']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) + (imm64[row] as bigint),
            );
            break;
          case 4 satisfies Op['add64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) + (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 5 satisfies Op['add32Imm']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) + (imm64[row] as bigint),
            );
            break;
          case 6 satisfies Op['add32Reg']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) + (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 7 satisfies Op['mul64Imm']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) * (imm64[row] as bigint),
            );
            break;
          case 8 satisfies Op['mul64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) * (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 9 satisfies Op['mul32Imm']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) * (imm64[row] as bigint),
            );
            break;
          case 10 satisfies Op['mul32Reg']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) * (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 11 satisfies Op['or64Imm']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) | (imm64[row] as bigint),
            );
            break;
          case 12 satisfies Op['or64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) | (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 13 satisfies Op['or32Imm']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) | (imm64[row] as bigint),
            );
            break;
          case 14 satisfies Op['or32Reg']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) | (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 15 satisfies Op['xor64Imm']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) ^ (imm64[row] as bigint),
            );
            break;
          case 16 satisfies Op['xor64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) ^ (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 17 satisfies Op['xor32Imm']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) ^ (imm64[row] as bigint),
            );
            break;
          case 18 satisfies Op['xor32Reg']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) ^ (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 19 satisfies Op['and64Imm']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) & (imm64[row] as bigint),
            );
            break;
          case 20 satisfies Op['and64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) & (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 21 satisfies Op['and32Reg']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) & (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 22 satisfies Op['sub64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) - (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 23 satisfies Op['sub32Reg']:
            regs[(w >> 8) & 15] = BigInt.asUintN(
              32,
              (regs[(w >> 8) & 15] as bigint) - (regs[(w >> 12) & 15] as bigint),
            );
            break;
          case 24 satisfies Op['lsh64Imm']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) * (imm64[row] as bigint),
            );
            break;
          case 25 satisfies Op['lsh64Reg']:
            regs[(w >> 8) & 15] = BigInt.asIntN(
              64,
              (regs[(w >> 8) & 15] as bigint) *
                (powers[(half[(w >> 11) & 30] as number) & 63] as bigint),
            );
            break;
          case 26 satisfies Op['lsh32Imm']:
            regs[(w >> 8) & 15] = BigInt(
              ((half[(w >> 7) & 30] as number) << (imm[row] as number)) >>> 0,
            );
            break;
          case 27 satisfies Op['lsh32Reg']:
            regs[(w >> 8) & 15] = BigInt(
              ((half[(w >> 7) & 30] as number) << (half[(w >> 11) & 30] as number)) >>> 0,
            );
            break;
          case 28 satisfies Op['rsh64Imm']: {
            const by = imm[row] as number;
            const high = half[((w >> 7) & 30) + 1] as number;
            if (by < 32) {
              const low = ((half[(w >> 7) & 30] as number) >>> by) | ((high << 1) << (31 - by));
              regs[(w >> 8) & 15] = BigInt.asIntN(
                64,
                (BigInt(high >>> by) << 32n) | BigInt(low >>> 0),
              );
            } else regs[(w >> 8) & 15] = BigInt(high >>> by);
            break;
          }
          case 29 satisfies Op['rsh64Reg']: {
            const by = (half[(w >> 11) & 30] as number) & 63;
            const high = half[((w >> 7) & 30) + 1] as number;
            if (by < 32) {
              const low = ((half[(w >> 7) & 30] as number) >>> by) | ((high << 1) << (31 - by));
              regs[(w >> 8) & 15] = BigInt.asIntN(
                64,
                (BigInt(high >>> by) << 32n) | BigInt(low >>> 0),
              );
            } else regs[(w >> 8) & 15] = BigInt(high >>> by);
            break;
          }
          case 30 satisfies Op['rsh32Imm']:
            regs[(w >> 8) & 15] = BigInt((half[(w >> 7) & 30] as number) >>> (imm[row] as number));
            break;
          case 31 satisfies Op['rsh32Reg']:
            regs[(w >> 8) & 15] = BigInt(
              (half[(w >> 7) & 30] as number) >>> (half[(w >> 11) & 30] as number),
            );
            break;
          case 32 satisfies Op['arsh64Imm']: {
            const by = imm[row] as number;
            const high = half[((w >> 7) & 30) + 1] as number;
            if (by < 32) {
              const low = ((half[(w >> 7) & 30] as number) >>> by) | ((high << 1) << (31 - by));
              regs[(w >> 8) & 15] = BigInt.asIntN(
                64,
                (BigInt(high >> by) << 32n) | BigInt(low >>> 0),
              );
            } else regs[(w >> 8) & 15] = BigInt(high >> by);
            break;
          }
          case 33 satisfies Op['arsh64Reg']: {
            const by = (half[(w >> 11) & 30] as number) & 63;
            const high = half[((w >> 7) & 30) + 1] as number;
            if (by < 32) {
              const low = ((half[(w >> 7) & 30] as number) >>> by) | ((high << 1) << (31 - by));
              regs[(w >> 8) & 15] = BigInt.asIntN(
                64,
                (BigInt(high >> by) << 32n) | BigInt(low >>> 0),
              );
            } else regs[(w >> 8) & 15] = BigInt(high >> by);
            break;
          }
          case 34 satisfies Op['arsh32Imm']:
            regs[(w >> 8) & 15] = BigInt(
              ((half[(w >> 7) & 30] as number) >> (imm[row] as number)) >>> 0,
            );
            break;
          case 35 satisfies Op['arsh32Reg']:
            regs[(w >> 8) & 15] = BigInt(
              ((half[(w >> 7) & 30] as number) >> (half[(w >> 11) & 30] as number)) >>> 0,
            );
            break;
          case 36 satisfies Op['div64Imm']: {
            const by = unsignedImm[row] as bigint;
            regs[(w >> 8) & 15] =
              by === 0n ? 0n : BigInt.asIntN(64, (unsigned[(w >> 8) & 15] as bigint) / by);
            break;
          }
          case 40 satisfies Op['mod64Imm']: {
            const by = unsignedImm[row] as bigint;
            if (by !== 0n)
              regs[(w >> 8) & 15] = BigInt.asIntN(64, (unsigned[(w >> 8) & 15] as bigint) % by);
            break;
          }
          case 37 satisfies Op['div64Reg']: {
            const by = unsigned[(w >> 12) & 15] as bigint;
            regs[(w >> 8) & 15] =
              by === 0n ? 0n : BigInt.asIntN(64, (unsigned[(w >> 8) & 15] as bigint) / by);
            break;
          }
          case 41 satisfies Op['mod64Reg']: {
            const by = unsigned[(w >> 12) & 15] as bigint;
            if (by !== 0n)
              regs[(w >> 8) & 15] = BigInt.asIntN(64, (unsigned[(w >> 8) & 15] as bigint) % by);
            break;
          }
          case 38 satisfies Op['div32Imm']: {
            const by = (imm[row] as number) >>> 0;
            regs[(w >> 8) & 15] =
              by === 0 ? 0n : BigInt((((half[(w >> 7) & 30] as number) >>> 0) / by) >>> 0);
            break;
          }
          case 42 satisfies Op['mod32Imm']: {
            const by = (imm[row] as number) >>> 0;
            regs[(w >> 8) & 15] =
              by === 0
                ? BigInt((half[(w >> 7) & 30] as number) >>> 0)
                : BigInt((((half[(w >> 7) & 30] as number) >>> 0) % by) >>> 0);
            break;
          }
          case 39 satisfies Op['div32Reg']: {
            const by = (half[(w >> 11) & 30] as number) >>> 0;
            regs[(w >> 8) & 15] =
              by === 0 ? 0n : BigInt((((half[(w >> 7) & 30] as number) >>> 0) / by) >>> 0);
            break;
          }
          case 43 satisfies Op['mod32Reg']: {
            const by = (half[(w >> 11) & 30] as number) >>> 0;
            regs[(w >> 8) & 15] =
              by === 0
                ? BigInt((half[(w >> 7) & 30] as number) >>> 0)
                : BigInt((((half[(w >> 7) & 30] as number) >>> 0) % by) >>> 0);
            break;
          }
          case 44 satisfies Op['neg64']:
            regs[(w >> 8) & 15] = BigInt.asIntN(64, -(regs[(w >> 8) & 15] as bigint));
            break;
          case 45 satisfies Op['neg32']:
            regs[(w >> 8) & 15] = BigInt.asUintN(32, -(regs[(w >> 8) & 15] as bigint));
            break;
          case 46 satisfies Op['movsx8To64']:
            regs[(w >> 8) & 15] = BigInt(((half[(w >> 11) & 30] as number) << 24) >> 24);
            break;
          case 47 satisfies Op['movsx16To64']:
            regs[(w >> 8) & 15] = BigInt(((half[(w >> 11) & 30] as number) << 16) >> 16);
            break;
          case 48 satisfies Op['movsx32To64']:
            regs[(w >> 8) & 15] = BigInt(half[(w >> 11) & 30] as number);
            break;
          case 49 satisfies Op['movsx8To32']:
            regs[(w >> 8) & 15] = BigInt((((half[(w >> 11) & 30] as number) << 24) >> 24) >>> 0);
            break;
          case 50 satisfies Op['movsx16To32']:
            regs[(w >> 8) & 15] = BigInt((((half[(w >> 11) & 30] as number) << 16) >> 16) >>> 0);
            break;
          case 51 satisfies Op['swap16']: {
            const value = half[(w >> 7) & 30] as number;
            regs[(w >> 8) & 15] = BigInt(((value & 0xff) << 8) | ((value >> 8) & 0xff));
            break;
          }
          case 52 satisfies Op['swap32']:
            regs[(w >> 8) & 15] = BigInt(swap32(half[(w >> 7) & 30] as number) >>> 0);
            break;
          case 53 satisfies Op['swap64']: {
            const high = swap32(half[(w >> 7) & 30] as number);
            const low = swap32(half[((w >> 7) & 30) + 1] as number) >>> 0;
            regs[(w >> 8) & 15] = BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
            break;
          }
          case 54 satisfies Op['load8']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 1) {
              regs[(w >> 8) & 15] = BigInt(bytes[at] as number);
            } else loadSlow(run, row, 1, false);
            break;
          }
          case 55 satisfies Op['load16']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 2) {
              regs[(w >> 8) & 15] = BigInt(view.getUint16(at, true));
            } else loadSlow(run, row, 2, false);
            break;
          }
          case 56 satisfies Op['load32']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 4) {
              regs[(w >> 8) & 15] = BigInt(view.getUint32(at, true));
            } else loadSlow(run, row, 4, false);
            break;
          }
          case 57 satisfies Op['load64']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 8) {
              if ((at & 7) === 0) regs[(w >> 8) & 15] = wide[at >>> 3] as bigint;
              else {
                const high = BigInt(view.getInt32(at + 4, true)) << 32n;
                regs[(w >> 8) & 15] = BigInt.asIntN(64, high | BigInt(view.getUint32(at, true)));
              }
            } else loadSlow(run, row, 8, false);
            break;
          }
          case 58 satisfies Op['loadSigned8']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 1) {
              regs[(w >> 8) & 15] = BigInt(view.getInt8(at));
            } else loadSlow(run, row, 1, true);
            break;
          }
          case 59 satisfies Op['loadSigned16']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 2) {
              regs[(w >> 8) & 15] = BigInt(view.getInt16(at, true));
            } else loadSlow(run, row, 2, true);
            break;
          }
          case 60 satisfies Op['loadSigned32']: {
            const at = ((half[(w >> 11) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 11) & 30) + 1] as number) === main && at >= low && at <= end - 4) {
              regs[(w >> 8) & 15] = BigInt(view.getInt32(at, true));
            } else loadSlow(run, row, 4, true);
            break;
          }
          case 61 satisfies Op['store8Imm']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 1) {
              bytes[at] = imm[row] as number;
            } else storeSlow(run, row, 1, imm[row] as number, (imm[row] as number) >> 31);
            break;
          }
          case 62 satisfies Op['store8Reg']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 1) {
              bytes[at] = half[(w >> 11) & 30] as number;
            } else
              storeSlow(
                run,
                row,
                1,
                half[(w >> 11) & 30] as number,
                half[((w >> 11) & 30) + 1] as number,
              );
            break;
          }
          case 63 satisfies Op['store16Imm']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 2) {
              view.setInt16(at, imm[row] as number, true);
            } else storeSlow(run, row, 2, imm[row] as number, (imm[row] as number) >> 31);
            break;
          }
          case 64 satisfies Op['store16Reg']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 2) {
              view.setInt16(at, half[(w >> 11) & 30] as number, true);
            } else
              storeSlow(
                run,
                row,
                2,
                half[(w >> 11) & 30] as number,
                half[((w >> 11) & 30) + 1] as number,
              );
            break;
          }
          case 65 satisfies Op['store32Imm']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 4) {
              view.setInt32(at, imm[row] as number, true);
            } else storeSlow(run, row, 4, imm[row] as number, (imm[row] as number) >> 31);
            break;
          }
          case 66 satisfies Op['store32Reg']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 4) {
              view.setInt32(at, half[(w >> 11) & 30] as number, true);
            } else
              storeSlow(
                run,
                row,
                4,
                half[(w >> 11) & 30] as number,
                half[((w >> 11) & 30) + 1] as number,
              );
            break;
          }
          case 67 satisfies Op['store64Imm']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 8) {
              if ((at & 7) === 0) wide[at >>> 3] = imm64[row] as bigint;
              else view.setBigInt64(at, imm64[row] as bigint, true);
            } else
              storeSlow(run, row, 8, imm[row] as number, Number((imm64[row] as bigint) >> 32n));
            break;
          }
          case 68 satisfies Op['store64Reg']: {
            const at = ((half[(w >> 7) & 30] as number) + (w >> 16)) >>> 0;
            if ((half[((w >> 7) & 30) + 1] as number) === main && at >= storeLow && at <= end - 8) {
              if ((at & 7) === 0) wide[at >>> 3] = regs[(w >> 12) & 15] as bigint;
              else {
                view.setInt32(at, half[(w >> 11) & 30] as number, true);
                view.setInt32(at + 4, half[((w >> 11) & 30) + 1] as number, true);
              }
            } else
              storeSlow(
                run,
                row,
                8,
                half[(w >> 11) & 30] as number,
                half[((w >> 11) & 30) + 1] as number,
              );
            break;
          }
          case 69 satisfies Op['goto']:
            row = target[row] as number;
            continue block;
          case 70 satisfies Op['jeq64Imm']:
            row =
              (regs[(w >> 8) & 15] as bigint) === (imm64[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 71 satisfies Op['jeq64Reg']:
            row =
              (regs[(w >> 8) & 15] as bigint) === (regs[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 72 satisfies Op['jeq32Imm']:
            row =
              (half[(w >> 7) & 30] as number) === (imm[row] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 73 satisfies Op['jeq32Reg']:
            row =
              (half[(w >> 7) & 30] as number) === (half[(w >> 11) & 30] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 74 satisfies Op['jne64Imm']:
            row =
              (regs[(w >> 8) & 15] as bigint) !== (imm64[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 75 satisfies Op['jne64Reg']:
            row =
              (regs[(w >> 8) & 15] as bigint) !== (regs[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 76 satisfies Op['jne32Imm']:
            row =
              (half[(w >> 7) & 30] as number) !== (imm[row] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 77 satisfies Op['jne32Reg']:
            row =
              (half[(w >> 7) & 30] as number) !== (half[(w >> 11) & 30] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 78 satisfies Op['jgt64Imm']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) > (unsignedImm[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 79 satisfies Op['jgt64Reg']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) > (unsigned[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 80 satisfies Op['jgt32Imm']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 > (imm[row] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 81 satisfies Op['jgt32Reg']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 > (half[(w >> 11) & 30] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 82 satisfies Op['jge64Imm']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) >= (unsignedImm[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 83 satisfies Op['jge64Reg']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) >= (unsigned[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 84 satisfies Op['jge32Imm']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 >= (imm[row] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 85 satisfies Op['jge32Reg']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 >= (half[(w >> 11) & 30] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 86 satisfies Op['jlt64Imm']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) < (unsignedImm[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 87 satisfies Op['jlt64Reg']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) < (unsigned[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 88 satisfies Op['jlt32Imm']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 < (imm[row] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 89 satisfies Op['jlt32Reg']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 < (half[(w >> 11) & 30] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 90 satisfies Op['jle64Imm']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) <= (unsignedImm[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 91 satisfies Op['jle64Reg']:
            row =
              (unsigned[(w >> 8) & 15] as bigint) <= (unsigned[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 92 satisfies Op['jle32Imm']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 <= (imm[row] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 93 satisfies Op['jle32Reg']:
            row =
              (half[(w >> 7) & 30] as number) >>> 0 <= (half[(w >> 11) & 30] as number) >>> 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 94 satisfies Op['jset64Imm']:
            row =
              (((half[(w >> 7) & 30] as number) & (imm[row] as number)) |
                ((half[((w >> 7) & 30) + 1] as number) & ((imm[row] as number) >> 31))) !==
              0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 95 satisfies Op['jset64Reg']:
            row =
              (((half[(w >> 7) & 30] as number) & (half[(w >> 11) & 30] as number)) |
                ((half[((w >> 7) & 30) + 1] as number) &
                  (half[((w >> 11) & 30) + 1] as number))) !==
              0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 96 satisfies Op['jset32Imm']:
            row =
              ((half[(w >> 7) & 30] as number) & (imm[row] as number)) !== 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 97 satisfies Op['jset32Reg']:
            row =
              ((half[(w >> 7) & 30] as number) & (half[(w >> 11) & 30] as number)) !== 0
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 98 satisfies Op['jsgt64Imm']:
            row =
              (regs[(w >> 8) & 15] as bigint) > (imm64[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 99 satisfies Op['jsgt64Reg']:
            row =
              (regs[(w >> 8) & 15] as bigint) > (regs[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 100 satisfies Op['jsgt32Imm']:
            row =
              (half[(w >> 7) & 30] as number) > (imm[row] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 101 satisfies Op['jsgt32Reg']:
            row =
              (half[(w >> 7) & 30] as number) > (half[(w >> 11) & 30] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 102 satisfies Op['jsge64Imm']:
            row =
              (regs[(w >> 8) & 15] as bigint) >= (imm64[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 103 satisfies Op['jsge64Reg']:
            row =
              (regs[(w >> 8) & 15] as bigint) >= (regs[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 104 satisfies Op['jsge32Imm']:
            row =
              (half[(w >> 7) & 30] as number) >= (imm[row] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 105 satisfies Op['jsge32Reg']:
            row =
              (half[(w >> 7) & 30] as number) >= (half[(w >> 11) & 30] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 106 satisfies Op['jslt64Imm']:
            row =
              (regs[(w >> 8) & 15] as bigint) < (imm64[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 107 satisfies Op['jslt64Reg']:
            row =
              (regs[(w >> 8) & 15] as bigint) < (regs[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 108 satisfies Op['jslt32Imm']:
            row =
              (half[(w >> 7) & 30] as number) < (imm[row] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 109 satisfies Op['jslt32Reg']:
            row =
              (half[(w >> 7) & 30] as number) < (half[(w >> 11) & 30] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 110 satisfies Op['jsle64Imm']:
            row =
              (regs[(w >> 8) & 15] as bigint) <= (imm64[row] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 111 satisfies Op['jsle64Reg']:
            row =
              (regs[(w >> 8) & 15] as bigint) <= (regs[(w >> 12) & 15] as bigint)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 112 satisfies Op['jsle32Imm']:
            row =
              (half[(w >> 7) & 30] as number) <= (imm[row] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 113 satisfies Op['jsle32Reg']:
            row =
              (half[(w >> 7) & 30] as number) <= (half[(w >> 11) & 30] as number)
                ? (target[row] as number)
                : row + 1;
            continue block;
          case 114 satisfies Op['mayGoto']:
            row = run.countLoop() ? row + 1 : (target[row] as number);
            continue block;
          case 115 satisfies Op['loadPacket']:
            run.row = row;
            row = loadPacket(run, w, imm[row] as number) ? (target[row] as number) : row + 1;
            continue block;
          case 116 satisfies Op['helper']:
            run.row = row;
            run.budget = budget;
            (helpers[target[row] as number] as HelperFunction)(run);
            budget = run.budget;
            low = memory.mainLow;
            end = memory.mainEnd;
            break;
          case 117 satisfies Op['tailCall']:
            run.row = row;
            run.budget = budget;
            (helpers[target[row] as number] as HelperFunction)(run);
            if (run.takeTailCall()) return 0;
            budget = run.budget;
            low = memory.mainLow;
            end = memory.mainEnd;
            row += 1;
            continue block;
          case 118 satisfies Op['call']:
            run.row = row;
            run.enter(row + 1);
            row = target[row] as number;
            continue block;
          case 119 satisfies Op['callReg']: {
            run.row = row;
            const start = run.functionRow(
              half[(w >> 7) & 30] as number,
              half[((w >> 7) & 30) + 1] as number,
            );
            run.enter(row + 1);
            row = start;
            continue block;
          }
          case 120 satisfies Op['exit']:
            run.budget = budget;
            if (frames.depth === base) return -1;
            row = run.leave();
            if (run.program !== program) return row;
            continue block;
          case 121 satisfies Op['hook']:
            run.row = row;
            run.budget = budget;
            run.hook?.(run, row);
            w = code.words[row] as number;
            continue;
          case 240 satisfies Fused['moveAddImm']: {
            const by = imm64[row + 1] as bigint;
            regs[(w >> 8) & 15] = BigInt.asIntN(64, (regs[(w >> 12) & 15] as bigint) + by);
            row += 1;
            break;
          }
          case 241 satisfies Fused['moveAddReg']: {
            const by = regs[(w >> 16) & 15] as bigint;
            regs[(w >> 8) & 15] = BigInt.asIntN(64, (regs[(w >> 12) & 15] as bigint) + by);
            row += 1;
            break;
          }
          case 242 satisfies Fused['immAddReg']: {
            const by = imm64[row] as bigint;
            regs[(w >> 8) & 15] = BigInt.asIntN(64, (regs[(w >> 16) & 15] as bigint) + by);
            row += 1;
            break;
          }
          case 243 satisfies Fused['addJne64']: {
            const sum = BigInt.asIntN(64, (regs[(w >> 8) & 15] as bigint) + (imm64[row] as bigint));
            regs[(w >> 8) & 15] = sum;
            row = sum !== (imm64[row + 1] as bigint) ? (target[row + 1] as number) : row + 2;
            continue block;
          }
          case 244 satisfies Fused['addJeq64']: {
            const sum = BigInt.asIntN(64, (regs[(w >> 8) & 15] as bigint) + (imm64[row] as bigint));
            regs[(w >> 8) & 15] = sum;
            row = sum === (imm64[row + 1] as bigint) ? (target[row + 1] as number) : row + 2;
            continue block;
          }
          case 245 satisfies Fused['addJne32']: {
            const by = imm64[row] as bigint;
            regs[(w >> 8) & 15] = BigInt.asIntN(64, (regs[(w >> 8) & 15] as bigint) + by);
            const same = half[(w >> 7) & 30] === imm[row + 1];
            row = same ? row + 2 : (target[row + 1] as number);
            continue block;
          }
          case 246 satisfies Fused['boundsCheck']: {
            const by = imm64[row + 1] as bigint;
            regs[(w >> 8) & 15] = BigInt.asIntN(64, (regs[(w >> 12) & 15] as bigint) + by);
            const end = unsigned[(w >> 16) & 15] as bigint;
            const over = (unsigned[(w >> 8) & 15] as bigint) > end;
            row = over ? (target[row + 2] as number) : row + 3;
            continue block;
          }
          default:
            (rareHandlers[(w & 0xff) - firstRareOp] as RareHandler)(run, row);
        }
        break;
      }
      row += 1;
    }
  }
}
