import test from 'ava';
import fc from 'fast-check';
import { parseBtf } from '../../src/btf/btf.ts';
import { parseBtfExt } from '../../src/btf/ext.ts';
import { Writer } from '../../src/bytes/writer.ts';
import { dataFile, throwsBpfError, withWord } from './support.ts';

const btf = parseBtf(dataFile('shapes.el.btf'), { name: 'shapes' });
const name = 'shapes.o';

for (const order of ['el', 'eb']) {
  test(`func info, line info and CO-RE relocations of a clang object: ${order}`, (t) => {
    const types = parseBtf(dataFile(`shapes.${order}.btf`));
    const ext = parseBtfExt(dataFile(`shapes.${order}.btf-ext`), { btf: types, name });
    const functions = [...ext.funcInfo].map(([section, records]) => [
      section,
      ...records.map((r) => `${r.insnOffset} ${types.nameOf(r.type)}`),
    ]);
    t.deepEqual(functions, [
      ['.text', '0 subprogram', '56 hidden'],
      ['tracepoint/first', '0 first'],
      ['xdp', '0 second'],
    ]);
    const relocations = [...ext.coreRelocations].map(([section, records]) => [
      section,
      ...records.map((r) => `${r.insnOffset} ${types.nameOf(r.type)} ${r.access} ${r.kind}`),
    ]);
    t.deepEqual(relocations, [
      ['.text', '0 node 0:1:0 0', '56 task___old 0:0 0'],
      ['tracepoint/first', '48 node 0:0 0', '56 node 0:1:1:1 0'],
    ]);
    const lines = (ext.lineInfo.get('.text') ?? []).map((r) => [
      r.insnOffset,
      types.string(r.fileNameOffset),
      types.string(r.lineOffset).trim(),
      r.column,
    ]);
    t.deepEqual(lines[0], [0, './shapes.bpf.c', 'return n->number + (int)more + some_color;', 13]);
    t.deepEqual(lines[5], [56, './shapes.bpf.c', 'return t->pid;', 13]);
    t.is(lines.length, 7);
  });
}

/** Records of one section of a part, each longer than known by `extra` bytes. */
function part(size: number, extra: number, sections: readonly (readonly number[][])[]): Uint8Array {
  const out = new Writer({ littleEndian: true }).u32(size + extra);
  const sectionName = btf.nameOffsetOf(btf.find('.bss') ?? btf.find('xdp') ?? (0 as never));
  for (const records of sections) {
    out.u32(sectionName).u32(records.length);
    for (const record of records) {
      for (const word of record) out.u32(word);
      out.bytes(new Uint8Array(extra).fill(0xee));
    }
  }
  return out.finish();
}

function ext(parts: readonly Uint8Array[], headerLength = 32): Uint8Array {
  const out = new Writer({ littleEndian: true }).u16(0xeb9f).u8(1).u8(0).u32(headerLength);
  let at = 0;
  for (let i = 0; i < (headerLength - 8) / 8; i++) {
    out.u32(at).u32(parts[i]?.length ?? 0);
    at += parts[i]?.length ?? 0;
  }
  for (const bytes of parts) out.bytes(bytes);
  return out.finish();
}

test('records longer than known are read, and a section may come twice', (t) => {
  const func = part(8, 4, [[[0, 33]], [[56, 42]]]);
  const core = part(16, 12, [[[8, 2, 0, 3]]]);
  const read = parseBtfExt(ext([func, new Uint8Array(), core]), { btf, name });
  t.deepEqual(read.funcInfo.get('.bss') as unknown, [
    { insnOffset: 0, type: 33 },
    { insnOffset: 56, type: 42 },
  ]);
  t.is(read.lineInfo.size, 0);
  t.deepEqual(read.coreRelocations.get('.bss') as unknown, [
    { insnOffset: 8, type: 2, access: '', kind: 3 },
  ]);
});

test('the CO-RE part is absent where the header is short', (t) => {
  const func = part(8, 0, [[[0, 33]]]);
  const line = part(16, 0, [[[0, 0, 0, (78 << 10) | 13]]]);
  const read = parseBtfExt(ext([func, line], 24), { btf, name });
  t.is(read.coreRelocations.size, 0);
  t.deepEqual(read.lineInfo.get('.bss'), [
    { insnOffset: 0, fileNameOffset: 0, lineOffset: 0, line: 78, column: 13 },
  ]);
});

