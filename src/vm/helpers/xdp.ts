import { BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { ethernetHeader, isInvalidMetadata, XdpContext, xdpFrameSize } from '../contexts/xdp.ts';
import type { HelperFunction, Run } from '../machine.ts';
import type { HelperMachine } from './machine.ts';
import {
  argument,
  argumentU32,
  giveNumber,
  type HelperEntries,
  misuse,
  pointer,
} from './registers.ts';

/** The XDP context that argument 1 must be. */
export function xdpArgument(run: Run): XdpContext {
  const { context } = run;
  const { half } = run.cpu;
  if (
    context instanceof XdpContext &&
    half[2] === context.addressLow &&
    half[3] === context.addressHigh
  ) {
    return context;
  }
  throw misuse(run, 1, 'the argument is not the context of an XDP program');
}

/** Moving the ends of XDP packets, and copying from and to them. */
export function xdpHelpers(machine: HelperMachine): HelperEntries {
  const { memory } = machine;
  const copy =
    (store: boolean): HelperFunction =>
    (run) => {
      const xdp = xdpArgument(run);
      const offset = argumentU32(run, 2);
      const size = argumentU32(run, 4);
      const buffer = pointer(memory, run, 3, size, store ? 'load' : 'store');
      const result = checkRange(xdp, offset, size);
      if (result === 0) copyRange(xdp, offset, size, buffer, store);
      giveNumber(run, result);
    };
  return [
    [
      BPF_FUNC.xdp_adjust_head,
      (run) => giveNumber(run, adjustHead(xdpArgument(run), argument(run, 2))),
    ],
    [
      BPF_FUNC.xdp_adjust_tail,
      (run) => giveNumber(run, adjustTail(xdpArgument(run), argument(run, 2))),
    ],
    [
      BPF_FUNC.xdp_adjust_meta,
      (run) => giveNumber(run, adjustMeta(xdpArgument(run), argument(run, 2))),
    ],
    [BPF_FUNC.xdp_get_buff_len, (run) => giveNumber(run, xdpArgument(run).length)],
    [BPF_FUNC.xdp_load_bytes, copy(false)],
    [BPF_FUNC.xdp_store_bytes, copy(true)],
  ];
}

/** Whether a range is in the packet: 0, or a negated errno (`bpf_xdp_pointer`). */
function checkRange(xdp: XdpContext, offset: number, size: number): number {
  if (offset > 0xffff || size > 0xffff) return -ERRNO.EFAULT;
  return offset + size > xdp.length ? -ERRNO.EINVAL : 0;
}

/** Copies between a buffer and a range that may go on in the fragments. */
function copyRange(
  xdp: XdpContext,
  offset: number,
  size: number,
  buffer: number,
  store: boolean,
): void {
  const { packetBuffer: packet, fragments } = xdp;
  const direct = Math.max(0, Math.min(size, packet.length - offset));
  copyPart(xdp, packet.data + offset, buffer, direct, store);
  const rest = offset + direct - packet.length;
  copyPart(xdp, fragments + rest, buffer + direct, size - direct, store);
}

function copyPart(xdp: XdpContext, at: number, buffer: number, size: number, store: boolean): void {
  const [to, from] = store ? [at, buffer] : [buffer, at];
  xdp.packetBuffer.memory.bytes.copyWithin(to, from, from + size);
}

/** `bpf_xdp_adjust_head`: metadata moves along. */
function adjustHead(xdp: XdpContext, by: number): number {
  const { packetBuffer: packet } = xdp;
  const metadata = packet.data - xdp.meta;
  const data = packet.data + by;
  if (data < packet.start + xdpFrameSize + metadata || data > packet.end - ethernetHeader) {
    return -ERRNO.EINVAL;
  }
  packet.memory.bytes.copyWithin(xdp.meta + by, xdp.meta, packet.data);
  xdp.meta += by;
  packet.data = data;
  return 0;
}

/** `bpf_xdp_adjust_tail`: what is added is zero. */
function adjustTail(xdp: XdpContext, by: number): number {
  if (xdp.fragmentLength > 0) return adjustFragments(xdp, by);
  const { packetBuffer: packet } = xdp;
  const end = packet.end + by;
  if (end > xdp.hardEnd || end < packet.data + ethernetHeader) return -ERRNO.EINVAL;
  if (by > 0) packet.memory.bytes.fill(0, packet.end, end);
  packet.end = end;
  return 0;
}

/** The same where the packet ends in fragments: only the last one's page can be filled. */
function adjustFragments(xdp: XdpContext, by: number): number {
  const { packetBuffer: packet } = xdp;
  if (by >= 0) {
    if (by > xdp.fragmentRoom) return -ERRNO.EINVAL;
    const end = xdp.fragments + xdp.fragmentLength;
    packet.memory.bytes.fill(0, end, end + by);
    xdp.fragmentLength += by;
    return 0;
  }
  if (-by > xdp.length - ethernetHeader) return -ERRNO.EINVAL;
  const removed = Math.min(-by, xdp.fragmentLength);
  xdp.fragmentLength -= removed;
  packet.end -= -by - removed;
  return 0;
}

/** `bpf_xdp_adjust_meta`. */
function adjustMeta(xdp: XdpContext, by: number): number {
  const { packetBuffer: packet } = xdp;
  const meta = xdp.meta + by;
  if (meta < packet.start + xdpFrameSize || meta > packet.data) return -ERRNO.EINVAL;
  if (isInvalidMetadata(packet.data - meta)) return -ERRNO.EACCES;
  xdp.meta = meta;
  return 0;
}
