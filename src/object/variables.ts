import type { Btf } from '../btf/btf.ts';
import { type DataSectionFix, patchDataSections } from '../btf/datasec.ts';
import { BTF_KIND, type BtfDataSection, type BtfVar, type TypeId } from '../btf/types.ts';
import { SHF, SHT, STT } from '../elf/constants.ts';
import type { ElfFile } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError } from '../errors.ts';

/** A variable, as its symbol says. */
export interface Variable {
  readonly name: string;
  /** In bytes from the start of its section. */
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
  readonly binding: 'local' | 'global' | 'weak';
  readonly hidden: boolean;
}

/** Variables of each section, by section index, in the order of their offsets. */
export type VariableIndex = ReadonlyMap<number, readonly Variable[]>;

/** Collects the symbols of variables (`STT_OBJECT`) by the section that they are in. */
export function indexVariables(elf: ElfFile): VariableIndex {
  const { symbols } = elf;
  const index = new Map<number, Variable[]>();
  for (let i = 0; i < symbols.length; i++) {
    if (symbols.type(i) !== STT.OBJECT || !symbols.isDefined(i)) continue;
    const variable = {
      name: symbols.name(i),
      offset: symbols.value(i),
      size: symbols.size(i),
      binding: symbols.binding(i),
      hidden: symbols.hidden(i),
    };
    const list = index.get(symbols.section(i));
    if (list === undefined) index.set(symbols.section(i), [variable]);
    else list.push(variable);
  }
  for (const list of index.values()) list.sort((a, b) => a.offset - b.offset);
  return index;
}

/** The types of an object, with what the loader looks for in them. */
export interface ObjectTypes {
  readonly btf: Btf;
  /** Ids of the DATASECs by name; of several with one name, the first. */
  readonly dataSections: ReadonlyMap<string, TypeId>;
  /** Ids of the DECL_TAGs. */
  readonly declTags: readonly TypeId[];
  /** Whether there is any TYPE_TAG. */
  readonly hasTypeTags: boolean;
}

/** Looks through the types of an object, once for all. */
export function surveyTypes(btf: Btf): ObjectTypes {
  const dataSections = new Map<string, TypeId>();
  const declTags: TypeId[] = [];
  let hasTypeTags = false;
  for (let i = btf.firstId; i < btf.endId; i++) {
    const id = i as TypeId;
    const kind = btf.kindOf(id);
    if (kind === BTF_KIND.DATASEC) {
      const name = btf.nameOf(id);
      if (!dataSections.has(name)) dataSections.set(name, id);
    } else if (kind === BTF_KIND.DECL_TAG) declTags.push(id);
    else if (kind === BTF_KIND.TYPE_TAG) hasTypeTags = true;
  }
  return { btf, dataSections, declTags, hasTypeTags };
}

/** DATASECs that no ELF section belongs to: they only group `extern` declarations. */
const externSections: ReadonlySet<string> = new Set(['.kconfig', '.ksyms']);

/**
 * The types with the size of every DATASEC and the offsets of its variables made right:
 * clang leaves the size 0, and one-pass linking leaves stale offsets, so both are taken from
 * the section and the symbols (libbpf's `btf_fixup_datasec`). Those of `.kconfig`, which has
 * no section, are given.
 */
export function fixDataSections(
  types: ObjectTypes,
  elf: ElfFile,
  variables: VariableIndex,
  kconfig: DataSectionFix | undefined,
): ObjectTypes {
  const { btf, dataSections } = types;
  const fixes: DataSectionFix[] = kconfig === undefined ? [] : [kconfig];
  const byName = sectionsByName(elf);
  for (const [name, id] of dataSections) {
    if (externSections.has(name)) continue;
    const section = byName.get(name);
    if (section === undefined) {
      throw new BpfError({ code: 'datasec-without-section', section: name });
    }
    const type = dataSectionOf(btf, id);
    const offsets = symbolOffsets(btf, type, variables.get(section.index) ?? []);
    if (type.size !== section.size || offsets.size > 0) {
      fixes.push({ id, size: section.size, offsets });
    }
  }
  return fixes.length === 0 ? types : { ...types, btf: patchDataSections(btf, fixes) };
}

/** The first section of each name, of those that can hold variables. */
function sectionsByName(elf: ElfFile): ReadonlyMap<string, ElfSection> {
  const byName = new Map<string, ElfSection>();
  for (const section of elf.sections) {
    const holdsData = section.type === SHT.PROGBITS || section.type === SHT.NOBITS;
    const isCode = (section.flags & SHF.EXECINSTR) !== 0;
    if (holdsData && !isCode && !byName.has(section.name)) byName.set(section.name, section);
  }
  return byName;
}

/** The DATASEC with an id of {@link findDataSections}. */
export function dataSectionOf(btf: Btf, id: TypeId): BtfDataSection {
  const type = btf.type(id);
  if (type.kind !== 'datasec') throw new Error(`type ${id} is no DATASEC`);
  return type;
}

/** The VAR that an entry of a DATASEC stands for. */
export function variableTypeOf(btf: Btf, section: BtfDataSection, index: number): BtfVar {
  const type = btf.type((section.vars[index]?.type ?? 0) as TypeId);
  if (type.kind === 'var') return type;
  throw new BpfError({
    code: 'datasec-variable',
    section: section.name,
    index,
    fault: { kind: 'not-a-variable', is: type.kind },
  });
}

/** Offsets that differ from those of the symbols, by index of the variable. */
function symbolOffsets(
  btf: Btf,
  section: BtfDataSection,
  variables: readonly Variable[],
): ReadonlyMap<number, number> {
  const byName = groupByName(variables);
  const offsets = new Map<number, number>();
  section.vars.forEach((entry, index) => {
    const type = btf.type(entry.type);
    // A function in a DATASEC is an extern, whose place is nobody's business.
    if (type.kind !== 'var' || type.linkage === 'extern') return;
    const offset = symbolOffset(type, entry.offset, byName);
    if (offset === undefined) {
      throw new BpfError({
        code: 'datasec-variable',
        section: section.name,
        index,
        fault: { kind: 'no-symbol', name: type.name },
      });
    }
    if (offset !== entry.offset) offsets.set(index, offset);
  });
  return offsets;
}

/** Symbols of one name: the first that other files can see, and all that they cannot. */
interface Named {
  visible: Variable | undefined;
  local: Variable | undefined;
  localCount: number;
}

function groupByName(variables: readonly Variable[]): ReadonlyMap<string, Named> {
  const groups = new Map<string, Named>();
  for (const variable of variables) {
    let named = groups.get(variable.name);
    if (named === undefined) {
      named = { visible: undefined, local: undefined, localCount: 0 };
      groups.set(variable.name, named);
    }
    if (variable.binding !== 'local') named.visible ??= variable;
    else {
      named.local ??= variable;
      named.localCount++;
    }
  }
  return groups;
}

/**
 * Offset of the symbol of a variable. Static ones may have no symbol, or several variables
 * of the same name: then what the DATASEC says stands.
 */
function symbolOffset(
  type: BtfVar,
  recorded: number,
  byName: ReadonlyMap<string, Named>,
): number | undefined {
  const named = byName.get(type.name);
  if (type.linkage !== 'static') return named?.visible?.offset;
  return named?.localCount === 1 ? named.local?.offset : recorded;
}
