import { escapeName } from '../../errors/quote.ts';
import { BpfError, type ErrorContext } from '../../errors.ts';
import { type ProgramImage, sourceLineAt } from '../../object/image.ts';
import type { HelperFunction, LoadedProgram } from '../machine.ts';
import type { VmMemory } from '../memory.ts';
import type { Accelerator } from './accelerator.ts';
import type { CodeSpace } from './code-space.ts';
import { fuseWords } from './fuse.ts';
import { OP } from './operations.ts';

/** A function of a program: the entry function, subprograms and callbacks. */
export interface LoweredFunction {
  readonly name: string;
  /** Index of its first lowered instruction. */
  readonly start: number;
  /** One past its last lowered instruction. */
  readonly end: number;
  /** Index of its first instruction in the image. */
  readonly insn: number;
  /** Bytes of stack that the code uses at constant offsets from r10, not rounded. */
  readonly stackDepth: number;
}

/** What an `OP.trap` stands for. */
export type Fault =
  | { readonly reason: 'poisoned'; readonly note: string | undefined }
  | { readonly reason: 'missing-function'; readonly note: string }
  | { readonly reason: 'jump-target'; readonly note: undefined };

/**
 * The lowered form of a program, which both engines read: one row for each operation, in
 * columns. Jump targets are row indices; every jump stays in its function, and no function
 * runs past its end.
 */
export interface LoweredCode {
  /** Rows. */
  readonly length: number;
  /** Operation, registers and memory offset, see `packWord`. */
  readonly words: Int32Array;
  /** 32-bit immediate; the amount of a shift, already masked; the helper's number of a call. */
  readonly imm: Int32Array;
  /** 64-bit immediate, sign-extended where the operation wants that; 2 to the amount for `lsh64Imm`. */
  readonly imm64: BigInt64Array;
  /**
   * Row to go to for jumps, `mayGoto`, `loadPacket` (when it succeeds) and `call`; index in
   * `helpers` for `helper` and `tailCall`, in `faults` for `trap`.
   */
  readonly target: Int32Array;
  /** Rows from here to the end of the basic block, this one included: what the budget is charged when control gets here. */
  readonly weight: Int32Array;
  /** Instruction in the image that the row comes from. */
  readonly source: Int32Array;
  /** First rows of the basic blocks, ascending. */
  readonly blocks: Int32Array;
  /** In the order of their rows; the entry function is first. */
  readonly functions: readonly LoweredFunction[];
  readonly helpers: readonly HelperFunction[];
  readonly faults: readonly Fault[];
  /** Instructions whose address the program takes (callbacks), with their rows. */
  readonly addressTaken: ReadonlyMap<number, number>;
  /** Lower half of the address of image instruction 0 in `windows.code`; 0 where no address is taken. */
  readonly codeBase: number;
}

/** A program in the lowered form, with the memory it runs on. */
export class LoweredProgram implements LoadedProgram {
  readonly image: ProgramImage;
  readonly probeLoads: boolean;
  readonly code: LoweredCode;
  readonly memory: VmMemory;
  /** Where the addresses of its functions, and of other programs', are found. */
  readonly codeSpace: CodeSpace;
  /** All of the memory as 64-bit words, for aligned accesses. */
  readonly words: BigInt64Array;
  /** `code.imm64`, unsigned. */
  readonly unsignedImm: BigUint64Array;
  /** Runs functions of the program faster than the interpreter, where there is something that does. */
  accelerator: Accelerator | undefined;
  #fused: Int32Array | undefined;
  #hooked: Int32Array | undefined;

  constructor(
    image: ProgramImage,
    code: LoweredCode,
    options: {
      readonly memory: VmMemory;
      readonly codeSpace: CodeSpace;
      readonly probeLoads: boolean;
    },
  ) {
    this.image = image;
    this.code = code;
    this.memory = options.memory;
    this.codeSpace = options.codeSpace;
    this.probeLoads = options.probeLoads;
    this.words = wordsOf(options.memory);
    this.unsignedImm = new BigUint64Array(code.imm64.buffer);
  }

  /** The words with fused operations, which the interpreter runs. */
  get fusedWords(): Int32Array {
    this.#fused ??= fuseWords(this.code.words);
    return this.#fused;
  }

  /**
   * The words with every operation replaced by `OP.hook`: an interpreter that runs these
   * calls the run's hook before each instruction, and one that does not pays nothing.
   */
  get hookedWords(): Int32Array {
    this.#hooked ??= this.code.words.map((word) => (word & ~0xff) | OP.hook);
    return this.#hooked;
  }

  /** The function that holds row `row`. */
  functionAt(row: number): LoweredFunction {
    const { functions } = this.code;
    let low = 0;
    let high = functions.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((functions[middle] as LoweredFunction).start <= row) low = middle + 1;
      else high = middle;
    }
    return functions[low - 1] as LoweredFunction;
  }
}

const wordsByMemory = new WeakMap<VmMemory, BigInt64Array>();

function wordsOf(memory: VmMemory): BigInt64Array {
  let words = wordsByMemory.get(memory);
  if (words === undefined) {
    words = new BigInt64Array(memory.bytes.buffer);
    wordsByMemory.set(memory, words);
  }
  return words;
}

/** `file:line: text` of an instruction, names escaped; undefined where the object does not say. */
export function sourceText(image: ProgramImage, insn: number): string | undefined {
  try {
    const line = sourceLineAt(image, insn);
    if (line === undefined) return undefined;
    const text = line.text === '' ? '' : `: ${escapeName(line.text)}`;
    return `${escapeName(line.file)}:${line.line}${text}`;
  } catch (error) {
    // Line info with bad string offsets must not hide the error that wanted to name a line.
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

/** Context of an error at an instruction: program, index and source line. */
export function insnContext(image: ProgramImage, insn: number): readonly ErrorContext[] {
  return [{ program: image.name }, { insn, source: sourceText(image, insn) }];
}
