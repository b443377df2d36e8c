import { type ContextFields, type RunContext, windows } from '../machine.ts';
import {
  contextAddress,
  fieldFault,
  isNarrowAccess,
  narrow,
  setLow,
  setPointer,
  setWide,
} from './fields.ts';
import type { Skb } from './skb.ts';
import {
  readSkbField,
  type SkbAccess,
  skbField,
  skbSize,
  wholeFields,
  writeSkbField,
} from './skb-fields.ts';

const struct = 'struct __sk_buff';
const cbEnd = skbField.cb + 20;

/**
 * Context of a program that sees `struct __sk_buff`. Fields are converted as Linux does:
 * `data`, `data_end` and `data_meta` read as pointers, `tstamp`, `hwtstamp` and `sk` have
 * 64 bits, `cb` is memory, everything else are 32-bit numbers that may be read in parts.
 */
export class SkbContext implements RunContext, ContextFields {
  readonly addressLow = contextAddress;
  readonly addressHigh = windows.context;
  readonly fields = this;
  readonly skb: Skb;
  readonly cells: number;
  readonly #access: SkbAccess;
  readonly #little: boolean;
  readonly #cb: DataView;
  readonly packet: (offset: number, size: number) => number | undefined;

  constructor(skb: Skb, access: SkbAccess, littleEndian: boolean) {
    this.skb = skb;
    this.#access = access;
    this.#little = littleEndian;
    this.cells = skb.packet.cells;
    this.#cb = new DataView(skb.cb.buffer);
    this.packet = (offset, size) => skb.loadPacket(offset, size);
  }

  load(offset: number, size: number, half: Int32Array, dst: number): void {
    if (offset < 0 || offset >= skbSize) throw fieldFault(offset, size, 'load', struct);
    if (offset >= skbField.cb && offset < cbEnd) {
      this.#loadCb(offset, size, half, dst);
      return;
    }
    if (this.#isHidden(offset)) throw fieldFault(offset, size, 'load', struct);
    if (size === 8) {
      this.#loadWide(offset, half, dst);
      return;
    }
    if (this.#loadPointer(offset, size, half, dst)) return;
    if (offset === skbField.tstampType && size === 1 && this.#access.tstampType) {
      setLow(half, dst, 0);
      return;
    }
    const allowed = isNarrowAccess(offset, size) && (size === 4 || !wholeFields.has(offset & ~3));
    const value = allowed ? readSkbField(this.skb, offset & ~3, this.#little) : undefined;
    if (value === undefined) throw fieldFault(offset, size, 'load', struct);
    setLow(half, dst, narrow(value, offset, size, this.#little));
  }

  store(offset: number, size: number, valueLow: number, valueHigh: number): void {
    if (offset >= skbField.cb && offset < cbEnd) {
      this.#storeCb(offset, size, valueLow, valueHigh);
      return;
    }
    if (this.#access.writable.has(offset)) {
      if (offset === skbField.tstamp && size === 8) {
        this.skb.tstamp = (BigInt(valueHigh >>> 0) << 32n) | BigInt(valueLow >>> 0);
        return;
      }
      if (size === 4 && writeSkbField(this.skb, offset, valueLow >>> 0)) return;
    }
    throw fieldFault(offset, size, 'store', struct);
  }

  free(): void {
    this.skb.free();
  }

  /** 64-bit fields are hidden as a whole, 32-bit ones each. */
  #isHidden(offset: number): boolean {
    const { hidden } = this.#access;
    if (hidden.has(offset & ~3)) return true;
    const wide = offset & ~7;
    return hidden.has(wide) && isWide(wide);
  }

  #loadWide(offset: number, half: Int32Array, dst: number): void {
    if (offset === skbField.tstamp) {
      setWide(half, dst, this.skb.tstamp);
      return;
    }
    if (offset === skbField.hwtstamp) {
      setWide(half, dst, this.skb.hwtstamp);
      return;
    }
    // Packets of the VM have no socket that a program could look at.
    if (offset === skbField.sk) {
      setWide(half, dst, 0n);
      return;
    }
    throw fieldFault(offset, 8, 'load', struct);
  }

  #loadPointer(offset: number, size: number, half: Int32Array, dst: number): boolean {
    const { packet } = this.skb;
    const field = offset & ~3;
    const isPointer =
      field === skbField.data || field === skbField.dataEnd || field === skbField.dataMeta;
    if (!isPointer) return false;
    if (size !== 4 || field !== offset) throw fieldFault(offset, size, 'load', struct);
    setPointer(half, dst, field === skbField.dataEnd ? packet.end : packet.data);
    return true;
  }

  #loadCb(offset: number, size: number, half: Int32Array, dst: number): void {
    const at = this.#cbOffset(offset, size, 'load');
    if (size === 1) setLow(half, dst, this.#cb.getUint8(at));
    else if (size === 2) setLow(half, dst, this.#cb.getUint16(at, this.#little));
    else if (size === 4) setLow(half, dst, this.#cb.getUint32(at, this.#little));
    else setWide(half, dst, this.#cb.getBigUint64(at, this.#little));
  }

  #storeCb(offset: number, size: number, low: number, high: number): void {
    const at = this.#cbOffset(offset, size, 'store');
    if (size === 1) this.#cb.setUint8(at, low);
    else if (size === 2) this.#cb.setUint16(at, low, this.#little);
    else if (size === 4) this.#cb.setUint32(at, low, this.#little);
    else {
      this.#cb.setUint32(at + (this.#little ? 0 : 4), low, this.#little);
      this.#cb.setUint32(at + (this.#little ? 4 : 0), high, this.#little);
    }
  }

  #cbOffset(offset: number, size: number, access: 'load' | 'store'): number {
    if (offset % size !== 0 || offset + size > cbEnd)
      throw fieldFault(offset, size, access, struct);
    return offset - skbField.cb;
  }
}

function isWide(offset: number): boolean {
  return offset === skbField.flowKeys || offset === skbField.tstamp || offset === skbField.hwtstamp;
}
