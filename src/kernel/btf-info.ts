import { ERRNO } from '../abi/errno.ts';
import { STRUCTS } from '../abi/layouts.ts';
import { type Btf, parseBtf } from '../btf/btf.ts';
import { decodeText } from '../bytes/text.ts';
import { BpfError } from '../errors.ts';
import { Attr, readField, writeField } from './attr.ts';
import { check, errnoError } from './errno.ts';
import { kernelBtf } from './kernel-btf.ts';
import { kernelIds, withKernelId } from './object-info.ts';
import { allocate, type KernelCalls, type NativeBytes, systemCalls } from './sys.ts';

/** A BTF that the kernel holds. */
export interface KernelBtfInfo {
  readonly id: number;
  /** `vmlinux`, a module's name, or empty for those that were loaded from user space. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Of the kernel itself or a module. */
  readonly kernel: boolean;
}

const info = STRUCTS.bpf_btf_info;
const nameLength = 64;

/** Every BTF that the kernel holds, by rising id (`BPF_BTF_GET_NEXT_ID`). */
export function listKernelBtf(calls: KernelCalls = systemCalls()): readonly KernelBtfInfo[] {
  return kernelIds('btf', calls).flatMap((id) => {
    const info = withKernelId('btf', id, calls, (fd) => readInfo(calls, fd));
    return info === undefined ? [] : [info];
  });
}

/** One BTF that the kernel holds; an `errno` error `ENOENT` where there is none with the id. */
export function kernelBtfInfo(id: number, calls: KernelCalls = systemCalls()): KernelBtfInfo {
  const info = withKernelId('btf', id, calls, (fd) => readInfo(calls, fd));
  if (info !== undefined) return info;
  const reason = 'the kernel holds no BTF with this id; tsbpf btf show lists them';
  throw errnoError(ERRNO.ENOENT, { operation: `open BTF ${id}`, call: 'BTF_GET_FD_BY_ID', reason });
}

/**
 * The types of one BTF by id. A module's are split: they go on `base`, the running kernel's
 * own types unless others are given. (The kernel holds no BTF on more levels: modules stand
 * on vmlinux, and what user space loads stands on nothing.)
 */
export function kernelBtfById(id: number, base?: Btf, calls = systemCalls()): Btf {
  const about = { operation: `open BTF ${id}`, call: 'BTF_GET_FD_BY_ID' } as const;
  const fd = check(calls.bpf(new Attr('BTF_GET_FD_BY_ID').set('btf_id', id)), about);
  try {
    const { size } = readInfo(calls, fd);
    const bytes = allocate(size);
    const read = readInfo(calls, fd, bytes);
    const split = read.kernel && read.name !== 'vmlinux';
    const name = read.name === '' ? `BTF ${id}` : read.name;
    const on = base ?? (split ? runningBtf(calls) : undefined);
    return parseBtf(bytes.bytes, { name, base: on, pointerSize: 8 });
  } finally {
    calls.close(fd);
  }
}

/** The kernel's own types: from a file, else from the kernel itself, where sysfs is not mounted. */
function runningBtf(calls: KernelCalls): Btf {
  try {
    return kernelBtf();
  } catch (error) {
    if (!(error instanceof BpfError) || error.code !== 'kernel-btf-missing') throw error;
    const own = listKernelBtf(calls).find((each) => each.kernel && each.name === 'vmlinux');
    if (own === undefined) throw error;
    return kernelBtfById(own.id, undefined, calls);
  }
}

/** Reads `struct bpf_btf_info`, and the types themselves into `into` where it has room. */
function readInfo(calls: KernelCalls, fd: number, into?: NativeBytes): KernelBtfInfo {
  const out = allocate(info.size);
  const name = allocate(nameLength);
  const view = new DataView(out.bytes.buffer, out.bytes.byteOffset, info.size);
  writeField(view, info.fields.name, name.address);
  writeField(view, info.fields.name_len, nameLength);
  if (into !== undefined) {
    writeField(view, info.fields.btf, into.address);
    writeField(view, info.fields.btf_size, into.bytes.length);
  }
  const attr = new Attr('OBJ_GET_INFO_BY_FD')
    .set('bpf_fd', fd)
    .set('info_len', info.size)
    .point('info', out);
  check(calls.bpf(attr), { operation: 'read BTF info', call: 'OBJ_GET_INFO_BY_FD' });
  return {
    id: readField(view, info.fields.id),
    name: decodeText(name.bytes.subarray(0, Math.max(0, name.bytes.indexOf(0)))),
    size: readField(view, info.fields.btf_size),
    kernel: readField(view, info.fields.kernel_btf) !== 0,
  };
}
