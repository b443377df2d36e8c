import { escapeName, quoteName } from './quote.ts';
import type { Words } from './words.ts';

/**
 * Errors of BTF and BTF.ext. `btf` is the name that the BTF was parsed under (a file,
 * `vmlinux`, …); offsets and sizes are in bytes, ids are type ids.
 */
export type BtfErrorDetail =
  | { readonly code: 'btf-magic'; readonly btf: string; readonly magic: number }
  | {
      readonly code: 'btf-header';
      readonly btf: string;
      readonly field: 'version' | 'flags' | 'hdr_len' | 'rest of the header';
      readonly value: number;
    }
  | {
      readonly code: 'btf-section';
      readonly btf: string;
      readonly section: string;
      /** From the start of the BTF. */
      readonly offset: number;
      readonly length: number;
      readonly problem: string;
    }
  | {
      readonly code: 'btf-unknown-kind';
      readonly btf: string;
      readonly id: number;
      readonly kind: number;
      /** In the type section. */
      readonly offset: number;
    }
  | {
      readonly code: 'btf-type-truncated';
      readonly btf: string;
      readonly id: number;
      /** In the type section. */
      readonly offset: number;
      readonly need: number;
      readonly have: number;
    }
  | {
      readonly code: 'btf-invalid-type';
      readonly btf: string;
      readonly id: number;
      readonly problem: string;
    }
  | {
      readonly code: 'btf-name-offset';
      readonly btf: string;
      readonly id: number;
      readonly offset: number;
      readonly end: number;
    }
  | {
      readonly code: 'btf-reference';
      readonly btf: string;
      readonly id: number;
      readonly target: number;
      readonly end: number;
    }
  | {
      readonly code: 'btf-no-type';
      readonly btf: string;
      readonly id: number;
      readonly end: number;
    }
  | {
      readonly code: 'btf-no-string';
      readonly btf: string;
      readonly offset: number;
      readonly end: number;
    }
  | {
      readonly code: 'btf-reference-chain';
      readonly btf: string;
      readonly id: number;
      readonly name: string;
      readonly limit: number;
    }
  /** Types nested deeper than `limit`, or in a circle, while comparing them; `type` in words. */
  | {
      readonly code: 'btf-nesting';
      readonly btf: string;
      readonly type: string;
      readonly limit: number;
    }
  /** Comparing types takes more steps than any real ones need; `type` in words. */
  | { readonly code: 'btf-compare-limit'; readonly btf: string; readonly type: string }
  | {
      readonly code: 'btf-contains-itself';
      readonly btf: string;
      readonly id: number;
      readonly name: string;
    }
  | {
      readonly code: 'btf-no-size';
      readonly btf: string;
      readonly id: number;
      readonly kind: string;
      readonly name: string;
    }
  | {
      readonly code: 'btf-too-large';
      readonly btf: string;
      readonly id: number;
      readonly name: string;
    }
  | {
      readonly code: 'btf-value';
      readonly btf: string;
      readonly id: number;
      readonly name: string;
      readonly problem: string;
    }
  | {
      readonly code: 'btf-datasec-fix';
      readonly btf: string;
      readonly id: number;
      readonly problem: string;
    }
  | {
      readonly code: 'btf-ext';
      readonly file: string;
      readonly part: 'header' | 'func info' | 'line info' | 'CO-RE relocations';
      /** From the start of the section. */
      readonly offset: number;
      readonly problem: string;
    }
  | {
      readonly code: 'btf-dump-limit';
      readonly btf: string;
      /** What there is too much of: text in bytes, steps, or levels of nesting. */
      readonly limited: 'text' | 'work' | 'nesting';
      readonly limit: number;
    }
  | {
      readonly code: 'btf-dump-kind';
      readonly btf: string;
      readonly id: number;
      readonly kind: number;
    }
  | { readonly code: 'btf-permutation'; readonly btf: string; readonly problem: string }
  | {
      readonly code: 'btf-dedup-limit';
      readonly btf: string;
      /** What there would be too much of: strings in bytes, or steps. */
      readonly limited: 'strings' | 'work';
      readonly limit: number;
    }
  | {
      readonly code: 'btf-dedup-kind';
      readonly btf: string;
      readonly id: number;
      readonly kind: number;
    }
  | { readonly code: 'btf-build'; readonly problem: string }
  /** Something is asked of a split BTF, and `btf` stands on nothing. */
  | { readonly code: 'btf-no-base'; readonly btf: string }
  | {
      readonly code: 'btf-distill';
      readonly btf: string;
      readonly id: number;
      readonly name: string;
      readonly problem: string;
    }
  /** A split BTF cannot be put on `base`. */
  | {
      readonly code: 'btf-relocate';
      readonly btf: string;
      readonly base: string;
      readonly fault: BtfRelocateFault;
    }
  /** A file without usable types. */
  | { readonly code: 'btf-file'; readonly file: string; readonly fault: BtfFileFault };

