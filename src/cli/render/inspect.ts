import { escapeName } from '../../errors/quote.ts';
import type { InspectMap, InspectProgram, InspectReport } from '../commands/inspect.ts';
import type { Style } from '../terminal.ts';
import { columns, indent } from './text.ts';

/** The report as text. Lists are spread into lists, never into calls: objects can have 100,000 names. */
export function renderInspect(report: InspectReport, style: Style): string {
  const order = report.byte_order === 'little' ? 'little-endian' : 'big-endian';
  const license = report.license === '' ? 'no license' : `license ${escapeName(report.license)}`;
  const head = `${style.bold(escapeName(report.file))}: object ${escapeName(report.name)}, ${order}, ${license}`;
  const { programs, subprograms, maps, externs } = report;
  const subprogramRows = subprograms.map((fn) => [
    escapeName(fn.name),
    escapeName(fn.section),
    fn.binding,
    `${fn.insns} insns`,
  ]);
  const externRows = externs.map((e) => [escapeName(e.name), e.kind, e.weak ? 'weak' : '']);
  const lines = [
    head,
    ...needs(report),
    ...['', style.bold(`programs (${programs.length})`)],
    ...programs.flatMap((program) => renderProgram(program, style)),
    ...renderTable('subprograms', subprogramRows, style),
    ...['', style.bold(`maps (${maps.length})`)],
    ...maps.flatMap((map) => renderMap(map, style, 2)),
    ...renderTable('externs', externRows, style),
  ];
  return `${lines.join('\n')}\n`;
}

/** Most things of a kind that are named. */
const mostNamed = 4;

/** What kernel and processor level the object needs. */
function needs({ minimum_kernel: kernel, instruction_set: level }: InspectReport): string[] {
  const named = (list: readonly string[]): string => {
    const more = list.length > mostNamed ? `, and ${list.length - mostNamed} more` : '';
    return `${list.slice(0, mostNamed).map(escapeName).join(', ')}${more}`;
  };
  const because = kernel.because.length === 0 ? '' : `, for ${named(kernel.because)}`;
  const unknown = kernel.unknown.length === 0 ? [] : [`and a kernel with ${named(kernel.unknown)}`];
  return [`needs Linux ${kernel.version}${because}; instructions ${level}`, ...unknown];
}

/** A blank line, the title with a count, the rows; nothing where there are none. */
function renderTable(
  title: string,
  rows: readonly (readonly string[])[],
  style: Style,
): readonly string[] {
  if (rows.length === 0) return [];
  return ['', style.bold(`${title} (${rows.length})`), ...indent(columns(rows), 2)];
}

function renderProgram(program: InspectProgram, style: Style): readonly string[] {
  const facts = [
    program.type ?? style.bad('unknown section name'),
    // For most types the attach type has the type's own name and says nothing more.
    program.attach_type === program.type ? undefined : program.attach_type,
    ...program.flags,
    program.autoload ? undefined : 'no autoload',
    `${program.insns} insns`,
    program.core_relocations === 0 ? undefined : `${program.core_relocations} CO-RE`,
  ].filter((fact) => fact !== undefined);
  const lines = [
    `  ${style.bold(escapeName(program.name))}  ${style.dim(`SEC("${escapeName(program.section)}")`)}`,
    `      ${facts.join(', ')}`,
  ];
  const list = (title: string, names: readonly string[]) => {
    if (names.length > 0) lines.push(`      ${title}: ${names.map(escapeName).join(', ')}`);
  };
  list('subprograms', program.subprograms);
  list('maps', program.maps);
  list('helpers', program.helpers);
  list('kfuncs', program.kfuncs);
  const { bytes, functions } = program.stack;
  const frames = functions.map((fn) => fn.bytes).join('+');
  const stack = bytes === undefined ? 'calls go round' : `about ${bytes} bytes (${frames})`;
  if (bytes === undefined || functions.some((fn) => fn.bytes > 0)) {
    lines.push(`      stack: ${stack}`);
  }
  return lines;
}

function renderMap(map: InspectMap, style: Style, depth: number): readonly string[] {
  const pad = ' '.repeat(depth);
  const key = map.key === undefined ? `${map.bytes_key} bytes` : escapeName(map.key);
  const value = map.value === undefined ? `${map.bytes_value} bytes` : escapeName(map.value);
  const facts = [
    `max_entries ${map.max_entries}`,
    ...map.flags,
    map.map_extra === undefined ? undefined : `map_extra 0x${map.map_extra.toString(16)}`,
    map.numa_node === undefined ? undefined : `numa_node ${map.numa_node}`,
    map.pinning === undefined ? undefined : `pinned ${map.pinning}`,
  ].filter((fact) => fact !== undefined);
  const typed = map.key !== undefined || map.value !== undefined;
  const sizes = typed ? style.dim(` (${map.bytes_key} -> ${map.bytes_value} bytes)`) : '';
  const lines = [
    `${pad}${style.bold(escapeName(map.name))}  ${map.type}  ${key} -> ${value}${sizes}`,
    `${pad}    ${facts.join(', ')}`,
  ];
  if (map.inner !== undefined) {
    lines.push(`${pad}    inner:`);
    for (const line of renderMap(map.inner, style, depth + 6)) lines.push(line);
  }
  for (const initial of map.values ?? []) {
    lines.push(`${pad}    [${initial.index}] = ${escapeName(initial.target)}`);
  }
  const rows = (map.variables ?? []).map((variable) => [
    `+${variable.offset}`,
    escapeName(variable.name),
    variable.type === undefined ? '' : escapeName(variable.type),
    variable.size === 1 ? '1 byte' : `${variable.size} bytes`,
  ]);
  return [...lines, ...indent(columns(rows), depth + 4)];
}
