import { readFileSync } from 'node:fs';
import type { OutputOptions } from './terminal.ts';

/** What `tsbpf version` prints: `tsbpf v1.2.3`, or `{"version":"1.2.3"}` as JSON. */
export function versionText({ json, pretty }: OutputOptions): string {
  const version = packageVersion();
  if (!json) return `tsbpf v${version}\n`;
  return `${JSON.stringify({ version }, undefined, pretty ? 4 : 0)}\n`;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

const versionWords: ReadonlySet<string> = new Set(['version', '-V', '--version']);
const jsonWords: ReadonlySet<string> = new Set(['-j', '--json']);
const prettyWords: ReadonlySet<string> = new Set(['-p', '--pretty']);

/** How to print, for a command line that asks for the version and for nothing else. */
export function asksForVersion(argv: readonly string[]): OutputOptions | undefined {
  const rest = argv.filter((word) => !versionWords.has(word));
  if (rest.length !== argv.length - 1) return undefined;
  if (rest.some((word) => !jsonWords.has(word) && !prettyWords.has(word))) return undefined;
  return { json: rest.length > 0, pretty: rest.some((word) => prettyWords.has(word)) };
}
