import type { Btf } from '../../btf/btf.ts';
import { kindName } from '../../btf/dump/kinds.ts';
import { sizeOf } from '../../btf/graph.ts';
import type { TypeId } from '../../btf/types.ts';
import { escapeName } from '../../errors/quote.ts';
import { BpfError } from '../../errors.ts';
import { chooseBtf } from '../backends.ts';
import { columns } from '../render/text.ts';
import { type CommandContext, printReport } from '../terminal.ts';
import { UsageError } from '../usage.ts';

/** What `tsbpf btf find` prints, in the order of ids. */
export type FindReport = readonly {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  /** In bytes; undefined for what has no size. */
  readonly size: number | undefined;
}[];

/** The types that match, those of the bases first; `*` and `?` in `pattern` as in a shell. */
export function findTypes(btf: Btf, pattern: string, kind: string | undefined): FindReport {
  const wanted = kind?.toUpperCase().replaceAll('-', '_');
  return matchingIds(btf, pattern)
    .map((id) => ({ id, kind: kindName(btf.kindOf(id)), name: btf.nameOf(id) }))
    .filter((type) => wanted === undefined || type.kind === wanted)
    .map((type) => ({ ...type, size: sizeIfAny(btf, type.id) }));
}

function matchingIds(btf: Btf, pattern: string): readonly TypeId[] {
  if (!/[*?]/.test(pattern)) return btf.findAll(pattern);
  const ids: TypeId[] = [];
  for (let id = 1 as TypeId; id < btf.endId; id++) {
    if (btf.nameOffsetOf(id) !== 0 && matchesGlob(btf.nameOf(id), pattern)) ids.push(id);
  }
  return ids;
}

/**
 * Whether a name matches a pattern with `*` and `?`. Goes back to the last star only, so its
 * time is at most the product of both lengths: a regular expression's could be exponential.
 */
export function matchesGlob(name: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let from = 0;
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === '*') {
      star = at++;
      from = i;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[i])) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++from;
    } else return false;
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

function sizeIfAny(btf: Btf, id: TypeId): number | undefined {
  try {
    return sizeOf(btf, id);
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

const kinds =
  'int ptr array struct union enum fwd typedef volatile const restrict func func_proto var datasec float decl_tag type_tag enum64';

/** `tsbpf btf find NAME [--btf FILE] [--kind K]`. */
export async function btfFindCommand(
  pattern: string,
  options: { readonly btf?: string; readonly kind?: string },
  context: CommandContext,
): Promise<void> {
  const kind = options.kind?.toLowerCase().replaceAll('-', '_');
  if (kind !== undefined && !kinds.split(' ').includes(kind)) {
    throw new UsageError(`--kind: '${escapeName(kind)}' is none of ${kinds}`);
  }
  printReport(context, findTypes(await chooseBtf(options.btf), pattern, kind), renderFind);
}

function renderFind(report: FindReport): string {
  if (report.length === 0) return 'no type matches\n';
  const rows = report.map(({ id, kind, name, size }) => [
    `[${id}]`,
    kind,
    escapeName(name),
    size === undefined ? '' : `size=${size}`,
  ]);
  return `${columns(rows).join('\n')}\n`;
}
