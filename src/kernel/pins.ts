import { mkdirSync, readlinkSync, rmSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { ERRNO } from '../abi/errno.ts';
import { STRUCTS } from '../abi/layouts.ts';
import type { BackendMap, BackendPins, MapDefinition, PinnedMap } from '../backend/backend.ts';
import { encodeText } from '../bytes/text.ts';
import { quoteName } from '../errors/quote.ts';
import { Attr, hostLittleEndian, readField } from './attr.ts';
import { check, errnoError } from './errno.ts';
import type { KernelMap } from './map.ts';
import { allocate, copyNative, type KernelCalls, type NativeBytes } from './sys.ts';

/** `BPF_FS_MAGIC` of <linux/magic.h>. */
const bpffsMagic = 0xcafe4a11;

/** What pins need of their backend. */
export interface PinHost {
  readonly calls: KernelCalls;
  /** The map behind a handle of this backend. */
  kernelMap(map: BackendMap): KernelMap;
  /** Takes over a descriptor as a map. */
  adopt(fd: number, name: string, definition: MapDefinition): KernelMap;
}

/** Maps pinned in bpffs (`BPF_OBJ_PIN`, `BPF_OBJ_GET`). */
export class KernelPins implements BackendPins {
  readonly #host: PinHost;

  constructor(host: PinHost) {
    this.#host = host;
  }

  open(path: string, name: string): PinnedMap | undefined {
    const { calls } = this.#host;
    const fd = calls.bpf(new Attr('OBJ_GET').point('pathname', pathBytes(path)));
    if (fd === -ERRNO.ENOENT) return undefined;
    const about = { operation: `open ${quoteName(path)}`, call: 'OBJ_GET', map: name } as const;
    check(fd, about);
    const definition = closing(calls, fd, () => {
      if (isMap(fd)) return readDefinition(calls, fd, name);
      const reason = 'what is pinned there is no map';
      throw errnoError(ERRNO.EINVAL, { ...about, reason });
    });
    return { map: this.#host.adopt(fd, name, definition), definition };
  }

  pin(path: string, map: BackendMap): void {
    prepareFolder(path, map.name);
    const { fd } = this.#host.kernelMap(map);
    const attr = new Attr('OBJ_PIN').point('pathname', pathBytes(path)).set('bpf_fd', fd);
    const operation = `pin at ${quoteName(path)}`;
    check(this.#host.calls.bpf(attr), { operation, call: 'OBJ_PIN', map: map.name });
  }

  unpin(path: string): void {
    rmSync(path, { force: true });
  }
}

/** Runs `work`; the descriptor is closed if it throws. */
function closing<T>(calls: KernelCalls, fd: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

/** Programs and links are pinned in the same way; the kernel would describe them in other structs. */
function isMap(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes('bpf-map');
  } catch {
    return true; // without /proc nobody can tell
  }
}

function pathBytes(path: string): NativeBytes {
  return copyNative(encodeText(`${path}\0`));
}

/** Makes the folder of a path, if its own folder is there, and sees that it is on bpffs. */
function prepareFolder(path: string, map: string): void {
  const folder = dirname(path);
  const fail = (number: number, reason: string): Error =>
    errnoError(number, { operation: `pin at ${quoteName(path)}`, call: 'OBJ_PIN', map, reason });
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const number: number | undefined = (ERRNO as Readonly<Record<string, number>>)[code];
    if (number === undefined) throw error;
    if (code !== 'EEXIST') throw fail(number, `the folder ${quoteName(folder)} cannot be made`);
  }
  if (statfsSync(folder, { bigint: true }).type === BigInt(bpffsMagic)) return;
  const mount = 'mount -t bpf bpf /sys/fs/bpf';
  throw fail(ERRNO.EINVAL, `${quoteName(folder)} is not on bpffs; mount it (${mount})`);
}

function readDefinition(calls: KernelCalls, fd: number, map: string): MapDefinition {
  const { size, fields } = STRUCTS.bpf_map_info;
  const info = allocate(size);
  const attr = new Attr('OBJ_GET_INFO_BY_FD')
    .set('bpf_fd', fd)
    .set('info_len', size)
    .point('info', info);
  check(calls.bpf(attr), { operation: 'read map info', call: 'OBJ_GET_INFO_BY_FD', map });
  const view = new DataView(info.bytes.buffer, info.bytes.byteOffset, size);
  return {
    type: readField(view, fields.type),
    keySize: readField(view, fields.key_size),
    valueSize: readField(view, fields.value_size),
    maxEntries: readField(view, fields.max_entries),
    flags: readField(view, fields.map_flags),
    extra: view.getBigUint64(fields.map_extra.offset, hostLittleEndian),
  };
}
