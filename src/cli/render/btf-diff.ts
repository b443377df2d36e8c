import { escapeName } from '../../errors/quote.ts';
import type { DetailReport, DiffedReport, DiffReport, MemberReport } from '../commands/btf-diff.ts';
import type { Style } from '../terminal.ts';

/** Fewer members in a row that moved by the same distance are told one by one. */
const longRow = 4;

/** The differences as text: `-` what is gone, `+` what is new, `~` what changed. */
export function renderDiff(report: DiffReport, style: Style): string {
  const { removed, added, changed } = report;
  if (removed.length + added.length + changed.length === 0) return 'no differences\n';
  const typeLine = ({ kind, name }: { kind: string; name: string }): string =>
    `${kind} ${escapeName(name)}`;
  const lines = [
    `--- ${escapeName(report.old)}`,
    `+++ ${escapeName(report.new)}`,
    ...removed.map((type: DiffedReport) => style.bad(`- ${typeLine(type)}`)),
    ...added.map((type: DiffedReport) => style.good(`+ ${typeLine(type)}`)),
  ];
  for (const change of changed) {
    lines.push(style.bold(`~ ${typeLine(change)}`));
    for (const line of detailLines(change.details)) lines.push(`    ${line}`);
  }
  const counts = [
    `${removed.length} removed`,
    `${added.length} added`,
    `${changed.length} changed`,
  ];
  return `${lines.join('\n')}\n${counts.join(', ')}\n`;
}

/** One line for each detail; a long row of members moved alike is one line. */
function detailLines(details: readonly DetailReport[]): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < details.length; ) {
    const first = details[at] as DetailReport;
    const distance = distanceMoved(first);
    let end = at + 1;
    while (distance !== undefined && distanceMoved(details[end]) === distance) end++;
    if (distance !== undefined && end - at >= longRow) {
      const last = details[end - 1] as DetailReport;
      const [from, to] = [first, last].map(({ old }) => escapeName((old as MemberReport).name));
      lines.push(`~ ${end - at} members, ${from} to ${to}: moved by ${signed(distance)}`);
    } else for (const detail of details.slice(at, end)) lines.push(detailLine(detail));
    at = end;
  }
  return lines;
}

/** In bits, for a member that did nothing but move. */
function distanceMoved(detail: DetailReport | undefined): number | undefined {
  if (detail?.what !== 'member-changed' || detail['retyped'] || detail['resized']) return undefined;
  const { old, new: now } = detail as unknown as { old: MemberReport; new: MemberReport };
  return now.bits_offset - old.bits_offset;
}

function signed(bits: number): string {
  const sign = bits < 0 ? '-' : '+';
  const size = Math.abs(bits);
  return size % 8 === 0 ? `${sign}${size / 8} bytes` : `${sign}${size} bits`;
}

function detailLine(detail: DetailReport): string {
  const text = (key: string): string => escapeName(String(detail[key]));
  const change = `${text('old')} -> ${text('new')}`;
  switch (detail.what) {
    case 'size':
      return `size: ${change} bytes`;
    case 'member-removed':
      return `- ${memberLine(detail['member'] as MemberReport)}`;
    case 'member-added':
      return `+ ${memberLine(detail['member'] as MemberReport)}`;
    case 'member-changed':
      return memberChange(detail['old'] as MemberReport, detail['new'] as MemberReport, detail);
    case 'enumerator-removed':
      return `- ${text('name')} = ${text('value')}`;
    case 'enumerator-added':
      return `+ ${text('name')} = ${text('value')}`;
    case 'enumerator-changed':
      return `~ ${text('name')}: ${change}`;
    case 'param-removed':
      return `- parameter ${paramLine(detail['param'])}`;
    case 'param-added':
      return `+ parameter ${paramLine(detail['param'])}`;
    case 'param-changed':
      return `~ parameter ${paramLine(detail['old'])} -> ${paramLine(detail['new'])}`;
    case 'encoding':
    case 'type':
    case 'returns':
    case 'linkage':
      return `${detail.what}: ${change}`;
  }
}

function paramLine(param: unknown): string {
  const { name, type } = param as { name: string; type: string };
  return name === '' ? escapeName(type) : `${escapeName(name)} (${escapeName(type)})`;
}

function memberLine(member: MemberReport): string {
  return `${escapeName(member.name)}: ${escapeName(member.type)} at ${place(member)}`;
}

function place({ bits_offset, bitfield_size }: MemberReport): string {
  const bits = bits_offset % 8;
  const byte = `byte ${Math.floor(bits_offset / 8)}`;
  if (bitfield_size === undefined) return bits === 0 ? byte : `${byte} bit ${bits}`;
  return `${byte} bit ${bits} (${bitWords(bitfield_size)})`;
}

function bitWords(bits: number): string {
  return bits === 1 ? '1 bit' : `${bits} bits`;
}

function memberChange(old: MemberReport, now: MemberReport, detail: DetailReport): string {
  const facts: string[] = [];
  if (detail['retyped']) facts.push(`type ${escapeName(old.type)} -> ${escapeName(now.type)}`);
  if (detail['moved']) facts.push(`moved from ${place(old)} to ${place(now)}`);
  if (detail['resized']) facts.push(`size ${sizeWords(old)} -> ${sizeWords(now)}`);
  return `~ ${escapeName(now.name)}: ${facts.join(', ')}`;
}

function sizeWords({ bitfield_size, size }: MemberReport): string {
  if (bitfield_size !== undefined) return bitWords(bitfield_size);
  return size === undefined ? 'none' : `${size} bytes`;
}