/** Why a split BTF cannot be put on another base; ids are those of the distilled base. */
export type BtfRelocateFault =
  | { readonly kind: 'same-base' }
  | { readonly kind: 'not-distilled'; readonly id: number; readonly name: string }
  | { readonly kind: 'missing'; readonly type: string; readonly size: number }
  /** `ids` are of two candidates in the base. */
  | { readonly kind: 'ambiguous'; readonly type: string; readonly ids: readonly [number, number] }
  | { readonly kind: 'other-kind'; readonly type: string; readonly found: string }
  | { readonly kind: 'unknown-kind'; readonly id: number; readonly number: number }
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'work'; readonly limit: number };

function relocateFault(fault: BtfRelocateFault): string {
  switch (fault.kind) {
    case 'same-base':
      return 'it stands there already';
    case 'not-distilled':
      return `its base is not a distilled one: type ${fault.id} (${quoteName(fault.name)}) has no name, or is of a kind that those do not have`;
    case 'missing':
      return `there is no such ${escapeName(fault.type)} (of ${fault.size} bytes, if its size counts)`;
    case 'ambiguous':
      return `${escapeName(fault.type)} may be type ${fault.ids[0]} or type ${fault.ids[1]}, of the same name and size`;
    case 'other-kind':
      return `${escapeName(fault.type)} is a ${fault.found} there`;
    case 'unknown-kind':
      return `type ${fault.id} is of kind ${fault.number}, what it refers to is not known`;
    case 'string':
      return `its name ${quoteName(fault.text)} is in the distilled base, but not the name of a type`;
    case 'work':
      return `so many types have the same names that finding them takes more than ${fault.limit} steps`;
  }
}

/** What is wrong with a file whose types are wanted. */
export type BtfFileFault =
  | { readonly kind: 'no-section' }
  /** To be unpacked first: compressed, or (`kernelImage`) an image that starts a machine. */
  | { readonly kind: 'packed'; readonly format: string; readonly kernelImage: boolean }
  /** The section is described, but its contents are in another file (`SHT_NOBITS`). */
  | { readonly kind: 'no-contents'; readonly section: string }
  | { readonly kind: 'compressed-section'; readonly section: string }
  | { readonly kind: 'damaged'; readonly problem: string };

function fileFault(fault: BtfFileFault): string {
  switch (fault.kind) {
    case 'no-section':
      return 'has no section .BTF, so no types; objects are built with -g, kernels with CONFIG_DEBUG_INFO_BTF';
    case 'packed':
      return fault.kernelImage
        ? `is a kernel image (${fault.format}), which holds its vmlinux packed; take that out with scripts/extract-vmlinux of the kernel's source, or take /sys/kernel/btf/vmlinux of a machine that runs it`
        : `is compressed (${fault.format}); unpack it first`;
    case 'no-contents':
      return `has only the outline of its ${fault.section}, as files of debug symbols do; take the file that they were split from`;
    case 'compressed-section':
      return `has a compressed ${fault.section}; unpack it with 'objcopy --decompress-debug-sections'`;
    case 'damaged':
      return `is a damaged ELF file: ${fault.problem}`;
  }
}

const typeOf = (d: { readonly id: number; readonly name: string }): string =>
  d.name === '' ? `type ${d.id}` : `type ${d.id} (${quoteName(d.name)})`;

const limitWords = {
  text: (limit: number) => `its dump would be longer than ${limit} bytes, many times its own size`,
  work: (limit: number) =>
    `its types refer to each other in circles, or so often that a dump takes more than ${limit} steps`,
  nesting: (limit: number) =>
    `a declaration in it is nested more than ${limit} levels deep, or contains itself`,
} as const;

