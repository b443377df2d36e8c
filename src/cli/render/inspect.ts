import { escapeName } from '../../errors/quote.ts';
import type { InspectMap, InspectProgram, InspectReport } from '../commands/inspect.ts';
import type { Style } from '../terminal.ts';
import { columns, indent } from './text.ts';

/** The report as text. */
export function renderInspect(report: InspectReport, style: Style): string {
  const order = report.byte_order === 'little' ? 'little-endian' : 'big-endian';
  const license = report.license === '' ? 'no license' : `license ${escapeName(report.license)}`;
  const lines = [
    `${style.bold(escapeName(report.file))}: object ${escapeName(report.name)}, ${order}, ${license}`,
    '',
    style.bold(`programs (${report.programs.length})`),
    ...report.programs.flatMap((program) => renderProgram(program, style)),
  ];
  if (report.subprograms.length > 0) {
    lines.push('', style.bold(`subprograms (${report.subprograms.length})`));
    const rows = report.subprograms.map((fn) => [
      escapeName(fn.name),
      escapeName(fn.section),
      fn.binding,
      `${fn.insns} insns`,
    ]);
    lines.push(...indent(columns(rows), 2));
  }
  lines.push('', style.bold(`maps (${report.maps.length})`));
  lines.push(...report.maps.flatMap((map) => renderMap(map, style, 2)));
  if (report.externs.length > 0) {
    lines.push('', style.bold(`externs (${report.externs.length})`));
    const rows = report.externs.map((e) => [escapeName(e.name), e.kind, e.weak ? 'weak' : '']);
    lines.push(...indent(columns(rows), 2));
  }
  return `${lines.join('\n')}\n`;
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
  const lines = [
    `${pad}${style.bold(escapeName(map.name))}  ${map.type}  ${key} -> ${value} ${style.dim(`(${map.bytes_key} -> ${map.bytes_value} bytes)`)}`,
    `${pad}    ${facts.join(', ')}`,
  ];
  if (map.inner !== undefined) {
    lines.push(`${pad}    inner:`, ...renderMap(map.inner, style, depth + 6));
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
  lines.push(...indent(columns(rows), depth + 4));
  return lines;
}
