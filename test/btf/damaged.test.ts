import test from 'ava';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder, type NewBtfType } from '../../src/btf/encode.ts';
import { parseBtfExt } from '../../src/btf/ext.ts';
import { alignOf, childIds, essentialName, sizeOf, typeToString } from '../../src/btf/graph.ts';
import { BTF_KIND, type TypeId } from '../../src/btf/types.ts';
import { BpfError, type BpfErrorCode } from '../../src/errors.ts';
import { Random } from '../fuzz/random.ts';
import { dataFile, throwsBpfError, withWord } from './support.ts';

const shapes = dataFile('shapes.el.btf');
const shapesExt = dataFile('shapes.el.btf-ext');
const stringStart = 24 + new DataView(shapes.buffer).getUint32(16, true);

/** One type of these bytes, whose words can be changed: the header has 24 bytes. */
function one(type: NewBtfType): Uint8Array {
  const builder = new BtfBuilder();
  builder.add(type);
  return builder.finish();
}

const id = 1 as TypeId;
const int = one({ kind: 'int', name: 'int', size: 4 });
const array = one({ kind: 'array', element: id, index: id, length: 1 });
const struct = one({
  kind: 'struct',
  name: 's',
  size: 4,
  members: [{ name: 'm', type: id, bitOffset: 0 }],
});
const proto = one({ kind: 'func-proto', returns: id, params: [{ name: 'p', type: id }] });
const enumeration = one({ kind: 'enum', name: 'e', values: [{ name: 'V', value: 1n }] });
const section = one({
  kind: 'datasec',
  name: 'd',
  size: 4,
  vars: [{ type: id, offset: 0, size: 4 }],
});
const variable = one({ kind: 'var', name: 'v', type: id, linkage: 'global' });
const func = one({ kind: 'func', name: 'f', proto: id, linkage: 'global' });
const float = one({ kind: 'float', name: 'f', size: 8 });
const pointer = one({ kind: 'ptr', target: id });

interface Damage {
  readonly title: string;
  readonly bytes: Uint8Array;
  readonly code: BpfErrorCode;
  readonly says?: RegExp;
}

const header: readonly Damage[] = [
  { title: 'empty', bytes: new Uint8Array(), code: 'truncated' },
  { title: 'one byte', bytes: Uint8Array.of(0x9f), code: 'truncated' },
  { title: 'magic alone', bytes: Uint8Array.of(0x9f, 0xeb), code: 'truncated' },
  {
    title: 'magic',
    bytes: withWord(shapes, 0, 0x0001464c),
    code: 'btf-magic',
    says: /0x464c instead of 0xeb9f/,
  },
  {
    title: 'version',
    bytes: withWord(shapes, 0, 0x0002eb9f),
    code: 'btf-header',
    says: /version 2/,
  },
  { title: 'flags', bytes: withWord(shapes, 0, 0x8001eb9f), code: 'btf-header', says: /flags 128/ },
  { title: 'short header', bytes: withWord(shapes, 4, 20), code: 'btf-header', says: /hdr_len 20/ },
  { title: 'huge header', bytes: withWord(shapes, 4, 0xffffffff), code: 'truncated' },
  {
    title: 'types outside',
    bytes: withWord(shapes, 12, 0xfffffff0),
    code: 'btf-section',
    says: /type section/,
  },
  {
    title: 'types at the end of numbers',
    bytes: withWord(shapes, 8, 0xfffffffc),
    code: 'btf-section',
  },
  {
    title: 'types misaligned',
    bytes: withWord(shapes, 8, 2),
    code: 'btf-section',
    says: /not aligned/,
  },
  {
    title: 'types over strings',
    bytes: withWord(shapes, 12, shapes.length - 24),
    code: 'btf-section',
    says: /overlaps the string/,
  },
  {
    title: 'types cut',
    bytes: withWord(int, 12, 15),
    code: 'btf-section',
    says: /cut inside a type/,
  },
  {
    title: 'strings outside',
    bytes: withWord(shapes, 20, 0x7fffffff),
    code: 'btf-section',
    says: /string section/,
  },
  {
    title: 'strings over types',
    bytes: withWord(shapes, 16, 0),
    code: 'btf-section',
    says: /overlaps/,
  },
  { title: 'no strings', bytes: withWord(shapes, 20, 0), code: 'btf-section', says: /is empty/ },
  {
    title: 'strings without end',
    bytes: shapes.with(shapes.length - 1, 0x61),
    code: 'btf-section',
    says: /no zero byte at its end/,
  },
  {
    title: 'strings without start',
    bytes: shapes.with(stringStart, 0x61),
    code: 'btf-section',
    says: /start with the empty string/,
  },
  { title: 'truncated file', bytes: shapes.subarray(0, shapes.length - 1), code: 'btf-section' },
];

