import type { ProgramImage } from '../object/image.ts';
import type { CodeSpace } from './engine/code-space.ts';
import type { VmMemory } from './memory.ts';

/**
 * What an engine (interpreter, later the JIT) and the simulated kernel know of each other.
 *
 * Registers live in VM memory, eleven 64-bit words a CPU, so that helpers see the same
 * bytes whichever engine runs. Helpers read r1..r5 and write r0 there; passing 64-bit
 * values as BigInt arguments would cost three times as much (design D5).
 */
export interface Cpu {
  readonly id: number;
  /** r0..r10. */
  readonly regs: BigInt64Array;
  /** The same bytes as halves: `half[2 * r]` is the low half of register r, `half[2 * r + 1]` the high one. */
  readonly half: Int32Array;
  /** BPF stack: main-window offsets from `stackLow` up to the lowest one in use; `cpuStackSize` bytes at first. */
  readonly stackLow: number;
  /** Frames are taken below this offset; the engine moves it, nested runs continue from it. */
  stackPointer: number;
  /** The run that this CPU is in; nested runs save and restore it. */
  run: Run | undefined;
}

/**
 * Bytes of BPF stack a CPU needs: 512 for each of 8 frames in each of 34 programs of a
 * tail-call chain, and as much again for runs inside of runs.
 */
export const cpuStackSize = 0x4_0000;

/** One run of a program: what helpers may ask about it. */
export interface Run {
  readonly cpu: Cpu;
  /** The program that was started; a tail call replaces it. */
  program: LoadedProgram;
  /** State behind the context pointer: packet, frame, task, raw arguments, … */
  readonly context: RunContext;
  /** Tail calls made so far in this chain, counted by the engine; the kernel allows 33. */
  tailCalls: number;
  /** Instructions that may still run before the run is stopped. */
  budget: number;
  /**
   * Calls the BPF function at a function address (window `windows.code`) with up to five
   * arguments already in r1..r5; its r0 is in the registers afterwards. For callbacks.
   */
  callFunction(addressLow: number): void;
  /**
   * Asks the engine to continue in another program once the helper returns (tail call).
   * The frame of the current function is unwound by the engine. False, with nothing done,
   * where the chain has used up its 33 tail calls. Only for helper 12 (`bpf_tail_call`).
   */
  tailCallTo(target: LoadedProgram): boolean;
}

/** A context as the program sees it. */
export interface RunContext {
  /** Address in r1 at entry. */
  readonly addressLow: number;
  readonly addressHigh: number;
  /** Number in r2 at entry; 0 if left out. */
  readonly second?: number | undefined;
  /**
   * Access to the context window (`windows.context`), where fields are converted as Linux
   * converts them (a 4-byte load of `xdp_md.data` yields a 64-bit pointer). `offset` is
   * from the start of the context. `load` writes both halves of the result to
   * `half[2 * dst]` and `half[2 * dst + 1]`. Both throw `MemoryFault` for what the
   * context does not allow. Absent where the context is plain memory.
   */
  readonly fields?: ContextFields | undefined;
  /**
   * Offset in VM memory of two u64, the addresses of the packet's first byte and of its end as
   * the fields `data` and `data_end` read: compiled code takes them from there. 0 or absent
   * where there are none.
   */
  readonly cells?: number | undefined;
  /**
   * Legacy packet loads (`LD_ABS`, `LD_IND`): `size` bytes at `offset` of the packet as a
   * big-endian number, or undefined where the packet ends before. `offset` is signed; the
   * negative ranges `SKF_NET_OFF` and `SKF_LL_OFF` count from the network and link header.
   * Absent where the context has no packet.
   */
  readonly packet?: ((offset: number, size: number) => number | undefined) | undefined;
}

export interface ContextFields {
  load(offset: number, size: number, half: Int32Array, dst: number): void;
  store(offset: number, size: number, valueLow: number, valueHigh: number): void;
}

/** Upper halves of addresses, as signed 32-bit numbers. A pointer's lower half is an offset in its window. */
export const windows = {
  /** The one contiguous window of VM memory: maps, stacks, packets, kernel objects. */
  main: 0xffff8880 | 0,
  /** Program contexts whose fields are converted on access. */
  context: 0xffff8881 | 0,
  /** Functions of loaded programs; never readable. */
  code: 0xffffffc0 | 0,
} as const;

/** A helper: reads r1..r5 from `run.cpu`, writes r0. Throws `MemoryFault` on a bad pointer. */
export type HelperFunction = (run: Run) => void;

/** What the engine asks the simulated kernel for while it lowers a program. */
export interface ProgramEnvironment {
  readonly memory: VmMemory;
  /** Where function addresses are given out: one for each VM. */
  readonly code: CodeSpace;
  /** Helper by number; undefined where the VM does not have it (the engine reports all by name before running). */
  helper(number: number): HelperFunction | undefined;
  /** Name of a helper, for messages and disassembly. */
  helperName(number: number): string;
  /** Address halves for a slot of the image (a map's header, a byte of a map's value). */
  slotAddress(slot: ProgramImage['slots'][number]): { readonly low: number; readonly high: number };
}

/** A program ready to run in an engine. */
export interface LoadedProgram {
  readonly image: ProgramImage;
  /**
   * Loads from unmapped addresses give 0 instead of a trap, as the kernel's probe loads do
   * for programs that hold BTF pointers. Stores trap all the same.
   */
  readonly probeLoads: boolean;
}

/** An access outside of what the program may touch. Internal: the engine turns it into a trap report. */
export class MemoryFault extends Error {
  readonly low: number;
  readonly high: number;
  readonly size: number;
  readonly access: 'load' | 'store';
  /** Why, where it is not simply outside (a read-only map, a context field that may not be written). */
  readonly reason: string | undefined;

  constructor(low: number, high: number, size: number, access: 'load' | 'store', reason?: string) {
    super(reason ?? 'memory fault');
    this.low = low;
    this.high = high;
    this.size = size;
    this.access = access;
    this.reason = reason;
  }
}
