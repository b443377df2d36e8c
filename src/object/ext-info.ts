import { type InsnIndex, insnSize } from '../asm/insns.ts';
import type { BtfExt, ExtCoreRelocation } from '../btf/ext.ts';
import { BpfError } from '../errors.ts';
import type { FunctionPlace, FunctionTable } from './functions.ts';
import type { ObjectSections } from './sections.ts';
import {
  CORE_RELO,
  type CoreRelocation,
  type CoreReloKind,
  type FuncInfo,
  type LineInfo,
} from './spec.ts';

/** What `.BTF.ext` says about one function, indices from its first instruction. */
export interface FunctionInfo {
  readonly funcInfo: readonly FuncInfo[];
  readonly lineInfo: readonly LineInfo[];
  readonly coreRelocations: readonly CoreRelocation[];
}

const nothing: FunctionInfo = { funcInfo: [], lineInfo: [], coreRelocations: [] };

/**
 * Hands the records of `.BTF.ext` to the functions that they are for, by function index.
 * Records between functions (of weak functions that linking has overridden) and records for
 * sections without code are for nobody. A record that is not at an instruction, or a CO-RE
 * relocation of an unknown kind, is an error.
 */
export function splitExtInfo(
  ext: BtfExt | undefined,
  sections: ObjectSections,
  table: FunctionTable,
): readonly FunctionInfo[] {
  if (ext === undefined) return table.functions.map(() => nothing);
  const out: FunctionInfo[] = [];
  for (const { index, name } of sections.code) {
    const { first, end } = table.rangeOf(index);
    const funcs = sortRecords(ext.funcInfo.get(name), name);
    const lines = sortRecords(ext.lineInfo.get(name), name);
    const core = sortRecords(ext.coreRelocations.get(name), name);
    checkKinds(core, name);
    for (let i = first; i < end; i++) {
      const place = table.functions[i] as FunctionPlace;
      out.push({
        funcInfo: recordsOf(funcs, place, toFuncInfo),
        lineInfo: recordsOf(lines, place, toLineInfo),
        coreRelocations: recordsOf(core, place, toCoreRelocation),
      });
    }
  }
  return out;
}

interface Placed {
  /** In bytes from the start of the section. */
  readonly insnOffset: number;
}

/** The records of a section in the order of their places: compilers have sorted them already. */
function sortRecords<R extends Placed>(
  records: readonly R[] | undefined,
  section: string,
): readonly R[] {
  if (records === undefined) return [];
  let before = 0;
  let sorted = true;
  for (const { insnOffset: offset } of records) {
    if (offset % insnSize !== 0) {
      throw new BpfError({ code: 'ext-offset', offset }, { context: [{ section }] });
    }
    if (offset < before) sorted = false;
    before = offset;
  }
  return sorted ? records : records.toSorted((a, b) => a.insnOffset - b.insnOffset);
}

const lastCoreKind = Math.max(...Object.values(CORE_RELO));

function checkKinds(records: readonly ExtCoreRelocation[], section: string): void {
  for (const { kind } of records) {
    if (kind <= lastCoreKind) continue;
    throw new BpfError({ code: 'core-kind', kind }, { context: [{ section }] });
  }
}

/** The records of one function, out of those of its section. */
function recordsOf<R extends Placed, T>(
  records: readonly R[],
  place: FunctionPlace,
  convert: (record: R, insn: InsnIndex) => T,
): readonly T[] {
  const out: T[] = [];
  const end = place.end * insnSize;
  for (let i = firstFrom(records, place.start * insnSize); i < records.length; i++) {
    const record = records[i] as R;
    if (record.insnOffset >= end) break;
    out.push(convert(record, (record.insnOffset / insnSize - place.start) as InsnIndex));
  }
  return out;
}

/** Index of the first record at or after `offset`. */
function firstFrom(records: readonly Placed[], offset: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((records[middle] as Placed).insnOffset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

function toFuncInfo(record: { readonly type: FuncInfo['type'] }, insn: InsnIndex): FuncInfo {
  return { insn, type: record.type };
}

function toLineInfo(record: Omit<LineInfo, 'insn'>, insn: InsnIndex): LineInfo {
  const { fileNameOffset, lineOffset, line, column } = record;
  return { insn, fileNameOffset, lineOffset, line, column };
}

/** The kind was checked by {@link checkKinds}. */
function toCoreRelocation(record: ExtCoreRelocation, insn: InsnIndex): CoreRelocation {
  const { kind, type, access } = record;
  return { insn, kind: kind as CoreReloKind, type, access };
}
