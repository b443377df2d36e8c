// Random programs that are valid: registers are written before they are read, pointers stay in
// their memory, loops end. A verifier takes almost all of them, so that the kernel can be asked
// as well. Every class of instructions comes up: arithmetic of both widths, moves with sign,
// byte swaps, loads and stores of all sizes on the stack, in a map's value and in the packet,
// atomics, ordered accesses, jumps, long jumps, loops, subprograms, callbacks, map helpers.
import { BPF_FUNC, BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import type { InsnIndex } from '../../src/asm/insns.ts';
import { findRow, opcodeRows } from '../../src/asm/opcodes.ts';
import type { ImageFunction, Slot as ImageSlot, ProgramImage } from '../../src/object/image.ts';
import type { MapIndex, MapSpec } from '../../src/object/spec.ts';
import * as a from './engine/assemble.ts';

/** Gives numbers from 0 up to below its argument. */
export type Random = (below: number) => number;

/** A small generator of pseudo-random numbers (mulberry32): the same seed gives the same programs. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Bytes of the buffer: the one value of the first map. Results of a run end up in its upper half. */
export const bufferSize = 256;

function mapSpec(name: string, type: number, more: Partial<MapSpec>): MapSpec {
  return {
    name,
    kernelName: name,
    type,
    keySize: 4,
    valueSize: 8,
    maxEntries: 8,
    flags: 0,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: undefined,
    pinning: 'none',
    inner: undefined,
    values: [],
    data: undefined,
    ...more,
  };
}

/** Maps that every program may use, in the order of their indices. */
export const programMaps: readonly MapSpec[] = [
  mapSpec('buffer', BPF_MAP_TYPE.ARRAY, { valueSize: bufferSize, maxEntries: 1 }),
  mapSpec('array', BPF_MAP_TYPE.ARRAY, {}),
  mapSpec('table', BPF_MAP_TYPE.HASH, {}),
  mapSpec('cpu_table', BPF_MAP_TYPE.PERCPU_HASH, { maxEntries: 4 }),
  mapSpec('cpu_array', BPF_MAP_TYPE.PERCPU_ARRAY, { maxEntries: 4 }),
];

/** What to leave out. */
export interface ProgramLimits {
  /** Callbacks, which the kernel takes only with types. */
  readonly callbacks: boolean;
}

const sizes = [1, 2, 4, 8] as const;
const interesting = [0, 1, -1, 2, 7, 31, 32, 63, 0x7f, 0x80, 0xffff, 0x7fff_ffff, -0x8000_0000];

/** Registers that hold numbers at all times. r6 has the buffer's address, r7 counts loops. */
const scalars = [0, 1, 2, 3, 4, 5, 8, 9] as const;

/** Lowest and highest byte of the stack that random accesses go to; the context is kept at -8. */
const stackLow = -80;
const stackHigh = -16;

/** One random program. */
export function randomProgram(next: Random, limits: ProgramLimits): ProgramImage {
  return new Generator(next, limits).program();
}

/**
 * The program with some offsets, masks and constants changed, so that accesses end up
 * outside, or just inside, and loops run on. Registers are still written before they are read.
 */
export function mutated(image: ProgramImage, next: Random): ProgramImage {
  const { insns } = image;
  const copy = insns.slice();
  for (let left = 1 + next(3); left > 0; left--) {
    const at = next(insns.length);
    const operation = findRow(
      insns.code[at] as number,
      insns.src[at] as number,
      insns.off[at] as number,
      insns.imm[at] as number,
    )?.operation;
    if (operation?.kind === 'load' || operation?.kind === 'store' || operation?.kind === 'atomic') {
      copy.off[at] = (insns.off[at] as number) + next(33) - 16;
    } else if (
      (operation?.kind === 'alu' || operation?.kind === 'jump-if') &&
      operation.operand === 'imm'
    ) {
      copy.imm[at] = (insns.imm[at] as number) + (next(4) === 0 ? next(0x1_0000) : next(9) - 4);
    }
  }
  return { ...image, insns: copy };
}

interface Call {
  readonly at: number;
  readonly target: number;
}

class Generator {
  readonly #next: Random;
  readonly #limits: ProgramLimits;
  readonly #code: a.Slot[] = [];
  readonly #slots: ImageSlot[] = [];
  /** Calls whose distance is known once all functions are there. */
  readonly #calls: Call[] = [];
  /** What each function after the first is for. */
  readonly #functions: ('plain' | 'callback' | 'pointer')[] = [];
  #inLoop = false;
  #branches = 0;

  constructor(next: Random, limits: ProgramLimits) {
    this.#next = next;
    this.#limits = limits;
  }

  program(): ProgramImage {
    this.#start();
    for (let left = 3 + this.#next(14); left > 0; left--) this.#segment();
    this.#finish();
    const starts = [0];
    this.#functions.forEach((use, i) => {
      starts.push(this.#code.length);
      if (use === 'callback') this.#callbackBody();
      else if (use === 'pointer') this.#pointerBody();
      else this.#subprogram(i);
    });
    for (const { at, target } of this.#calls) {
      const slot = this.#code[at] as a.Slot;
      this.#code[at] = { ...slot, imm: (starts[target] as number) - at - 1 };
    }
    const functions = starts.map((start, i): ImageFunction => {
      const end = starts[i + 1] ?? this.#code.length;
      return { name: `f${i}`, start: start as InsnIndex, end: end as InsnIndex };
    });
    const insns = a.assemble(this.#code);
    return a.imageOf(insns, { name: 'f0', type: BPF_PROG_TYPE.XDP, slots: this.#slots, functions });
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#next(from.length)] as T;
  }

  #push(...code: a.Code): void {
    this.#code.push(...code.flat());
  }

  /** A register with a number; not the loop's counter. */
  #scalar(): number {
    return this.#pick(scalars);
  }

  #number(): number {
    return this.#next(3) === 0 ? this.#pick(interesting) : this.#next(2 ** 32) | 0;
  }

  #start(): void {
    this.#push(a.store(8, 10, 1, -8));
    this.#mapPointer(6, 0, true);
    for (let at = stackLow; at < stackHigh; at += 8) {
      this.#push(a.storeImm(8, 10, this.#number(), at));
    }
    this.#refresh([0, 1, 2, 3, 4, 5, 7, 8, 9]);
  }

  /** Puts numbers into registers. */
  #refresh(registers: readonly number[]): void {
    for (const register of registers) {
      const high = BigInt(this.#number());
      const value = (high << 32n) | BigInt(this.#number() >>> 0);
      if (this.#next(2) === 0) this.#push(a.movImm(register, this.#number()));
      else this.#push(a.wide(register, BigInt.asUintN(64, value)));
    }
  }

  /** The address of a map, or of a map's value. */
  #mapPointer(register: number, map: number, value: boolean): void {
    const insn = this.#code.length as InsnIndex;
    const index = map as MapIndex;
    if (value) this.#slots.push({ kind: 'map-value', insn, map: index, offset: 0 });
    else this.#slots.push({ kind: 'map', insn, map: index });
    this.#push(a.wide(register, 0n, value ? 2 : 1));
  }

  /** Numbers in registers and memory go to the buffer, where runs are compared. */
  #finish(): void {
    scalars.forEach((register, i) => {
      this.#push(a.store(8, 6, register, 128 + 8 * i));
    });
    this.#push(a.load(8, 1, 10, stackLow), a.store(8, 6, 1, 248), a.exit());
  }

  #segment(): void {
    const kinds = [
      () => this.#arithmetic(),
      () => this.#arithmetic(),
      () => this.#memory(),
      () => this.#memory(),
      () => this.#atomic(),
      () => this.#indexedAccess(),
      () => this.#packetAccess(),
      () => this.#branch(),
      () => this.#loop(),
      () => this.#callFunction(),
      () => this.#mapHelper(),
      () => this.#callback(),
    ];
    this.#pick(kinds)();
  }

  #arithmetic(): void {
    for (let left = 1 + this.#next(6); left > 0; left--) this.#arithmeticInsn(scalars);
  }

  #arithmeticInsn(registers: readonly number[]): void {
    const rows = opcodeRows.filter(({ operation: { kind } }) =>
      ['alu', 'neg', 'movsx', 'swap'].includes(kind),
    );
    const row = this.#pick(rows);
    const { operation } = row;
    const usesImm = row.uses.includes('imm');
    let imm = usesImm ? this.#number() : 0;
    if (operation.kind === 'alu' && operation.operand === 'imm') {
      // The kernel refuses what RFC 9669 gives a meaning: division by 0, shifts out of range.
      if (['div', 'sdiv', 'mod', 'smod'].includes(operation.op) && imm === 0) imm = 3;
      if (['lsh', 'rsh', 'arsh'].includes(operation.op)) imm &= operation.width - 1;
    }
    this.#push({
      code: row.code,
      dst: this.#pick(registers),
      src: row.uses.includes('src') ? this.#pick(registers) : 0,
      off: row.off ?? 0,
      imm: row.imm ?? imm,
    });
  }

  /** A place for `size` bytes on the stack or in the buffer: base register and offset. */
  #place(size: number, aligned: boolean): readonly [base: number, offset: number] {
    if (this.#next(2) === 0) {
      const slots = (stackHigh - stackLow) / size;
      return [10, stackLow + size * this.#next(slots)];
    }
    const offset = this.#next(128 - size + 1);
    return [6, aligned ? offset & -size : offset];
  }

  #memory(): void {
    const size = this.#pick(sizes);
    const [base, offset] = this.#place(size, false);
    const register = this.#scalar();
    switch (this.#next(6)) {
      case 0:
      case 1:
        this.#push(a.load(size, register, base, offset));
        break;
      case 2:
        if (size !== 8) this.#push(a.loadSigned(size, register, base, offset));
        break;
      case 3:
        this.#push(a.storeImm(size, base, this.#number(), offset));
        break;
      case 4:
        this.#push(a.store(size, base, register, offset));
        break;
      default:
        this.#ordered(size);
    }
  }

  /** A load-acquire or a store-release. */
  #ordered(size: a.Size): void {
    const [base, offset] = this.#place(size, true);
    const register = this.#scalar();
    if (this.#next(2) === 0) this.#push(a.atomic(size, 0x100, register, base, offset));
    else this.#push(a.atomic(size, 0x110, base, register, offset));
  }

  #atomic(): void {
    const size = this.#pick([4, 8] as const);
    const operation = this.#pick([0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1]);
    const [base, offset] = this.#place(size, true);
    this.#push(a.atomic(size, operation, base, this.#scalar(), offset));
  }

  /** An access at a masked number in the buffer. */
  #indexedAccess(): void {
    const size = this.#pick(sizes);
    const index = this.#pick([1, 2, 3, 4, 5]);
    this.#push(a.aluImm(64, 'and', index, this.#pick([0x3f, 0x78, 0x40])));
    this.#push(a.aluReg(64, 'add', index, 6));
    const offset = this.#next(64 - size);
    if (this.#next(2) === 0) this.#push(a.store(size, index, this.#pick([0, 8, 9]), offset));
    else this.#push(a.load(size, this.#pick([0, 8, 9]), index, offset));
    this.#refresh([index]);
  }

  /** A load or store in the packet, after the check that it is long enough. */
  #packetAccess(): void {
    const size = this.#pick(sizes);
    const offset = this.#next(80);
    this.#push(a.load(8, 1, 10, -8), a.load(4, 2, 1, 4), a.load(4, 1, 1, 0));
    this.#push(a.movReg(3, 1), a.addImm(3, offset + size));
    const access =
      this.#next(2) === 0
        ? a.load(size, this.#pick([0, 8, 9]), 1, offset)
        : a.store(size, 1, this.#pick([0, 8, 9]), offset);
    this.#push(a.jumpReg(64, 'gt', 3, 2, 1), access);
    this.#refresh([1, 2, 3]);
  }

  /** Some instructions that a condition leaves out, or takes instead of others. */
  #branch(): void {
    if (this.#inLoop && this.#branches > 0) return;
    this.#branches++;
    const at = this.#code.length;
    const width = this.#pick([32, 64] as const);
    const comparison = this.#pick(Object.keys(a.JUMP) as (keyof typeof a.JUMP)[]);
    const jump = (off: number): a.Slot =>
      imm === undefined
        ? a.jumpReg(width, comparison, dst, src, off)
        : a.jumpImm(width, comparison, dst, imm, off);
    const [dst, src] = [this.#scalar(), this.#scalar()];
    const imm = this.#next(2) === 0 ? this.#number() : undefined;
    this.#push(jump(0));
    this.#arithmetic();
    if (this.#next(2) === 0) this.#memory();
    const otherwise = this.#next(2) === 0;
    const skip = this.#code.length;
    if (otherwise) {
      this.#push(a.goto(0));
      this.#arithmetic();
    }
    this.#code[at] = jump((otherwise ? skip + 1 : this.#code.length) - at - 1);
    if (!otherwise) return;
    const distance = this.#code.length - skip - 1;
    this.#code[skip] = this.#next(2) === 0 ? a.goto(distance) : a.gotoLong(distance);
  }

  #loop(): void {
    if (this.#inLoop) return;
    this.#inLoop = true;
    this.#branches = 0;
    const up = this.#next(2) === 0;
    const turns = 1 + this.#next(5);
    this.#push(a.movImm(7, up ? 0 : turns));
    const start = this.#code.length;
    if (this.#next(4) === 0) this.#push(a.mayGoto(0));
    for (let left = 1 + this.#next(3); left > 0; left--) this.#segment();
    this.#push(a.addImm(7, up ? 1 : -1));
    const width = this.#pick([32, 64] as const);
    const back = start - this.#code.length - 1;
    this.#push(a.jumpImm(width, 'ne', 7, up ? turns : 0, back));
    this.#inLoop = false;
  }

  #callFunction(): void {
    if (this.#next(3) === 0) {
      this.#callWithPointer();
      return;
    }
    const plain = this.#functions.flatMap((use, i) => (use === 'plain' ? [i + 1] : []));
    if (plain.length < 3) plain.push(this.#functions.push('plain'));
    this.#refresh([1, 2, 3, 4, 5]);
    this.#calls.push({ at: this.#code.length, target: this.#pick(plain) });
    this.#push(a.call(0));
    this.#refresh([1, 2, 3, 4, 5]);
  }

  /** A function of five numbers with a stack of its own. It calls no other. */
  #subprogram(index: number): void {
    this.#push(a.movReg(0, 1), a.movImm(6, index), a.movReg(7, 2));
    this.#push(a.store(8, 10, 3, -8), a.storeImm(8, 10, this.#number(), -16));
    const own = [0, 1, 2, 3, 4, 5, 6, 7];
    for (let left = 2 + this.#next(6); left > 0; left--) {
      if (this.#next(4) > 0) this.#arithmeticInsn(own);
      else this.#push(a.load(8, this.#pick(own), 10, this.#pick([-8, -16])));
    }
    const [dst, src] = [this.#pick(own), this.#pick(own)];
    this.#push(a.jumpReg(64, 'sgt', dst, src, 1), a.aluReg(64, 'xor', 0, 7), a.exit());
  }

  /** Looks up, changes or deletes an element; a found number is read and written. */
  #mapHelper(): void {
    const map = 1 + this.#next(4);
    const operation = this.#pick(['lookup', 'update', 'delete'] as const);
    this.#push(a.storeImm(4, 10, this.#next(10), -12));
    this.#mapPointer(1, map, false);
    this.#push(a.movReg(2, 10), a.addImm(2, -12));
    if (operation === 'update') {
      this.#push(a.movReg(3, 10), a.addImm(3, stackLow), a.movImm(4, this.#pick([0, 0, 0, 1, 2])));
      this.#push(a.callHelper(BPF_FUNC.map_update_elem));
    } else if (operation === 'delete') this.#push(a.callHelper(BPF_FUNC.map_delete_elem));
    else {
      this.#push(a.callHelper(BPF_FUNC.map_lookup_elem));
      this.#push(a.jumpImm(64, 'eq', 0, 0, 3));
      this.#push(a.load(8, 8, 0, 0), a.addImm(8, 1), a.store(8, 0, 8, 0));
      this.#push(a.movImm(0, 1));
    }
    this.#refresh([1, 2, 3, 4, 5]);
  }

  /** `bpf_loop` over a function that gets an index and a pointer to the stack. */
  #callback(): void {
    if (!this.#limits.callbacks || this.#inLoop) return;
    this.#push(a.movImm(1, this.#next(6)));
    this.#calls.push({ at: this.#code.length, target: this.#functions.push('callback') });
    this.#push(a.functionAddress(2, 0), a.movReg(3, 10), a.addImm(3, stackLow), a.movImm(4, 0));
    this.#push(a.callHelper(BPF_FUNC.loop));
    this.#refresh([1, 2, 3, 4, 5]);
  }

  /** Hands a pointer into the buffer to a function, which knows nothing of it. */
  #callWithPointer(): void {
    this.#refresh([2, 3, 4, 5]);
    this.#push(a.movReg(1, 6), a.addImm(1, this.#next(64)));
    this.#calls.push({ at: this.#code.length, target: this.#functions.push('pointer') });
    this.#push(a.call(0));
    this.#refresh([1, 2, 3, 4, 5]);
  }

  /** Accesses of all sizes around a pointer, in one block or several. */
  #pointerBody(): void {
    this.#push(a.movReg(0, 2));
    for (let left = 2 + this.#next(8); left > 0; left--) {
      const size = this.#pick(sizes);
      const offset = this.#next(56);
      const register = this.#pick([0, 2, 3, 4]);
      if (this.#next(2) === 0) this.#push(a.load(size, register, 1, offset));
      else this.#push(a.store(size, 1, register, offset));
      if (this.#next(6) === 0) this.#push(a.jumpReg(64, 'gt', 0, 2, 1), a.aluReg(64, 'add', 0, 3));
      if (this.#next(8) === 0) this.#push(a.addImm(1, this.#next(2)));
    }
    this.#push(a.exit());
  }

  /** Changes what it gets a pointer to by its index; sometimes ends the loop. */
  #callbackBody(): void {
    this.#push(a.load(8, 3, 2, 0), a.aluReg(64, 'add', 3, 1), a.movReg(4, 3), a.movReg(0, 3));
    for (let left = this.#next(5); left > 0; left--) this.#arithmeticInsn([0, 1, 3, 4]);
    this.#push(a.store(8, 2, 3, 0), a.aluImm(64, 'and', 0, this.#next(2)), a.exit());
  }
}
