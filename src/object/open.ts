import { type Btf, parseBtf } from '../btf/btf.ts';
import { type BtfExt, parseBtfExt } from '../btf/ext.ts';
import { Cursor } from '../bytes/cursor.ts';
import { decodeText } from '../bytes/text.ts';
import { plainContents, readElf } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError, withContext } from '../errors.ts';
import { readDataMaps } from './data.ts';
import { splitExtInfo } from './ext-info.ts';
import { readExterns } from './externs.ts';
import { findFunctions } from './functions.ts';
import { readInitialValues } from './initial-values.ts';
import { type DefinedMap, readMaps } from './maps.ts';
import { objectName } from './names.ts';
import { findPrograms, readFunctions } from './programs.ts';
import { type ObjectSections, sortSections } from './sections.ts';
import type { MapIndex, MapSpec, ObjectSpec, ProgramSpec } from './spec.ts';
import {
  fixDataSections,
  indexVariables,
  type ObjectTypes,
  type VariableIndex,
} from './variables.ts';

/** Options of opening an object. */
export interface OpenOptions {
  /** Name of the object, in place of the one derived from the file. */
  readonly name?: string | undefined;
  /** Path of the file: its base name gives the object its name, and messages name it. */
  readonly file?: string | undefined;
}

/**
 * Reads a BPF object into data. The same bytes and options give the same value on any
 * machine: nothing of the host is looked at. The specification shares memory with `bytes`
 * (types, contents of data sections), so these must not be changed afterwards.
 *
 * Throws a {@link BpfError} for whatever is wrong with the object, of whatever bytes.
 *
 * @example
 * ```ts
 * const spec = openObject(await readFile('xdp.bpf.o'), { file: 'xdp.bpf.o' });
 * spec.programs.map((program) => program.name);
 * ```
 */
export function openObject(bytes: Uint8Array, options: OpenOptions = {}): ObjectSpec {
  const name = objectName(options.name ?? options.file ?? '') || 'object';
  const { file } = options;
  return file === undefined
    ? readObject(bytes, name)
    : withContext({ file }, () => readObject(bytes, name));
}

function readObject(bytes: Uint8Array, name: string): ObjectSpec {
  const elf = readElf(bytes);
  const sections = sortSections(elf);
  const variables = indexVariables(elf);
  const types = readTypes(sections, variables);
  const ext = readExt(sections, types?.btf);
  const externs = readExterns(elf, types);
  const functions = findFunctions(sections);

  const defined = sections.maps === undefined ? [] : readMaps(sections.maps, types);
  const data = readDataMaps({ object: name, sections, types, variables });
  const mapsByOffset = new Map(defined.map((map, i) => [map.offset, i as MapIndex]));
  const mapsBySection = new Map(
    data.map((map, i) => [map.section, (defined.length + i) as MapIndex]),
  );

  const info = splitExtInfo(ext, sections, functions);
  const code = readFunctions(
    { sections, functions, mapsByOffset, mapsBySection, externs: externs.bySymbol },
    info,
  );
  const programs = findPrograms(functions, code);
  const isProgram = programTest(programs);
  const targets = { sections, functions, isProgram, maps: defined, mapsByOffset };
  const values = readInitialValues(targets);
  return {
    name,
    littleEndian: elf.littleEndian,
    license: readLicense(sections.license),
    kernelVersion: readVersion(sections.version, elf.littleEndian),
    btf: types?.btf,
    functions: code,
    programs,
    maps: [...withValues(defined, values), ...data.map((map) => map.spec)],
    externs: externs.specs,
  };
}

function readTypes(sections: ObjectSections, variables: VariableIndex): ObjectTypes | undefined {
  if (sections.btf === undefined) return undefined;
  const btf = parseBtf(plainContents(sections.btf), { name: sections.btf.name });
  return fixDataSections(btf, sections.elf, variables);
}

/** Without types the other records mean nothing: libbpf then ignores them, too. */
function readExt(sections: ObjectSections, btf: Btf | undefined): BtfExt | undefined {
  if (sections.btfExt === undefined || btf === undefined) return undefined;
  return parseBtfExt(plainContents(sections.btfExt), { btf, name: sections.btfExt.name });
}

function programTest(programs: readonly ProgramSpec[]): (index: number) => boolean {
  const entries = new Set<number>(programs.map((program) => program.function));
  return (index) => entries.has(index);
}

function withValues(
  maps: readonly DefinedMap[],
  values: ReturnType<typeof readInitialValues>,
): readonly MapSpec[] {
  return maps.map(({ spec }, index) => {
    const own = values.get(index);
    return own === undefined ? spec : { ...spec, values: own };
  });
}

/** Characters of a license that libbpf keeps. */
const longestLicense = 63;

/** Up to the first zero byte or the end of the section. */
function readLicense(section: ElfSection | undefined): string {
  if (section === undefined) return '';
  const bytes = plainContents(section).subarray(0, longestLicense);
  const end = bytes.indexOf(0);
  return decodeText(end < 0 ? bytes : bytes.subarray(0, end));
}

function readVersion(section: ElfSection | undefined, littleEndian: boolean): number {
  if (section === undefined) return 0;
  if (section.size !== 4) throw new BpfError({ code: 'version-size', size: section.size });
  return new Cursor(plainContents(section), { littleEndian, section: section.name }).u32();
}
