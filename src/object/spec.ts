import type { InsnIndex, Insns } from '../asm/insns.ts';
import type { Btf } from '../btf/btf.ts';
import type { TypeId } from '../btf/types.ts';
import type { Brand } from '../bytes/brand.ts';

/** Index into {@link ObjectSpec.functions}. */
export type FunctionIndex = Brand<number, 'FunctionIndex'>;

/** Index into {@link ObjectSpec.maps}. */
export type MapIndex = Brand<number, 'MapIndex'>;

/**
 * All that an object says, and nothing about the machine it was opened on: the same bytes
 * give the same value anywhere. Plain data, so that users change it before loading.
 */
export interface ObjectSpec {
  /** As libbpf derives it: the file's base name up to the first dot, identifier characters only. */
  readonly name: string;
  readonly littleEndian: boolean;
  /** Contents of section `license`, empty if there is none. */
  readonly license: string;
  /** Contents of section `version`, 0 if there is none. */
  readonly kernelVersion: number;
  /** Types of the object, with DATASEC sizes and offsets made right from the symbols. */
  readonly btf: Btf | undefined;
  /** Every function, entry points and subprograms, in section and offset order. */
  readonly functions: readonly FunctionSpec[];
  /** The entry points, in the order of their sections and offsets. */
  readonly programs: readonly ProgramSpec[];
  /**
   * BTF-defined maps first, in the order of their definitions, then those of data sections,
   * of `.kconfig`, and of the structs of kernel callbacks.
   */
  readonly maps: readonly MapSpec[];
  /**
   * `extern` declarations: kconfig values in the order of their places, then kernel symbols
   * and kfuncs by name.
   */
  readonly externs: readonly ExternSpec[];
}

/** Code of one function symbol, from its first instruction to its last. */
export interface FunctionSpec {
  readonly name: string;
  /** Section that holds it, named as in the file (with a leading `?`, if there is one). */
  readonly section: string;
  /** Place in that section, in instructions. */
  readonly sectionOffset: InsnIndex;
  readonly binding: 'local' | 'global' | 'weak';
  /** ELF visibility is hidden or internal. */
  readonly hidden: boolean;
  /** Raw instructions as compiled; never changed after opening. */
  readonly insns: Insns;
  /**
   * Relocations in instruction order, indices relative to this function. Every call of a
   * subprogram is one, those that the compiler resolved itself included.
   */
  readonly relocations: readonly InsnRelocation[];
  /** CO-RE relocations in instruction order, indices relative to this function. */
  readonly coreRelocations: readonly CoreRelocation[];
  readonly funcInfo: readonly FuncInfo[];
  readonly lineInfo: readonly LineInfo[];
  /** Tags of its arguments (`__arg_ctx`, `__arg_nonnull`, …); left out where there are none. */
  readonly argumentTags?: readonly ArgumentTag[];
}

/** A declaration tag of an argument of a global function. */
export interface ArgumentTag {
  /** From 0. */
  readonly argument: number;
  /** What follows `arg:`; the kernel knows `ctx`, `nonnull`, `nullable`, `trusted`, `untrusted`, `arena`. */
  readonly tag: string;
}

/** What an ELF relocation at one instruction points at. */
export type InsnRelocation =
  /** `ld_imm64` of a map. */
  | { readonly kind: 'map'; readonly insn: InsnIndex; readonly map: MapIndex }
  /** `ld_imm64` of a variable: `offset` bytes into the value of a data-section map. */
  | {
      readonly kind: 'map-value';
      readonly insn: InsnIndex;
      readonly map: MapIndex;
      readonly offset: number;
    }
  /** Call of a subprogram. */
  | { readonly kind: 'call'; readonly insn: InsnIndex; readonly target: FunctionIndex }
  /** `ld_imm64` of a subprogram's address (callbacks). */
  | { readonly kind: 'function-address'; readonly insn: InsnIndex; readonly target: FunctionIndex }
  /**
   * `ld_imm64` of a jump table, or of a pointer into one (clang's `.jumptables`, indirect
   * jumps): `targets` are its entries, instructions of the same function, and `offset` the
   * place in it in bytes.
   */
  | {
      readonly kind: 'jump-table';
      readonly insn: InsnIndex;
      readonly targets: readonly InsnIndex[];
      readonly offset: number;
    }
  /** Call of a kfunc, by its extern. */
  | { readonly kind: 'extern-call'; readonly insn: InsnIndex; readonly extern: number }
  /** `ld_imm64` of an extern variable. */
  | { readonly kind: 'extern-address'; readonly insn: InsnIndex; readonly extern: number };

/** `enum bpf_core_relo_kind` of <linux/bpf.h>. */
export const CORE_RELO = {
  FIELD_BYTE_OFFSET: 0,
  FIELD_BYTE_SIZE: 1,
  FIELD_EXISTS: 2,
  FIELD_SIGNED: 3,
  FIELD_LSHIFT_U64: 4,
  FIELD_RSHIFT_U64: 5,
  TYPE_ID_LOCAL: 6,
  TYPE_ID_TARGET: 7,
  TYPE_EXISTS: 8,
  TYPE_SIZE: 9,
  ENUMVAL_EXISTS: 10,
  ENUMVAL_VALUE: 11,
  TYPE_MATCHES: 12,
} as const;

export type CoreReloKind = (typeof CORE_RELO)[keyof typeof CORE_RELO];

/** One record of the CO-RE part of `.BTF.ext`. */
export interface CoreRelocation {
  readonly insn: InsnIndex;
  readonly kind: CoreReloKind;
  /** Root type of the access, in the object's own BTF. */
  readonly type: TypeId;
  /** Access string, such as `0:1:2`. */
  readonly access: string;
}

