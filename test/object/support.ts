// Objects made by hand, for the tests of this folder.
import { encodeInsns, Insns } from '../../src/asm/insns.ts';
import { BpfError } from '../../src/errors.ts';
import { type BuildElf, type BuildSection, codeFlags } from '../elf/elf-builder.ts';
import { BtfBuilder } from './btf-builder.ts';

/** The {@link BpfError} that `work` throws; anything else is a failure of the test. */
export function errorOf(work: () => unknown): BpfError {
  try {
    work();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** One instruction: opcode, destination, source, offset, immediate. */
export type Row = readonly [number, number?, number?, number?, number?];

export const exit: Row = [0x95];
export const nop: Row = [0xb7];
export const loadWide: readonly Row[] = [[0x18, 1], [0]];

/** Encoded instructions. */
export function code(rows: readonly Row[], littleEndian = true): Uint8Array {
  const insns = new Insns(rows.length);
  rows.forEach(([opcode, dst = 0, src = 0, off = 0, imm = 0], i) => {
    insns.code[i] = opcode;
    insns.dst[i] = dst;
    insns.src[i] = src;
    insns.off[i] = off;
    insns.imm[i] = imm;
  });
  return encodeInsns(insns, { littleEndian });
}

/** A section of code. */
export function codeSection(name: string | Uint8Array, rows: readonly Row[]): BuildSection {
  return { name, flags: codeFlags, data: code(rows), alignment: 8n };
}

/** A map in `.maps`: its name, and the type that defines it. */
export interface BuildMap {
  readonly name: string;
  readonly define: (btf: BtfBuilder) => number;
  /** `BTF_VAR_*`: 0 static, 1 global, 2 extern. */
  readonly linkage?: number;
  /** Size of the variable in bytes; 128 if left out. */
  readonly size?: number;
}

/** An object that has maps and nothing else. */
export function objectWithMaps(maps: readonly BuildMap[]): BuildElf {
  const btf = new BtfBuilder();
  btf.int('int', 4);
  let offset = 0;
  const places = maps.map((map) => {
    const at = offset;
    offset += map.size ?? 128;
    return { ...map, offset: at, size: map.size ?? 128 };
  });
  const entries = places.map((map) => {
    const variable = btf.variable(map.name, map.define(btf), map.linkage ?? 1);
    return [variable, map.offset, map.size] as const;
  });
  btf.section('.maps', 0, entries);
  return {
    sections: [
      { name: '.maps', flags: 3n, data: new Uint8Array(offset) },
      { name: '.BTF', data: btf.bytes() },
    ],
    symbols: places.map((map) => ({
      name: map.name,
      type: 1,
      section: 1,
      value: BigInt(map.offset),
      size: BigInt(map.size),
    })),
  };
}
