// `npm run bench [-- --only GLOB] [--json FILE] [--quick]`
//
// One row per measurement: name, ours, peer, ratio, goal, met or not. `--only` chooses rows
// by name (`*` stands for anything), `--json` writes them to a file as well, `--quick`
// takes the fewest samples, to see that all of it runs.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { groups } from './groups.ts';
import { type Row, ratioOf } from './measure.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '*' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});

function globToRegExp(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`);
}

/** A group is worth preparing where the glob can match a row below it. */
function mayMatch(glob: string, group: string): boolean {
  const fixed = glob.split('*')[0] ?? '';
  return (
    group.startsWith(fixed.slice(0, group.length)) &&
    (glob.includes('*') || fixed.startsWith(group))
  );
}

function formatTime(nanoseconds: number): string {
  if (nanoseconds < 100) return `${nanoseconds.toFixed(1)} ns`;
  if (nanoseconds < 10_000) return `${nanoseconds.toFixed(0)} ns`;
  if (nanoseconds < 10_000_000) return `${(nanoseconds / 1000).toFixed(1)} µs`;
  return `${(nanoseconds / 1_000_000).toFixed(1)} ms`;
}

function formatBytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function verdict(row: Row): string {
  const ratio = ratioOf(row);
  if (row.goal === undefined || ratio === undefined) return '';
  return ratio <= row.goal ? 'met' : 'NOT MET';
}

/** Small ratios keep the digits that tell them from their goal. */
function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? '' : ratio < 0.1 ? ratio.toFixed(4) : ratio.toFixed(2);
}

function cells(row: Row): readonly string[] {
  const format = row.unit === 'bytes' ? formatBytes : formatTime;
  return [
    row.name,
    format(row.ours),
    row.peer === undefined ? '-' : format(row.peer),
    row.peerName,
    formatRatio(ratioOf(row)),
    row.goal === undefined ? '' : `≤ ${formatRatio(row.goal)}`,
    verdict(row),
  ];
}

const widths = [40, 10, 10, 22, 8, 9, 7];

function printLine(line: readonly string[]): void {
  const padded = line.map((cell, i) => {
    const width = widths[i] ?? 0;
    return i === 0 || i === 3 ? cell.padEnd(width) : cell.padStart(width);
  });
  console.log(padded.join('  ').trimEnd());
}

const wanted = globToRegExp(options.only);
const rows: Row[] = [];
printLine(['name', 'ours', 'peer', 'peer is', 'ratio', 'goal', 'verdict']);
for (const group of groups) {
  if (!mayMatch(options.only, group.name)) continue;
  for (const row of await group.rows({ quick: options.quick })) {
    if (!wanted.test(row.name)) continue;
    rows.push(row);
    printLine(cells(row));
  }
}
if (options.json !== undefined) {
  const table = rows.map((row) => {
    return {
      ...row,
      ratio: ratioOf(row),
      met: verdict(row) === '' ? undefined : verdict(row) === 'met',
    };
  });
  writeFileSync(options.json, `${JSON.stringify(table, undefined, 2)}\n`);
}
