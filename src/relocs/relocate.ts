import type { InsnIndex, Insns } from '../asm/insns.ts';
import { CALL, PSEUDO } from '../asm/opcodes.ts';
import { quoteName } from '../errors/quote.ts';
import { addContext, BpfError } from '../errors.ts';
import type { ProgramImage, Slot } from '../object/image.ts';
import type { ExternSpec, InsnRelocation, MapIndex, ObjectSpec } from '../object/spec.ts';
import { callCode, wideCode } from './calls.ts';
import { missingError, type ResolvedExtern } from './externs.ts';
import { isCreated } from './struct-ops.ts';

/**
 * Immediate of the call that stands for a weak kfunc that the target lacks, plus the extern's
 * number (libbpf's `POISON_CALL_KFUNC_BASE`): no such helper, so the verifier refuses it
 * only where the program can get there.
 */
const poisonedKfunc = 2_002_000_000;

/** The same for a map that is not made, plus its number (`POISON_LDIMM64_MAP_BASE`). */
const poisonedMap = 2_001_000_000;

/** What the relocations of an object need to know besides the object. */
export interface RelocationFacts {
  readonly spec: ObjectSpec;
  /** By the extern's index. */
  readonly externs: readonly ResolvedExtern[];
  /** Where the variables of an arena begin in it, in bytes. */
  arenaOffset(map: MapIndex): number;
}

/** What relocations make of a function apart from its calls: slots to fill, instructions given up. */
export interface DataFixups {
  readonly slots: Slot[];
  readonly poisoned: ProgramImage['poisoned'][number][];
}

/**
 * Applies to `insns`, a copy of a function's instructions, every relocation that is the same
 * in each program that the function is appended to: maps, values of data sections, addresses
 * of functions (marked, distances come with the layout) and externs. The rules are those of
 * libbpf's `bpf_object__relocate_data`.
 */
export function applyDataRelocations(
  facts: RelocationFacts,
  insns: Insns,
  relocations: readonly InsnRelocation[],
): DataFixups {
  const fixups: DataFixups = { slots: [], poisoned: [] };
  for (const relocation of relocations) {
    checkInsn(insns, relocation);
    applyRelocation(facts, insns, relocation, fixups);
  }
  return fixups;
}

const subjects: { readonly [K in InsnRelocation['kind']]: string } = {
  map: 'map',
  'map-value': 'variable',
  call: 'subprogram',
  'function-address': "subprogram's address",
  'jump-table': 'jump table',
  'extern-call': 'kernel function',
  'extern-address': 'kernel variable',
};

function checkInsn(insns: Insns, relocation: InsnRelocation): void {
  const { kind, insn } = relocation;
  const opcode = insns.code[insn];
  const wants = kind === 'call' || kind === 'extern-call' ? 'call' : 'ld_imm64';
  const fits = wants === 'call' ? opcode === callCode : insns.isWide(insn);
  if (fits) return;
  // An `ld_imm64` without its second half is as good as outside.
  const shown = opcode === wideCode ? undefined : opcode;
  throw new BpfError(
    { code: 'relocation-insn', subject: subjects[kind], wants, opcode: shown },
    { context: [{ insn }] },
  );
}

function applyRelocation(
  facts: RelocationFacts,
  insns: Insns,
  relocation: InsnRelocation,
  fixups: DataFixups,
): void {
  const { kind, insn } = relocation;
  switch (kind) {
    case 'map':
    case 'map-value':
      applyMap(facts, insns, relocation, fixups);
      return;
    case 'function-address':
      insns.src[insn] = PSEUDO.FUNC;
      return;
    case 'jump-table':
      setMapValue(insns, insn, relocation.offset);
      fixups.slots.push(relocation);
      return;
    case 'call':
      return;
    case 'extern-call':
      applyCall(facts, insns, relocation, fixups);
      return;
    case 'extern-address':
      applyAddress(facts, insns, relocation, fixups);
      return;
  }
}

function setMapValue(insns: Insns, insn: InsnIndex, offset: number): void {
  insns.src[insn] = PSEUDO.MAP_VALUE;
  insns.imm[insn] = 0;
  insns.imm[insn + 1] = offset;
}

type RelocationOf<K extends InsnRelocation['kind']> = Extract<InsnRelocation, { readonly kind: K }>;

