import { escapeName } from '../../errors/quote.ts';
import type { ExplainRelocation, ExplainReport } from '../commands/explain.ts';
import type { Style } from '../terminal.ts';

/** The report as text: a block for each relocation, then a line that sums up. */
export function renderExplain(report: ExplainReport, style: Style): string {
  const { patch, unchanged, poison, fail } = report.summary;
  const total = patch + unchanged + poison + fail;
  const head = `${style.bold(escapeName(report.file))}: ${total} CO-RE relocations against ${escapeName(report.target_btf)}`;
  const blocks = report.relocations.map((relocation) => renderRelocation(relocation, style));
  const sum = `${patch} patched, ${unchanged} unchanged, ${poison} poisoned, ${fail} failed`;
  return `${[head, ...blocks, ...(total === 0 ? [] : [sum])].join('\n\n')}\n`;
}

function renderRelocation(relocation: ExplainRelocation, style: Style): string {
  const [title = '', ...lines] = relocation.text.split('\n');
  const last = lines.pop() ?? '';
  const good = relocation.verdict === 'patch' || relocation.verdict === 'unchanged';
  return [style.bold(title), ...lines, good ? style.good(last) : style.bad(last)].join('\n');
}
