/** A line that a program printed with `bpf_trace_printk` or `bpf_trace_vprintk`. */
export interface TraceEntry {
  readonly text: string;
  readonly cpu: number;
  /** Thread id of the current task. */
  readonly pid: number;
  readonly comm: string;
  /** Monotonic time in nanoseconds. */
  readonly time: bigint;
}

/** Entries that are kept; as in the kernel's trace buffer the oldest go first. */
const kept = 16_384;

/** What programs printed. */
export class TraceLog {
  #entries: TraceEntry[] = [];
  #dropped = 0;

  get entries(): readonly TraceEntry[] {
    return this.#entries;
  }

  /** Entries that were pushed out by newer ones. */
  get dropped(): number {
    return this.#dropped;
  }

  add(entry: TraceEntry): void {
    this.#entries.push(entry);
    // Half is cut off at once: taking the first off an array costs its whole length.
    if (this.#entries.length < 2 * kept) return;
    this.#entries = this.#entries.slice(kept);
    this.#dropped += kept;
  }

  clear(): void {
    this.#entries = [];
    this.#dropped = 0;
  }
}
