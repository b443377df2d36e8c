import type { Accelerator, CompiledCode } from '../engine/accelerator.ts';
import type { LoweredProgram } from '../engine/program.ts';
import type { InterpreterRun } from '../engine/run.ts';
import type { WasmModule } from '../webassembly.ts';
import { findAreas } from './areas.ts';
import { CompiledProgram } from './compiled.ts';
import { packetFields } from './context-fields.ts';
import { findMaps, type MapFinder } from './map-plans.ts';
import { moduleFor, moduleLater } from './module-cache.ts';
import { startRows, type Translation, translateProgram } from './translate.ts';

/**
 * Which engine runs programs: the interpreter, compiled code from the first run on, or the
 * interpreter until a program has run long enough to be worth compiling.
 */
export type EngineChoice = 'interpreter' | 'jit' | 'auto';

/** Rows up to which a program is compiled between two runs; longer ones in the background. */
const smallProgram = 2000;

/**
 * Instructions in the interpreter that pay for compiling: 15 ns each in the interpreter
 * against 1 to 2 compiled, and about half a millisecond for a small module.
 */
const hotInstructions = 20_000;

/** WebAssembly module of a program, undefined where it would be larger than hosts take. */
export function moduleBytes(
  program: LoweredProgram,
  mapAt: MapFinder = () => undefined,
): Uint8Array | undefined {
  return translate(program, mapAt)?.bytes;
}

function translate(program: LoweredProgram, mapAt: MapFinder): Translation | undefined {
  return translateProgram({
    code: program.code,
    littleEndian: program.image.littleEndian,
    probeLoads: program.probeLoads,
    storeLow: program.memory.storeLow,
    areas: findAreas(program),
    maps: findMaps(program, mapAt),
    packet: packetFields(program.image.type),
  });
}

/** Lets compiled code run a program's functions, at once or when it is hot. */
export function accelerate(
  program: LoweredProgram,
  choice: EngineChoice,
  mapAt: MapFinder = () => undefined,
): void {
  program.accelerator = choice === 'interpreter' ? undefined : new Jit(program, choice, mapAt);
}

class Jit implements Accelerator {
  readonly #program: LoweredProgram;
  readonly #mapAt: MapFinder;
  readonly #rows: readonly number[];
  /** Its code reads the packet's bounds where the VM's own contexts have them. */
  #needsCells = false;
  #code: CompiledCode | undefined;
  /** Whether it is still to be compiled. */
  #waiting = true;
  /** What the interpreter still has to do before. */
  #cold: number;

  constructor(program: LoweredProgram, choice: 'jit' | 'auto', mapAt: MapFinder) {
    this.#program = program;
    this.#mapAt = mapAt;
    this.#rows = startRows(program);
    this.#cold = choice === 'jit' ? 0 : hotInstructions + program.code.length;
  }

  codeFor(run: InterpreterRun): CompiledCode | undefined {
    if (this.#waiting && this.#cold === 0) this.#compile(true);
    if (this.#needsCells && !run.context.cells) return undefined;
    return this.#code;
  }

  spent(instructions: number): void {
    if (!this.#waiting || this.#cold === 0) return;
    this.#cold -= instructions;
    if (this.#cold <= 0) this.#compile(this.#program.code.length <= smallProgram);
  }

  /** A host that refuses leaves the program to the interpreter. */
  #compile(now: boolean): void {
    this.#waiting = false;
    const translation = translate(this.#program, this.#mapAt);
    if (translation === undefined) return;
    const { bytes } = translation;
    this.#needsCells = translation.readsPacket;
    if (!now) {
      moduleLater(bytes).then(
        (module) => this.#take(module),
        () => undefined,
      );
      return;
    }
    try {
      this.#take(moduleFor(bytes));
    } catch (error) {
      if (!isCompileError(error)) throw error;
    }
  }

  #take(module: WasmModule): void {
    this.#code = new CompiledProgram(this.#program, module, this.#rows);
  }
}

/** `WebAssembly.CompileError`: more than the host takes, or none allowed at all. */
function isCompileError(error: unknown): boolean {
  return error instanceof Error && error.name === 'CompileError';
}
