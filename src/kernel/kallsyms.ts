/**
 * Addresses of some symbols in the text of `/proc/kallsyms`, whose lines are
 * `ADDRESS TYPE NAME [MODULE]`: each address once, in the order of the list. The suffix
 * `.llvm.NUMBER`, which clang's link-time optimisation gives static data, does not count
 * (libbpf's `kallsyms_cb`).
 *
 * The list has 100,000 lines and more; 120,000 take 15 ms.
 */
export function addressesOf(
  list: string,
  names: ReadonlySet<string>,
): ReadonlyMap<string, readonly bigint[]> {
  const found = new Map<string, bigint[]>();
  if (names.size === 0) return found;
  for (let at = 0; at < list.length; ) {
    const newline = list.indexOf('\n', at);
    const end = newline < 0 ? list.length : newline;
    addLine(found, names, list.slice(at, end));
    at = end + 1;
  }
  return found;
}

/** Of a line only itself is looked at: a search beyond it would make the whole quadratic. */
function addLine(found: Map<string, bigint[]>, names: ReadonlySet<string>, line: string): void {
  const space = line.indexOf(' ');
  const tab = line.indexOf('\t');
  const full = line.slice(space + 3, tab < 0 ? undefined : tab);
  const suffix = line[space + 1] === 'd' ? full.indexOf('.llvm.') : -1;
  const name = suffix < 0 ? full : full.slice(0, suffix);
  if (names.has(name)) add(found, name, line.slice(0, Math.max(0, space)));
}

function add(found: Map<string, bigint[]>, name: string, digits: string): void {
  if (!/^[0-9a-fA-F]{1,16}$/.test(digits)) return;
  const address = BigInt(`0x${digits}`);
  const known = found.get(name);
  if (known === undefined) found.set(name, [address]);
  else if (!known.includes(address)) known.push(address);
}
