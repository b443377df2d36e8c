import { type InsnIndex, type Insns, insnSize } from '../asm/insns.ts';
import { R_BPF, SHN, STT } from '../elf/constants.ts';
import { relocationsOf } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import type { RelocationTable } from '../elf/relocations.ts';
import type { CodeRelocationFault } from '../errors/object.ts';
import { BpfError, type BpfErrorDetail } from '../errors.ts';
import type { FunctionPlace, FunctionTable } from './functions.ts';
import type { JumpTableReader } from './jump-tables.ts';
import type { ObjectSections } from './sections.ts';
import type { InsnRelocation, MapIndex } from './spec.ts';

/** All that a relocation can point at. */
export interface RelocationTargets {
  readonly sections: ObjectSections;
  readonly functions: FunctionTable;
  /** Maps of `.maps`, by their offset there in bytes. */
  readonly mapsByOffset: ReadonlyMap<number, MapIndex>;
  /** Maps of data sections, and the arena that has variables, by section index. */
  readonly mapsBySection: ReadonlyMap<number, MapIndex>;
  readonly jumpTables: JumpTableReader;
  /** Index of the extern, by symbol index. */
  readonly externs: ReadonlyMap<number, number>;
}

/** Entries of one code section in the order of their instructions. */
export type CodeEntries = Pick<RelocationTable, 'length' | 'offsets' | 'types' | 'symbols'>;

/** Opcode of `ld_imm64`. */
const loadWide = 0x18;

/** Opcode of a call by immediate. */
const call = 0x85;

/** `BPF_PSEUDO_CALL` of <linux/bpf.h>: source register of a call of a subprogram. */
const pseudoCall = 1;

/** `BPF_PSEUDO_KFUNC_CALL` of <linux/bpf.h>. */
const pseudoKfuncCall = 2;

const noEntries: CodeEntries = { length: 0, offsets: [], types: [], symbols: [] };

/** All relocations of the instructions of a section, sorted by instruction. */
export function readCodeEntries(sections: ObjectSections, section: ElfSection): CodeEntries {
  const tables = relocationsOf(sections.elf, section.index);
  const entries = tables.length > 1 ? joinEntries(tables) : (tables[0] ?? noEntries);
  const stray = entries.offsets.findIndex((offset) => offset % insnSize !== 0);
  if (stray >= 0) {
    const symbol = symbolName(sections, entries.symbols[stray] as number);
    const fault: CodeRelocationFault = {
      kind: 'alignment',
      offset: entries.offsets[stray] as number,
    };
    const context = [{ section: section.name }];
    throw new BpfError({ code: 'code-relocation', symbol, fault }, { context });
  }
  return isSorted(entries.offsets) ? entries : sortEntries(entries);
}

function joinEntries(tables: readonly RelocationTable[]): CodeEntries {
  return {
    length: tables.reduce((sum, table) => sum + table.length, 0),
    offsets: tables.flatMap((table) => table.offsets),
    types: tables.flatMap((table) => table.types),
    symbols: tables.flatMap((table) => table.symbols),
  };
}

function isSorted(numbers: readonly number[]): boolean {
  for (let i = 1; i < numbers.length; i++) {
    if ((numbers[i] as number) < (numbers[i - 1] as number)) return false;
  }
  return true;
}

function sortEntries({ length, offsets, types, symbols }: CodeEntries): CodeEntries {
  const order = Array.from({ length }, (_, i) => i).sort(
    (a, b) => (offsets[a] as number) - (offsets[b] as number),
  );
  const pick = (column: readonly number[]) => order.map((i) => column[i] as number);
  return { length, offsets: pick(offsets), types: pick(types), symbols: pick(symbols) };
}

/**
 * What each relocated instruction of a function points at, in instruction order; the rules
 * are those of libbpf's `bpf_program__record_reloc`. Calls of subprograms that the compiler
 * resolved itself (within one section) are among them, so that no reader has to look for
 * calls of other kinds.
 *
 * `from` is the index of the first entry that is not before the function; entries between
 * functions, left over from overridden weak ones, belong to nobody.
 */
export function resolveFunction(
  place: FunctionPlace,
  insns: Insns,
  entries: CodeEntries,
  from: number,
  targets: RelocationTargets,
): readonly InsnRelocation[] {
  const out: InsnRelocation[] = [];
  const base = place.start * insnSize;
  let entry = from;
  let next = (entries.offsets[entry] ?? Number.POSITIVE_INFINITY) - base;
  for (let i = 0; i < insns.length; i++) {
    if (next === i * insnSize) {
      out.push(resolveEntry({ place, insns, insn: i as InsnIndex, entries, entry, targets }));
      entry++;
      next = (entries.offsets[entry] ?? Number.POSITIVE_INFINITY) - base;
    } else if (insns.code[i] === call && insns.src[i] === pseudoCall) {
      out.push(resolveLocalCall(place, insns, i as InsnIndex, targets));
    }
    // The second half of a load is no instruction of its own, whatever its bytes say.
    if (insns.code[i] === loadWide && next !== (i + 1) * insnSize) i++;
  }
  return out;
}

/** One entry at one instruction, with all that resolving or refusing it needs. */
interface Site {
  readonly place: FunctionPlace;
  readonly insns: Insns;
  readonly insn: InsnIndex;
  readonly entries: CodeEntries;
  readonly entry: number;
  readonly targets: RelocationTargets;
}

