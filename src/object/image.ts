import type { InsnIndex, Insns } from '../asm/insns.ts';
import type { Btf } from '../btf/btf.ts';
import type { TypeId } from '../btf/types.ts';
import type { FuncInfo, LineInfo, MapIndex } from './spec.ts';

/**
 * A program as a backend gets it: final instructions, plus slots for what only the backend
 * knows. Subprograms are appended, calls between them are final.
 */
export interface ProgramImage {
  readonly name: string;
  readonly section: string;
  /** `BPF_PROG_TYPE`. */
  readonly type: number;
  /** `BPF_ATTACH_TYPE`. */
  readonly attachType: number;
  readonly attachTarget: string | undefined;
  readonly flags: number;
  readonly license: string;
  readonly kernelVersion: number;
  /** Byte order of the object: memory accesses of a big-endian program are big-endian. */
  readonly littleEndian: boolean;
  readonly insns: Insns;
  readonly slots: readonly Slot[];
  /** The entry function first, then its subprograms as appended. */
  readonly functions: readonly ImageFunction[];
  /** Indices are absolute in `insns`. */
  readonly funcInfo: readonly FuncInfo[];
  /** Indices are absolute in `insns`. */
  readonly lineInfo: readonly LineInfo[];
  /** The object's types, which func and line info refer to. */
  readonly btf: Btf | undefined;
  /** Set for a program that is a member of a struct_ops struct. */
  readonly structOps?: StructOpsTarget | undefined;
  /** Instructions that a failed CO-RE relocation made unusable, with the reason. */
  readonly poisoned: readonly { readonly insn: InsnIndex; readonly reason: string }[];
}

/** The kernel's struct that a struct_ops program belongs to. */
export interface StructOpsTarget {
  /** Name of the struct in the target. */
  readonly name: string;
  /** Its id in the target's types. */
  readonly type: TypeId;
  /** Index of the program's member in the target's struct. */
  readonly member: number;
  readonly module: string | undefined;
}

export interface ImageFunction {
  readonly name: string;
  readonly start: InsnIndex;
  /** One past the last instruction. */
  readonly end: InsnIndex;
}

/**
 * A place that the backend fills. `src` of the `ld_imm64` already holds the pseudo value
 * (`BPF_PSEUDO_MAP_FD`, `BPF_PSEUDO_MAP_VALUE`) and the second half of a map value its
 * offset, as libbpf leaves them; the descriptor (first half's imm) is the backend's.
 */
export type Slot =
  | { readonly kind: 'map'; readonly insn: InsnIndex; readonly map: MapIndex }
  | {
      readonly kind: 'map-value';
      readonly insn: InsnIndex;
      readonly map: MapIndex;
      readonly offset: number;
    }
  /** Call of a kfunc; `src` already says so, `imm` and `off` are the backend's. */
  | ({ readonly kind: 'kfunc'; readonly insn: InsnIndex } & KernelEntity)
  /** `ld_imm64` of a kernel variable's address (`BPF_PSEUDO_BTF_ID`). */
  | ({ readonly kind: 'kernel-variable'; readonly insn: InsnIndex } & KernelEntity)
  /**
   * `ld_imm64` of an instruction array that the backend makes for this program alone:
   * `targets` are absolute in the image's `insns`, `offset` is in bytes.
   */
  | {
      readonly kind: 'jump-table';
      readonly insn: InsnIndex;
      readonly targets: readonly InsnIndex[];
      readonly offset: number;
    };

/** A slot that names a map. */
export type MapSlot = Extract<Slot, { readonly map: MapIndex }>;

export function isMapSlot(slot: Slot): slot is MapSlot {
  return slot.kind === 'map' || slot.kind === 'map-value';
}

/** A function or variable of the target that has a type. */
export interface KernelEntity {
  readonly name: string;
  /** Its FUNC or VAR in the types of the kernel, or of the module. */
  readonly type: TypeId;
  /** Module that has it; undefined for the kernel itself. */
  readonly module: string | undefined;
}

/** The line that instruction `insn` of an image comes from, if the object says. */
export function sourceLineAt(
  image: Pick<ProgramImage, 'lineInfo' | 'btf'>,
  insn: number,
): SourceLine | undefined {
  const records = image.lineInfo;
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle] as LineInfo).insn <= insn) low = middle + 1;
    else high = middle;
  }
  const record = records[low - 1];
  if (record === undefined || image.btf === undefined) return undefined;
  return {
    file: image.btf.string(record.fileNameOffset),
    line: record.line,
    column: record.column,
    text: image.btf.string(record.lineOffset).trim(),
  };
}

/** A place in C source. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}
