// Types and instructions for tests of CO-RE, in few words.
import { type InsnIndex, Insns } from '../../../src/asm/insns.ts';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfMember } from '../../../src/btf/encode.ts';
import type { TypeId } from '../../../src/btf/types.ts';
import type { CoreRelocation, CoreReloKind } from '../../../src/object/spec.ts';
import {
  applyCore,
  type CoreFunction,
  type CorePlan,
  planCore,
} from '../../../src/relocs/core/index.ts';

/** A member: name, type, offset in bits and, for a bit field, width in bits. */
export type Member = readonly [name: string, type: TypeId, bitOffset: number, bitSize?: number];

/** A builder that knows the common types. */
export class Types {
  readonly builder: BtfBuilder;
  readonly int: TypeId;
  readonly unsigned: TypeId;
  readonly char: TypeId;
  readonly long: TypeId;
  readonly pointer: TypeId;

  constructor(options: { littleEndian?: boolean; longSize?: number; base?: Btf } = {}) {
    const { longSize = 8, ...rest } = options;
    this.builder = new BtfBuilder(rest);
    this.int = this.number('int', 4, true);
    this.unsigned = this.number('unsigned int', 4, false);
    this.char = this.number('char', 1, true);
    this.long = this.number('unsigned long', longSize, false);
    this.pointer = this.to(0 as TypeId);
  }

  number(name: string, size: number, signed: boolean): TypeId {
    return this.builder.add({ kind: 'int', name, size, signed });
  }

  to(target: TypeId): TypeId {
    return this.builder.add({ kind: 'ptr', target });
  }

  typedef(name: string, target: TypeId): TypeId {
    return this.builder.add({ kind: 'typedef', name, target });
  }

  array(element: TypeId, length: number): TypeId {
    return this.builder.add({ kind: 'array', element, index: this.unsigned, length });
  }

  struct(name: string, size: number, ...members: Member[]): TypeId {
    return this.builder.add({ kind: 'struct', name, size, members: members.map(newMember) });
  }

  union(name: string, size: number, ...members: Member[]): TypeId {
    return this.builder.add({ kind: 'union', name, size, members: members.map(newMember) });
  }

  enum(name: string, values: Readonly<Record<string, bigint>>, signed = false): TypeId {
    return this.builder.add({ kind: 'enum', name, signed, values: enumerators(values) });
  }

  enum64(name: string, values: Readonly<Record<string, bigint>>, signed = false): TypeId {
    return this.builder.add({ kind: 'enum64', name, signed, values: enumerators(values) });
  }

  proto(returns: TypeId, ...params: TypeId[]): TypeId {
    const named = params.map((type) => ({ type }));
    return this.builder.add({ kind: 'func-proto', returns, params: named });
  }

  parse(name: string, base?: Btf): Btf {
    return parseBtf(this.builder.finish(), { name, base });
  }
}

function newMember([name, type, bitOffset, bitSize = 0]: Member): NewBtfMember {
  return { name, type, bitOffset, bitSize };
}

function enumerators(
  values: Readonly<Record<string, bigint>>,
): { readonly name: string; readonly value: bigint }[] {
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

/** One instruction slot: opcode, registers, offset, immediate. */
export type Slot = readonly [code: number, dst: number, src: number, off: number, imm: number];

export const mov = (imm: number): Slot => [0xb7, 1, 0, 0, imm];
export const load = (bytes: 1 | 2 | 4 | 8, off: number): Slot => [
  { 1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79 }[bytes],
  1,
  2,
  off,
  0,
];
export const storeRegister = (off: number): Slot => [0x63, 1, 2, off, 0];
export const storeImmediate = (off: number, imm: number): Slot => [0x62, 1, 0, off, imm];
export const wide = (value: bigint): readonly Slot[] => [
  [0x18, 1, 0, 0, Number(BigInt.asIntN(32, value))],
  [0, 0, 0, 0, Number(BigInt.asIntN(32, value >> 32n))],
];
export const exit: Slot = [0x95, 0, 0, 0, 0];

export function insnsOf(...slots: readonly Slot[]): Insns {
  const insns = new Insns(slots.length);
  slots.forEach(([code, dst, src, off, imm], at) => {
    insns.code[at] = code;
    insns.dst[at] = dst;
    insns.src[at] = src;
    insns.off[at] = off;
    insns.imm[at] = imm;
  });
  return insns;
}

export function slotAt(insns: Insns, at: number): Slot {
  return [
    insns.code[at] as number,
    insns.dst[at] as number,
    insns.src[at] as number,
    insns.off[at] as number,
    insns.imm[at] as number,
  ];
}

export function relocation(
  kind: CoreReloKind,
  type: TypeId,
  access: string,
  insn = 0,
): CoreRelocation {
  return { kind, type, access, insn: insn as InsnIndex };
}

/** A function whose relocations are all at its first instruction. */
export function functionOf(insns: Insns, ...coreRelocations: CoreRelocation[]): CoreFunction {
  return { name: 'prog', insns, coreRelocations, lineInfo: [] };
}

/** The plan of one relocation at one instruction. */
export function planOne(
  local: Btf,
  targets: readonly Btf[],
  reloc: CoreRelocation,
  insns: Insns,
): CorePlan {
  const functions = [functionOf(insns, reloc)];
  return planCore({ local, targets, functions, explain: true })[0] as CorePlan;
}

/** The instructions after one relocation at the first. */
export function relocated(
  local: Btf,
  targets: readonly Btf[],
  reloc: CoreRelocation,
  insns: Insns,
): Insns {
  const out = insns.slice();
  applyCore(out, [planOne(local, targets, reloc, insns)]);
  return out;
}
