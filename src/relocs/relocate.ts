import type { InsnIndex, Insns } from '../asm/insns.ts';
import { PSEUDO } from '../asm/opcodes.ts';
import { quoteName } from '../errors/quote.ts';
import { BpfError } from '../errors.ts';
import type { ProgramImage, Slot } from '../object/image.ts';
import type { ExternSpec, InsnRelocation, MapSpec, ObjectSpec } from '../object/spec.ts';
import { callCode, wideCode } from './calls.ts';

/**
 * Immediate of the call that stands for a weak kfunc that the target lacks, plus the extern's
 * number (libbpf's `POISON_CALL_KFUNC_BASE`): no such helper, so the verifier refuses it
 * only where the program can get there.
 */
const poisonedKfunc = 2_002_000_000;

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
  spec: ObjectSpec,
  insns: Insns,
  relocations: readonly InsnRelocation[],
): DataFixups {
  const fixups: DataFixups = { slots: [], poisoned: [] };
  for (const relocation of relocations) {
    checkInsn(insns, relocation);
    applyRelocation(spec, insns, relocation, fixups);
  }
  return fixups;
}

const subjects: { readonly [K in InsnRelocation['kind']]: string } = {
  map: 'map',
  'map-value': 'variable',
  call: 'subprogram',
  'function-address': "subprogram's address",
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
  spec: ObjectSpec,
  insns: Insns,
  relocation: InsnRelocation,
  fixups: DataFixups,
): void {
  const { kind, insn } = relocation;
  switch (kind) {
    case 'map':
      checkMap(spec.maps, insn, relocation.map);
      insns.src[insn] = PSEUDO.MAP_FD;
      insns.imm[insn] = 0;
      fixups.slots.push({ kind, insn, map: relocation.map });
      return;
    case 'map-value':
      checkMap(spec.maps, insn, relocation.map);
      insns.src[insn] = PSEUDO.MAP_VALUE;
      insns.imm[insn] = 0;
      insns.imm[insn + 1] = relocation.offset;
      fixups.slots.push({ kind, insn, map: relocation.map, offset: relocation.offset });
      return;
    case 'function-address':
      insns.src[insn] = PSEUDO.FUNC;
      return;
    case 'call':
      return;
    case 'extern-call':
      poisonKfunc(insns, insn, relocation.extern);
      fixups.poisoned.push({
        insn,
        reason: missingKfunc(requireWeak(spec, insn, relocation.extern)),
      });
      return;
    case 'extern-address':
      requireWeak(spec, insn, relocation.extern);
      insns.setImm64(insn, 0n);
      return;
  }
}

function checkMap(maps: readonly MapSpec[], insn: InsnIndex, index: number): void {
  if (index >= 0 && index < maps.length) return;
  throw new BpfError(
    { code: 'relocation-target', subject: 'map', index, have: maps.length },
    { context: [{ insn }] },
  );
}

/** The extern, which must be one that a program can do without. */
function requireWeak(spec: ObjectSpec, insn: InsnIndex, index: number): ExternSpec {
  const found = spec.externs[index];
  if (found === undefined) {
    throw new BpfError(
      { code: 'relocation-target', subject: 'extern', index, have: spec.externs.length },
      { context: [{ insn }] },
    );
  }
  // A weak kconfig value is read from memory that nobody provides yet, so it is no null pointer.
  if (found.weak && found.kind !== 'kconfig') return found;
  throw new BpfError(
    { code: 'unsupported-extern', name: found.name, kind: found.kind },
    { context: [{ insn }] },
  );
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
