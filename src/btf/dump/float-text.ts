/** A finite number: `mantissa * 2 ** exponent`. */
interface Binary {
  readonly negative: boolean;
  readonly mantissa: bigint;
  readonly exponent: number;
}

/** A number that is none, or not finite. */
interface Special {
  readonly negative: boolean;
  readonly special: 'inf' | 'nan';
}

/** Sizes of the parts of a floating-point format, in bits. */
interface Format {
  readonly exponentBits: number;
  /** Of the stored part of the mantissa. */
  readonly mantissaBits: number;
  /** Whether the mantissa's leading bit is stored, as in x87's 80 bits. */
  readonly explicitBit: boolean;
}

const formats: ReadonlyMap<number, Format> = new Map([
  [4, { exponentBits: 8, mantissaBits: 23, explicitBit: false }],
  [8, { exponentBits: 11, mantissaBits: 52, explicitBit: false }],
  [16, { exponentBits: 15, mantissaBits: 64, explicitBit: true }],
]);

/**
 * A floating-point number of 4, 8 or 16 bytes (x87's 80 bits) as C's `printf("%f")` prints
 * it: six digits behind the point, rounded to even from the exact value, which
 * `Number.toFixed` is not. Undefined for other sizes.
 *
 * `raw` are the bytes as an unsigned number.
 */
export function floatText(raw: bigint, size: number): string | undefined {
  const format = formats.get(size);
  if (format === undefined) return undefined;
  const value = unpack(raw, format);
  const sign = value.negative ? '-' : '';
  return sign + ('special' in value ? value.special : fixed(value));
}

function unpack(
  raw: bigint,
  { exponentBits, mantissaBits, explicitBit }: Format,
): Binary | Special {
  const stored = BigInt.asUintN(mantissaBits, raw);
  const biased = Number(BigInt.asUintN(exponentBits, raw >> BigInt(mantissaBits)));
  const negative = ((raw >> BigInt(mantissaBits + exponentBits)) & 1n) === 1n;
  const fractionBits = explicitBit ? mantissaBits - 1 : mantissaBits;
  if (biased === 2 ** exponentBits - 1) {
    const isInfinite = BigInt.asUintN(fractionBits, stored) === 0n;
    return { negative, special: isInfinite ? 'inf' : 'nan' };
  }
  const hidden = biased === 0 || explicitBit ? 0n : 1n << BigInt(mantissaBits);
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = Math.max(biased, 1) - bias - fractionBits;
  return { negative, mantissa: stored | hidden, exponent };
}

function fixed({ mantissa, exponent }: Binary): string {
  const millionths = scaled(mantissa * 1_000_000n, exponent);
  const digits = String(millionths).padStart(7, '0');
  return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
}

/** `value * 2 ** exponent` as an integer, halves to the even one. */
function scaled(value: bigint, exponent: number): bigint {
  if (exponent >= 0) return value << BigInt(exponent);
  const shift = BigInt(-exponent);
  const quotient = value >> shift;
  const rest = value - (quotient << shift);
  const half = 1n << (shift - 1n);
  const up = rest > half || (rest === half && (quotient & 1n) === 1n);
  return up ? quotient + 1n : quotient;
}