function applyMap(
  { spec, arenaOffset }: RelocationFacts,
  insns: Insns,
  relocation: RelocationOf<'map' | 'map-value'>,
  fixups: DataFixups,
): void {
  const { insn, map: index } = relocation;
  const map = spec.maps[index];
  if (map === undefined) throw noTarget('map', index, spec.maps.length, insn);
  if (!isCreated(map)) {
    poisonMap(insns, insn, index);
    fixups.poisoned.push({ insn, reason: `map ${quoteName(map.name)} is not made` });
  } else if (relocation.kind === 'map') {
    insns.src[insn] = PSEUDO.MAP_FD;
    insns.imm[insn] = 0;
    fixups.slots.push({ kind: 'map', insn, map: index });
  } else {
    const offset = relocation.offset + (map.data?.kind === 'arena' ? arenaOffset(index) : 0);
    setMapValue(insns, insn, offset);
    fixups.slots.push({ kind: 'map-value', insn, map: index, offset });
  }
}

/** Both halves become calls of a helper that does not exist. */
function poisonMap(insns: Insns, insn: InsnIndex, map: number): void {
  for (const at of [insn, insn + 1]) {
    insns.code[at] = callCode;
    insns.dst[at] = 0;
    insns.src[at] = 0;
    insns.off[at] = 0;
    insns.imm[at] = poisonedMap + map;
  }
}

function noTarget(subject: string, index: number, have: number, insn: InsnIndex): BpfError {
  return new BpfError({ code: 'relocation-target', subject, index, have }, { context: [{ insn }] });
}

interface FoundExtern {
  readonly spec: ExternSpec;
  readonly resolved: ResolvedExtern;
}

/** The extern; one that is missing must be one that a program can do without. */
function findExtern(
  { spec, externs }: RelocationFacts,
  { insn, extern: index }: RelocationOf<'extern-call' | 'extern-address'>,
): FoundExtern {
  const found = spec.externs[index];
  const resolved = externs[index];
  if (found === undefined || resolved === undefined) {
    throw noTarget('extern', index, spec.externs.length, insn);
  }
  if (resolved.kind !== 'missing' || found.weak) return { spec: found, resolved };
  throw addContext(missingError(found, resolved.reason), { insn });
}

function applyCall(
  facts: RelocationFacts,
  insns: Insns,
  relocation: RelocationOf<'extern-call'>,
  fixups: DataFixups,
): void {
  const { insn, extern: index } = relocation;
  const { spec, resolved } = findExtern(facts, relocation);
  if (resolved.kind === 'kernel') {
    insns.src[insn] = CALL.KFUNC;
    insns.imm[insn] = 0;
    insns.off[insn] = 0;
    fixups.slots.push({ kind: 'kfunc', insn, ...resolved.entity });
    return;
  }
  poisonKfunc(insns, insn, index);
  fixups.poisoned.push({ insn, reason: missingKfunc(spec) });
}

function applyAddress(
  facts: RelocationFacts,
  insns: Insns,
  relocation: RelocationOf<'extern-address'>,
  fixups: DataFixups,
): void {
  const { insn } = relocation;
  const { resolved } = findExtern(facts, relocation);
  switch (resolved.kind) {
    case 'kconfig': {
      const { map, offset } = resolved.place;
      setMapValue(insns, insn, offset);
      fixups.slots.push({ kind: 'map-value', insn, map, offset });
      return;
    }
    case 'kernel':
      insns.src[insn] = PSEUDO.BTF_ID;
      insns.imm[insn] = 0;
      insns.imm[insn + 1] = 0;
      fixups.slots.push({ kind: 'kernel-variable', insn, ...resolved.entity });
      return;
    case 'address':
      insns.setImm64(insn, resolved.address);
      return;
    case 'missing':
      insns.setImm64(insn, 0n);
  }
}

function poisonKfunc(insns: Insns, insn: InsnIndex, index: number): void {
  insns.dst[insn] = 0;
  insns.src[insn] = 0;
  insns.off[insn] = 0;
  insns.imm[insn] = poisonedKfunc + index;
}

function missingKfunc(found: ExternSpec): string {
  return `the target has no kernel function ${quoteName(found.name)}`;
}
