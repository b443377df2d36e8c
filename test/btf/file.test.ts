// Finding .BTF in files of any kind.
import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import { type ByteSource, findBtf, parseBtfFile } from '../../src/btf/file.ts';
import { BpfError } from '../../src/errors.ts';
import { buildElf } from '../elf/elf-builder.ts';
import { fixture } from '../support/fixtures.ts';
import { dataFile, throwsBpfError } from './support.ts';

function types(
  name: string,
  options: ConstructorParameters<typeof BtfBuilder>[0] = {},
): Uint8Array {
  const builder = new BtfBuilder(options);
  builder.add({ kind: 'int', name, size: 4, signed: true });
  return builder.finish();
}

/** A source that tells which parts were read. */
function watched(bytes: Uint8Array): { source: ByteSource; read: number[] } {
  const read: number[] = [];
  const source = {
    size: bytes.length,
    read(offset: number, length: number): Uint8Array {
      if (offset + length > bytes.length) throw new Error('outside of the file');
      read.push(length);
      return bytes.slice(offset, offset + length);
    },
  };
  return { source, read };
}

for (const littleEndian of [true, false]) {
  test(`an ELF file for another machine, ${littleEndian ? 'little' : 'big'}-endian`, (t) => {
    const btf = types('wanted', { littleEndian });
    const text = { name: '.text', data: new Uint8Array(1 << 20) };
    const sections = [
      text,
      { name: '.BTF.ext', data: Uint8Array.of(1) },
      { name: '.BTF', data: btf },
    ];
    const bytes = buildElf({ littleEndian, type: 2, machine: 22, sections });
    const found = findBtf(bytes, 'vmlinux');
    t.deepEqual(found.btf, btf);
    t.deepEqual(found.ext, Uint8Array.of(1));
    t.is(found.base, undefined);
    t.is(found.pointerSize, 8);
    const parsed = parseBtfFile(bytes, { name: 'vmlinux' });
    t.is(parsed.nameOf(parsed.find('wanted') ?? t.fail()), 'wanted');
    const { source, read } = watched(bytes);
    t.deepEqual(findBtf(source, 'vmlinux').btf, btf);
    t.true(read.reduce((sum, length) => sum + length) < 4096, 'reads what it needs');
  });
}

test('a 32-bit file has pointers of 4 bytes', (t) => {
  const bytes = elf32('\0.BTF\0.strtab\0', types('x'));
  t.is(findBtf(bytes, 'arm').pointerSize, 4);
  t.is(parseBtfFile(bytes, { name: 'arm' }).pointerSize, 4);
});

/** A 32-bit little-endian file with one section of data. */
function elf32(names: string, data: Uint8Array): Uint8Array {
  const strings = new TextEncoder().encode(names);
  const table = 52 + strings.length + data.length;
  const bytes = new Uint8Array(table + 3 * 40);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  bytes.set(strings, 52);
  bytes.set(data, 52 + strings.length);
  view.setUint32(32, table, true);
  view.setUint16(46, 40, true);
  view.setUint16(48, 3, true);
  view.setUint16(50, 2, true);
  const rows = [
    [0, 0, 0, 0],
    [1, 1, 52 + strings.length, data.length],
    [6, 3, 52, strings.length],
  ] as const;
  rows.forEach(([name, type, offset, size], index) => {
    const at = table + 40 * index;
    view.setUint32(at, name, true);
    view.setUint32(at + 4, type, true);
    view.setUint32(at + 16, offset, true);
    view.setUint32(at + 20, size, true);
  });
  return bytes;
}

test('extended numbering: count and index of names are in the first header', (t) => {
  const bytes = buildElf({ sections: [{ name: '.BTF', data: types('x') }] });
  const view = new DataView(bytes.buffer);
  const table = Number(view.getBigUint64(40, true));
  view.setBigUint64(table + 32, BigInt(view.getUint16(60, true)), true);
  view.setUint32(table + 40, view.getUint16(62, true), true);
  view.setUint16(60, 0, true);
  view.setUint16(62, 0xffff, true);
  t.deepEqual(findBtf(bytes, 'many').btf, types('x'));
});

test('raw BTF is the whole file, of either byte order', (t) => {
  for (const littleEndian of [true, false]) {
    const bytes = types('x', { littleEndian });
    t.deepEqual(findBtf(bytes, 'raw').btf, bytes);
    t.is(parseBtfFile(watched(bytes).source, { name: 'raw' }).name, 'raw');
  }
});

function moduleFile(): Uint8Array {
  const base = types('distilled');
  const split = types('mine', { base: parseBtf(base) });
  const sections = [
    { name: '.BTF', data: split },
    { name: '.BTF.base', data: base },
  ];
  return buildElf({ sections });
}

