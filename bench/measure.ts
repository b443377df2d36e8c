// How we measure: ours and the peer's in turn, so that a busy machine hurts both alike, and
// the median of each. Warm samples come after a warm-up in the same process; cold ones are
// the first of a fresh process.

/** One measurement, ready to print. */
export interface Row {
  readonly name: string;
  /** What is counted; nanoseconds unless said. */
  readonly unit?: 'bytes';
  readonly ours: number;
  /** What it is compared with; undefined where the peer is not on this machine. */
  readonly peer: number | undefined;
  /** Who the peer is, and of what version where that matters. */
  readonly peerName: string;
  /** Largest ours / peer that we are content with; undefined where no goal is set yet. */
  readonly goal: number | undefined;
}

/** A source of rows. `--only` matches the name, so that nothing else is even prepared. */
export interface Group {
  /** Path-like, `btf/parse`: the start of its rows' names. */
  readonly name: string;
  rows(options: BenchOptions): Promise<readonly Row[]> | readonly Row[];
}

export interface BenchOptions {
  /** Fewest samples that still show that everything runs. */
  readonly quick: boolean;
}

/** Gives one sample in nanoseconds. */
export type Sampler = () => number | Promise<number>;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** Runs `work` once and gives the time it took. */
export function timed(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start);
}

/** Medians of `rounds` samples of both, taken in turn after `warmUp` unmeasured ones of ours. */
export async function interleaved(
  ours: Sampler,
  peer: Sampler | undefined,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: number },
): Promise<{ readonly ours: number; readonly peer: number | undefined }> {
  for (let i = 0; i < warmUp; i++) await ours();
  const samples: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  for (let i = 0; i < rounds; i++) {
    samples.ours.push(await ours());
    if (peer !== undefined) samples.peer.push(await peer());
  }
  return { ours: median(samples.ours), peer: peer && median(samples.peer) };
}

/** Ours divided by the peer's. */
export function ratioOf(row: Row): number | undefined {
  return row.peer === undefined ? undefined : row.ours / row.peer;
}
