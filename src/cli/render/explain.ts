import { escapeName } from '../../errors/quote.ts';
import type {
  ExplainExtern,
  ExplainPlace,
  ExplainRelocation,
  ExplainReport,
  ExplainStruct,
  ExplainTarget,
} from '../commands/explain.ts';
import type { Style } from '../terminal.ts';
import { columns, indent } from './text.ts';

/** The report as text: a block for each relocation, then a line that sums up. */
export function renderExplain(report: ExplainReport, style: Style): string {
  const { patch, unchanged, poison, fail } = report.summary;
  const total = patch + unchanged + poison + fail;
  const head = `${style.bold(escapeName(report.file))}: ${total} CO-RE relocations against ${escapeName(report.target_btf)}`;
  const blocks = report.relocations.map((relocation) => renderRelocation(relocation, style));
  const sum = `${patch} patched, ${unchanged} unchanged, ${poison} poisoned, ${fail} failed`;
  const rest = [
    ...report.externs.map((each) => renderExtern(each, style)),
    ...report.attach_targets.map((each) => renderTarget(each, style)),
    ...report.struct_ops.map((each) => renderStruct(each, style)),
  ];
  return `${[head, ...blocks, ...(total === 0 ? [] : [sum]), ...rest].join('\n\n')}\n`;
}

const words = { kfunc: 'kernel function', ksym: 'kernel symbol', kconfig: 'configuration' };

function renderExtern(each: ExplainExtern, style: Style): string {
  const kind = words[each.kind as keyof typeof words];
  const good = each.verdict === 'found' || (each.verdict === 'missing' && each.weak);
  const verdict =
    each.where === undefined ? each.verdict : `${each.verdict} in ${escapeName(each.where)}`;
  const last = each.reason === undefined ? verdict : `${verdict}: ${each.reason}`;
  return [
    style.bold(`${kind} ${escapeName(each.name)}${each.weak ? ' (weak)' : ''}`),
    ...each.places.slice(0, mostPlaces).map((place) => `  ${placeText(place)}`),
    ...(each.declared === undefined ? [] : [`  object: ${escapeName(each.declared)}`]),
    ...(each.actual === undefined ? [] : [`  target: ${escapeName(each.actual)}`]),
    ...(each.similar.length === 0 ? [] : [`  similar: ${each.similar.map(escapeName).join(', ')}`]),
    `  ${good ? style.good(last) : style.bad(last)}`,
  ].join('\n');
}

/** Most lines of C that are shown for one name. */
const mostPlaces = 3;

function placeText({ function: name, insn, file, line, text }: ExplainPlace): string {
  if (file === undefined) return `${escapeName(name)}, instruction ${insn}`;
  return `${escapeName(file)}:${line}: ${escapeName(text ?? '')}`;
}

function renderTarget(each: ExplainTarget, style: Style): string {
  const last = each.found ? `found in ${escapeName(each.where ?? '')}` : (each.reason ?? 'missing');
  return [
    style.bold(`attach target of ${escapeName(each.program)}, SEC("${escapeName(each.section)}")`),
    ...(each.actual === undefined ? [] : [`  target: ${escapeName(each.actual)}`]),
    `  ${each.found ? style.good(last) : style.bad(last)}`,
  ].join('\n');
}

function renderStruct(each: ExplainStruct, style: Style): string {
  const rows = each.members.map(({ name, program, offset, size, target }) => [
    escapeName(name),
    `+${offset}, ${size} bytes`,
    target === undefined ? 'not on the target' : `+${target.offset}, ${target.size} bytes`,
    program === undefined ? '' : escapeName(program),
  ]);
  return [
    style.bold(
      `struct ${escapeName(each.struct)} of map ${escapeName(each.map)}: object, target, program`,
    ),
    ...indent(columns(rows), 2),
    each.reason === undefined ? `  ${style.good('converted')}` : `  ${style.bad(each.reason)}`,
  ].join('\n');
}

function renderRelocation(relocation: ExplainRelocation, style: Style): string {
  const [title = '', ...lines] = relocation.text.split('\n');
  const last = lines.pop() ?? '';
  const good = relocation.verdict === 'patch' || relocation.verdict === 'unchanged';
  return [style.bold(title), ...lines, good ? style.good(last) : style.bad(last)].join('\n');
}
