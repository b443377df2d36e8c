/** Nanoseconds since 1970 at the start of a VM: 2025-01-01T00:00:00Z. */
const startOfTime = 1_735_689_600_000_000_000n;
/** Difference between TAI and UTC since 2017. */
const taiOffset = 37_000_000_000n;
/** Granularity of the coarse clocks: a tick of a kernel with HZ=250. */
const tick = 4_000_000n;

/** Start values of a {@link VmClock}, in nanoseconds. */
export interface ClockOptions {
  /** Time since the boot of the simulated machine; a second by default. */
  readonly monotonic?: bigint | undefined;
  /** Of that, time that the machine was suspended; counts for the boot clock only. */
  readonly suspended?: bigint | undefined;
  /** Time since 1970; the start of 2025 by default. */
  readonly realtime?: bigint | undefined;
}

/**
 * Time of the simulated machine. It stands still until somebody moves it, so that a test
 * sees the same times whenever and wherever it runs.
 */
export class VmClock {
  #monotonic: bigint;
  #realtime: bigint;
  readonly #suspended: bigint;
  readonly #cells: BigUint64Array;

  /** `cells` are four words that show the clocks to compiled programs: monotonic, boot, coarse, TAI. */
  constructor(options: ClockOptions = {}, cells: BigUint64Array = new BigUint64Array(4)) {
    this.#monotonic = options.monotonic ?? 1_000_000_000n;
    this.#suspended = options.suspended ?? 0n;
    this.#cells = cells;
    this.#realtime = options.realtime ?? startOfTime;
    this.#publish();
  }

  /** `CLOCK_MONOTONIC`, in nanoseconds. */
  get monotonic(): bigint {
    return this.#monotonic;
  }

  /** `CLOCK_BOOTTIME`. */
  get boot(): bigint {
    return this.#monotonic + this.#suspended;
  }

  /** `CLOCK_MONOTONIC_COARSE`. */
  get coarse(): bigint {
    return this.#monotonic - (this.#monotonic % tick);
  }

  /** `CLOCK_TAI`. */
  get tai(): bigint {
    return this.#realtime + taiOffset;
  }

  /** Moves all clocks forward. */
  advance(nanoseconds: bigint | number): void {
    const by = BigInt(nanoseconds);
    if (by < 0n) throw new RangeError('time does not run backwards');
    this.#monotonic += by;
    this.#realtime += by;
    this.#publish();
  }

  #publish(): void {
    this.#cells[0] = this.monotonic;
    this.#cells[1] = this.boot;
    this.#cells[2] = this.coarse;
    this.#cells[3] = this.tai;
  }
}
