import { quoteName } from './quote.ts';
import type { Words } from './words.ts';

/** Errors of reading bytes. Offsets and sizes in bytes from the start of `section`. */
export type BytesErrorDetail =
  | {
      readonly code: 'truncated';
      readonly section: string;
      readonly offset: number;
      readonly need: number;
      readonly have: number;
    }
  | { readonly code: 'unterminated-string'; readonly section: string; readonly offset: number };

export const bytesWords: Words<BytesErrorDetail> = {
  truncated: (d) =>
    `${quoteName(d.section)} ends too early: ${d.need} bytes wanted at offset ${d.offset}, ${d.have} left`,
  'unterminated-string': (d) =>
    `${quoteName(d.section)}: the string at offset ${d.offset} has no terminating zero byte`,
};
