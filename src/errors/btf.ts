import type { Words } from './words.ts';

export type BtfErrorDetail = { readonly code: 'btf-placeholder' };

export const btfWords: Words<BtfErrorDetail> = {
  'btf-placeholder': () => '',
};
