import {
  BPF_F_HDR_FIELD_MASK,
  BPF_F_MARK_ENFORCE,
  BPF_F_MARK_MANGLED_0,
  BPF_F_PSEUDO_HDR,
  BPF_FUNC,
} from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { Run } from '../machine.ts';
import {
  foldTo16,
  replaceByDifference,
  replaceShort,
  replaceWord,
  subtractSums,
  sumBytes,
} from './checksum.ts';
import type { HelperMachine } from './machine.ts';
import {
  argumentU32,
  argumentU64,
  giveNumber,
  type HelperEntries,
  isLittleEndian,
  pointer,
} from './registers.ts';
import { skbArgument } from './skb.ts';

/** `BPF_F_IPV6`: the pseudo header is that of IPv6. Only packets with a hardware sum care. */
const ipv6Flag = 1 << 7;
/** A UDP checksum that came out as 0 goes on the wire as this (`CSUM_MANGLED_0`). */
const mangledZero = 0xffff;

/** Checksums of headers. */
export function checksumHelpers(machine: HelperMachine): HelperEntries {
  return [
    [BPF_FUNC.l3_csum_replace, (run) => giveNumber(run, replaceL3(machine, run))],
    [BPF_FUNC.l4_csum_replace, (run) => giveNumber(run, replaceL4(machine, run))],
    [BPF_FUNC.csum_diff, (run) => giveNumber(run, difference(machine, run))],
    // The VM's packets never carry a hardware sum, and then Linux has nothing to update.
    [
      BPF_FUNC.csum_update,
      (run) => {
        skbArgument(run);
        giveNumber(run, -ERRNO.ENOTSUPP);
      },
    ],
  ];
}

/** Offset in VM memory of the checksum that argument 2 names, or a negated errno. */
function checksumOffset(run: Run): number {
  const skb = skbArgument(run);
  const offset = argumentU32(run, 2);
  if (offset > 0xffff || offset % 2 !== 0 || offset + 2 > skb.length) return -ERRNO.EFAULT;
  return skb.packet.data + offset;
}

/** The checksum after a change from argument 3 to argument 4 of `size` bytes, or a negated errno. */
function replaced(run: Run, check: number, size: number): number {
  const [from, to] = [argumentU32(run, 3), argumentU32(run, 4)];
  if (size === 0) return argumentU64(run, 3) === 0 ? replaceByDifference(check, to) : -ERRNO.EINVAL;
  if (size === 2) return replaceShort(check, from, to);
  return size === 4 ? replaceWord(check, from, to) : -ERRNO.EINVAL;
}

/** `bpf_l3_csum_replace(skb, offset, from, to, flags)`. */
function replaceL3(machine: HelperMachine, run: Run): number {
  const flags = argumentU64(run, 5);
  if (flags > BPF_F_HDR_FIELD_MASK) return -ERRNO.EINVAL;
  const at = checksumOffset(run);
  if (at < 0) return at;
  const little = isLittleEndian(run);
  const result = replaced(run, machine.memory.view.getUint16(at, little), flags);
  if (result < 0) return result;
  machine.memory.view.setUint16(at, result, little);
  return 0;
}

/** `bpf_l4_csum_replace(skb, offset, from, to, flags)`. */
function replaceL4(machine: HelperMachine, run: Run): number {
  const flags = argumentU64(run, 5);
  const known =
    BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR | BPF_F_HDR_FIELD_MASK | ipv6Flag;
  if (flags > 0xff || (flags & ~known) !== 0) return -ERRNO.EINVAL;
  const at = checksumOffset(run);
  if (at < 0) return at;
  const { view } = machine.memory;
  const little = isLittleEndian(run);
  const check = view.getUint16(at, little);
  const mangle = (flags & BPF_F_MARK_MANGLED_0) !== 0;
  if (mangle && (flags & BPF_F_MARK_ENFORCE) === 0 && check === 0) return 0;
  const result = replaced(run, check, flags & BPF_F_HDR_FIELD_MASK);
  if (result < 0) return result;
  view.setUint16(at, mangle && result === 0 ? mangledZero : result, little);
  return 0;
}

/**
 * `bpf_csum_diff(from, from_size, to, to_size, seed)`: the 16-bit sum that brings a checksum
 * from one block to the other.
 */
function difference(machine: HelperMachine, run: Run): number {
  const { memory } = machine;
  const fromSize = argumentU32(run, 2);
  const toSize = argumentU32(run, 4);
  const seed = argumentU32(run, 5);
  const sum = (index: number, size: number, start: number) => {
    const at = pointer(memory, run, index, size, 'load');
    return sumBytes(memory.bytes.subarray(at, at + size), start, isLittleEndian(run));
  };
  if (fromSize > 0 && toSize > 0) {
    return foldTo16(subtractSums(sum(3, toSize, seed), sum(1, fromSize, 0)));
  }
  if (toSize > 0) return foldTo16(sum(3, toSize, seed));
  if (fromSize > 0) return foldTo16(~sum(1, fromSize, ~seed) >>> 0);
  return foldTo16(seed);
}
