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
  for (const name of names) {
    if (name === '' || name.length > longest) continue;
    const score = containment(wanted, name) ?? distance(wanted, name, allowed);
    if (score <= allowed) scored.push({ name, score });
  }
  scored.sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1));
  return scored.slice(0, limit).map((entry) => entry.name);
}

/** `state` and `__state`, `cpu` and `on_cpu` are near, however many characters they differ in. */
function containment(a: string, b: string): number | undefined {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (short.length < 3) return undefined;
  const words = `_${short.replace(/^_+|_+$/g, '')}_`;
  return words.length > 4 && `_${long}_`.includes(words) ? 1 : undefined;
}

/** Levenshtein's distance, or anything above `allowed` where it is more than that. */
function distance(a: string, b: string, allowed: number): number {
  if (Math.abs(a.length - b.length) > allowed) return allowed + 1;
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
