import type { Words } from './words.ts';

/** Reading and writing instructions fails in one way only, `truncated`, which is the bytes room's. */
export type AsmErrorDetail = never;

export const asmWords: Words<AsmErrorDetail> = {};
