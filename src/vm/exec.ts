import { BPF_PROG_TYPE } from '../abi/bpf.ts';
import { decodeInsns } from '../asm/insns.ts';
import type { ProgramImage } from '../object/image.ts';
import { CodeSpace } from './engine/code-space.ts';
import { prepareProgram, runProgram } from './engine/engine.ts';
import { type Cpu, cpuStackSize, windows } from './machine.ts';
import { VmMemory } from './memory.ts';

/** Options of {@link executeBytes}. */
export interface ExecuteOptions {
  /** Memory that r1 points to and r2 has the length of; both are 0 without any. Changed in place. */
  readonly memory?: Uint8Array | undefined;
  readonly littleEndian?: boolean | undefined;
  /** Instructions that may run; 100 million by default. */
  readonly budget?: number | undefined;
  /** Compiles the program before it runs; the interpreter runs it by default. */
  readonly jit?: ((program: ReturnType<typeof prepareProgram>) => void) | undefined;
}

/** Pages of the memory of a program alone. */
const pages = 64;

/**
 * Runs a program's bytes, without any object, map or helper, as conformance suites do:
 * r1 = memory, r2 = its length. Gives r0, unsigned. Bytes that are no program, and runs that
 * do what they may not, are the same {@link BpfError} as in a VM.
 *
 * @example
 * ```ts
 * executeBytes(fromHex('b700000007000000 9500000000000000')); // 7n
 * ```
 */
export function executeBytes(bytes: Uint8Array, options: ExecuteOptions = {}): bigint {
  const { littleEndian = true, budget, jit } = options;
  const memory = new VmMemory({ pages });
  const given = options.memory ?? new Uint8Array(0);
  const at = given.length === 0 ? 0 : memory.allocate(given.length, { label: 'memory' });
  memory.bytes.set(given, at);
  const program = prepareProgram(imageOf(bytes, littleEndian), {
    memory,
    code: new CodeSpace(),
    helper: () => undefined,
    helperName: (number) => `helper ${number}`,
    slotAddress: () => {
      throw new Error('a program of bytes has no slots');
    },
  });
  jit?.(program);
  const cpu = makeCpu(memory);
  const context = {
    addressLow: at,
    addressHigh: at === 0 ? 0 : windows.main,
    second: given.length,
  };
  runProgram(program, cpu, context, { budget });
  given.set(memory.bytes.subarray(at, at + given.length));
  return BigInt.asUintN(64, cpu.regs[0] as bigint);
}

function makeCpu(memory: VmMemory): Cpu {
  const stackLow = memory.allocate(cpuStackSize, { label: 'stack', align: 4096 });
  const registers = memory.allocate(88, { label: 'registers' });
  const { buffer } = memory.bytes;
  return {
    id: 0,
    regs: new BigInt64Array(buffer, registers, 11),
    half: new Int32Array(buffer, registers, 22),
    stackLow,
    stackPointer: stackLow + cpuStackSize,
    run: undefined,
  };
}

function imageOf(bytes: Uint8Array, littleEndian: boolean): ProgramImage {
  return {
    name: 'program',
    section: '',
    type: BPF_PROG_TYPE.SYSCALL,
    attachType: 0,
    attachTarget: undefined,
    flags: 0,
    license: 'GPL',
    kernelVersion: 0,
    littleEndian,
    insns: decodeInsns(bytes, { littleEndian, section: 'program' }),
    slots: [],
    functions: [],
    funcInfo: [],
    lineInfo: [],
    btf: undefined,
    poisoned: [],
  };
}