const types: readonly Damage[] = [
  {
    title: 'kind 0',
    bytes: withWord(pointer, 28, 0),
    code: 'btf-unknown-kind',
    says: /type 1 at offset 0 .* kind 0/,
  },
  { title: 'kind 20', bytes: withWord(pointer, 28, 20 << 24), code: 'btf-unknown-kind' },
  { title: 'kind 127', bytes: withWord(pointer, 28, 0x7f000000), code: 'btf-unknown-kind' },
  {
    title: 'name of a type',
    bytes: withWord(int, 24, 6),
    code: 'btf-name-offset',
    says: /name at offset 6, the strings end at 5/,
  },
  { title: 'name of a member', bytes: withWord(struct, 36, 0x80000000), code: 'btf-name-offset' },
  { title: 'name of a parameter', bytes: withWord(proto, 36, 99), code: 'btf-name-offset' },
  { title: 'name of an enumerator', bytes: withWord(enumeration, 36, 99), code: 'btf-name-offset' },
  {
    title: 'members beyond the end',
    bytes: withWord(struct, 28, (BTF_KIND.STRUCT << 24) | 0xffffff),
    code: 'btf-type-truncated',
    says: /wants 201326592 bytes, the type section has 24 left/,
  },
  {
    title: 'parameters beyond the end',
    bytes: withWord(proto, 28, (BTF_KIND.FUNC_PROTO << 24) | 2),
    code: 'btf-type-truncated',
  },
  {
    title: 'enumerators beyond the end',
    bytes: withWord(enumeration, 28, (BTF_KIND.ENUM << 24) | 2),
    code: 'btf-type-truncated',
  },
  {
    title: 'a fragment at the end',
    bytes: withWord(struct, 28, BTF_KIND.STRUCT << 24),
    code: 'btf-unknown-kind',
  },
  { title: 'integer of 3 bytes', bytes: withWord(int, 32, 3), code: 'btf-invalid-type' },
  { title: 'integer of 0 bytes', bytes: withWord(int, 32, 0), code: 'btf-invalid-type' },
  { title: 'integer of 2 GiB', bytes: withWord(int, 32, 0x80000000), code: 'btf-invalid-type' },
  {
    title: 'integer with too many bits',
    bytes: withWord(int, 36, 33),
    code: 'btf-invalid-type',
    says: /33 bits in an integer of 4 bytes/,
  },
  {
    title: 'integer shifted out',
    bytes: withWord(int, 36, (1 << 16) | 32),
    code: 'btf-invalid-type',
  },
  { title: 'integer encoding', bytes: withWord(int, 36, 0x08000020), code: 'btf-invalid-type' },
  { title: 'enum of 3 bytes', bytes: withWord(enumeration, 32, 3), code: 'btf-invalid-type' },
  { title: 'float of 3 bytes', bytes: withWord(float, 32, 3), code: 'btf-invalid-type' },
  {
    title: 'linkage of a function',
    bytes: withWord(func, 28, (BTF_KIND.FUNC << 24) | 3),
    code: 'btf-invalid-type',
  },
  { title: 'linkage of a variable', bytes: withWord(variable, 36, 3), code: 'btf-invalid-type' },
];

const references: readonly Damage[] = [
  {
    title: 'pointer',
    bytes: withWord(pointer, 32, 2),
    code: 'btf-reference',
    says: /type 1 refers to type 2, the last is 1/,
  },
  { title: 'function', bytes: withWord(func, 32, 2), code: 'btf-reference' },
  { title: 'variable', bytes: withWord(variable, 32, 2), code: 'btf-reference' },
  { title: 'element', bytes: withWord(array, 36, 0xffffffff), code: 'btf-reference' },
  { title: 'index', bytes: withWord(array, 40, 2), code: 'btf-reference' },
  { title: 'member', bytes: withWord(struct, 40, 2), code: 'btf-reference' },
  { title: 'return value', bytes: withWord(proto, 32, 2), code: 'btf-reference' },
  { title: 'parameter', bytes: withWord(proto, 40, 2), code: 'btf-reference' },
  { title: 'variable of a section', bytes: withWord(section, 36, 2), code: 'btf-reference' },
];

