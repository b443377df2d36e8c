import { escapeName } from '../../errors/quote.ts';
import type { ProfileReport } from '../../vm/index.ts';
import { columns } from './text.ts';

/** Lines that are printed. */
const mostLines = 40;

/** Functions, then the most expensive lines: instructions, share, place, C. */
export function renderProfile({ instructions, functions, lines }: ProfileReport): string {
  const share = (count: number): string =>
    `${((100 * count) / Math.max(1, instructions)).toFixed(1)}%`;
  const width = String(instructions).length;
  const number = (count: number): string => String(count).padStart(width);
  const rows = [
    ...functions.map((fn) => [
      number(fn.instructions),
      share(fn.instructions),
      escapeName(fn.name),
      '',
    ]),
    ...lines
      .slice(0, mostLines)
      .map((line) => [
        number(line.instructions),
        share(line.instructions),
        `${escapeName(line.file)}:${line.line}`,
        escapeName(line.text),
      ]),
  ];
  return `${[`${instructions} instructions`, ...columns(rows)].join('\n')}\n`;
}
