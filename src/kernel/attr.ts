import { endianness } from 'node:os';
import { BPF_CMD } from '../abi/bpf.ts';
import { BPF_ATTR, type FieldLayout, type StructLayout } from '../abi/layouts.ts';
import { encodeText } from '../bytes/text.ts';
import type { BpfCall, NativeBytes } from './sys.ts';

/** Commands of bpf(2), by their names without `BPF_`. */
export type Command = keyof typeof BPF_ATTR;

type FieldOf<C extends Command> = keyof (typeof BPF_ATTR)[C]['fields'] & string;

/** The host's byte order, which is that of every struct that the kernel is given. */
export const hostLittleEndian = endianness() === 'LE';

/** Writes an integer into the field of a struct. */
export function writeField(view: DataView, field: FieldLayout, value: number | bigint): void {
  const { offset, size } = field;
  if (size === 1) view.setUint8(offset, Number(value));
  else if (size === 2) view.setUint16(offset, Number(value), hostLittleEndian);
  else if (size === 4) view.setUint32(offset, Number(value), hostLittleEndian);
  else view.setBigUint64(offset, BigInt.asUintN(64, BigInt(value)), hostLittleEndian);
}

/** Reads an unsigned integer of up to 32 bits from the field of a struct. */
export function readField(view: DataView, field: FieldLayout): number {
  const { offset, size } = field;
  if (size === 1) return view.getUint8(offset);
  if (size === 2) return view.getUint16(offset, hostLittleEndian);
  return view.getUint32(offset, hostLittleEndian);
}

/**
 * The attributes of one bpf(2) call: the command's part of `union bpf_attr`, filled by
 * field name. Buffers that it points at stay alive as long as it does.
 *
 * The kernel takes an attribute that is longer than it knows if the rest is zero, so an
 * old kernel accepts the newest struct as long as only fields that it knows are set.
 *
 * @example
 * ```ts
 * const fd = calls.bpf(new Attr('MAP_CREATE').set('map_type', BPF_MAP_TYPE.ARRAY).set('key_size', 4));
 * ```
 */
export class Attr<C extends Command> implements BpfCall {
  readonly command: C;
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fields: StructLayout['fields'];
  readonly #kept: NativeBytes[] = [];

  constructor(command: C) {
    const layout: StructLayout = BPF_ATTR[command];
    this.command = command;
    this.number = BPF_CMD[command];
    this.bytes = new Uint8Array(new ArrayBuffer(layout.size));
    this.#view = new DataView(this.bytes.buffer);
    this.#fields = layout.fields;
  }

  set(field: FieldOf<C>, value: number | bigint): this {
    writeField(this.#view, this.#field(field), value);
    return this;
  }

  /** Text in a `char` array: cut so that a zero byte follows. */
  text(field: FieldOf<C>, value: string): this {
    const { offset, size } = this.#field(field);
    this.bytes.fill(0, offset, offset + size);
    this.bytes.set(encodeText(value).subarray(0, size - 1), offset);
    return this;
  }

  /** The address of `target`, which is kept alive from now on. */
  point(field: FieldOf<C>, target: NativeBytes): this {
    this.#kept.push(target);
    return this.set(field, target.address);
  }

  /** An output of at most 32 bits. */
  get(field: FieldOf<C>): number {
    return readField(this.#view, this.#field(field));
  }

  #field(name: FieldOf<C>): FieldLayout {
    return this.#fields[name] as FieldLayout;
  }
}
