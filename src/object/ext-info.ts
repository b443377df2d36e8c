import { type InsnIndex, insnSize } from '../asm/insns.ts';
import type { BtfExt, ExtCoreRelocation } from '../btf/ext.ts';
import { BpfError } from '../errors.ts';
import type { FunctionTable } from './functions.ts';
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
 * Hands the records of `.BTF.ext` to the functions that they are for, by function index: one
 * pass over the records of each section. Records between functions (of weak functions that
 * linking has overridden) and records for sections without code are for nobody.
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
    if (first === end) continue;
    const places = table.functions.slice(first, end);
    const funcs = splitRecords(ext.funcInfo.get(name), name, places, toFuncInfo);
    const lines = splitRecords(ext.lineInfo.get(name), name, places, toLineInfo);
    const core = splitRecords(ext.coreRelocations.get(name), name, places, toCoreRelocation);
    places.forEach((_, i) => {
      out.push({
        funcInfo: funcs[i] ?? [],
        lineInfo: lines[i] ?? [],
        coreRelocations: core[i] ?? [],
      });
    });
  }
  return out;
}

interface Placed {
  readonly insnOffset: number;
}

/** Records by function; both are walked once, in the order of their places. */
function splitRecords<R extends Placed, T>(
  records: readonly R[] | undefined,
  section: string,
  places: readonly { readonly start: number; readonly end: number }[],
  convert: (record: R, insn: InsnIndex) => T,
): readonly (readonly T[])[] {
  if (records === undefined) return [];
  const sorted = inOrder(records);
  const out: T[][] = [];
  let at = 0;
  for (const { start, end } of places) {
    const own: T[] = [];
    while (at < sorted.length && (sorted[at] as R).insnOffset < start * insnSize) at++;
    for (; at < sorted.length; at++) {
      const record = sorted[at] as R;
      if (record.insnOffset >= end * insnSize) break;
      own.push(convert(record, insnOf(record, section, start)));
    }
    out.push(own);
  }
  return out;
}

function insnOf(record: Placed, section: string, start: number): InsnIndex {
  const offset = record.insnOffset;
  if (offset % insnSize === 0) return (offset / insnSize - start) as InsnIndex;
  throw new BpfError({ code: 'ext-offset', offset }, { context: [{ section }] });
}

/** The records sorted by place, which compilers and linkers have done already. */
function inOrder<R extends Placed>(records: readonly R[]): readonly R[] {
  for (let i = 1; i < records.length; i++) {
    if ((records[i] as R).insnOffset < (records[i - 1] as R).insnOffset) {
      return records.toSorted((a, b) => a.insnOffset - b.insnOffset);
    }
  }
  return records;
}

function toFuncInfo(record: { readonly type: FuncInfo['type'] }, insn: InsnIndex): FuncInfo {
  return { insn, type: record.type };
}

function toLineInfo(record: Omit<LineInfo, 'insn'>, insn: InsnIndex): LineInfo {
  const { fileNameOffset, lineOffset, line, column } = record;
  return { insn, fileNameOffset, lineOffset, line, column };
}

const lastCoreKind = Math.max(...Object.values(CORE_RELO));

function toCoreRelocation(record: ExtCoreRelocation, insn: InsnIndex): CoreRelocation {
  const { kind, type, access } = record;
  if (kind > lastCoreKind) throw new BpfError({ code: 'core-kind', kind });
  return { insn, kind: kind as CoreReloKind, type, access };
}
