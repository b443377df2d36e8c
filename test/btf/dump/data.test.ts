// Expected texts are those of libbpf 1.7; scripts/parity-btf.ts compares many more.
import test from 'ava';
import { type Btf, parseBtf } from '../../../src/btf/btf.ts';
import { DataDump, type DataOptions, dumpTypeData } from '../../../src/btf/dump/data.ts';
import { floatText } from '../../../src/btf/dump/float-text.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../../../src/btf/types.ts';
import { fromHex } from '../../../src/bytes/hex.ts';
import { dataFile, throwsBpfError } from '../support.ts';

const shapes = parseBtf(dataFile('shapes.el.btf'));
const layouts = parseBtf(dataFile('layouts.btf'));

function idOf(btf: Btf, name: string, kind: BtfKind): TypeId {
  const id = btf.find(name, kind);
  if (id === undefined) throw new Error(`no ${name}`);
  return id;
}

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}

interface Case {
  readonly name: string;
  readonly kind: BtfKind;
  readonly hex: string;
  readonly options?: DataOptions;
  readonly text: string;
}

const node = `0100000000000000050000006865${'00'.repeat(90)}0000c03f00000000182d4454fb21094001`;

const cases: readonly Case[] = [
  {
    name: 'bits',
    kind: BTF_KIND.STRUCT,
    hex: 'ff00000011223344556677881200000000000000',
    text: `(struct bits){
	.a = (u32)0x7,
	.b = (u32)0x1f,
	.c = (int)0x11,
	.d = (u64)0x1288776655,
}`,
  },
  {
    name: 'bits',
    kind: BTF_KIND.STRUCT,
    hex: 'ff00000011223344556677881200000000000000',
    options: { compact: true, skipNames: true },
    text: '{0x7,0x1f,0x11,0x1288776655,}',
  },
  {
    name: 'node',
    kind: BTF_KIND.STRUCT,
    hex: node,
    text: `(struct node){
	.next = (struct node *)0x1,
	(union){
		.number = (int)5,
		(struct){
			.low = (u8)5,
		},
	},
	.name = (char[16])[
		'h',
		'e',
	],
	.real = (float)1.500000,
	.wide = (double)3.141593,
	.on = (flag)1,
}`,
  },
  {
    name: 'squeezed',
    kind: BTF_KIND.STRUCT,
    hex: '010200000000000000',
    options: { indent: '  ', indentLevel: 1 },
    text: `  (struct squeezed){
    .first = (u8)1,
    .second = (u64)2,
  }`,
  },
  {
    name: 'tagged_t',
    kind: BTF_KIND.TYPEDEF,
    hex: '07000000100000000000000000000000',
    options: { compact: true },
    text: '(tagged_t){.plain = (int)7,}',
  },
  {
    name: 'wide_t',
    kind: BTF_KIND.TYPEDEF,
    hex: '0100000000000000ff00000000000000',
    text: '(wide_t)0xff0000000000000001',
  },
  { name: 'color', kind: BTF_KIND.ENUM, hex: '07000000', text: '(enum color)GREEN' },
  { name: 'color', kind: BTF_KIND.ENUM, hex: '09000000', text: '(enum color)9' },
  {
    name: 'big_signed',
    kind: BTF_KIND.ENUM64,
    hex: 'feffffffffffffff',
    text: '(enum big_signed)-2LL',
  },
  {
    name: 'constant',
    kind: BTF_KIND.VAR,
    hex: '2a00000000000000',
    text: 'static u64 constant = (u64)42',
  },
  {
    name: '.data.custom',
    kind: BTF_KIND.DATASEC,
    hex: '010200000000000000',
    options: { compact: true },
    text: 'SEC(".data.custom") struct squeezed some_squeezed = (struct squeezed){.first = (u8)1,.second = (u64)2,};',
  },
];

for (const { name, kind, hex, options, text } of cases) {
  test(`${name} of ${hex.slice(0, 16)}… with ${JSON.stringify(options ?? {})}`, (t) => {
    const printed = dumpTypeData(shapes, idOf(shapes, name, kind), bytesOf(hex), options);
    t.is(printed.text, text);
    t.is(printed.problem, undefined);
  });
}

