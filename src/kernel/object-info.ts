import { ERRNO } from '../abi/errno.ts';
import { STRUCTS } from '../abi/layouts.ts';
import { toHex } from '../bytes/hex.ts';
import { decodeText, encodeText } from '../bytes/text.ts';
import { quoteName } from '../errors/quote.ts';
import { Attr, hostLittleEndian, readField } from './attr.ts';
import { check, errnoError } from './errno.ts';
import { allocate, copyNative, type KernelCalls, systemCalls } from './sys.ts';

/** What the kernel numbers, each kind from 1 on. */
export type NumberedKind = 'program' | 'map' | 'btf' | 'link';

/** A map that the kernel holds (`struct bpf_map_info`). */
export interface KernelMapInfo {
  readonly id: number;
  /** `BPF_MAP_TYPE`. */
  readonly type: number;
  /** At most 15 characters. */
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly extra: bigint;
  /** 0 where the map has no types. */
  readonly btfId: number;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** A program that the kernel holds (`struct bpf_prog_info`). */
export interface KernelProgramInfo {
  readonly id: number;
  /** `BPF_PROG_TYPE`. */
  readonly type: number;
  /** At most 15 characters. */
  readonly name: string;
  /** Hash of the instructions, 16 hexadecimal digits. */
  readonly tag: string;
  /** 0 where the program has no types. */
  readonly btfId: number;
}

/** How a user names a map or program. */
export type KernelSelector =
  | { readonly by: 'id'; readonly id: number }
  | { readonly by: 'name'; readonly name: string }
  /** Programs only. */
  | { readonly by: 'tag'; readonly tag: string }
  /** Path in bpffs. */
  | { readonly by: 'pinned'; readonly path: string };

const commands = {
  program: { next: 'PROG_GET_NEXT_ID', open: 'PROG_GET_FD_BY_ID', field: 'prog_id' },
  map: { next: 'MAP_GET_NEXT_ID', open: 'MAP_GET_FD_BY_ID', field: 'map_id' },
  btf: { next: 'BTF_GET_NEXT_ID', open: 'BTF_GET_FD_BY_ID', field: 'btf_id' },
  link: { next: 'LINK_GET_NEXT_ID', open: 'LINK_GET_FD_BY_ID', field: 'link_id' },
} as const;

/** `BPF_OBJ_NAME_LEN` without the zero at the end. */
const longestName = 15;

/** Ids of a kind that exist, rising. */
export function kernelIds(kind: NumberedKind, calls: KernelCalls = systemCalls()): number[] {
  const { next } = commands[kind];
  const ids: number[] = [];
  for (let id = 0; ; ids.push(id)) {
    const attr = new Attr(next).set('start_id', id);
    const result = calls.bpf(attr);
    if (result === -ERRNO.ENOENT) return ids;
    check(result, { operation: `list ${kind}s`, call: next });
    id = attr.get('next_id');
  }
}

/** Opens something by its id for the time of `work`; undefined where it is gone. */
export function withKernelId<T>(
  kind: NumberedKind,
  id: number,
  calls: KernelCalls,
  work: (fd: number) => T,
): T | undefined {
  const { open, field } = commands[kind];
  const fd = calls.bpf(new Attr(open).set(field, id));
  if (fd === -ERRNO.ENOENT) return undefined;
  check(fd, { operation: `open ${kind} ${id}`, call: open });
  return closing(calls, fd, work);
}

function closing<T>(calls: KernelCalls, fd: number, work: (fd: number) => T): T {
  try {
    return work(fd);
  } finally {
    calls.close(fd);
  }
}

/** All maps, by rising id. */
export function listKernelMaps(calls: KernelCalls = systemCalls()): readonly KernelMapInfo[] {
  return list('map', calls, readMapInfo);
}

/** All programs, by rising id. */
export function listKernelPrograms(
  calls: KernelCalls = systemCalls(),
): readonly KernelProgramInfo[] {
  return list('program', calls, readProgramInfo);
}

function list<T>(
  kind: NumberedKind,
  calls: KernelCalls,
  read: (calls: KernelCalls, fd: number) => T,
): readonly T[] {
  // What goes between two calls is left out.
  return kernelIds(kind, calls).flatMap((id) => {
    const info = withKernelId(kind, id, calls, (fd) => read(calls, fd));
    return info === undefined ? [] : [info];
  });
}

/** The map that a user names; an `errno` error where there is none, or more than one. */
export function findKernelMap(
  selector: KernelSelector,
  calls: KernelCalls = systemCalls(),
): KernelMapInfo {
  return find('map', selector, calls, readMapInfo);
}

/** The program that a user names; an `errno` error where there is none, or more than one. */
export function findKernelProgram(
  selector: KernelSelector,
  calls: KernelCalls = systemCalls(),
): KernelProgramInfo {
  return find('program', selector, calls, readProgramInfo);
}

interface Named {
  readonly id: number;
  readonly name: string;
  readonly tag?: string;
}

function find<T extends Named>(
  kind: 'map' | 'program',
  selector: KernelSelector,
  calls: KernelCalls,
  read: (calls: KernelCalls, fd: number) => T,
): T {
  if (selector.by === 'pinned') {
    return closing(calls, openPinned(kind, selector.path, calls), (fd) => read(calls, fd));
  }
  const found =
    selector.by === 'id'
      ? [withKernelId(kind, selector.id, calls, (fd) => read(calls, fd))]
      : list(kind, calls, read).filter((each) => isMeant(each, selector));
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  const ids = found.flatMap((each) => (each === undefined ? [] : [each.id])).join(', ');
  const reason =
    first === undefined
      ? `the kernel holds no ${kind} with ${wordsOf(selector)}`
      : `several ${kind}s have ${wordsOf(selector)}: give one of the ids ${ids}`;
  const number = first === undefined ? ERRNO.ENOENT : ERRNO.EEXIST;
  throw errnoError(number, { operation: `find ${kind}`, call: commands[kind].next, reason });
}

function isMeant(each: Named, selector: KernelSelector): boolean {
  if (selector.by === 'tag') return each.tag === selector.tag.toLowerCase();
  // The kernel keeps the first 15 characters.
  return selector.by === 'name' && each.name === selector.name.slice(0, longestName);
}

function wordsOf(selector: KernelSelector): string {
  switch (selector.by) {
    case 'id':
      return `id ${selector.id}`;
    case 'name':
      return `the name ${quoteName(selector.name)}`;
    case 'tag':
      return `the tag ${quoteName(selector.tag)}`;
    case 'pinned':
      return `the path ${quoteName(selector.path)}`;
  }
}

function openPinned(kind: 'map' | 'program', path: string, calls: KernelCalls): number {
  const name = copyNative(encodeText(`${path}\0`));
  const operation = `open ${kind} ${quoteName(path)}`;
  return check(calls.bpf(new Attr('OBJ_GET').point('pathname', name)), {
    operation,
    call: 'OBJ_GET',
  });
}

type InfoName = 'bpf_map_info' | 'bpf_prog_info';

/** Reads one of the kernel's info structs. */
function readInfo(calls: KernelCalls, fd: number, name: InfoName): DataView {
  const { size } = STRUCTS[name];
  const info = allocate(size);
  const attr = new Attr('OBJ_GET_INFO_BY_FD')
    .set('bpf_fd', fd)
    .set('info_len', size)
    .point('info', info);
  check(calls.bpf(attr), { operation: 'read info', call: 'OBJ_GET_INFO_BY_FD' });
  return new DataView(info.bytes.buffer, info.bytes.byteOffset, size);
}

function readMapInfo(calls: KernelCalls, fd: number): KernelMapInfo {
  const view = readInfo(calls, fd, 'bpf_map_info');
  const { fields } = STRUCTS.bpf_map_info;
  return {
    id: readField(view, fields.id),
    type: readField(view, fields.type),
    name: textAt(view, fields.name.offset),
    keySize: readField(view, fields.key_size),
    valueSize: readField(view, fields.value_size),
    maxEntries: readField(view, fields.max_entries),
    flags: readField(view, fields.map_flags),
    extra: view.getBigUint64(fields.map_extra.offset, hostLittleEndian),
    btfId: readField(view, fields.btf_id),
    keyTypeId: readField(view, fields.btf_key_type_id),
    valueTypeId: readField(view, fields.btf_value_type_id),
  };
}

function readProgramInfo(calls: KernelCalls, fd: number): KernelProgramInfo {
  const view = readInfo(calls, fd, 'bpf_prog_info');
  const { fields } = STRUCTS.bpf_prog_info;
  const tag = new Uint8Array(view.buffer, view.byteOffset + fields.tag.offset, 8);
  return {
    id: readField(view, fields.id),
    type: readField(view, fields.type),
    name: textAt(view, fields.name.offset),
    tag: toHex(tag),
    btfId: readField(view, fields.btf_id),
  };
}

function textAt(view: DataView, at: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, longestName + 1);
  const end = bytes.indexOf(0);
  return decodeText(bytes.subarray(0, end < 0 ? bytes.length : end));
}
