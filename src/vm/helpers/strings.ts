import { BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { MemoryFault, type Run } from '../machine.ts';
import type { HelperMachine } from './machine.ts';
import {
  argumentU32,
  argumentU64,
  giveNumber,
  type HelperEntries,
  isLittleEndian,
  pointer,
} from './registers.ts';

/** Longest text that the kernel looks at for a number. */
const numberLength = 63;

/** `bpf_strncmp`, `bpf_strtol`, `bpf_strtoul`. */
export function stringHelpers(machine: HelperMachine): HelperEntries {
  return [
    [BPF_FUNC.strncmp, (run) => giveNumber(run, compare(machine, run))],
    [BPF_FUNC.strtol, (run) => giveNumber(run, parse(machine, run, true))],
    [BPF_FUNC.strtoul, (run) => giveNumber(run, parse(machine, run, false))],
  ];
}

/** `bpf_strncmp(s1, size, s2)`: s2 is a string in a read-only map. */
function compare(machine: HelperMachine, run: Run): number {
  const { memory } = machine;
  const size = argumentU32(run, 2);
  const first = pointer(memory, run, 1, size, 'load');
  const second = size === 0 ? 0 : pointer(memory, run, 3, 1, 'load');
  for (let i = 0; i < size; i++) {
    if (second + i >= memory.mainEnd) {
      throw new MemoryFault(second + i, run.cpu.half[7] as number, 1, 'load');
    }
    const a = memory.bytes[first + i] as number;
    const b = memory.bytes[second + i] as number;
    if (a !== b) return a < b ? -1 : 1;
    if (a === 0) return 0;
  }
  return 0;
}

/** `bpf_strto{l,ul}(buffer, size, flags, result)`: characters used, or a negated errno. */
function parse(machine: HelperMachine, run: Run, signed: boolean): number {
  const { memory } = machine;
  const size = argumentU32(run, 2);
  const at = pointer(memory, run, 1, size, 'load');
  const result = pointer(memory, run, 4, 8, 'store');
  const base = argumentU64(run, 3);
  memory.view.setBigUint64(result, 0n);
  if (size === 0 || ![0, 8, 10, 16].includes(base)) return -ERRNO.EINVAL;
  const text = String.fromCharCode(...memory.bytes.subarray(at, at + Math.min(size, 4096)));
  const number = parseNumber(text, base, signed);
  if (typeof number === 'number') return number;
  memory.view.setBigUint64(result, BigInt.asUintN(64, number.value), isLittleEndian(run));
  return number.used;
}

/** A number at the start of a text, by the rules of the kernel's `__bpf_strtoull`. */
export function parseNumber(
  text: string,
  base: number,
  signed: boolean,
): { readonly value: bigint; readonly used: number } | number {
  const start = /^[ \t\n\v\f\r\xa0]*-?/.exec(text)?.[0].length ?? 0;
  const negative = text[start - 1] === '-';
  const digits = text.slice(start, start + numberLength);
  if (digits === '' || (negative && !signed)) return -ERRNO.EINVAL;
  const prefix = base === 0 || base === 16 ? hexPrefix(digits, base) : 0;
  const radix = base !== 0 ? base : prefix > 0 ? 16 : digits.startsWith('0') ? 8 : 10;
  const length = digitsIn(digits.slice(prefix), radix);
  if (length === 0) return -ERRNO.EINVAL;
  const magnitude = toBigInt(digits.slice(prefix, prefix + length), radix);
  if (magnitude >= 1n << 64n) return -ERRNO.ERANGE;
  if (signed && magnitude > (1n << 63n) - (negative ? 0n : 1n)) return -ERRNO.ERANGE;
  return { value: negative ? -magnitude : magnitude, used: start + prefix + length };
}

/** Length of a `0x` that counts: without a base only where a digit follows. */
function hexPrefix(digits: string, base: number): number {
  return (base === 16 ? /^0x/i : /^0x(?=[0-9a-f])/i).test(digits) ? 2 : 0;
}

function digitsIn(text: string, radix: number): number {
  const allowed = radix === 8 ? /^[0-7]*/ : radix === 10 ? /^[0-9]*/ : /^[0-9a-f]*/i;
  return allowed.exec(text)?.[0].length ?? 0;
}

function toBigInt(digits: string, radix: number): bigint {
  const prefix = radix === 8 ? '0o' : radix === 16 ? '0x' : '';
  return BigInt(prefix + digits);
}
