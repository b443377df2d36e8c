import type { Words } from './words.ts';

export type RelocsErrorDetail = { readonly code: 'relocs-placeholder' };

export const relocsWords: Words<RelocsErrorDetail> = {
  'relocs-placeholder': () => '',
};
