import { BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS } from '../abi/bpf.ts';
import { decodeInsns, insnSize } from '../asm/insns.ts';
import { type TypeId, voidId } from '../btf/types.ts';
import { plainContents } from '../elf/elf.ts';
import { badSection, type ElfSection } from '../elf/elfy.ts';
import {
  type CodeEntries,
  type RelocationTargets,
  readCodeEntries,
  resolveFunction,
} from './code-relocations.ts';
import type { FunctionInfo } from './ext-info.ts';
import { type FunctionPlace, textSection } from './functions.ts';
import type { SectionHandlers } from './section-handlers.ts';
import { matchSection, SECTION_FLAG, splitAutoload } from './section-rules.ts';
import type { ArgumentTag, FunctionIndex, FunctionSpec, ProgramSpec } from './spec.ts';

/** The code of every function, with its relocations resolved; in the order of the table. */
export function readFunctions(
  targets: RelocationTargets,
  info: readonly FunctionInfo[],
  argumentTags: ReadonlyMap<TypeId, readonly ArgumentTag[]>,
): readonly FunctionSpec[] {
  const { sections, functions: table } = targets;
  const out: FunctionSpec[] = [];
  for (const section of sections.code) {
    const { first, end } = table.rangeOf(section.index);
    if (first === end) continue;
    const bytes = codeOf(section);
    const entries = readCodeEntries(sections, section);
    let entry = 0;
    for (let i = first; i < end; i++) {
      const place = table.functions[i] as FunctionPlace;
      entry = firstEntryFrom(entries, entry, place.start);
      const records = info[i] as FunctionInfo;
      const spec = readFunction(place, bytes, entries, entry, targets, records);
      out.push(argumentTags.size === 0 ? spec : withTags(spec, argumentTags));
    }
  }
  return out;
}

function withTags(
  spec: FunctionSpec,
  argumentTags: ReadonlyMap<TypeId, readonly ArgumentTag[]>,
): FunctionSpec {
  const own = argumentTags.get(spec.funcInfo[0]?.type ?? voidId);
  return own === undefined ? spec : { ...spec, argumentTags: own };
}

function codeOf(section: ElfSection): Uint8Array {
  const { index, name, size } = section;
  if (size % insnSize !== 0) {
    throw badSection(index, name, { kind: 'size-not-multiple', size, of: insnSize });
  }
  return plainContents(section);
}

function firstEntryFrom(entries: CodeEntries, from: number, start: number): number {
  let entry = from;
  while (entry < entries.length && (entries.offsets[entry] as number) < start * insnSize) entry++;
  return entry;
}

function readFunction(
  place: FunctionPlace,
  bytes: Uint8Array,
  entries: CodeEntries,
  entry: number,
  targets: RelocationTargets,
  records: FunctionInfo,
): FunctionSpec {
  const { name, section, start, end, binding, hidden } = place;
  const { littleEndian } = targets.sections.elf;
  const code = bytes.subarray(start * insnSize, end * insnSize);
  const insns = decodeInsns(code, { littleEndian, section: section.name });
  return {
    name,
    section: section.name,
    sectionOffset: start as FunctionSpec['sectionOffset'],
    binding,
    hidden,
    insns,
    relocations: resolveFunction(place, insns, entries, entry, targets),
    coreRelocations: records.coreRelocations,
    funcInfo: records.funcInfo,
    lineInfo: records.lineInfo,
  };
}

/**
 * The entry points among the functions, in their order. Functions in `.text` are subprograms,
 * even one that is alone there (libbpf's `prog_is_subprog`, as of 1.7). libbpf calls no
 * function outside `.text`; here one may, and a function that is called and whose section's
 * name means nothing is a subprogram too.
 */
export function findPrograms(
  functions: readonly FunctionSpec[],
  handlers: SectionHandlers,
): readonly ProgramSpec[] {
  const used = findUsed(functions);
  const programs: ProgramSpec[] = [];
  functions.forEach((spec, i) => {
    const index = i as FunctionIndex;
    if (spec.section === textSection) return;
    const program = programOf(spec, index, handlers);
    if (program.type === undefined && used.has(index)) return;
    programs.push(program);
  });
  return programs;
}

/** Functions that other code calls, or takes the address of. */
function findUsed(functions: readonly FunctionSpec[]): ReadonlySet<FunctionIndex> {
  const used = new Set<FunctionIndex>();
  functions.forEach((spec, index) => {
    for (const relocation of spec.relocations) {
      if (relocation.kind !== 'call' && relocation.kind !== 'function-address') continue;
      if (relocation.target !== index) used.add(relocation.target);
    }
  });
  return used;
}

function programOf(
  spec: FunctionSpec,
  index: FunctionIndex,
  handlers: SectionHandlers,
): ProgramSpec {
  const { section, autoload } = splitAutoload(spec.section);
  const match = matchSection(section);
  const program = {
    name: spec.name,
    function: index,
    section,
    type: match?.rule.type,
    attachType: match?.rule.attachType ?? 0,
    attachTarget: match?.target,
    flags: programFlags(match?.rule.flags ?? 0),
    autoload,
  };
  return match === undefined ? handlers.apply(program) : program;
}

function programFlags(flags: number): number {
  const sleepable = (flags & SECTION_FLAG.SLEEPABLE) !== 0 ? BPF_F_SLEEPABLE : 0;
  const frags = (flags & SECTION_FLAG.XDP_FRAGS) !== 0 ? BPF_F_XDP_HAS_FRAGS : 0;
  return sleepable | frags;
}
