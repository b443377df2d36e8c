import { escapeName } from '../../errors/quote.ts';
import type { RunElement, RunMap, RunReport } from '../commands/run.ts';
import { type Json, toJson } from '../json.ts';
import type { Style } from '../terminal.ts';
import { indent } from './text.ts';

/** The report as text. */
export function renderRun(report: RunReport, style: Style): string {
  const action = report.action === undefined ? '' : ` (${report.action})`;
  const runs = report.repeat === 1 ? '' : `, ${report.repeat} runs of ${report.duration} ns each`;
  const trace = report.trace.map(escapeName);
  // Spread into a list, not into a call: a map may have more elements than a call takes arguments.
  const lines = [
    `${style.bold(escapeName(report.program))} (${report.type}) on ${report.backend}: returned ${style.bold(`${report.return_value}${action}`)}${runs}`,
    ...(report.data_out === undefined ? [] : ['packet', ...hexDump(report.data_out)]),
    ...(report.ctx_out === undefined ? [] : ['context', ...hexDump(report.ctx_out)]),
    ...report.maps.flatMap((map) => renderMap(map, style)),
    ...(trace.length === 0 ? [] : ['trace', ...indent(trace, 2)]),
  ];
  return `${lines.join('\n')}\n`;
}

function renderMap(map: RunMap, style: Style): readonly string[] {
  const title = `${style.bold(escapeName(map.name))} (${map.type})`;
  if (map.note !== undefined) return [`${title}: ${map.note}`];
  if (map.events !== undefined) {
    const events = map.events.map((event) => renderValue(event));
    return [`${title}: ${count(events.length, 'event')}`, ...indent(events, 2)];
  }
  if (map.variables !== undefined) return [`${title}: ${renderValue(map.variables)}`];
  const elements = map.elements ?? [];
  return [`${title}: ${count(elements.length, 'element')}`, ...elements.flatMap(renderElement)];
}

function renderElement(element: RunElement): readonly string[] {
  const key = renderValue(element.key);
  if (element.values === undefined) return [`  ${key}: ${renderValue(element.value ?? null)}`];
  return [
    `  ${key}:`,
    ...element.values.map(({ cpu, value }) => `    cpu ${cpu}: ${renderValue(value)}`),
  ];
}

/** One line; strings inside are JSON, so that nothing in them reaches the terminal raw. */
function renderValue(value: Json): string {
  if (value instanceof Map) {
    const members = [...value].map(
      ([name, member]) => `${escapeName(name)}: ${renderValue(member)}`,
    );
    return `{ ${members.join(', ')} }`;
  }
  if (isRawBytes(value)) return value.map((byte) => byte.slice(2)).join(' ');
  if (Array.isArray(value)) return `[${value.map((item) => renderValue(item)).join(', ')}]`;
  return toJson(value);
}

/** Bytes of no known type, as the report has them. */
function isRawBytes(value: Json): value is readonly string[] {
  const isByte = (item: Json) => typeof item === 'string' && /^0x[0-9a-f]{2}$/.test(item);
  return Array.isArray(value) && value.length > 0 && value.every(isByte);
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}

/** Sixteen bytes a line, with their offset. */
function hexDump(hex: string): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < hex.length; at += 32) {
    const bytes = hex.slice(at, at + 32).replace(/..(?=.)/g, '$& ');
    lines.push(`  ${(at / 2).toString(16).padStart(4, '0')}  ${bytes}`);
  }
  return lines;
}