test('a module stands on its own base where none is given', (t) => {
  const btf = parseBtfFile(moduleFile(), { name: 'mod.ko' });
  t.is(btf.base?.name, 'mod.ko (.BTF.base)');
  t.is(Number(btf.find('distilled')), 1);
  t.is(Number(btf.find('mine')), 2);
});

test('a module is put on the base given, which must have the types of its own', (t) => {
  const base = parseBtf(types('distilled'));
  const btf = parseBtfFile(moduleFile(), { name: 'mod.ko', base });
  t.is(btf.base, base);
  t.is(Number(btf.find('mine')), 2);
  const error = t.throws(
    () => parseBtfFile(moduleFile(), { name: 'mod.ko', base: parseBtf(types('not')) }),
    { instanceOf: BpfError },
  );
  t.is(error.code, 'btf-relocate');
});

const packed: readonly (readonly [
  title: string,
  at: number,
  magic: readonly number[],
  says: RegExp,
])[] = [
  [
    'bzImage',
    0x202,
    [0x48, 0x64, 0x72, 0x53],
    /x86 bzImage.*scripts\/extract-vmlinux.*\/sys\/kernel\/btf/,
  ],
  ['arm64', 0x38, [0x41, 0x52, 0x4d, 0x64], /arm64 Image/],
  ['riscv', 0x38, [0x52, 0x53, 0x43, 0x05], /riscv Image/],
  ['zboot', 4, [0x7a, 0x69, 0x6d, 0x67], /EFI zboot image/],
  ['gzip', 0, [0x1f, 0x8b], /is compressed \(gzip\); unpack it first/],
  ['xz', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], /\(xz\)/],
  ['zstd', 0, [0x28, 0xb5, 0x2f, 0xfd], /\(zstd\)/],
];

for (const [title, at, magic, says] of packed) {
  test(`what must be unpacked first: ${title}`, (t) => {
    const bytes = new Uint8Array(0x400);
    bytes.set(magic, at);
    const error = throwsBpfError(t, () => parseBtfFile(bytes, { name: 'boot/x' }), 'btf-file');
    t.regex(error?.message ?? '', says);
    t.true(error?.message.startsWith("'boot/x' is "));
  });
}

test('neither ELF nor BTF', (t) => {
  const text = new TextEncoder().encode('#!/bin/sh\n'.repeat(1000));
  const { source, read } = watched(text);
  throwsBpfError(t, () => parseBtfFile(source, { name: 'x' }), 'btf-magic');
  t.true(read.every((length) => length <= 0x210));
  throwsBpfError(t, () => parseBtfFile(new Uint8Array(), { name: 'x' }), 'truncated');
});

test('a large executable without types', (t) => {
  const node = new Uint8Array(readFileSync(process.execPath));
  const error = throwsBpfError(t, () => findBtf(node, 'node'), 'btf-file');
  t.regex(error?.message ?? '', /no section .BTF.*CONFIG_DEBUG_INFO_BTF/);
});

test('sections that cannot be read', (t) => {
  const squeezed = buildElf({ sections: [{ name: '.BTF', flags: 0x800n, data: types('x') }] });
  t.throws(() => findBtf(squeezed, 'x'), { message: /compressed .BTF.*objcopy/ });
  const empty = buildElf({ sections: [{ name: '.BTF', type: 8, size: 99n }] });
  t.throws(() => findBtf(empty, 'x'), { message: /only the outline/ });
  const stripped = buildElf({ sections: [{ name: '.BTF', data: types('x') }] });
  new DataView(stripped.buffer).setBigUint64(40, 0n, true);
  t.throws(() => findBtf(stripped, 'x'), { message: /table of sections was stripped/ });
});

test('any damage gives types or a BpfError', (t) => {
  const object = fixture('v3/demo');
  const header = fc.tuple(fc.nat(63), fc.nat(255));
  const table = new DataView(object.buffer, object.byteOffset).getBigUint64(40, true);
  const entry = fc.tuple(
    fc.nat(object.length - Number(table) - 1).map((at) => at + Number(table)),
    fc.nat(255),
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(header, entry), { maxLength: 4 }),
      fc.option(fc.nat(object.length)),
      (changes, cut) => {
        const bytes = object.slice(0, cut ?? object.length);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        try {
          parseBtfFile(watched(bytes).source, { name: 'x' });
        } catch (error) {
          t.true(error instanceof BpfError, String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('the types of the test data', (t) => {
  const btf = parseBtfFile(dataFile('shapes.el.btf'), { name: 'shapes' });
  t.true(btf.endId > 50);
});
