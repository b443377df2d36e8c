import { SHF, SHT } from '../elf/constants.ts';
import type { ElfFile } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError } from '../errors.ts';
import type { DataSection } from './spec.ts';

/** What a section is to the loader. */
export type SectionRole =
  | 'code'
  | Exclude<DataSection['kind'], 'kconfig'>
  | 'maps'
  | 'btf'
  | 'btf-ext'
  | 'license'
  | 'version'
  | 'ignored';

/** The sections of an object by what they are for. */
export interface ObjectSections {
  readonly elf: ElfFile;
  /** Roles by section index. */
  readonly roles: readonly SectionRole[];
  /** Executable sections with contents, in file order. */
  readonly code: readonly ElfSection[];
  /** Non-empty data sections, in file order. */
  readonly data: readonly ElfSection[];
  readonly maps: ElfSection | undefined;
  readonly btf: ElfSection | undefined;
  readonly btfExt: ElfSection | undefined;
  readonly license: ElfSection | undefined;
  readonly version: ElfSection | undefined;
}

/**
 * Sorts the sections of an object as libbpf's `bpf_object__elf_collect` does: by exact name,
 * by the prefixes `.data.`, `.rodata.` and `.bss.`, by being executable. Debug information
 * and what else is not known is left alone; what would change the meaning of the object if
 * it were left out is refused.
 */
export function sortSections(elf: ElfFile): ObjectSections {
  const roles = elf.sections.map(roleOf);
  const withRole = (wanted: (role: SectionRole | undefined) => boolean) =>
    elf.sections.filter((section) => wanted(roles[section.index]));
  const one = (role: SectionRole) => onlyOne(withRole((other) => other === role));
  const code = withRole((role) => role === 'code');
  checkDistinct(code);
  return {
    elf,
    roles,
    code,
    data: withRole(isData),
    maps: one('maps'),
    btf: one('btf'),
    btfExt: one('btf-ext'),
    license: one('license'),
    version: one('version'),
  };
}

function isData(role: SectionRole | undefined): boolean {
  return role === 'data' || role === 'rodata' || role === 'bss';
}

/** True where variables of section `index` live in a map of their own. */
export function isDataSection(sections: ObjectSections, index: number): boolean {
  return isData(sections.roles[index]);
}

function roleOf(section: ElfSection): SectionRole {
  const { name, type, size } = section;
  if (type === SHT.NOBITS) return size > 0 && hasPrefix(name, '.bss') ? 'bss' : 'ignored';
  if (type !== SHT.PROGBITS) return 'ignored';
  const named = namedRoles.get(name);
  if (named !== undefined) return named;
  const refusal = refused.get(name);
  if (refusal !== undefined) {
    throw new BpfError({ code: 'unsupported-section', section: name, reason: refusal });
  }
  if (size === 0) return 'ignored';
  if ((section.flags & SHF.EXECINSTR) !== 0) return 'code';
  if (hasPrefix(name, '.data')) return 'data';
  if (hasPrefix(name, '.rodata')) return 'rodata';
  return 'ignored';
}

const namedRoles: ReadonlyMap<string, SectionRole> = new Map([
  ['.maps', 'maps'],
  ['.BTF', 'btf'],
  ['.BTF.ext', 'btf-ext'],
  ['license', 'license'],
  ['version', 'version'],
]);

const structOps = 'struct_ops maps are not supported yet';

const refused: ReadonlyMap<string, string> = new Map([
  [
    'maps',
    'definitions as struct bpf_map_def are not supported (nor by libbpf since 1.0); define the maps in SEC(".maps") with __uint() and __type()',
  ],
  ['.struct_ops', structOps],
  ['.struct_ops.link', structOps],
  ['?.struct_ops', structOps],
  ['?.struct_ops.link', structOps],
  ['.addr_space.1', 'global variables in an arena are not supported yet'],
  ['.jumptables', 'indirect jumps are not supported yet; compile with -fno-jump-tables'],
]);

/** The name itself, or the name followed by a dot and more. */
function hasPrefix(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && (name.length === prefix.length || name[prefix.length] === '.');
}

function onlyOne(sections: readonly ElfSection[]): ElfSection | undefined {
  checkDistinct(sections);
  return sections[0];
}

/** `.BTF.ext` and programs name sections, so a name must stand for one. */
function checkDistinct(sections: readonly ElfSection[]): void {
  const seen = new Set<string>();
  for (const { name } of sections) {
    if (seen.has(name)) throw new BpfError({ code: 'duplicate-section', section: name });
    seen.add(name);
  }
}
