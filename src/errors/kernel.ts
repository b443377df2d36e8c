import type { Words } from './words.ts';

export type KernelErrorDetail = { readonly code: 'kernel-placeholder' };

export const kernelWords: Words<KernelErrorDetail> = {
  'kernel-placeholder': () => '',
};
