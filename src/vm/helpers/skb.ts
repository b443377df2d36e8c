import {
  BPF_F_INVALIDATE_HASH,
  BPF_F_RECOMPUTE_CSUM,
  BPF_FUNC,
  BPF_HDR_START_MAC,
  BPF_HDR_START_NET,
} from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { Skb } from '../contexts/skb.ts';
import { SkbContext } from '../contexts/skb-context.ts';
import type { HelperFunction, Run } from '../machine.ts';
import type { HelperMachine } from './machine.ts';
import {
  argument,
  argumentU32,
  argumentU64,
  giveNumber,
  type HelperEntries,
  misuse,
  pointer,
} from './registers.ts';

const maxOffset = 0x7fff_ffff;
/** Longest packet that helpers make (`BPF_SKB_MAX_LEN`). */
const maxLength = 16_384 - 320;
/** `PACKET_OTHERHOST`: larger packet types are the kernel's own. */
const maxPacketType = 3;

/** The packet behind the context that argument 1 must be. */
export function skbArgument(run: Run): Skb {
  const { context } = run;
  const { half } = run.cpu;
  if (
    context instanceof SkbContext &&
    half[2] === context.addressLow &&
    half[3] === context.addressHigh
  ) {
    return context.skb;
  }
  throw misuse(run, 1, 'the argument is not a struct __sk_buff');
}

/** Reading and changing socket buffers. */
export function skbHelpers(machine: HelperMachine): HelperEntries {
  const load: HelperFunction = (run) => {
    const skb = skbArgument(run);
    const offset = argumentU32(run, 2);
    const size = argumentU32(run, 4);
    const fits = offset <= maxOffset && offset + size <= skb.length;
    giveNumber(run, loadBytes(machine, run, fits ? skb.packet.data + offset : -1));
  };
  const loadRelative: HelperFunction = (run) => {
    const skb = skbArgument(run);
    const at = relativeOffset(skb, argumentU32(run, 2), argumentU32(run, 5));
    const fits = at >= 0 && at + argumentU32(run, 4) <= skb.packet.end;
    giveNumber(run, loadBytes(machine, run, fits ? at : -1));
  };
  return [
    [BPF_FUNC.skb_load_bytes, load],
    [BPF_FUNC.skb_load_bytes_relative, loadRelative],
    [BPF_FUNC.skb_store_bytes, (run) => giveNumber(run, storeBytes(machine, run))],
    [
      BPF_FUNC.skb_pull_data,
      (run) => giveNumber(run, pullData(skbArgument(run), argumentU32(run, 2))),
    ],
    [BPF_FUNC.skb_change_tail, (run) => giveNumber(run, changeTail(run))],
    [BPF_FUNC.skb_change_head, (run) => giveNumber(run, changeHead(run))],
    [BPF_FUNC.skb_change_type, (run) => giveNumber(run, changeType(run))],
    [BPF_FUNC.set_hash_invalid, (run) => giveNumber(run, setHash(run, 0))],
    [BPF_FUNC.set_hash, (run) => giveNumber(run, setHash(run, argumentU32(run, 2)))],
  ];
}

/** Copies from the packet to the buffer of arguments 3 and 4; where there is nothing, zeros and -EFAULT. */
function loadBytes(machine: HelperMachine, run: Run, from: number): number {
  const size = argumentU32(run, 4);
  const { bytes } = machine.memory;
  const to = pointer(machine.memory, run, 3, size, 'store');
  if (from < 0) {
    bytes.fill(0, to, to + size);
    return -ERRNO.EFAULT;
  }
  bytes.copyWithin(to, from, from + size);
  return 0;
}

function relativeOffset(skb: Skb, offset: number, start: number): number {
  if (offset > 0xffff) return -1;
  if (start === BPF_HDR_START_MAC) return skb.macHeader + offset;
  return start === BPF_HDR_START_NET ? skb.networkHeader + offset : -1;
}

/** `bpf_skb_store_bytes(skb, offset, from, size, flags)`. */
function storeBytes(machine: HelperMachine, run: Run): number {
  const skb = skbArgument(run);
  const offset = argumentU32(run, 2);
  const size = argumentU32(run, 4);
  const flags = argumentU64(run, 5);
  const from = pointer(machine.memory, run, 3, size, 'load');
  if ((flags & ~(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH)) !== 0 || flags > maxOffset) {
    return -ERRNO.EINVAL;
  }
  if (offset > maxOffset || offset + size > skb.length) return -ERRNO.EFAULT;
  machine.memory.bytes.copyWithin(skb.packet.data + offset, from, from + size);
  if ((flags & BPF_F_INVALIDATE_HASH) !== 0) skb.hash = 0;
  return 0;
}

/** Packets of the VM are in one piece, so all of them is there already. */
function pullData(skb: Skb, size: number): number {
  return size > skb.length ? -ERRNO.ENOMEM : 0;
}

/** `bpf_skb_change_tail(skb, length, flags)`. */
function changeTail(run: Run): number {
  const skb = skbArgument(run);
  const length = argumentU32(run, 2);
  const least = Math.max(0, skb.networkHeader - skb.packet.data);
  if (argumentU64(run, 3) !== 0 || length > maxLength || length < least) return -ERRNO.EINVAL;
  const { packet } = skb;
  if (!skb.ensureRoom(0, Math.max(0, length - skb.length))) return -ERRNO.ENOMEM;
  const end = packet.data + length;
  if (end > packet.end) packet.memory.bytes.fill(0, packet.end, end);
  packet.end = end;
  return 0;
}

/** `bpf_skb_change_head(skb, length, flags)`: puts zeros in front, as a new link header. */
function changeHead(run: Run): number {
  const skb = skbArgument(run);
  const by = argument(run, 2);
  if (argumentU64(run, 3) !== 0 || by < 0 || skb.length + by > maxLength) return -ERRNO.EINVAL;
  if (!skb.ensureRoom(by, 0)) return -ERRNO.ENOMEM;
  const { packet } = skb;
  packet.data -= by;
  packet.memory.bytes.fill(0, packet.data, packet.data + by);
  skb.macHeader = packet.data;
  return 0;
}

/** `bpf_skb_change_type(skb, type)`. */
function changeType(run: Run): number {
  const skb = skbArgument(run);
  const type = argumentU32(run, 2);
  if (skb.packetType > maxPacketType || type > maxPacketType) return -ERRNO.EINVAL;
  skb.packetType = type;
  return 0;
}

function setHash(run: Run, hash: number): number {
  skbArgument(run).hash = hash;
  return 0;
}
