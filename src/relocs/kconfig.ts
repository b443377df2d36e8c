import { BpfError } from '../errors.ts';
import type { KconfigPlace } from '../object/spec.ts';

/**
 * The values of a kernel configuration (`/proc/config.gz`, `/boot/config-*`), by name. The
 * first line of a name counts; lines that do not begin with `CONFIG_` are passed over, as in
 * libbpf's `bpf_object__process_kconfig_line`.
 */
export function parseKconfig(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let number = 0;
  for (const line of text.split('\n')) {
    number++;
    if (!line.startsWith('CONFIG_')) continue;
    const equals = line.indexOf('=');
    const value = line.slice(equals + 1);
    if (equals < 0 || value === '') throw new BpfError({ code: 'kconfig-line', line, number });
    const name = line.slice(0, equals);
    if (!values.has(name)) values.set(name, value);
  }
  return values;
}

/** A kconfig extern: its name and the room for its value. */
export interface KconfigVariable {
  readonly name: string;
  readonly place: KconfigPlace;
  readonly littleEndian: boolean;
}

/**
 * The bytes of a variable for a value as a configuration writes it: `y`, `m` and `n` for bool,
 * tristate and char, quoted text for arrays of characters (cut to fit, with a zero at the end),
 * numbers for integers, characters and, 0 or 1, bool. {@link BpfError} `kconfig-value` where the
 * value does not fit.
 */
export function kconfigBytes(variable: KconfigVariable, value: string): Uint8Array {
  const first = value[0];
  if (first === 'y' || first === 'm' || first === 'n') return stateBytes(variable, first);
  if (first === '"') return textBytes(variable, value);
  return numberBytes(variable, parseNumber(variable, value), value);
}

/** The bytes of a variable for a number, as `LINUX_KERNEL_VERSION` is one. */
export function kconfigNumber(variable: KconfigVariable, value: bigint): Uint8Array {
  return numberBytes(variable, value, `${value}`);
}

/** `enum libbpf_tristate`. */
const tristate = { n: 0n, y: 1n, m: 2n } as const;

function stateBytes(variable: KconfigVariable, state: 'y' | 'm' | 'n'): Uint8Array {
  switch (variable.place.form) {
    case 'bool':
      if (state !== 'm') return encode(variable, state === 'y' ? 1n : 0n);
      throw refuse(variable, state, 'it may be a module; declare it as enum libbpf_tristate');
    case 'tristate':
      return encode(variable, tristate[state]);
    case 'char':
      return encode(variable, BigInt(state.charCodeAt(0)));
    default:
      throw refuse(variable, state, 'such a value wants bool, enum libbpf_tristate or char');
  }
}

function textBytes(variable: KconfigVariable, value: string): Uint8Array {
  const { form, size } = variable.place;
  if (form !== 'char-array') throw refuse(variable, value, 'a text wants an array of char');
  if (value.length < 2 || !value.endsWith('"')) {
    throw refuse(variable, value, 'the closing quote is missing');
  }
  const bytes = new Uint8Array(size);
  // libbpf cuts what is too long and says so; there is always a zero at the end.
  bytes.set(new TextEncoder().encode(value.slice(1, -1)).subarray(0, Math.max(0, size - 1)));
  return bytes;
}

/** `strtoull` with base 0: blanks, a sign, then decimal, octal or hexadecimal digits. */
function parseNumber(variable: KconfigVariable, value: string): bigint {
  const parts = /^\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(value);
  if (parts === null) throw refuse(variable, value, 'it is no number');
  const digits = parts[2] as string;
  const octal = /^0[0-7]+$/.test(digits);
  // Longer than any number of 64 bits: not worth converting.
  const magnitude =
    digits.length > 24 ? 1n << 64n : BigInt(octal ? `0o${digits.slice(1)}` : digits);
  if (magnitude >= 1n << 64n) throw refuse(variable, value, 'it has more than 64 bits');
  return BigInt.asUintN(64, parts[1] === '-' ? -magnitude : magnitude);
}

function numberBytes(variable: KconfigVariable, value: bigint, shown: string): Uint8Array {
  const { form } = variable.place;
  if (form !== 'int' && form !== 'char' && form !== 'bool') {
    throw refuse(variable, shown, 'a number wants an integer');
  }
  if (form === 'bool' && BigInt.asUintN(64, value) > 1n) {
    throw refuse(variable, shown, 'only 0 and 1 fit');
  }
  if (!fits(variable.place, value)) throw refuse(variable, shown, 'it does not fit');
  return encode(variable, value);
}

/** libbpf's `is_kcfg_value_in_range`; `value` is taken as 64 bits. */
function fits({ size, signed }: KconfigPlace, value: bigint): boolean {
  const bits = 8 * size;
  if (bits >= 64) return true;
  const number = BigInt.asUintN(64, value);
  if (!signed) return number >> BigInt(bits) === 0n;
  return BigInt.asUintN(64, number + (1n << BigInt(bits - 1))) < 1n << BigInt(bits);
}

function encode({ place, littleEndian }: KconfigVariable, value: bigint): Uint8Array {
  const bytes = new Uint8Array(place.size);
  for (let i = 0; i < bytes.length; i++) {
    const at = littleEndian ? i : bytes.length - 1 - i;
    bytes[at] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
  return bytes;
}

function refuse({ name, place }: KconfigVariable, value: string, reason: string): BpfError {
  return new BpfError({ code: 'kconfig-value', name, value, type: typeWords(place), reason });
}

function typeWords({ form, size, signed }: KconfigPlace): string {
  switch (form) {
    case 'int':
      return `${size}-byte ${signed ? 'signed' : 'unsigned'} integer`;
    case 'char-array':
      return `char array of ${size} bytes`;
    default:
      return form;
  }
}
