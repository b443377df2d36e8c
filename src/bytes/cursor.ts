import { BpfError } from '../errors.ts';

/**
 * Reads bytes in one byte order, with every access checked: what does not fit is a
 * {@link BpfError} `truncated` that names `section` and the offset in it.
 */
export class Cursor {
  readonly section: string;
  readonly littleEndian: boolean;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(
    bytes: Uint8Array,
    options: { readonly littleEndian: boolean; readonly section: string },
  ) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.littleEndian = options.littleEndian;
    this.section = options.section;
  }

  /** Offset of the next byte that will be read. */
  get position(): number {
    return this.#position;
  }

  get length(): number {
    return this.#bytes.length;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  /** Moves to an absolute offset; the end itself is allowed. */
  seek(offset: number): this {
    if (!Number.isInteger(offset) || offset < 0 || offset > this.#bytes.length) {
      throw this.#truncated(offset, 0);
    }
    this.#position = offset;
    return this;
  }

  skip(size: number): this {
    this.#take(size);
    return this;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), this.littleEndian);
  }

  s16(): number {
    return this.#view.getInt16(this.#take(2), this.littleEndian);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), this.littleEndian);
  }

  s32(): number {
    return this.#view.getInt32(this.#take(4), this.littleEndian);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), this.littleEndian);
  }

  s64(): bigint {
    return this.#view.getBigInt64(this.#take(8), this.littleEndian);
  }

  /** A view of the next `size` bytes; nothing is copied. */
  bytes(size: number): Uint8Array {
    const at = this.#take(size);
    return this.#bytes.subarray(at, at + size);
  }

  #take(size: number): number {
    const at = this.#position;
    if (!(size >= 0 && size <= this.#bytes.length - at)) throw this.#truncated(at, size);
    this.#position = at + size;
    return at;
  }

  #truncated(offset: number, need: number): BpfError {
    const have = Math.max(0, this.#bytes.length - offset);
    return new BpfError({ code: 'truncated', section: this.section, offset, need, have });
  }
}
