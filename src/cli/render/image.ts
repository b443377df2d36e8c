import { escapeName } from '../../errors/quote.ts';
import type { ImageInsn, ImageProgram, ImageReport } from '../commands/image.ts';
import type { Style } from '../terminal.ts';

/** The report as text: C lines as comments between the instructions that they became. */
export function renderImages(report: ImageReport, style: Style): string {
  const head = `${style.bold(escapeName(report.file))}: relocated against ${escapeName(report.target_btf)}`;
  return `${[head, ...report.programs.flatMap((p) => renderProgram(p, style))].join('\n')}\n`;
}

function renderProgram(program: ImageProgram, style: Style): readonly string[] {
  const title = `program ${escapeName(program.name)} (${program.type}, SEC("${escapeName(program.section)}"))`;
  return ['', style.bold(title), ...program.insns.flatMap((insn) => renderInsn(insn, style))];
}

function renderInsn(insn: ImageInsn, style: Style): readonly string[] {
  const lines: string[] = [];
  if (insn.function !== undefined) lines.push(style.bold(`${escapeName(insn.function)}:`));
  if (insn.source !== undefined) {
    const place = `${escapeName(insn.source.file)}:${insn.source.line}`;
    lines.push(style.dim(`; ${escapeName(insn.source.text)} @ ${place}`));
  }
  const notes = [
    insn.slot === undefined ? '' : `  ; ${escapeName(insn.slot)}`,
    insn.poisoned === undefined ? '' : `  ; ${style.bad(`poisoned: ${insn.poisoned}`)}`,
  ];
  lines.push(
    `${String(insn.index).padStart(6)}: ${insn.disasm.replaceAll('\t', ' ')}${notes.join('')}`,
  );
  return lines;
}
