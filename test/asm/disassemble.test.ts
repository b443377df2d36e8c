import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { disassemble, unknownInsn } from '../../src/asm/disassemble.ts';
import { decodeInsns, Insns } from '../../src/asm/insns.ts';
import { findRow, opcodeRows } from '../../src/asm/opcodes.ts';
import { fromHex } from '../../src/bytes/hex.ts';

interface Case {
  readonly hex: string;
  readonly insns: Insns;
  /** As `llvm-objdump -d` prints it. */
  readonly plain: string;
  /** As `llvm-objdump -d --mcpu=v3` prints it. */
  readonly half: string;
}

function readGolden(): Case[] {
  const text = readFileSync(join(projectRoot, 'test/asm/objdump.golden'), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [hex = '', ...rest] = line.split('\t');
      const [plain = '', half = plain] = rest.join('\t').split('\t|\t');
      const bytes = fromHex(hex) ?? new Uint8Array();
      const insns = decodeInsns(bytes, { littleEndian: true, section: 'golden' });
      return { hex, insns, plain, half };
    });
}

const cases = readGolden();

/** LLVM 19 knows no indirect jump (0x0d) and prints 32-bit atomics as additions unless told a cpu. */
function knownDifference({ insns }: Case, half: boolean): string | undefined {
  if (insns.code[0] === 0x0d) return 'indirect jumps came with LLVM 22';
  if (insns.code[0] === 0xc3 && insns.imm[0] !== 0 && !half) return 'LLVM needs --mcpu=v3 for it';
  return undefined;
}

for (const half of [false, true]) {
  test(`every encoding reads as llvm-objdump prints it${half ? ' for v3' : ''}`, (t) => {
    const wrong = cases.flatMap((each) => {
      if (knownDifference(each, half) !== undefined) return [];
      const text = disassemble(each.insns, 0, { halfRegisters: half });
      const expected = half ? each.half : each.plain;
      return text === expected ? [] : [`${each.hex}: ${text}, not ${expected}`];
    });
    t.deepEqual(wrong, []);
    t.true(cases.length > 2500);
  });
}

test('the goldens cover every row that LLVM 19 knows', (t) => {
  const seen = new Set(
    cases.map(({ insns: { code, src, off, imm } }) => {
      const fields = [code[0], src[0], off[0], imm[0]] as [number, number, number, number];
      return findRow(...fields)?.id;
    }),
  );
  const missing = opcodeRows.filter((row) => !seen.has(row.id)).map((row) => row.operation.kind);
  t.deepEqual(new Set(missing), new Set(['load-acquire', 'store-release']));
});

function one(code: number, dst: number, src: number, off: number, imm: number): Insns {
  const insns = new Insns(1);
  insns.code[0] = code;
  insns.dst[0] = dst;
  insns.src[0] = src;
  insns.off[0] = off;
  insns.imm[0] = imm;
  return insns;
}

const newer: readonly [Insns, string][] = [
  [one(0xd3, 1, 2, 0, 0x100), 'w1 = load_acquire((u8 *)(r2 + 0x0))'],
  [one(0xcb, 1, 2, -4, 0x100), 'w1 = load_acquire((u16 *)(r2 - 0x4))'],
  [one(0xdb, 1, 2, 8, 0x100), 'r1 = load_acquire((u64 *)(r2 + 0x8))'],
  [one(0xc3, 1, 2, 8, 0x110), 'store_release((u32 *)(r1 + 0x8), w2)'],
  [one(0xdb, 1, 2, 8, 0x110), 'store_release((u64 *)(r1 + 0x8), r2)'],
  [one(0x0d, 3, 0, 0, 0), 'gotox r3'],
  [one(0xc3, 1, 2, 0, 0x01), 'w2 = atomic_fetch_add((u32 *)(r1 + 0x0), w2)'],
];

for (const [insns, text] of newer) {
  test(`newer than LLVM 19: ${text}`, (t) => {
    t.is(disassemble(insns, 0), text);
  });
}

test('labels and references take the place of numbers', (t) => {
  t.is(disassemble(one(0x05, 0, 0, -3, 0), 0, { label: (at) => `L${at}` }), 'goto -0x3 <L-2>');
  t.is(disassemble(one(0x85, 0, 0, 0, 1), 0, { reference: () => 'f' }), 'call f');
  const wide = new Insns(2);
  wide.code[0] = 0x18;
  wide.src[0] = 1;
  t.is(disassemble(wide, 0), 'ld_pseudo\tr0, 0x1, 0x0');
  t.is(disassemble(wide, 0, { reference: () => 'counts' }), 'r0 = counts ll');
});

test('half an ld_imm64 and a place outside are unknown', (t) => {
  t.is(disassemble(one(0x18, 1, 0, 0, 0), 0), unknownInsn);
  t.is(disassemble(one(0x95, 0, 0, 0, 0), 1), unknownInsn);
});