const sound = ext([
  part(8, 0, [[[0, 33]]]),
  part(16, 0, [[[0, 0, 0, 0]]]),
  part(16, 0, [[[0, 2, 0, 0]]]),
]);
const damages: readonly { title: string; bytes: Uint8Array; code?: 'truncated'; says?: RegExp }[] =
  [
    { title: 'empty', bytes: new Uint8Array(), code: 'truncated' },
    { title: 'magic', bytes: withWord(sound, 0, 0x01001234), says: /starts with 0x1234/ },
    { title: 'version', bytes: withWord(sound, 0, 0x0002eb9f), says: /version 2/ },
    { title: 'flags', bytes: withWord(sound, 0, 0x0101eb9f), says: /flags 1/ },
    { title: 'short header', bytes: withWord(sound, 4, 16), says: /16 bytes are too short/ },
    { title: 'header past the end', bytes: withWord(sound, 4, 0xfffffff0), code: 'truncated' },
    {
      title: 'part past the end',
      bytes: withWord(sound, 12, 0xffffffff),
      says: /end after the section/,
    },
    { title: 'part without record size', bytes: withWord(sound, 12, 2), says: /no record size/ },
    { title: 'part ends in a head', bytes: withWord(sound, 12, 8), says: /inside the head/ },
    { title: 'record size too small', bytes: withWord(sound, 32, 4), says: /record size of 4 / },
    { title: 'record size unaligned', bytes: withWord(sound, 32, 9), says: /multiple of 4/ },
    { title: 'record size huge', bytes: withWord(sound, 32, 0xfffffffc), says: /do not fit/ },
    { title: 'section name', bytes: withWord(sound, 36, 0xffffff), says: /string offset/ },
    { title: 'no records', bytes: withWord(sound, 40, 0), says: /without records/ },
    { title: 'too many records', bytes: withWord(sound, 40, 0xffffffff), says: /do not fit/ },
    { title: 'type id', bytes: withWord(sound, 48, 78), says: /type 78 is not in the BTF/ },
  ];

for (const { title, bytes, code, says } of damages) {
  test(`damaged: ${title}`, (t) => {
    const error = throwsBpfError(t, () => parseBtfExt(bytes, { btf, name }), code ?? 'btf-ext');
    if (says !== undefined) t.regex(error?.message ?? '', says);
  });
}

test('the undamaged form of the above is read', (t) => {
  t.is(parseBtfExt(sound, { btf, name }).lineInfo.size, 1);
});

const recordWords = { func: 2, line: 4, core: 4 } as const;
const word = fc.nat({ max: 0x7fffffff });
const typeId = fc.nat(btf.endId - 1);
const stringOffset = fc.constantFrom(0, btf.nameOffsetOf(btf.find('xdp') ?? (0 as never)));

/** Sections of records, each record as its words. */
function sectionsOf(...words: readonly fc.Arbitrary<number>[]): fc.Arbitrary<number[][][]> {
  const record = fc.tuple(...words);
  return fc.array(fc.array(record, { minLength: 1, maxLength: 4 }), { maxLength: 3 });
}

test('records of any size give the same as the shortest, in either byte order', (t) => {
  const parts = fc.tuple(
    sectionsOf(word, typeId),
    sectionsOf(word, stringOffset, stringOffset, word),
    sectionsOf(word, typeId, stringOffset, word),
  );
  const extras = fc.tuple(fc.nat(64), fc.nat(64), fc.nat(64));
  fc.assert(
    fc.property(parts, extras, fc.constantFrom(32, 40, 96), (all, extra, header) => {
      const written = (more: readonly number[], length: number): Uint8Array =>
        ext(
          Object.values(recordWords).map((words, i) =>
            (all[i] ?? []).length === 0
              ? new Uint8Array()
              : part(4 * words, 4 * (more[i] ?? 0), all[i] ?? []),
          ),
          length,
        );
      const short = parseBtfExt(written([0, 0, 0], 32), { btf, name });
      t.deepEqual(parseBtfExt(written(extra, header), { btf, name }), short);
      const swapped = swappedWords(written(extra, header));
      t.deepEqual(parseBtfExt(swapped, { btf, name }), short);
      const lines = [...short.lineInfo.values()].flat();
      t.deepEqual(
        lines.map(({ line, column }) => line * 1024 + column),
        (all[1] ?? []).flat().map((record) => record[3]),
      );
    }),
    { numRuns: 200 },
  );
});

/** The same in the other byte order: all is words but the first four bytes. */
function swappedWords(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  for (let at = 4; at + 3 < out.length; at += 4) out.subarray(at, at + 4).reverse();
  out.subarray(0, 2).reverse();
  return out;
}
