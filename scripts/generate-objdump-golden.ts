// Writes test/asm/objdump.golden: every opcode byte with a spread of fields, as llvm-objdump
// prints it. Run after a change of the cases below: node dist/scripts/generate-objdump-golden.js
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from './paths.ts';

interface Fields {
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

const spread: readonly Fields[] = [
  { dst: 1, src: 0, off: 0, imm: 0 },
  { dst: 1, src: 2, off: 0, imm: 0 },
  { dst: 10, src: 9, off: 5, imm: 0 },
  { dst: 1, src: 2, off: -8, imm: 0 },
  { dst: 0, src: 2, off: -32768, imm: 0 },
  { dst: 3, src: 10, off: 32767, imm: 0 },
  { dst: 1, src: 0, off: 0, imm: 7 },
  { dst: 1, src: 0, off: 0, imm: -7 },
  { dst: 2, src: 0, off: 3, imm: 0x7fffffff },
  { dst: 2, src: 0, off: 3, imm: -0x80000000 },
  { dst: 0, src: 1, off: 0, imm: -1 },
  { dst: 11, src: 11, off: 0, imm: 0 },
  { dst: 12, src: 2, off: 0, imm: 0 },
  { dst: 1, src: 12, off: 0, imm: 0 },
  ...[16, 32, 64].map((imm) => ({ dst: 4, src: 0, off: 0, imm })),
  ...[1, 8, 16, 32].map((off) => ({ dst: 4, src: 5, off, imm: 0 })),
  { dst: 1, src: 2, off: 1, imm: 1 },
  { dst: 1, src: 2, off: 1, imm: 0x10000 },
  { dst: 1, src: 2, off: 1, imm: -0x10000 },
];

const atomicImmediates = [0x01, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1];
const isAtomic = (code: number) => (code & 0xe7) === 0xc3;

function encode(code: number, { dst, src, off, imm }: Fields): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8((src << 4) | dst, 1);
  bytes.writeInt16LE(off, 2);
  bytes.writeInt32LE(imm, 4);
  return bytes;
}

/** `ld_imm64` with each pseudo source, and with values that cross the halves. */
function wideCases(): Buffer[] {
  const second = (imm: number) => encode(0, { dst: 0, src: 0, off: 0, imm });
  const wide = (src: number, low: number, high: number) =>
    Buffer.concat([encode(0x18, { dst: 3, src, off: 0, imm: low }), second(high)]);
  const pseudo = Array.from({ length: 8 }, (_, src) => wide(src, 0x1234, src));
  const values = [
    [0, 0],
    [-1, -1],
    [-1, 0],
    [0, -0x80000000],
    [-2, 0x7fffffff],
  ] as const;
  return [...pseudo, ...values.map(([low, high]) => wide(0, low, high))];
}

function cases(): Buffer[] {
  const out: Buffer[] = wideCases();
  for (let code = 0; code < 256; code++) {
    if (code === 0x18) continue;
    const fields = isAtomic(code)
      ? [0, ...atomicImmediates].flatMap((imm) => [
          { dst: 1, src: 2, off: 0, imm },
          { dst: 10, src: 3, off: -16, imm },
        ])
      : spread;
    out.push(...fields.map((each) => encode(code, each)));
  }
  return out;
}

function objdump(file: string, flags: readonly string[]): string[] {
  const text = execFileSync('llvm-objdump-19', ['-d', ...flags, file], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const rows: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^ +\d+:\t((?:[0-9a-f]{2} ?)+)\t(.*)$/.exec(line);
    // Names of jump targets depend on the case's place in the file.
    if (match !== null) rows.push(`${match[1]}\t${match[2]?.replace(/ <f(\+0x[0-9a-f]+)?>$/, '')}`);
  }
  return rows;
}

const opcode = (line: string) => line.slice(0, 2);
const isUnknown = (line: string) => line.endsWith('\t<unknown>');

const directory = mkdtempSync(join(tmpdir(), 'tsbpf-objdump-'));
try {
  const source = join(directory, 'cases.s');
  const object = join(directory, 'cases.o');
  const bytes = cases().map((each) => `.byte ${[...each].join(',')}`);
  writeFileSync(source, ['.text', '.globl f', 'f:', ...bytes, ''].join('\n'));
  execFileSync('llvm-mc-19', ['-triple=bpfel', '-filetype=obj', source, '-o', object]);
  const plain = objdump(object, []);
  const half = objdump(object, ['--mcpu=v3']);
  const lines = plain.map((line, i) => {
    const other = half[i] ?? '';
    return line === other ? line : `${line}\t|\t${other.slice(other.indexOf('\t') + 1)}`;
  });
  // Most bytes are no opcode at all; one line for each says so.
  const known = new Set(lines.filter((line) => !isUnknown(line)).map(opcode));
  const kept = lines.filter((line, i) => {
    return known.has(opcode(line)) || opcode(line) !== opcode(lines[i - 1] ?? '');
  });
  const golden = join(projectRoot, 'test/asm/objdump.golden');
  writeFileSync(golden, `${[...new Set(kept)].sort().join('\n')}\n`);
  console.log(`${golden}: ${kept.length} instructions`);
} finally {
  rmSync(directory, { recursive: true });
}
