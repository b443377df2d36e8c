/**
 * The explanation that kernels from 7.3 on append to a refused program's log
 * (kernel/bpf/diagnostics.c).
 */
export interface VerifierReport {
  /** `Register Type Safety`, `Memory Safety`, `Policy`, … */
  readonly category: string;
  /** `Unreadable register`; empty where the kernel names the category alone. */
  readonly problem: string;
  readonly reason: string | undefined;
  /** The place that was refused, and what was wrong there. */
  readonly at: ReportPlace | undefined;
  /** Events that led there, oldest first. */
  readonly causes: readonly ReportPlace[];
  readonly suggestion: string | undefined;
}

/** One annotated place of a report. */
export interface ReportPlace {
  /** `function @ file.c:12:9` or `file.c:12:9`; undefined without line information. */
  readonly source: string | undefined;
  readonly insn: number | undefined;
  /** `error`, `note`, … */
  readonly label: string;
  readonly message: string;
}

/**
 * Reads a report from its first line on:
 *
 * ```
 *   Verification failed: CATEGORY: Problem
 *
 *   Reason:
 *     text, wrapped at 100 columns
 *
 *   At:
 *     function @ file.c:12:9
 *     Source context:
 *     >>> 12 |   return *p;
 *            |   ^-- error: what is wrong
 *     Instruction context:
 *     >>> 7 | (79) r0 = *(u64 *)(r1 +0)
 *
 *   Causal path:
 *     places of the same form
 *
 *   Suggestion:
 *     text
 * ```
 */
export function parseReport(lines: readonly string[]): VerifierReport {
  const title = (lines[0] as string).slice('Verification failed: '.length);
  const colon = title.indexOf(': ');
  const sections = splitSections(lines.slice(1));
  return {
    category: colon < 0 ? title : title.slice(0, colon),
    problem: colon < 0 ? '' : title.slice(colon + 2),
    reason: joinText(sections.get('Reason')),
    at: parsePlaces(sections.get('At') ?? [])[0],
    causes: parsePlaces(sections.get('Causal path') ?? []),
    suggestion: joinText(sections.get('Suggestion')),
  };
}

/** Sections start with a title in the first column and hold indented lines. */
function splitSections(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, string[]>();
  let current: string[] | undefined;
  for (const line of lines) {
    const title = /^([A-Z][A-Za-z ]*):$/.exec(line)?.[1];
    if (title !== undefined) {
      current = sections.get(title) ?? [];
      sections.set(title, current);
    } else if (line.startsWith('  ')) {
      current?.push(line.slice(2));
    } else if (line !== '') {
      current = undefined;
    }
  }
  return sections;
}

function joinText(lines: readonly string[] | undefined): string | undefined {
  const text = lines?.map((line) => line.trim()).join(' ');
  return text === '' ? undefined : text;
}

interface OpenPlace {
  source: string | undefined;
  insn: number | undefined;
  label: string;
  message: string;
}

function parsePlaces(lines: readonly string[]): readonly ReportPlace[] {
  const places: OpenPlace[] = [];
  let annotated = false;
  for (const line of lines) {
    const start = placeOf(line);
    if (start !== undefined) {
      places.push({ ...start, label: '', message: '' });
      annotated = false;
      continue;
    }
    const place = places.at(-1);
    if (place === undefined) continue;
    const note = /^\s*\| .*?\^-- ([^:]+): (.*)$/.exec(line);
    if (note !== null) {
      place.label = note[1] as string;
      place.message = note[2] as string;
      annotated = true;
    } else if (annotated && /^\s*\|\s+\S/.test(line)) {
      place.message += ` ${line.replace(/^\s*\|\s+/, '')}`;
    } else {
      annotated = false;
      const insn = /^>>> \s*(\d+) \| \(/.exec(line);
      if (insn !== null) place.insn = Number(insn[1]);
    }
  }
  return places;
}

function placeOf(line: string): Pick<OpenPlace, 'source' | 'insn'> | undefined {
  const bare = /^insn (\d+)$/.exec(line);
  if (bare !== null) return { source: undefined, insn: Number(bare[1]) };
  if (/^\S.*:\d+:\d+$/.test(line)) return { source: line, insn: undefined };
  return undefined;
}
