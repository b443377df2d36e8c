import { BpfError, type BpfErrorDetail } from '../../errors.ts';
import type { ProgramImage } from '../../object/image.ts';
import { OP, wordDst, wordOp, wordSrc } from './operations.ts';
import type { LoweredCode } from './program.ts';

/** Functions on the call stack at one time, the entry function included (`MAX_CALL_FRAMES`). */
export const maxFrames = 8;

/** Bytes of stack of a chain of calls (`MAX_BPF_STACK`); also the size of every frame here. */
export const maxStack = 512;

/** Bytes of stack above a subprogram that makes tail calls, as the verifier allows. */
const maxTailCallStack = 256;

/** With a JIT the kernel rounds each frame up to 16 bytes. */
const frameRounding = 16;

/** What {@link stackDepths} reads of a program. */
type Rows = Pick<LoweredCode, 'words' | 'imm64' | 'blocks'>;

/**
 * Bytes of stack that each function uses: the lowest constant offset from r10 of a memory
 * access or of an address made by addition. Follows copies of r10 within basic blocks. The
 * verifier, which follows every path, may find more at variable offsets, so frames are
 * `maxStack` long whatever comes out here; it serves the check of whole call chains.
 */
export function stackDepths(
  code: Rows,
  functions: readonly { readonly start: number; readonly end: number }[],
): number[] {
  const leaders = new Uint8Array(code.words.length + 1);
  for (const row of code.blocks) leaders[row] = 1;
  return functions.map(({ start, end }) => {
    const scan = new StackScan();
    for (let row = start; row < end; row++) {
      if (leaders[row] === 1) scan.forget();
      scan.step(code, row);
    }
    return -scan.lowest;
  });
}

const unknown = Number.NaN;

class StackScan {
  lowest = 0;
  /** Offset from r10 that each register holds. */
  readonly #offsets: number[] = new Array(11).fill(unknown);

  constructor() {
    this.forget();
  }

  forget(): void {
    this.#offsets.fill(unknown);
    this.#offsets[10] = 0;
  }

  step(code: Rows, row: number): void {
    const word = code.words[row] as number;
    const op = wordOp(word);
    const dst = wordDst(word);
    const src = wordSrc(word);
    if (op === OP.mov64Reg) this.#offsets[dst] = this.#offsets[src] as number;
    else if (op === OP.add64Imm) this.#add(dst, Number(code.imm64[row]));
    else if (isLoad(op)) {
      this.#note((this.#offsets[src] as number) + (word >> 16));
      this.#offsets[dst] = unknown;
    } else if (isStore(op)) {
      this.#note((this.#offsets[dst] as number) + (word >> 16));
    } else if (isAtomic(op)) {
      this.#note((this.#offsets[dst] as number) + (word >> 16));
      this.#clear(0, src);
    } else if (op === OP.helper || op === OP.tailCall) this.#clear(0, 1, 2, 3, 4, 5);
    else this.#clear(dst);
  }

  /** An address below the frame is no use of stack until something is accessed there. */
  #add(dst: number, by: number): void {
    const offset = (this.#offsets[dst] as number) + by;
    this.#offsets[dst] = offset;
    if (offset >= -maxStack) this.#note(offset);
  }

  #note(offset: number): void {
    if (offset < this.lowest) this.lowest = offset;
  }

  #clear(...registers: readonly number[]): void {
    for (const register of registers) if (register !== 10) this.#offsets[register] = unknown;
  }
}

function isLoad(op: number): boolean {
  return (
    (op >= OP.load8 && op <= OP.loadSigned32) || (op >= OP.loadBe16 && op <= OP.loadSignedBe32)
  );
}

function isStore(op: number): boolean {
  return (
    (op >= OP.store8Imm && op <= OP.store64Reg) || (op >= OP.storeBe16Reg && op <= OP.storeBe64Reg)
  );
}

function isAtomic(op: number): boolean {
  return op >= OP.atomicAdd64 && op <= OP.atomicCompareExchange32;
}