test('strings, and all that is zero', (t) => {
  const options = { compact: true, emitStrings: true, emitZeroes: true };
  const { text } = dumpTypeData(
    shapes,
    idOf(shapes, 'node', BTF_KIND.STRUCT),
    bytesOf(node),
    options,
  );
  // No comma behind a string: libbpf's way.
  t.true(
    text.includes('.high = (u8)0,},},.name = (char[16])"he".pointers = (int *[3][2])[[(nil),'),
  );
  t.true(text.includes('.other = (union forward_union *)(nil),.real = (float)1.500000,'));
});

test('members without a name, arrays of arrays', (t) => {
  const hex = `01000000020000000300000004000000${'00'.repeat(28)}05000000`;
  const id = idOf(layouts, 'anonymous', BTF_KIND.STRUCT);
  const { text } = dumpTypeData(layouts, id, bytesOf(hex), { compact: true });
  t.is(
    text,
    '(struct anonymous){(union){(struct){.low = (u32)1,.high = (u32)2,(union)' +
      '{.bytes = (u8[8])[3,4,],.kind = (enum )3,},},.whole = (u64)8589934593,.named = ' +
      '(struct){(struct){(struct){.deepest = (u8)1,},},},},.array = (struct[2][3])[[{.x = 5,},],],}',
  );
});

test('what ends early says why, and how far it came', (t) => {
  const id = idOf(shapes, 'node', BTF_KIND.STRUCT);
  const short = dumpTypeData(shapes, id, bytesOf('010000000000000005000000'), { compact: true });
  t.is(short.problem, 'too-short');
  t.is(
    short.text,
    '(struct node){.next = (struct node *)0x1,(union){.number = (int)5,(struct){.low = (u8)5,},},',
  );
  t.is(dumpTypeData(shapes, 0 as TypeId, new Uint8Array()).problem, 'invalid');
  throwsBpfError(t, () => dumpTypeData(shapes, 9999 as TypeId, new Uint8Array()), 'btf-no-type');
});

test('big-endian values have the same text', (t) => {
  const big = parseBtf(dataFile('shapes.eb.btf'));
  const dump = new DataDump(big);
  const squeezed = idOf(big, 'squeezed', BTF_KIND.STRUCT);
  const options = { compact: true };
  const { text } = dump.print(squeezed, bytesOf('010000000000000002'), options);
  t.is(text, '(struct squeezed){.first = (u8)1,.second = (u64)2,}');
  const bits = idOf(big, 'bits', BTF_KIND.STRUCT);
  t.is(
    dump.print(bits, bytesOf(`e0000001${'00'.repeat(16)}`), options).text.slice(0, 43),
    '(struct bits){.a = (u32)0x7,.b = (u32)0x1,}',
  );
});

/** Bytes as a number, size, text; the same as `printf("%f")`, `"%Lf"` for 16 bytes. */
const floats: readonly (readonly [raw: bigint, size: number, text: string | undefined])[] = [
  [0n, 4, '0.000000'],
  [0x80000000n, 4, '-0.000000'],
  [0x3fc00000n, 4, '1.500000'],
  [0x7f800000n, 4, 'inf'],
  [0xffc00000n, 4, '-nan'],
  [0x00000001n, 4, '0.000000'],
  [0x7f7fffffn, 4, '340282346638528859811704183484516925440.000000'],
  // 2 ** -7 is 0.0078125: half-way, and rounded to even.
  [0x3f80000000000000n, 8, '0.007812'],
  [0x3f88000000000000n, 8, '0.011719'],
  [0x400921fb54442d18n, 8, '3.141593'],
  [0x3ff88000000000000000n, 16, '0.007812'],
  [0x3fffc000000000000000n, 16, '1.500000'],
  [0xbfff8000000000000000n, 16, '-1.000000'],
  [0x7fff8000000000000000n, 16, 'inf'],
  [0n, 2, undefined],
];

for (const [raw, size, text] of floats) {
  test(`0x${raw.toString(16)} of ${size} bytes is ${text}`, (t) => {
    t.is(floatText(raw, size), text);
  });
}
