import type { InsnIndex } from '../asm/insns.ts';
import type { FuncInfo, LineInfo, ObjectSpec } from '../object/spec.ts';
import type { PlacedFunction } from './layout.ts';

/** The `.BTF.ext` records of an image, indices absolute in it and ascending. */
export interface ImageInfo {
  readonly funcInfo: readonly FuncInfo[];
  readonly lineInfo: readonly LineInfo[];
}

/**
 * Gathers func and line info in the order in which functions were appended, as libbpf's
 * `reloc_prog_func_and_line_info` does.
 *
 * The kernel refuses a table that leaves out a function. Where the entry function has no
 * records, libbpf drops the table; where a subprogram has none, it fails. Here such a table
 * is dropped in both cases: the program is right without it.
 */
export function gatherInfo(spec: ObjectSpec, functions: readonly PlacedFunction[]): ImageInfo {
  return {
    funcInfo: gather(functions, (at) => spec.functions[at]?.funcInfo ?? []),
    lineInfo: gather(functions, (at) => spec.functions[at]?.lineInfo ?? []),
  };
}

function gather<T extends { readonly insn: InsnIndex }>(
  functions: readonly PlacedFunction[],
  recordsOf: (fn: number) => readonly T[],
): readonly T[] {
  const out: T[] = [];
  for (const placed of functions) {
    const records = recordsOf(placed.function);
    if (records.length === 0) return [];
    for (const record of records) {
      out.push({ ...record, insn: (record.insn + placed.start) as InsnIndex });
    }
  }
  return out;
}
