import { quoteName } from './quote.ts';
import { type RelocsCoreErrorDetail, relocsCoreWords } from './relocs-core.ts';
import { type RelocsExternsErrorDetail, relocsExternsWords } from './relocs-externs.ts';
import { type RelocsStructOpsErrorDetail, relocsStructOpsWords } from './relocs-struct-ops.ts';
import type { Words } from './words.ts';

/** Errors of making program images. Program, function and instruction are context. */
export type RelocsErrorDetail =
  | RelocsCoreErrorDetail
  | RelocsExternsErrorDetail
  | RelocsStructOpsErrorDetail
  /** The instruction at a relocation is not one that the relocation can be for. */
  | {
      readonly code: 'relocation-insn';
      /** What the relocation refers to, in words: `map`, `subprogram`, … */
      readonly subject: string;
      readonly wants: 'ld_imm64' | 'call';
      /** Undefined where the relocation is outside of its function. */
      readonly opcode: number | undefined;
    }
  /** A relocation names a map, function or extern that the object does not have. */
  | {
      readonly code: 'relocation-target';
      readonly subject: string;
      readonly index: number;
      readonly have: number;
    }
  /** A call within a section, or a function's address, that leads to no function's start. */
  | {
      readonly code: 'call-target';
      readonly section: string;
      /** In instructions from the start of the section. */
      readonly target: number;
    }
  /** A `ld_imm64` of a function that no relocation explains. */
  | { readonly code: 'function-address-without-relocation' }
  /** CO-RE relocations in an object that has no types of its own. */
  | { readonly code: 'core-without-types' }
  /** The section's name gives no program type. */
  | {
      readonly code: 'program-without-type';
      readonly program: string;
      readonly section: string;
      /** Section names that may have been meant, the likeliest first. */
      readonly suggestions: readonly string[];
    }
  /** A program's tag for exceptions names no function that can be called for them. */
  | {
      readonly code: 'exception-callback';
      readonly program: string;
      readonly callback: string;
      readonly reason: string;
    }
  /** A function without a single instruction. */
  | { readonly code: 'empty-function'; readonly function: string }
  /** More instructions than the kernel takes in one program. */
  | { readonly code: 'image-too-large'; readonly limit: number }
  /** More instructions in all programs together than are built at once. */
  | { readonly code: 'images-too-large'; readonly limit: number };

export const relocsWords: Words<RelocsErrorDetail> = {
  ...relocsCoreWords,
  ...relocsExternsWords,
  ...relocsStructOpsWords,
  'relocation-insn': (d) =>
    d.opcode === undefined
      ? `relocation of a ${d.subject} points outside of its function`
      : `relocation of a ${d.subject} wants a ${d.wants}, but the instruction has opcode 0x${d.opcode.toString(16)}`,
  'relocation-target': (d) =>
    `relocation names ${d.subject} number ${d.index}, but the object has ${d.have}`,
  'call-target': (d) =>
    `call to instruction ${d.target} of section ${quoteName(d.section)}, where no function begins`,
  'function-address-without-relocation': () =>
    'address of a function without a relocation that says which one',
  'core-without-types': () =>
    'the object has CO-RE relocations, but no types that they could be about; compile it with -g',
  'program-without-type': (d) =>
    `section ${quoteName(d.section)} gives no program type${suggest(d.suggestions)}; rename it, set the type, or turn autoload off`,
  'exception-callback': (d) =>
    `program ${quoteName(d.program)}: exception callback ${quoteName(d.callback)}: ${d.reason}`,
  'empty-function': (d) => `function ${quoteName(d.function)} has no instructions`,
  'image-too-large': (d) =>
    `the program and its subprograms have more than ${d.limit} instructions, the most that a kernel takes`,
  'images-too-large': (d) =>
    `the programs have more than ${d.limit} instructions together; build them one by one`,
};

function suggest(names: readonly string[]): string {
  return names.length === 0 ? '' : ` (did you mean ${names.map(quoteName).join(' or ')}?)`;
}
