/** `SHT_*` of <elf.h>, as far as BPF objects have them. */
export const SHT = {
  NULL: 0,
  PROGBITS: 1,
  SYMTAB: 2,
  STRTAB: 3,
  RELA: 4,
  NOBITS: 8,
  REL: 9,
} as const;

/** `SHF_*` of <elf.h>: bits of a section's flags. */
export const SHF = {
  WRITE: 0x1,
  ALLOC: 0x2,
  EXECINSTR: 0x4,
  MERGE: 0x10,
  STRINGS: 0x20,
  COMPRESSED: 0x800,
} as const;

/** `SHN_*` of <elf.h>: section indices that name no section. */
export const SHN = {
  UNDEF: 0,
  /** The first reserved index. */
  LORESERVE: 0xff00,
  ABS: 0xfff1,
  COMMON: 0xfff2,
  XINDEX: 0xffff,
} as const;

/** `STT_*` of <elf.h>: what a symbol stands for. */
export const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3, FILE: 4 } as const;

/** `STB_*` of <elf.h>: a symbol's binding. */
export const STB = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;

/** `STV_*` of <elf.h>: a symbol's visibility. */
export const STV = { DEFAULT: 0, INTERNAL: 1, HIDDEN: 2, PROTECTED: 3 } as const;

/** `ET_REL` of <elf.h>: a relocatable object. */
export const ET_REL = 1;

/** `EM_NONE` of <elf.h>, which the first BPF compilers wrote. */
export const EM_NONE = 0;

/** `EM_BPF` of <elf.h>. */
export const EM_BPF = 247;

/**
 * Relocation types of BPF objects (LLVM's `BPF.def`, "BPF relocations" in the kernel's
 * documentation). Code has only the first and the last; the others are for data and BTF.
 */
export const R_BPF = {
  NONE: 0,
  /** The 64-bit immediate of an `ld_imm64`. */
  R_64_64: 1,
  R_64_ABS64: 2,
  R_64_ABS32: 3,
  /** A 32-bit offset in `.BTF` and `.BTF.ext`, which dynamic linkers leave alone. */
  R_64_NODYLD32: 4,
  /** The immediate of a call. */
  R_64_32: 10,
} as const;