/** One record of the function part of `.BTF.ext`. */
export interface FuncInfo {
  readonly insn: InsnIndex;
  readonly type: TypeId;
}

/** One record of the line part of `.BTF.ext`; string offsets are into the object's BTF strings. */
export interface LineInfo {
  readonly insn: InsnIndex;
  readonly fileNameOffset: number;
  readonly lineOffset: number;
  /** From 1. */
  readonly line: number;
  /** From 1; 0 where unknown. */
  readonly column: number;
}

/** An entry point. */
export interface ProgramSpec {
  readonly name: string;
  readonly function: FunctionIndex;
  /** The section's full name, such as `tp/syscalls/sys_enter_openat`, without a leading `?`. */
  readonly section: string;
  /** `BPF_PROG_TYPE`; undefined where the section's name is not known. */
  readonly type: number | undefined;
  /** `BPF_ATTACH_TYPE` expected, 0 where none. */
  readonly attachType: number;
  /** What follows the type in the section's name: `syscalls/sys_enter_openat`. */
  readonly attachTarget: string | undefined;
  /** `BPF_F_SLEEPABLE`, `BPF_F_XDP_HAS_FRAGS`, …, for `prog_flags`. */
  readonly flags: number;
  /** False for sections that start with `?`. */
  readonly autoload: boolean;
}

/** A map, from a definition in `.maps` or made for a data section. */
export interface MapSpec {
  /** Name that programs and users know: the variable's, or `.rodata` for a data section. */
  readonly name: string;
  /** Name that the kernel gets, at most 15 characters (libbpf's rule for data sections). */
  readonly kernelName: string;
  /** `BPF_MAP_TYPE`. */
  readonly type: number;
  /** In bytes. */
  readonly keySize: number;
  /** In bytes. */
  readonly valueSize: number;
  readonly maxEntries: number;
  /** `BPF_F_*` of map creation. */
  readonly flags: number;
  readonly extra: bigint;
  readonly numaNode: number;
  readonly keyType: TypeId | undefined;
  readonly valueType: TypeId | undefined;
  readonly pinning: 'none' | 'by-name';
  /** False for a map that is not to be made; programs that use it load only where they cannot get there. */
  readonly autocreate?: boolean | undefined;
  /** Template of the maps that a map of maps holds. */
  readonly inner: MapSpec | undefined;
  /** Initial slots of a map of maps or a prog array. */
  readonly values: readonly InitialValue[];
  /** Set where the map holds a data section, the variables of an arena included. */
  readonly data: DataSection | undefined;
  /** Pointers to kernel objects or user memory in the value; left out where there are none. */
  readonly pointers?: readonly KernelPointer[];
  /** Set where the map is a variable of `.struct_ops` or `.struct_ops.link`. */
  readonly structOps?: StructOpsSpec | undefined;
}

/** A tagged pointer in the value of a map (`__kptr`, `__uptr`, …). */
export interface KernelPointer {
  /** In bytes from the start of the value. */
  readonly offset: number;
  readonly tag: 'kptr' | 'kptr_untrusted' | 'percpu_kptr' | 'uptr';
  /** What it points at, in the object's types. */
  readonly type: TypeId;
}

/** A struct of kernel callbacks, filled by the object. */
export interface StructOpsSpec {
  /** The variable's section, without a leading `?`. */
  readonly section: string;
  /** False for sections that start with `?`. */
  readonly autocreate: boolean;
  /** Section `.struct_ops.link`: registered by a link (`BPF_F_LINK`), not by a map update. */
  readonly link: boolean;
  /** The variable's struct, in the object's types. */
  readonly type: TypeId;
  /** Initial value in the object's own layout, `sizeof` the struct. */
  readonly contents: Uint8Array;
  /** Members that hold functions, by index of the member. */
  readonly functions: readonly StructOpsFunction[];
}

export interface StructOpsFunction {
  /** Index of the member in the struct. */
  readonly member: number;
  readonly function: FunctionIndex;
}

export type InitialValue =
  | { readonly kind: 'map'; readonly index: number; readonly map: MapIndex }
  | { readonly kind: 'program'; readonly index: number; readonly program: FunctionIndex };

export interface DataSection {
  readonly section: string;
  /** `arena`: section `.addr_space.1`, at the end of the arena that the object defines. */
  readonly kind: 'data' | 'rodata' | 'bss' | 'kconfig' | 'arena';
  /** Initial value, `valueSize` long before the map's page rounding. */
  readonly contents: Uint8Array;
  readonly variables: readonly VariableSpec[];
}

export interface VariableSpec {
  readonly name: string;
  /** In bytes from the start of the section. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  /** Of the value, not the VAR; undefined where the object has no type for it. */
  readonly type: TypeId | undefined;
  readonly binding: 'local' | 'global' | 'weak';
}

export interface ExternSpec {
  readonly name: string;
  readonly kind: 'kfunc' | 'ksym' | 'kconfig';
  readonly weak: boolean;
  /** The FUNC of a kfunc, the type of a variable's value; undefined for a variable declared `void`. */
  readonly type: TypeId | undefined;
  /** Where the value of a kconfig extern goes. */
  readonly kconfig?: KconfigPlace | undefined;
}

/** Room of one kconfig value in the map of `.kconfig`, and how it is written there. */
export interface KconfigPlace {
  readonly map: MapIndex;
  /** In bytes from the start of the map's value. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  readonly form: 'bool' | 'tristate' | 'char' | 'int' | 'char-array';
  readonly signed: boolean;
}
