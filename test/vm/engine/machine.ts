import { findRow, type OpcodeRow } from '../../../src/asm/opcodes.ts';
import type { ProgramImage } from '../../../src/object/image.ts';
import { CodeSpace } from '../../../src/vm/engine/code-space.ts';
import { prepareProgram, type RunOptions, runProgram } from '../../../src/vm/engine/engine.ts';
import type { LoweredProgram } from '../../../src/vm/engine/program.ts';
import { defaultEngine } from '../../../src/vm/jit/default-engine.ts';
import { accelerate } from '../../../src/vm/jit/jit.ts';
import {
  type Cpu,
  cpuStackSize,
  type HelperFunction,
  type ProgramEnvironment,
  type RunContext,
  windows,
} from '../../../src/vm/machine.ts';
import { VmMemory } from '../../../src/vm/memory.ts';
import { assemble, type Code, imageOf } from './assemble.ts';

/** Memory, one CPU and helpers of a test's own choice: what an engine needs and no more. */
export class TestMachine {
  readonly memory: VmMemory;
  readonly code = new CodeSpace();
  readonly cpu: Cpu;
  /** 256 bytes that programs get the address of in r1. */
  readonly buffer: number;
  readonly helpers = new Map<number, HelperFunction>();
  readonly environment: ProgramEnvironment;

  constructor(pages = 256) {
    this.memory = new VmMemory({ pages });
    const { memory, code, helpers } = this;
    const stackLow = memory.allocate(cpuStackSize, { label: 'stack', align: 4096 });
    const registers = memory.allocate(88, { label: 'registers' });
    this.cpu = {
      id: 0,
      regs: new BigInt64Array(memory.bytes.buffer, registers, 11),
      half: new Int32Array(memory.bytes.buffer, registers, 22),
      stackLow,
      stackPointer: stackLow + cpuStackSize,
      run: undefined,
    };
    this.buffer = memory.allocate(256, { label: 'buffer' });
    this.environment = {
      memory,
      code,
      helper: (number) => helpers.get(number),
      helperName: (number) => `helper_${number}`,
      slotAddress: (slot) => ({ low: this.buffer + slot.insn, high: windows.main }),
    };
  }

  /** Context whose address is the buffer's. */
  get context(): RunContext {
    return { addressLow: this.buffer, addressHigh: windows.main };
  }

  /** Address of an offset in main memory. */
  address(offset: number): bigint {
    return (BigInt(windows.main >>> 0) << 32n) | BigInt(offset);
  }

  /** Rows of the opcode table that programs of this process had. */
  static readonly seen = new Set<OpcodeRow>();

  prepare(code: Code, more: Partial<ProgramImage> = {}): LoweredProgram {
    const image = imageOf(assemble(code), more);
    const program = prepareProgram(image, this.environment);
    for (const row of rowsOf(image)) TestMachine.seen.add(row);
    accelerate(program, defaultEngine.choice);
    return program;
  }

  /** r0 of a run, unsigned. */
  run(program: LoweredProgram, options: RunOptions & { context?: RunContext } = {}): bigint {
    runProgram(program, this.cpu, options.context ?? this.context, options);
    return BigInt.asUintN(64, this.cpu.regs[0] as bigint);
  }

  /** Prepares and runs. */
  result(code: Code, options: RunOptions & { context?: RunContext } = {}): bigint {
    return this.run(this.prepare(code), options);
  }
}

type Quad = [code: number, src: number, off: number, imm: number];

function rowsOf({ insns }: ProgramImage): readonly OpcodeRow[] {
  const rows: OpcodeRow[] = [];
  for (let at = 0; at < insns.length; at += insns.isWide(at) ? 2 : 1) {
    const { code, src, off, imm } = insns;
    const row = findRow(...([code[at], src[at], off[at], imm[at]] as Quad));
    if (row !== undefined) rows.push(row);
  }
  return rows;
}
