import { SHF, SHT } from '../elf/constants.ts';
import type { ElfFile } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError } from '../errors.ts';
import type { DataSection } from './spec.ts';

/** What a section is to the loader. */
export type SectionRole =
  | 'code'
  | Exclude<DataSection['kind'], 'kconfig'>
  | 'struct-ops'
  | 'jump-tables'
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
  /** Structs of kernel callbacks: `.struct_ops`, `.struct_ops.link` and both with a `?`. */
  readonly structOps: readonly ElfSection[];
  /** Global variables in an arena. */
  readonly arena: ElfSection | undefined;
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
  const roles: SectionRole[] = [];
  const code: ElfSection[] = [];
  const data: ElfSection[] = [];
  const structOps: ElfSection[] = [];
  const singles = new Map<SectionRole, ElfSection>();
  for (const section of elf.sections) {
    const role = roleOf(section);
    roles.push(role);
    if (role === 'code') code.push(section);
    else if (isData(role)) data.push(section);
    else if (role === 'struct-ops') structOps.push(section);
    else if (role !== 'ignored') {
      if (singles.has(role)) throw duplicate(section);
      singles.set(role, section);
    }
  }
  checkDistinct(code);
  if (structOps.length > 1) checkDistinct(structOps);
  return {
    elf,
    roles,
    code,
    data,
    maps: singles.get('maps'),
    structOps,
    arena: singles.get('arena'),
    btf: singles.get('btf'),
    btfExt: singles.get('btf-ext'),
    license: singles.get('license'),
    version: singles.get('version'),
  };
}

function isData(role: SectionRole): boolean {
  return role === 'data' || role === 'rodata' || role === 'bss';
}

function roleOf(section: ElfSection): SectionRole {
  const { name, type, size } = section;
  if (name === 'maps') {
    throw new BpfError({ code: 'unsupported-section', section: name, reason: legacyMaps });
  }
  if (type === SHT.NOBITS) return size > 0 && hasPrefix(name, '.bss') ? 'bss' : 'ignored';
  if (type !== SHT.PROGBITS) return 'ignored';
  const named = namedRoles.get(name);
  if (named !== undefined) return named;
  if (size === 0) return 'ignored';
  if ((section.flags & SHF.EXECINSTR) !== 0) return 'code';
  if (hasPrefix(name, '.data')) return 'data';
  if (hasPrefix(name, '.rodata')) return 'rodata';
  return optionalRoles.get(name) ?? 'ignored';
}

const namedRoles: ReadonlyMap<string, SectionRole> = new Map([
  ['.maps', 'maps'],
  ['.BTF', 'btf'],
  ['.BTF.ext', 'btf-ext'],
  ['license', 'license'],
  ['version', 'version'],
]);

/** Roles of sections that mean nothing while they are empty. */
const optionalRoles: ReadonlyMap<string, SectionRole> = new Map([
  ['.struct_ops', 'struct-ops'],
  ['.struct_ops.link', 'struct-ops'],
  ['?.struct_ops', 'struct-ops'],
  ['?.struct_ops.link', 'struct-ops'],
  ['.addr_space.1', 'arena'],
  ['.jumptables', 'jump-tables'],
]);

const legacyMaps =
  'definitions as struct bpf_map_def are not supported (nor by libbpf since 1.0); define the maps in SEC(".maps") with __uint() and __type(), in Rust with #[btf_map]';

/** The name itself, or the name followed by a dot and more. */
function hasPrefix(name: string, prefix: string): boolean {
  return name.startsWith(prefix) && (name.length === prefix.length || name[prefix.length] === '.');
}

/** `.BTF.ext` and programs name sections, so a name must stand for one. */
function checkDistinct(sections: readonly ElfSection[]): void {
  const seen = new Set<string>();
  for (const section of sections) {
    if (seen.has(section.name)) throw duplicate(section);
    seen.add(section.name);
  }
}

function duplicate({ name }: ElfSection): BpfError {
  return new BpfError({ code: 'duplicate-section', section: name });
}
