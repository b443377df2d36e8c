import type { Words } from './words.ts';

export type AsmErrorDetail = { readonly code: 'asm-placeholder' };

export const asmWords: Words<AsmErrorDetail> = {
  'asm-placeholder': () => '',
};
