// Compares an object specification and its images with what libbpf makes of the object.
import { BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import { disassemble } from '../../src/asm/disassemble.ts';
import { decodeInsns, encodeInsns, type Insns } from '../../src/asm/insns.ts';
import { fromHex, toHex } from '../../src/bytes/hex.ts';
import { adjustMap } from '../../src/loader/maps.ts';
import type { ProgramImage } from '../../src/object/image.ts';
import type { MapSpec, ObjectSpec } from '../../src/object/spec.ts';
import type { CreatedMap, Dump, DumpedMap, DumpedProgram } from './dump.ts';

/** What differs, a sentence each. */
export type Differences = string[];

const host = { pageSize: 4096, cpuCount: 1 };

/** Names that libbpf gives to data sections of these names only as the kernel knows them. */
const plainSections: ReadonlySet<string> = new Set(['.data', '.rodata', '.bss', '.kconfig']);

/** Maps, as they are after opening. */
export function compareMaps(spec: ObjectSpec, dump: Dump): Differences {
  const theirs = dump.maps ?? [];
  const out: Differences = [];
  if (spec.name !== dump.name) out.push(`object is named ${spec.name}, not ${dump.name}`);
  if (spec.maps.length !== theirs.length) {
    out.push(`${spec.maps.length} maps, not ${theirs.length}`);
  }
  theirs.forEach((map, i) => {
    const ours = spec.maps[i];
    if (ours !== undefined) out.push(...compareMap(ours, map));
  });
  return out;
}

function compareMap(ours: MapSpec, theirs: DumpedMap): Differences {
  const out = compareFields(`map ${theirs.name}`, mapFields(ours), dumpedFields(theirs));
  const contents = ours.data?.contents;
  const hex = contents === undefined ? null : toHex(contents);
  if (theirs.contents !== hex) out.push(`map ${theirs.name}: other contents`);
  if (theirs.inner && ours.inner) {
    const inner = `map ${theirs.inner.name}`;
    out.push(...compareFields(inner, mapFields(ours.inner), dumpedFields(theirs.inner)));
  }
  if (Boolean(theirs.inner) !== (ours.inner !== undefined)) {
    out.push(`map ${theirs.name}: only one of us has an inner map`);
  }
  return out;
}

type Fields = Readonly<Record<string, string | number | boolean>>;

function mapFields(map: MapSpec): Fields {
  const isRing = map.type === BPF_MAP_TYPE.RINGBUF || map.type === BPF_MAP_TYPE.USER_RINGBUF;
  const section = map.data?.section;
  return {
    name: section === undefined || !plainSections.has(section) ? map.name : map.kernelName,
    type: map.type,
    keySize: map.keySize,
    valueSize: map.valueSize,
    // libbpf rounds ring buffers when it opens the object, we when we create the map.
    maxEntries: isRing && map.maxEntries > 0 ? adjustMap(map, host).maxEntries : map.maxEntries,
    flags: map.flags,
    numaNode: map.numaNode,
    extra: String(map.extra),
    keyType: map.keyType ?? 0,
    valueType: map.valueType ?? 0,
    internal: map.data !== undefined && map.data.kind !== 'arena',
    pinned: map.pinning === 'by-name',
    autocreate: map.structOps?.autocreate ?? true,
  };
}

function dumpedFields(map: DumpedMap): Fields {
  const { contents: _contents, inner: _inner, ...fields } = map;
  return fields;
}

function compareFields(what: string, ours: Fields, theirs: Fields): Differences {
  return Object.keys(theirs)
    .filter((key) => ours[key] !== theirs[key])
    .map((key) => `${what}: ${key} is ${ours[key]}, not ${theirs[key]}`);
}

/** Programs as declared: names, sections, types, in the same order. */
export function comparePrograms(spec: ObjectSpec, dump: Dump): Differences {
  const fields = (program: {
    readonly name: string;
    readonly section: string;
    readonly type: number | undefined;
    readonly attachType: number;
    readonly autoload: boolean;
  }) =>
    [
      program.name,
      program.section,
      `type ${program.type ?? 0}`,
      `attach type ${program.attachType}`,
      program.autoload ? 'loaded' : 'not loaded',
    ].join(', ');
  // libbpf takes the mark of optional sections off.
  const ours = spec.programs.map((program) =>
    fields({ ...program, section: program.section.replace(/^\?/, '') }),
  );
  const theirs = (dump.declared ?? []).map(fields);
  const count = Math.max(ours.length, theirs.length);
  return Array.from({ length: count }, (_, i) => i)
    .filter((i) => ours[i] !== theirs[i])
    .map((i) => `program ${i} is ${ours[i]}; not ${theirs[i]}`);
}

/** Final instructions, func and line info of every program that is loaded by itself. */
export function compareImages(images: readonly ProgramImage[], dump: Dump): Differences {
  const theirs = (dump.programs ?? []).filter((program) => program.autoload);
  const out: Differences = [];
  if (images.length !== theirs.length) out.push(`${images.length} images, not ${theirs.length}`);
  theirs.forEach((program, i) => {
    const image = images[i];
    if (image === undefined) return;
    out.push(
      ...compareInsns(image, program, dump.created ?? []),
      ...compareTables(image, program, dump),
      ...compareInfo(image, program),
    );
  });
  return out;
}

/** What the kernel is asked to load: types, flags, and what programs attach to. */
export function compareRequests(
  images: readonly ProgramImage[],
  dump: Dump,
  attachIdOf: (image: ProgramImage) => number,
): Differences {
  const theirs = (dump.programs ?? []).filter((program) => program.autoload);
  return theirs.flatMap((program, i) => {
    const image = images[i];
    const { request } = program;
    if (image === undefined || request === null) return [];
    const ours = {
      type: image.type,
      // A callback's is the index of its member in the kernel's struct.
      attachType: image.structOps?.member ?? image.attachType,
      flags: image.flags,
      attachBtfId: attachIdOf(image),
    };
    const { attachProgram: _attachProgram, taken: _taken, ...wanted } = request;
    return compareFields(`program ${program.name}`, ours, wanted);
  });
}

function compareInsns(
  image: ProgramImage,
  theirs: DumpedProgram,
  created: readonly CreatedMap[],
): Differences {
  const other = decodeInsns(fromHex(theirs.insns) ?? new Uint8Array(), {
    littleEndian: true,
    section: 'libbpf',
  });
  const ours = image.insns.slice();
  for (const slot of image.slots) fillSlot(ours, slot, created, other);
  const bytes = encodeInsns(ours, { littleEndian: true });
  return toHex(bytes) === theirs.insns
    ? []
    : [`program ${theirs.name}: ${firstDifference(ours, other)}`];
}

/** The entries of the jump tables that libbpf made for the same instructions. */
function compareTables(image: ProgramImage, theirs: DumpedProgram, dump: Dump): Differences {
  const insns = decodeInsns(fromHex(theirs.insns) ?? new Uint8Array(), {
    littleEndian: true,
    section: 'libbpf',
  });
  return image.slots.flatMap((slot) => {
    if (slot.kind !== 'jump-table') return [];
    const table = dump.tables?.find(({ fd }) => fd === insns.imm[slot.insn]);
    const same = table?.targets.join() === slot.targets.join();
    return same ? [] : [`program ${theirs.name}: other jump table at instruction ${slot.insn}`];
  });
}

/** Descriptors go where libbpf's are: a wrong map is a wrong number then. */
function fillSlot(
  ours: Insns,
  slot: ProgramImage['slots'][number],
  created: readonly CreatedMap[],
  theirs: Insns,
): void {
  switch (slot.kind) {
    case 'map':
    case 'map-value':
      ours.imm[slot.insn] = created[slot.map]?.fd ?? -1;
      return;
    case 'kfunc':
    case 'kernel-variable':
      ours.imm[slot.insn] = slot.type;
      return;
    case 'jump-table':
      // libbpf makes the map at once and tells nobody its descriptor.
      ours.imm[slot.insn] = theirs.imm[slot.insn] ?? -1;
  }
}

function firstDifference(ours: Insns, theirs: Insns): string {
  if (ours.length !== theirs.length) return `${ours.length} instructions, not ${theirs.length}`;
  for (let i = 0; i < ours.length; i++) {
    const hex = (insns: Insns) => toHex(encodeInsns(insns.slice(i, i + 1), { littleEndian: true }));
    if (hex(ours) === hex(theirs)) continue;
    const show = (insns: Insns) => `${hex(insns)} ${disassemble(insns, i)}`;
    return `instruction ${i} is ${show(ours)}, not ${show(theirs)}`;
  }
  return 'instructions differ';
}

function compareInfo(image: ProgramImage, theirs: DumpedProgram): Differences {
  const functions = image.funcInfo.map(({ insn, type }) => [insn, type]);
  const lines = image.lineInfo.map((each) => [
    each.insn,
    each.fileNameOffset,
    each.lineOffset,
    // The kernel's form: line in the upper 22 bits, column in the lower 10.
    ((each.line << 10) | each.column) >>> 0,
  ]);
  const out: Differences = [];
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  if (differs(functions, theirs.funcInfo)) out.push(`program ${theirs.name}: other func info`);
  if (differs(lines, theirs.lineInfo)) out.push(`program ${theirs.name}: other line info`);
  return out;
}

/** The values of the kernel's configuration, as they are when maps are made. */
export function compareKconfig(spec: ObjectSpec, dump: Dump): Differences {
  return spec.maps.flatMap((map, i) => {
    if (map.data?.kind !== 'kconfig') return [];
    const ours = toHex(map.data.contents);
    const theirs = dump.created?.[i]?.kconfig;
    return ours === theirs ? [] : [`map ${map.name}: ${ours}, not ${theirs}`];
  });
}

/** What the kernel has in the slots of maps that were given values in C. */
export function compareSlots(spec: ObjectSpec, dump: Dump): Differences {
  const created = dump.created ?? [];
  return spec.maps.flatMap((map, i) => {
    const theirs = created[i]?.slots ?? [];
    const ours = map.values
      .map((value) => ({ index: value.index, id: slotId(spec, dump, value) }))
      .sort((a, b) => a.index - b.index);
    const same = JSON.stringify(ours) === JSON.stringify(theirs);
    // Programs are in the slots only after they were loaded.
    const comparable = dump.stage === 'loaded' || map.type !== BPF_MAP_TYPE.PROG_ARRAY;
    return same || !comparable ? [] : [`map ${map.name}: other slots`];
  });
}

function slotId(spec: ObjectSpec, dump: Dump, value: MapSpec['values'][number]): number {
  if (value.kind === 'map') return dump.created?.[value.map]?.id ?? 0;
  const at = spec.programs.findIndex((program) => program.function === value.program);
  return dump.programs?.[at]?.id ?? 0;
}