/** What can be below a function, itself included. */
interface Chain {
  /** Functions of the longest chain. */
  readonly frames: number;
  /** Rounded bytes of the chain that needs most. */
  readonly bytes: number;
  /** Callee that this chain goes on with. */
  readonly next: number | undefined;
  /** Most bytes above a function that makes tail calls; -1 where there is none below. */
  readonly tail: number;
  readonly tailFunction: number;
}

/**
 * The verifier's limits on chains of direct calls (`check_max_stack_depth`): 8 functions, 512
 * bytes, and fewer than 256 bytes above a subprogram that makes tail calls. Callbacks start
 * chains of their own here; how deep they nest is known, and checked, when they run.
 */
export function checkStack(image: ProgramImage, code: LoweredCode): void {
  const check = new StackCheck(image, code);
  check.from(0);
  for (const row of code.addressTaken.values()) check.from(check.indexAt(row));
}

class StackCheck {
  readonly #image: ProgramImage;
  readonly #code: LoweredCode;
  readonly #index = new Map<number, number>();
  readonly #chains: (Chain | undefined)[];
  readonly #path: number[] = [];

  constructor(image: ProgramImage, code: LoweredCode) {
    this.#image = image;
    this.#code = code;
    this.#chains = new Array(code.functions.length).fill(undefined);
    code.functions.forEach(({ start }, i) => {
      this.#index.set(start, i);
    });
  }

  indexAt(row: number): number {
    return this.#index.get(row) as number;
  }

  from(root: number): void {
    const { bytes, tail, tailFunction } = this.#chain(root);
    if (bytes > maxStack) {
      this.#refuse({ code: 'vm-stack-size', bytes, functions: this.#chainNames(root) });
    }
    if (tail >= maxTailCallStack) {
      const name = this.#name(tailFunction);
      this.#refuse({ code: 'vm-tail-call-stack', bytes: tail, function: name });
    }
  }

  /** Goes at most 8 functions deep: a longer path is the error that it looks for. */
  #chain(at: number): Chain {
    const known = this.#chains[at];
    const depth = this.#path.length + (known?.frames ?? 1);
    if (depth > maxFrames) {
      const functions = [...this.#path.map((i) => this.#name(i)), this.#name(at)];
      this.#refuse({ code: 'vm-call-depth', functions });
    }
    if (known !== undefined) return known;
    this.#path.push(at);
    const chain = this.#scan(at);
    this.#path.pop();
    this.#chains[at] = chain;
    return chain;
  }

  #scan(at: number): Chain {
    const { words, target, functions } = this.#code;
    const { start, end, stackDepth } = functions[at] as LoweredCode['functions'][number];
    const own = Math.ceil(stackDepth / frameRounding) * frameRounding;
    let chain: Chain = { frames: 1, bytes: own, next: undefined, tail: -1, tailFunction: at };
    for (let row = start; row < end; row++) {
      const op = wordOp(words[row] as number);
      if (op === OP.tailCall && chain.tail < 0) chain = { ...chain, tail: 0, tailFunction: at };
      if (op !== OP.call) continue;
      const callee = this.indexAt(target[row] as number);
      chain = extend(chain, own, this.#chain(callee), callee);
    }
    return chain;
  }

  #name(at: number): string {
    return this.#code.functions[at]?.name ?? '';
  }

  #chainNames(root: number): string[] {
    const out: string[] = [];
    for (let at: number | undefined = root; at !== undefined; at = this.#chains[at]?.next) {
      out.push(this.#name(at));
    }
    return out;
  }

  #refuse(detail: BpfErrorDetail): never {
    throw new BpfError(detail, { context: [{ program: this.#image.name }] });
  }
}

/** A function's chain so far, or the one through a callee where that is worse. */
function extend(chain: Chain, own: number, callee: Chain, index: number): Chain {
  const deeper = own + callee.bytes > chain.bytes;
  const tail = callee.tail < 0 ? -1 : own + callee.tail;
  return {
    frames: Math.max(chain.frames, callee.frames + 1),
    bytes: deeper ? own + callee.bytes : chain.bytes,
    next: deeper || chain.next === undefined ? index : chain.next,
    tail: Math.max(chain.tail, tail),
    tailFunction: tail > chain.tail ? callee.tailFunction : chain.tailFunction,
  };
}
