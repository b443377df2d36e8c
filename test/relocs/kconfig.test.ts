import test from 'ava';
import { toHex } from '../../src/bytes/hex.ts';
import { BpfError } from '../../src/errors.ts';
import type { KconfigPlace } from '../../src/object/spec.ts';
import { kconfigBytes, parseKconfig } from '../../src/relocs/kconfig.ts';
import { map } from './specs.ts';

const place = (
  form: KconfigPlace['form'],
  size: number,
  signed = false,
): { readonly name: string; readonly place: KconfigPlace; readonly littleEndian: boolean } => ({
  name: 'CONFIG_X',
  place: { map: map(0), offset: 0, size, form, signed },
  littleEndian: true,
});

const forms = {
  bool: place('bool', 1),
  tristate: place('tristate', 4),
  char: place('char', 1),
  'signed char': place('char', 1, true),
  u8: place('int', 1),
  s8: place('int', 1, true),
  u16: place('int', 2),
  u32: place('int', 4),
  s32: place('int', 4, true),
  u64: place('int', 8),
  text: place('char-array', 4),
} as const;

const values: readonly [form: keyof typeof forms, value: string, hex: string][] = [
  ['bool', 'y', '01'],
  ['bool', 'n', '00'],
  ['bool', '1', '01'],
  ['bool', '0', '00'],
  ['tristate', 'n', '00000000'],
  ['tristate', 'y', '01000000'],
  ['tristate', 'm', '02000000'],
  ['char', 'y', '79'],
  ['char', 'm', '6d'],
  ['char', '200', 'c8'],
  ['signed char', '-1', 'ff'],
  ['u8', '255', 'ff'],
  ['s8', '-128', '80'],
  ['s8', '127', '7f'],
  ['u16', '0xBEEF', 'efbe'],
  ['u32', '010', '08000000'],
  ['u32', ' 7', '07000000'],
  ['s32', '-2147483648', '00000080'],
  ['u64', '0xffffffffffffffff', 'ffffffffffffffff'],
  ['u64', '-1', 'ffffffffffffffff'],
  ['text', '"abc"', '61626300'],
  ['text', '"abcdef"', '61626300'],
  ['text', '""', '00000000'],
];

for (const [form, value, hex] of values) {
  test(`${form} of ${value}`, (t) => {
    t.is(toHex(kconfigBytes(forms[form], value)), hex);
  });
}

const refused: readonly [form: keyof typeof forms, value: string, message: string][] = [
  ['bool', 'm', "has 'm', the variable is a bool: it may be a module"],
  ['bool', '2', "has '2', the variable is a bool: only 0 and 1 fit"],
  ['tristate', '1', 'the variable is a tristate: a number wants an integer'],
  ['u32', 'y', 'the variable is a 4-byte unsigned integer: such a value wants bool'],
  ['u8', '256', 'the variable is a 1-byte unsigned integer: it does not fit'],
  ['u8', '-1', 'it does not fit'],
  ['s8', '128', 'the variable is a 1-byte signed integer: it does not fit'],
  ['s8', '-129', 'it does not fit'],
  ['u32', '4294967296', 'it does not fit'],
  ['u64', '18446744073709551616', 'it has more than 64 bits'],
  ['u64', `0x${'f'.repeat(5000)}`, 'it has more than 64 bits'],
  ['u32', '12 apples', 'it is no number'],
  ['u32', '09', 'it is no number'],
  ['u32', '"text"', 'a text wants an array of char'],
  ['text', '"open', 'the closing quote is missing'],
  ['text', '"', 'the closing quote is missing'],
  ['text', '7', 'the variable is a char array of 4 bytes: a number wants an integer'],
];

for (const [form, value, message] of refused) {
  test(`${form} of ${value.slice(0, 30)} is refused`, (t) => {
    const error = t.throws(() => kconfigBytes(forms[form], value), { instanceOf: BpfError });
    t.is(error?.code, 'kconfig-value');
    t.true(error?.message.startsWith("extern 'CONFIG_X': the kernel configuration has '"));
    t.true(error?.message.includes(message), error?.message);
  });
}

test('big-endian objects get their values in their own byte order', (t) => {
  t.is(toHex(kconfigBytes({ ...forms.u32, littleEndian: false }, '258')), '00000102');
});

test('the first line of a name counts; comments and other lines do not', (t) => {
  const text = '# CONFIG_A is not set\nCONFIG_B=y\nOTHER\nCONFIG_B=n\nCONFIG_C="a=b"\n';
  t.deepEqual(
    [...parseKconfig(text)],
    [
      ['CONFIG_B', 'y'],
      ['CONFIG_C', '"a=b"'],
    ],
  );
});

for (const line of ['CONFIG_A', 'CONFIG_A=']) {
  test(`a line without a value is refused: ${line}`, (t) => {
    t.throws(() => parseKconfig(`# first\n${line}\n`), {
      instanceOf: BpfError,
      message: `kernel configuration, line 2: '${line}' gives no value; write NAME=VALUE, or begin the line with #`,
    });
  });
}

test('hostile names are no confusion of keys', (t) => {
  t.is(parseKconfig('CONFIG_X=y').get('__proto__'), undefined);
});
