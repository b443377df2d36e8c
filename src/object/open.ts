import { type Btf, parseBtf } from '../btf/btf.ts';
import { type BtfExt, parseBtfExt } from '../btf/ext.ts';
import { Cursor } from '../bytes/cursor.ts';
import { decodeText } from '../bytes/text.ts';
import { plainContents, readElf } from '../elf/elf.ts';
import type { ElfSection } from '../elf/elfy.ts';
import { BpfError, withContext } from '../errors.ts';
import { type DataMapsInput, kconfigMap, readDataMaps, withArenaData } from './data.ts';
import { splitExtInfo } from './ext-info.ts';
import { type Externs, readExterns } from './externs.ts';
import { findFunctions } from './functions.ts';
import { readInitialValues } from './initial-values.ts';
import { JumpTableReader } from './jump-tables.ts';
import { type DefinedMap, readMaps } from './maps.ts';
import { objectName } from './names.ts';
import { findPrograms, readFunctions } from './programs.ts';
import { type SectionHandler, SectionHandlers } from './section-handlers.ts';
import { type ObjectSections, sortSections } from './sections.ts';
import type { MapIndex, MapSpec, ObjectSpec, ProgramSpec } from './spec.ts';
import { readStructOps } from './struct-ops.ts';
import { KernelPointerReader, readArgumentTags } from './tags.ts';
import { fixDataSections, indexVariables, type ObjectTypes, surveyTypes } from './variables.ts';

/** Options of opening an object. */
export interface OpenOptions {
  /** Name of the object, in place of the one derived from the file. */
  readonly name?: string | undefined;
  /** Path of the file: its base name gives the object its name, and messages name it. */
  readonly file?: string | undefined;
  /**
   * Pass over members of map definitions that mean nothing, in place of refusing them
   * (libbpf's `relaxed_maps`).
   */
  readonly relaxedMaps?: boolean | undefined;
  /** Meanings of section names that libbpf does not know; those that it knows come first. */
  readonly sectionHandlers?: readonly SectionHandler[] | undefined;
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
    ? readObject(bytes, name, options)
    : withContext({ file }, () => readObject(bytes, name, options));
}

function readObject(bytes: Uint8Array, name: string, options: OpenOptions): ObjectSpec {
  const elf = readElf(bytes);
  const sections = sortSections(elf);
  const variables = indexVariables(elf);
  const surveyed = readTypes(sections);
  const externs = readExterns(elf, surveyed, kconfigMapIndex(sections, surveyed));
  const types = surveyed && fixDataSections(surveyed, elf, variables, externs.kconfig);
  const ext = readExt(sections, types?.btf);
  const functions = findFunctions(sections);
  const maps = readAllMaps({ object: name, sections, types, variables }, externs, options);

  const info = splitExtInfo(ext, sections, functions);
  const code = readFunctions(
    {
      sections,
      functions,
      jumpTables: new JumpTableReader(sections),
      mapsByOffset: maps.byOffset,
      mapsBySection: maps.bySection,
      externs: externs.bySymbol,
    },
    info,
    types === undefined ? new Map() : readArgumentTags(types),
  );
  const programs = findPrograms(code, new SectionHandlers(options.sectionHandlers));
  const isProgram = programTest(programs);
  const targets = {
    sections,
    functions,
    isProgram,
    maps: maps.defined,
    mapsByOffset: maps.byOffset,
  };
  const values = readInitialValues(targets);
  return {
    name,
    littleEndian: elf.littleEndian,
    license: readLicense(sections.license),
    kernelVersion: readVersion(sections.version, elf.littleEndian),
    btf: types?.btf,
    functions: code,
    programs,
    maps: [
      ...withValues(maps.defined, values),
      ...maps.ofSections,
      ...readStructOps({ sections, types, functions, programs }),
    ],
    externs: externs.specs,
  };
}

function readTypes(sections: ObjectSections): ObjectTypes | undefined {
  if (sections.btf === undefined) return undefined;
  return surveyTypes(
    parseBtf(plainContents(sections.btf), { name: sections.btf.name, pointerSize: 8 }),
  );
}

/** The map of `.kconfig` comes after those of `.maps` and of data sections. */
function kconfigMapIndex(sections: ObjectSections, types: ObjectTypes | undefined): MapIndex {
  const definitions = types?.dataSections.get('.maps');
  const defined = definitions === undefined ? 0 : (types?.btf.vlenOf(definitions) ?? 0);
  return (defined + sections.data.length) as MapIndex;
}

/** The maps before their initial values are known, and how code refers to them. */
interface ObjectMaps {
  readonly defined: readonly DefinedMap[];
  /** Of data sections and `.kconfig`. */
  readonly ofSections: readonly MapSpec[];
  readonly byOffset: ReadonlyMap<number, MapIndex>;
  readonly bySection: ReadonlyMap<number, MapIndex>;
}

function readAllMaps(input: DataMapsInput, externs: Externs, options: OpenOptions): ObjectMaps {
  const { sections, types } = input;
  const relaxed = options.relaxedMaps ?? false;
  const plain = sections.maps === undefined ? [] : readMaps(sections.maps, types, relaxed);
  const defined = withArenaData(
    types?.hasTypeTags === true ? withPointers(plain, types) : plain,
    input,
  );
  const data = readDataMaps(input);
  const kconfig = kconfigMap(input, externs);
  const ofSections = data.map((map) => map.spec);
  const bySection = new Map(data.map((map, i) => [map.section, (defined.length + i) as MapIndex]));
  if (sections.arena !== undefined) {
    const arena = defined.findIndex(({ spec }) => spec.data?.kind === 'arena');
    bySection.set(sections.arena.index, arena as MapIndex);
  }
  return {
    defined,
    ofSections: kconfig === undefined ? ofSections : [...ofSections, kconfig],
    byOffset: new Map(defined.map((map, i) => [map.offset, i as MapIndex])),
    bySection,
  };
}

function withPointers(maps: readonly DefinedMap[], { btf }: ObjectTypes): readonly DefinedMap[] {
  const reader = new KernelPointerReader(btf);
  const add = (spec: MapSpec): MapSpec => {
    const pointers = spec.valueType === undefined ? [] : reader.read(spec.valueType);
    const own = pointers.length === 0 ? spec : { ...spec, pointers };
    return own.inner === undefined ? own : { ...own, inner: add(own.inner) };
  };
  return maps.map((map) => ({ ...map, spec: add(map.spec) }));
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
