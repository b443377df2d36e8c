import { BPF_F_XDP_HAS_FRAGS } from '../abi/bpf.ts';
import type { BackendProgram } from '../backend/backend.ts';
import { BpfError } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';
import { releaseProgram, runProgram } from './engine/engine.ts';
import type { LoweredProgram } from './engine/program.ts';
import { errnoError } from './errno.ts';
import type { Cpu, RunContext } from './machine.ts';
import type { HeldProgram, TailCallKind, VmMap } from './maps/map.ts';
import { hookFor, type Observer } from './observe/observer.ts';
import {
  prepareRun,
  type TestRunHost,
  type VmTestRunInput,
  type VmTestRunResult,
} from './test-run.ts';

/** What a program needs of its VM. */
export interface ProgramHost extends TestRunHost {
  readonly cpus: readonly Cpu[];
  readonly instructionBudget: number | undefined;
  readonly observers: readonly Observer[];
  dropProgram(program: VmProgram): void;
}

/** What a program is made of. */
export interface ProgramParts {
  readonly id: number;
  readonly image: ProgramImage;
  readonly lowered: LoweredProgram;
  /** Maps that it refers to; it keeps them alive. */
  readonly maps: readonly VmMap[];
  /** Memory that goes with it. */
  readonly memory: readonly number[];
}

/** A program loaded into a VM. */
export class VmProgram implements BackendProgram, HeldProgram {
  readonly id: number;
  readonly name: string;
  readonly type: number;
  readonly image: ProgramImage;
  readonly lowered: LoweredProgram;
  readonly #host: ProgramHost;
  readonly #maps: readonly VmMap[];
  readonly #memory: readonly number[];
  #closed = false;
  #references = 1;

  constructor(host: ProgramHost, parts: ProgramParts) {
    this.#host = host;
    this.id = parts.id;
    this.image = parts.image;
    this.lowered = parts.lowered;
    this.name = parts.image.name;
    this.type = parts.image.type;
    this.#maps = parts.maps;
    this.#memory = parts.memory;
  }

  get tailCallKind(): TailCallKind {
    return tailCallKind(this.image);
  }

  testRun(input: VmTestRunInput = {}): VmTestRunResult {
    this.#checkOpen();
    const cpu = this.#host.cpus[input.cpu ?? 0];
    if (cpu === undefined) {
      const reason = `there is no CPU ${input.cpu}; the VM has ${this.#host.cpus.length}`;
      throw errnoError('EINVAL', 'run program', { reason });
    }
    const run = prepareRun(this.#host, this.image, input);
    try {
      const repeat = Math.max(1, Math.floor(input.repeat ?? 1));
      const { observers } = this.#host;
      const start = performance.now();
      if (observers.length > 0) this.#runObserved(cpu, run.context, repeat, observers);
      else {
        for (let i = 0; i < repeat; i++) {
          runProgram(this.lowered, cpu, run.context, { budget: this.#host.instructionBudget });
        }
      }
      const duration = Math.round(((performance.now() - start) * 1e6) / repeat);
      const { data, context, redirect } = run.finish();
      return { returnValue: (cpu.half[0] as number) >>> 0, data, context, redirect, duration };
    } finally {
      run.free();
    }
  }

  #runObserved(
    cpu: Cpu,
    context: RunContext,
    repeat: number,
    observers: readonly Observer[],
  ): void {
    const options = { budget: this.#host.instructionBudget, hook: hookFor(observers) };
    for (let i = 0; i < repeat; i++) {
      try {
        runProgram(this.lowered, cpu, context, options);
      } finally {
        for (const observer of observers) observer.onEnd?.();
      }
    }
  }

  acquire(): void {
    this.#references++;
  }

  release(): void {
    this.#references--;
    if (this.#references > 0) return;
    releaseProgram(this.lowered);
    this.#host.dropProgram(this);
    for (const offset of this.#memory) this.#host.memory.free(offset);
    for (const map of this.#maps) map.release();
  }

  /** Drops the user's handle. The program lives on while a prog array holds it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new BpfError({ code: 'closed', what: 'program', name: this.name });
  }
}

/** What programs must share to share a prog array. */
export function tailCallKind(image: ProgramImage): TailCallKind {
  return {
    type: image.type,
    attachType: image.attachType,
    frags: (image.flags & BPF_F_XDP_HAS_FRAGS) !== 0,
  };
}