for (const [of, damages] of Object.entries({ header, type: types, reference: references })) {
  for (const { title, bytes, code, says } of damages) {
    test(`damaged ${of}: ${title}`, (t) => {
      const error = throwsBpfError(t, () => parseBtf(bytes, { name: 'x.o' }), code);
      t.regex(error?.message ?? '', /'x\.o'/);
      if (says !== undefined) t.regex(error?.message ?? '', says);
    });
  }
}

test('a BTF cut anywhere is an error', (t) => {
  for (let length = 0; length < shapes.length; length++) {
    t.throws(() => parseBtf(shapes.subarray(0, length)), { instanceOf: BpfError });
  }
});

test('a name cannot forge messages', (t) => {
  const name = "a'\x1b[2J\n";
  const btf = parseBtf(one({ kind: 'typedef', name, target: id }), { name });
  const error = throwsBpfError(t, () => sizeOf(btf, id), 'btf-reference-chain');
  t.is(
    error?.message,
    String.raw`BTF 'a\'\x1b[2J\n': type 1 ('a\'\x1b[2J\n') leads through more than 256 references, or in a circle`,
  );
});

/** Changes a few bytes or aligned words, to random or to awkward values. */
function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  const out = bytes.slice();
  const view = new DataView(out.buffer);
  for (let left = 1 + random.below(4); left > 0; left--) {
    if (random.once(3)) out[random.below(out.length)] = random.u32();
    else {
      const at = random.below(Math.floor(out.length / 4)) * 4;
      const near = view.getUint32(at, true) + random.below(9) - 4;
      view.setUint32(
        at,
        random.pick([near, random.u32(), 0, 1, 0xffffffff, random.below(80)]),
        true,
      );
    }
  }
  return random.once(8) ? out.subarray(0, random.below(out.length + 1)) : out;
}

/** Asks everything that can be asked. */
function exercise(bytes: Uint8Array, ext: Uint8Array): void {
  const btf = parseBtf(bytes);
  for (let i = 0; i < btf.endId; i++) {
    const of = i as TypeId;
    const name = btf.nameOf(of);
    childIds(btf.type(of)).every((child) => btf.type(child));
    btf.find(name);
    btf.findEssential(essentialName(name));
    typeToString(btf, of);
    tolerate(() => sizeOf(btf, of));
    tolerate(() => alignOf(btf, of));
  }
  readExt(ext, btf);
}

function readExt(ext: Uint8Array, btf: Btf): void {
  const read = parseBtfExt(ext, { btf, name: 'x' });
  for (const records of read.lineInfo.values()) for (const r of records) btf.string(r.lineOffset);
}

function tolerate(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof BpfError) return false;
    throw error;
  }
}

test('3000 seeded mutations give a value or a BpfError', (t) => {
  let read = 0;
  for (let i = 0; i < 3000; i++) {
    const random = new Random(0xb7f, i);
    const bytes = random.once(4) ? shapes : mutate(shapes, random);
    const ext = random.once(2) ? shapesExt : mutate(shapesExt, random);
    t.notThrows(() => {
      if (tolerate(() => exercise(bytes, ext))) read++;
    }, `mutation ${i}`);
  }
  t.true(read > 100 && read < 2500, `${read} were read`);
});

test('names that begin all along one long string cost no more than their number', (t) => {
  const builder = new BtfBuilder();
  const length = 300_000;
  builder.add({ kind: 'fwd', name: 'a___'.repeat(length / 4), of: 'struct' });
  for (let i = 0; i < length; i++) builder.add({ kind: 'fwd', name: 'x', of: 'struct' });
  const bytes = builder.finish();
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < length; i++) view.setUint32(24 + 12 * i, 1 + (i % length), true);
  const btf = parseBtf(bytes);
  const before = performance.now();
  t.is(btf.find('a___a'), undefined);
  t.is(btf.find('x'), (length + 1) as TypeId);
  t.is(btf.findEssential('a___a').length, 1);
  t.true(performance.now() - before < 1000);
});
