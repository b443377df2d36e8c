import type { Words } from './words.ts';

export type ObjectErrorDetail = { readonly code: 'object-placeholder' };

export const objectWords: Words<ObjectErrorDetail> = {
  'object-placeholder': () => '',
};
