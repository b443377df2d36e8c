// Counting tests: what every suite of ours says in its last line, and how ava's TAP output
// becomes that.

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const noCounts: Counts = { passed: 0, failed: 0, skipped: 0 };

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

/** `12 passed, 0 failed, 1 skipped` */
export function formatCounts(counts: Counts): string {
  return `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
}

/** The counts in the last line of a suite's output; undefined where there are none. */
export function parseCounts(output: string): Counts | undefined {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  const match = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(line);
  if (match === null) return undefined;
  return { passed: Number(match[1]), failed: Number(match[2]), skipped: Number(match[3]) };
}

export interface TapReport {
  readonly counts: Counts;
  /** Each failure with its diagnostics, as printed. */
  readonly failures: readonly string[];
  /** Titles of what was skipped. */
  readonly skipped: readonly string[];
}

/** Reads TAP as ava prints it: a result per line, diagnostics indented or commented below. */
export function readTap(text: string): TapReport {
  const failures: string[][] = [];
  const skipped: string[] = [];
  let passed = 0;
  let open: string[] | undefined;
  for (const line of text.split('\n')) {
    const result = /^(not )?ok \d+ - (.*)$/.exec(line);
    if (result === null) {
      if (line.startsWith('1..')) open = undefined;
      open?.push(line);
      continue;
    }
    open = undefined;
    const title = result[2] ?? '';
    if (/# (SKIP|TODO)\b/i.test(title)) skipped.push(title);
    else if (result[1] === undefined) passed++;
    else {
      open = [title];
      failures.push(open);
    }
  }
  return {
    counts: { passed, failed: failures.length, skipped: skipped.length },
    failures: failures.map((lines) => lines.join('\n').trimEnd()),
    skipped,
  };
}
