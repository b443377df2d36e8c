import { escapeName } from '../../errors/quote.ts';
import type { CompatReport, CompatResult, ReportedProblem } from '../commands/compat.ts';
import type { Style } from '../terminal.ts';
import { columns } from './text.ts';

/** The matrix, and below it what stands in the way of each object. */
export function renderCompat(report: CompatReport, style: Style): string {
  const rows = report.objects.map(({ file, results }) => [
    escapeName(file),
    ...results.map(({ loads }) => (loads ? 'yes' : 'no')),
  ]);
  const [head = '', ...lines] = columns([['', ...report.kernels.map(escapeName)], ...rows]);
  const matrix = [style.bold(head), ...lines.map((line) => painted(line, style))];
  const details = report.objects.flatMap(({ file, results }) =>
    results.flatMap((result) => detailsOf(file, result, style)),
  );
  return `${[...matrix, ...details].join('\n')}\n`;
}

/** Words of the cells; a file's name may hold them too, but not between such blanks at the end. */
function painted(line: string, style: Style): string {
  return line.replace(/(?<= {2})(yes|no)(?= |$)/g, (word) =>
    word === 'yes' ? style.good(word) : style.bad(word),
  );
}

function detailsOf(file: string, result: CompatResult, style: Style): readonly string[] {
  const programs = result.programs.filter(({ problems }) => problems.length > 0);
  if (result.problems.length === 0 && programs.length === 0) return [];
  const head = `${escapeName(file)} on ${escapeName(result.kernel)}`;
  return [
    '',
    style.bold(result.loads ? `${head}: loads, without programs that are optional` : head),
    ...result.problems.flatMap((problem) => problemLines(problem, 2)),
    ...programs.flatMap(({ name, autoload, problems }) => [
      `  program ${escapeName(name)}${autoload ? '' : ' (optional)'}`,
      ...problems.flatMap((problem) => problemLines(problem, 4)),
    ]),
  ];
}

/** The reason, and the first lines of C that need what is missing. */
function problemLines({ kind, reason, places }: ReportedProblem, depth: number): readonly string[] {
  const pad = ' '.repeat(depth);
  const shown = places.slice(0, 3).map((place) => `${pad}    ${placeText(place)}`);
  const more = places.length - shown.length;
  return [
    `${pad}${kind}: ${reason}`,
    ...new Set(shown),
    ...(more > 0 ? [`${pad}    and ${more} more places`] : []),
  ];
}

function placeText(place: ReportedProblem['places'][number]): string {
  const { file, line, text } = place;
  if (file === undefined) return `instruction ${place.insn} of ${escapeName(place.function)}`;
  return `${escapeName(text ?? '')} @ ${escapeName(file)}:${line}`;
}