function resolveEntry(site: Site): InsnRelocation {
  const { insns, insn, entries, entry } = site;
  if (entries.offsets[entry + 1] === entries.offsets[entry]) throw bad(site, { kind: 'twice' });
  const opcode = insns.code[insn] as number;
  const isCall = opcode === call;
  if (!isCall && !insns.isWide(insn)) throw bad(site, { kind: 'instruction', opcode });
  const type = entries.types[entry] as number;
  if (type !== (isCall ? R_BPF.R_64_32 : R_BPF.R_64_64)) {
    const wanted = isCall ? 'R_BPF_64_32 (10) for a call' : 'R_BPF_64_64 (1) for a load';
    throw bad(site, { kind: 'type', type, wanted });
  }
  const external = site.targets.externs.get(entries.symbols[entry] as number);
  if (external === undefined) return isCall ? resolveCall(site) : resolveLoad(site);
  if (!isCall) return { kind: 'extern-address', insn, extern: external };
  const source = insns.src[insn] as number;
  // clang writes kfunc calls as calls of subprograms; libbpf makes kfunc calls of them.
  if (source !== pseudoCall && source !== pseudoKfuncCall)
    throw bad(site, { kind: 'call-form', source });
  return { kind: 'extern-call', insn, extern: external };
}

/** The target is counted from the next instruction: symbol + immediate + 1. */
function resolveCall(site: Site): InsnRelocation {
  const { insns, insn, targets } = site;
  const source = insns.src[insn] as number;
  if (source !== pseudoCall) throw bad(site, { kind: 'call-form', source });
  const section = definedSection(site);
  if (targets.sections.roles[section] !== 'code') {
    throw bad(site, { kind: 'call-target', section: sectionName(targets.sections, section) });
  }
  const offset = symbolValue(site) + ((insns.imm[insn] as number) + 1) * insnSize;
  return { kind: 'call', insn, target: functionAt(site, section, offset) };
}

function functionAt(site: Site, section: number, offset: number) {
  const { functions, sections } = site.targets;
  const target = functions.startingAt(section, offset / insnSize);
  if (target !== undefined) return target;
  throw bad(site, { kind: 'no-function', section: sectionName(sections, section), offset });
}

/** The address is symbol + immediate, in bytes; the immediate is the lower half's, signed. */
function resolveLoad(site: Site): InsnRelocation {
  const { insn, insns, targets } = site;
  const section = definedSection(site);
  const offset = symbolValue(site) + (insns.imm[insn] as number);
  const name = sectionName(targets.sections, section);
  if (targets.sections.roles[section] === 'code') {
    return { kind: 'function-address', insn, target: functionAt(site, section, offset) };
  }
  if (targets.sections.maps?.index === section) {
    const map = targets.mapsByOffset.get(offset);
    if (map === undefined) throw bad(site, { kind: 'no-map', section: name, offset });
    return { kind: 'map', insn, map };
  }
  if (targets.sections.roles[section] === 'jump-tables') return resolveJumpTable(site);
  const map = targets.mapsBySection.get(section);
  if (map === undefined) throw bad(site, { kind: 'section', section: name });
  const size = targets.sections.elf.sections[section]?.size ?? 0;
  if (offset < 0 || offset > size) {
    throw bad(site, { kind: 'outside-data', section: name, offset, size });
  }
  return { kind: 'map-value', insn, map, offset };
}

/** The symbol is the whole table; the immediate says where in it. */
function resolveJumpTable(site: Site): InsnRelocation {
  const { entries, entry, place, insns, insn, targets } = site;
  const table = targets.jumpTables.read(entries.symbols[entry] as number, place);
  if ('fault' in table) throw bad(site, table.fault);
  const offset = insns.imm[insn] as number;
  const size = table.targets.length * 8;
  if (offset < 0 || offset >= size || offset % 8 !== 0) {
    throw bad(site, { kind: 'outside-data', section: '.jumptables', offset, size });
  }
  return { kind: 'jump-table', insn, targets: table.targets, offset };
}

function definedSection(site: Site): number {
  const { symbols } = site.targets.sections.elf;
  const symbol = site.entries.symbols[site.entry] as number;
  const section = symbols.section(symbol);
  if (section === SHN.UNDEF) throw bad(site, { kind: 'undefined' });
  if (section === SHN.COMMON) throw bad(site, { kind: 'common' });
  if (section >= SHN.LORESERVE) throw bad(site, { kind: 'special-section', section });
  return section;
}

function symbolValue(site: Site): number {
  return site.targets.sections.elf.symbols.value(site.entries.symbols[site.entry] as number);
}

/** A call within its section, which needs no relocation entry. */
function resolveLocalCall(
  place: FunctionPlace,
  insns: Insns,
  insn: InsnIndex,
  targets: RelocationTargets,
): InsnRelocation {
  const at = place.start + insn + (insns.imm[insn] as number) + 1;
  const target = targets.functions.startingAt(place.section.index, at);
  if (target !== undefined) return { kind: 'call', insn, target };
  throw atInsn(place, insn, { code: 'stray-call', offset: at * insnSize });
}

/** Name of a symbol for messages: of its section where it stands for that, else its number. */
export function symbolName(sections: ObjectSections, symbol: number): string {
  const { symbols } = sections.elf;
  const isSection = symbols.type(symbol) === STT.SECTION;
  const section = isSection ? sectionName(sections, symbols.section(symbol)) : '';
  return symbols.name(symbol) || section || `#${symbol}`;
}

function sectionName(sections: ObjectSections, section: number): string {
  return sections.elf.sections[section]?.name ?? '';
}

function bad(site: Site, fault: CodeRelocationFault): BpfError {
  const symbol = symbolName(site.targets.sections, site.entries.symbols[site.entry] as number);
  return atInsn(site.place, site.insn, { code: 'code-relocation', symbol, fault });
}

function atInsn(place: FunctionPlace, insn: InsnIndex, detail: BpfErrorDetail): BpfError {
  return new BpfError(detail, {
    context: [{ section: place.section.name }, { program: place.name }, { insn }],
  });
}
