import { escapeName, quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of finding things by the names that a user gave. */
export type CliErrorDetail =
  | { readonly code: 'unreadable-file'; readonly path: string; readonly reason: string }
  | { readonly code: 'unwritable-file'; readonly path: string; readonly reason: string }
  | { readonly code: 'no-such-program'; readonly name: string; readonly have: readonly string[] }
  /** No program was named and the object does not have exactly one. */
  | { readonly code: 'which-program'; readonly have: readonly string[] }
  | { readonly code: 'no-such-type'; readonly name: string };

/** Names in a sentence that stays one that can be read. */
const listed = 24;

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, listed).map(escapeName).join(', ');
  return names.length > listed ? `${shown} and ${names.length - listed} more` : shown;
}

export const cliWords: Words<CliErrorDetail> = {
  'unreadable-file': (d) => `read ${quoteName(d.path)}: ${d.reason}`,
  'unwritable-file': (d) => `write ${quoteName(d.path)}: ${d.reason}`,
  'no-such-program': (d) =>
    `the object has no program ${quoteName(d.name)}; it has ${listNames(d.have) || 'none'}`,
  'which-program': (d) =>
    d.have.length === 0
      ? 'the object has no program to run'
      : `the object has several programs, name one of them: ${listNames(d.have)}`,
  'no-such-type': (d) => `the object has no type ${quoteName(d.name)} in its BTF`,
};
