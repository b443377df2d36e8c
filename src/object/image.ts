import type { InsnIndex, Insns } from '../asm/insns.ts';
import type { Btf } from '../btf/btf.ts';
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
  /** Instructions that a failed CO-RE relocation made unusable, with the reason. */
  readonly poisoned: readonly { readonly insn: InsnIndex; readonly reason: string }[];
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
    };

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
