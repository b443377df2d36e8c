import type { Words } from './words.ts';

export type ElfErrorDetail = { readonly code: 'elf-placeholder' };

export const elfWords: Words<ElfErrorDetail> = {
  'elf-placeholder': () => '',
};