export const btfWords: Words<BtfErrorDetail> = {
  'btf-magic': (d) =>
    `${quoteName(d.btf)} is not BTF: it starts with 0x${d.magic.toString(16).padStart(4, '0')} instead of 0xeb9f`,
  'btf-header': (d) =>
    `BTF ${quoteName(d.btf)}: ${d.field} ${d.value} in the header is not supported`,
  'btf-section': (d) =>
    `BTF ${quoteName(d.btf)}: the ${d.section} section (${d.length} bytes at offset ${d.offset}) ${d.problem}`,
  'btf-unknown-kind': (d) =>
    `BTF ${quoteName(d.btf)}: type ${d.id} at offset ${d.offset} is of the unknown kind ${d.kind}, and no layout section tells its size`,
  'btf-type-truncated': (d) =>
    `BTF ${quoteName(d.btf)}: type ${d.id} at offset ${d.offset} wants ${d.need} bytes, the type section has ${d.have} left`,
  'btf-invalid-type': (d) => `BTF ${quoteName(d.btf)}: type ${d.id}: ${d.problem}`,
  'btf-name-offset': (d) =>
    `BTF ${quoteName(d.btf)}: type ${d.id} has a name at offset ${d.offset}, the strings end at ${d.end}`,
  'btf-reference': (d) =>
    `BTF ${quoteName(d.btf)}: type ${d.id} refers to type ${d.target}, the last is ${d.end - 1}`,
  'btf-no-type': (d) => `BTF ${quoteName(d.btf)} has no type ${d.id}, its ids end at ${d.end - 1}`,
  'btf-no-string': (d) =>
    `BTF ${quoteName(d.btf)} has no string at offset ${d.offset}, its strings end at ${d.end}`,
  'btf-reference-chain': (d) =>
    `BTF ${quoteName(d.btf)}: ${typeOf(d)} leads through more than ${d.limit} references, or in a circle`,
  'btf-nesting': (d) =>
    `BTF ${quoteName(d.btf)}: ${escapeName(d.type)} is nested deeper than ${d.limit} levels or in a circle`,
  'btf-compare-limit': (d) =>
    `BTF ${quoteName(d.btf)}: ${escapeName(d.type)} takes too many comparisons; too many of its members have no name, or the same`,
  'btf-contains-itself': (d) => `BTF ${quoteName(d.btf)}: ${typeOf(d)} contains itself`,
  'btf-no-size': (d) => `BTF ${quoteName(d.btf)}: ${typeOf(d)} is a ${d.kind} and has no size`,
  'btf-too-large': (d) => `BTF ${quoteName(d.btf)}: ${typeOf(d)} is larger than 4 GiB`,
  'btf-value': (d) => `BTF ${quoteName(d.btf)}: a value of ${typeOf(d)} ${d.problem}`,
  'btf-datasec-fix': (d) =>
    `BTF ${quoteName(d.btf)}: data section of type ${d.id} cannot be changed: ${d.problem}`,
  'btf-ext': (d) =>
    `.BTF.ext of ${quoteName(d.file)}: ${d.part} at offset ${d.offset}: ${d.problem}`,
  'btf-dump-limit': (d) => `BTF ${quoteName(d.btf)}: ${limitWords[d.limited](d.limit)}`,
  'btf-dump-kind': (d) =>
    `BTF ${quoteName(d.btf)}: type ${d.id} is of kind ${d.kind}, which has no form in C`,
  'btf-permutation': (d) =>
    `BTF ${quoteName(d.btf)}: its types cannot be put in that order: ${d.problem}`,
  'btf-dedup-limit': (d) =>
    d.limited === 'strings'
      ? `BTF ${quoteName(d.btf)}: its names overlap, apart they are longer than ${d.limit} bytes; it cannot be deduplicated`
      : `BTF ${quoteName(d.btf)}: so many of its types are alike that deduplication takes more than ${d.limit} steps`,
  'btf-dedup-kind': (d) =>
    `BTF ${quoteName(d.btf)}: type ${d.id} is of kind ${d.kind}, what it refers to is not known; it cannot be deduplicated`,
  'btf-build': (d) => `build BTF: ${d.problem}`,
  'btf-no-base': (d) =>
    `BTF ${quoteName(d.btf)} stands on no base; give the BTF that it was made on, such as the kernel's vmlinux`,
  'btf-distill': (d) =>
    `BTF ${quoteName(d.btf)}: its base cannot be distilled: ${typeOf(d)} ${d.problem}`,
  'btf-relocate': (d) =>
    `BTF ${quoteName(d.btf)} cannot be put on ${quoteName(d.base)}: ${relocateFault(d.fault)}`,
  'btf-file': (d) => `${quoteName(d.file)} ${fileFault(d.fault)}`,
};
