// Hand-made object specs for the tests of relocation and loading.
import { BPF_MAP_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { type InsnIndex, Insns } from '../../src/asm/insns.ts';
import type {
  FunctionIndex,
  FunctionSpec,
  InsnRelocation,
  MapIndex,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
} from '../../src/object/spec.ts';

/** One slot: opcode, dst, src, off, imm; what is left out is 0. */
export type Row = readonly [code: number, dst?: number, src?: number, off?: number, imm?: number];

export const exit: Row = [0x95];
export const nop: Row = [0x05];
/** Call without relocation: distance from the next instruction. */
export const near = (distance: number): Row => [0x85, 0, 1, 0, distance];
/** Call with a relocation. */
export const far: Row = [0x85, 0, 1, 0, -1];
export const wide = (dst: number, src = 0): readonly [Row, Row] => [[0x18, dst, src], [0]];

export function assemble(rows: readonly Row[]): Insns {
  const insns = new Insns(rows.length);
  rows.forEach(([code, dst = 0, src = 0, off = 0, imm = 0], i) => {
    insns.code[i] = code;
    insns.dst[i] = dst;
    insns.src[i] = src;
    insns.off[i] = off;
    insns.imm[i] = imm;
  });
  return insns;
}

export const at = (insn: number) => insn as InsnIndex;
export const fn = (index: number) => index as FunctionIndex;
export const map = (index: number) => index as MapIndex;

export interface FunctionSeed {
  readonly name: string;
  readonly rows: readonly Row[];
  readonly section?: string;
  readonly sectionOffset?: number;
  readonly relocations?: readonly InsnRelocation[];
  /** Gives it one func info record and one line record an instruction, of this type and line. */
  readonly info?: number;
}

export function makeFunction(seed: FunctionSeed): FunctionSpec {
  const { name, rows, info } = seed;
  const insns = assemble(rows);
  const line = (i: number) => ({
    insn: at(i),
    fileNameOffset: 1,
    lineOffset: 2,
    line: (info ?? 0) + i,
    column: 1,
  });
  return {
    name,
    section: seed.section ?? '.text',
    sectionOffset: at(seed.sectionOffset ?? 0),
    binding: 'global',
    hidden: false,
    insns,
    relocations: seed.relocations ?? [],
    coreRelocations: [],
    funcInfo: info === undefined ? [] : [{ insn: at(0), type: info as never }],
    lineInfo: info === undefined ? [] : rows.map((_, i) => line(i)),
  };
}

export function makeProgram(
  name: string,
  index: number,
  more: Partial<ProgramSpec> = {},
): ProgramSpec {
  return {
    name,
    function: fn(index),
    section: 'xdp',
    type: BPF_PROG_TYPE.XDP,
    attachType: 37,
    attachTarget: undefined,
    flags: 0,
    autoload: true,
    ...more,
  };
}

export function makeMap(name: string, more: Partial<MapSpec> = {}): MapSpec {
  return {
    name,
    kernelName: name,
    type: BPF_MAP_TYPE.ARRAY,
    keySize: 4,
    valueSize: 8,
    maxEntries: 1,
    flags: 0,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: undefined,
    pinning: 'none',
    inner: undefined,
    values: [],
    data: undefined,
    ...more,
  };
}

export function makeSpec(
  functions: readonly FunctionSeed[],
  more: Partial<ObjectSpec> = {},
): ObjectSpec {
  return {
    name: 'hand_made',
    littleEndian: true,
    license: 'GPL',
    kernelVersion: 0,
    btf: undefined,
    functions: functions.map(makeFunction),
    programs: [makeProgram(functions[0]?.name ?? 'main', 0)],
    maps: [],
    externs: [],
    ...more,
  };
}
