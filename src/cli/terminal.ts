import { decodeText } from '../bytes/text.ts';
import { type Json, toJson } from './json.ts';
import type { Log } from './log.ts';

/** Where a command's output goes; tests give their own. */
export interface Terminal {
  readonly out: (text: string) => void;
  /** Takes large outputs, and names that are not UTF-8, as they are; `out` is used if left out. */
  readonly outBytes?: ((bytes: Uint8Array) => Promise<void>) | undefined;
  readonly err: (text: string) => void;
  /** Standard output is a terminal that shows colour (and `NO_COLOR` is not set). */
  readonly color: boolean;
}

/** `-j` prints one line, `-p` (which implies it) indents by four spaces, as bpftool does. */
export interface OutputOptions {
  readonly json: boolean;
  readonly pretty: boolean;
}

/** Paints text for terminals, or leaves it alone elsewhere. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
}

/** The style for a terminal that shows colour or not. */
export function styleFor(color: boolean): Style {
  const paint = (code: number) => (text: string) =>
    color ? `\u001b[${code}m${text}\u001b[0m` : text;
  return { bold: paint(1), dim: paint(2), good: paint(32), bad: paint(31) };
}

/** What every command gets besides its own words. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly output: OutputOptions;
  readonly log: Log;
}

/** Prints text that is there as bytes. */
export async function printBytes(terminal: Terminal, bytes: Uint8Array): Promise<void> {
  if (terminal.outBytes !== undefined) await terminal.outBytes(bytes);
  else terminal.out(decodeText(bytes));
}

/** Prints a report as JSON where that was asked for, else through `render`. */
export function printReport<T extends Json>(
  { terminal, output }: CommandContext,
  report: T,
  render: (report: T, style: Style) => string,
): void {
  const text = output.json
    ? `${toJson(report, output.pretty ? 4 : 0)}\n`
    : render(report, styleFor(terminal.color));
  terminal.out(text);
}
