import type { Words } from './words.ts';

export type VmErrorDetail = { readonly code: 'vm-placeholder' };

export const vmWords: Words<VmErrorDetail> = {
  'vm-placeholder': () => '',
};
