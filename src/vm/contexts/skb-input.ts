import { type ErrnoName, errnoError } from '../errno.ts';
import type { NetworkInterface } from './fields.ts';
import type { Skb } from './skb.ts';
import { skbField, skbSize } from './skb-fields.ts';

/** Largest value of `wire_len` (`GSO_LEGACY_MAX_SIZE`). */
const maxWireLength = 65_536;
const maxSegments = 65_535;
const cbSize = 20;

/** Fields that a given `struct __sk_buff` may set, as [start, end): the rest must be zero. */
const given: readonly (readonly [number, number])[] = [
  [skbField.mark, skbField.mark + 4],
  [skbField.priority, skbField.tcIndex],
  [skbField.cb, skbField.cb + cbSize],
  [skbField.tstamp, skbField.sk],
  [skbField.gsoSize, skbField.gsoSize + 4],
  [skbField.hwtstamp, skbSize],
];

/**
 * Takes over what a test run's context says, by the kernel's rules (`convert___skb_to_skb`).
 * Returns the context at full size, or undefined where there is none.
 */
export function readSkbInput(
  skb: Skb,
  context: Uint8Array | undefined,
  littleEndian: boolean,
  interfaces: readonly NetworkInterface[],
): Uint8Array | undefined {
  if (context === undefined) return undefined;
  if (context.subarray(skbSize).some((byte) => byte !== 0)) {
    throw refuse('E2BIG', `longer than ${skbSize} bytes`);
  }
  const bytes = new Uint8Array(skbSize);
  bytes.set(context.subarray(0, skbSize));
  const view = new DataView(bytes.buffer);
  const u32 = (offset: number) => view.getUint32(offset, littleEndian);
  const ifindex = u32(skbField.ifindex);
  if (ifindex > 1) {
    if (!interfaces.some((device) => device.index === ifindex)) {
      throw refuse('ENODEV', `there is no network interface ${ifindex}`);
    }
    skb.ifindex = ifindex;
  }
  checkUnused(bytes);
  skb.mark = u32(skbField.mark);
  skb.priority = u32(skbField.priority);
  skb.ingressIfindex = u32(skbField.ingressIfindex);
  skb.tstamp = view.getBigUint64(skbField.tstamp, littleEndian);
  skb.hwtstamp = view.getBigUint64(skbField.hwtstamp, littleEndian);
  skb.cb.set(bytes.subarray(skbField.cb, skbField.cb + cbSize));
  skb.wireLength = wireLength(skb, u32(skbField.wireLen));
  skb.gsoSize = u32(skbField.gsoSize) & 0xffff;
  skb.gsoSegments = u32(skbField.gsoSegs);
  if (skb.gsoSegments > maxSegments) throw refuse('EINVAL', `gso_segs is over ${maxSegments}`);
  return bytes;
}

/** The context as user space gets it back (`convert_skb_to___skb`). */
export function writeSkbOutput(skb: Skb, context: Uint8Array, littleEndian: boolean): Uint8Array {
  const out = context.slice();
  const view = new DataView(out.buffer);
  view.setUint32(skbField.mark, skb.mark, littleEndian);
  view.setUint32(skbField.priority, skb.priority, littleEndian);
  view.setUint32(skbField.ingressIfindex, skb.ingressIfindex, littleEndian);
  view.setUint32(skbField.ifindex, skb.ifindex, littleEndian);
  view.setBigUint64(skbField.tstamp, skb.tstamp, littleEndian);
  view.setUint32(skbField.wireLen, skb.wireLength, littleEndian);
  view.setUint32(skbField.gsoSegs, skb.gsoSegments, littleEndian);
  view.setBigUint64(skbField.hwtstamp, skb.hwtstamp, littleEndian);
  out.set(skb.cb, skbField.cb);
  return out;
}

function wireLength(skb: Skb, value: number): number {
  if (value === 0) return skb.length;
  if (value >= skb.length && value <= maxWireLength) return value;
  throw refuse('EINVAL', `wire_len must be 0, or between the packet's length and ${maxWireLength}`);
}

function checkUnused(bytes: Uint8Array): void {
  let at = 0;
  for (const [start, end] of [...given, [skbSize, skbSize] as const]) {
    const bad = bytes.subarray(at, start).findIndex((byte) => byte !== 0);
    if (bad >= 0) throw refuse('EINVAL', `byte ${at + bad} must be 0: that field cannot be set`);
    at = end;
  }
}

function refuse(name: ErrnoName, reason: string) {
  return errnoError(name, 'run program', { reason: `__sk_buff: ${reason}` });
}
