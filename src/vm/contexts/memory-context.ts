import { type RunContext, windows } from '../machine.ts';
import type { VmMemory } from '../memory.ts';

/** A context that is plain memory: tracepoint records, raw arguments, registers, … */
export class MemoryContext implements RunContext {
  readonly addressLow: number;
  readonly addressHigh = windows.main;
  readonly size: number;
  readonly #memory: VmMemory;

  constructor(memory: VmMemory, bytes: Uint8Array) {
    this.#memory = memory;
    this.size = bytes.length;
    this.addressLow = memory.allocate(bytes.length, { label: 'context' });
    memory.bytes.set(bytes, this.addressLow);
  }

  /** A copy of the bytes as the program left them. */
  copy(): Uint8Array {
    return this.#memory.bytes.slice(this.addressLow, this.addressLow + this.size);
  }

  free(): void {
    this.#memory.free(this.addressLow);
  }
}
