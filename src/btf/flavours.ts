/** The character that flavours are set off with: `task_struct___old`. */
export const underscore = 0x5f;

/**
 * Where in one string section the flavours of names start: for each zero-terminated run of
 * characters that has a separator, its start and the place of its last separator. A name
 * may begin anywhere in a run (suffixes may be shared), and only the last separator counts,
 * so this is all there is to know. Made in one pass, however the names overlap.
 */
export class Flavours {
  readonly #runs: number[] = [];
  readonly #separators: number[] = [];

  constructor(bytes: Uint8Array) {
    let run = 0;
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === 0) run = at + 1;
      else if (isSeparator(bytes, at, run)) this.#record(run, at);
    }
  }

  #record(run: number, separator: number): void {
    if (this.#runs.at(-1) === run) {
      this.#separators[this.#separators.length - 1] = separator;
    } else {
      this.#runs.push(run);
      this.#separators.push(separator);
    }
  }

  /** The last separator of the name at `at`, undefined if it has none. */
  separatorAfter(at: number): number | undefined {
    const separators = this.#separators;
    let low = 0;
    let high = separators.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // The separator needs a character of the name before it, hence `>`.
      if ((separators[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    const inSameRun = low < separators.length && (this.#runs[low] as number) <= at;
    return inSameRun ? separators[low] : undefined;
  }
}

/** The last separator of the name from `start` to `end`, undefined if it has none. */
export function lastSeparator(bytes: Uint8Array, start: number, end: number): number | undefined {
  for (let at = end - 4; at > start; at--) {
    if (isSeparator(bytes, at, start)) return at;
  }
  return undefined;
}

/**
 * Whether the three characters at `at` part a name that begins at `start` from its flavour:
 * exactly three underscores between two characters that are none (libbpf's
 * `bpf_core_is_flavor_sep`).
 */
function isSeparator(bytes: Uint8Array, at: number, start: number): boolean {
  return (
    bytes[at] === underscore &&
    bytes[at + 1] === underscore &&
    bytes[at + 2] === underscore &&
    at > start &&
    bytes[at - 1] !== underscore &&
    bytes[at + 3] !== underscore &&
    bytes[at + 3] !== 0
  );
}
