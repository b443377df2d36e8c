import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import { join } from 'node:path';
import type { Btf } from '../btf/btf.ts';
import { type ByteSource, parseBtfFile } from '../btf/file.ts';
import type { KernelBtfAttempt } from '../errors/kernel.ts';
import { BpfError } from '../errors.ts';

export type { KernelBtfAttempt } from '../errors/kernel.ts';

/** Where kernels keep their own types, and below it those of modules. */
const kernelFolder = '/sys/kernel/btf';

/**
 * Where libbpf looks for a kernel's types (`btf__load_vmlinux_btf`), in its order; `%s`
 * stands for the release. All but the first are ELF files, which may come with packages of
 * debug symbols only.
 */
const places = [
  `${kernelFolder}/vmlinux`,
  '/boot/vmlinux-%s',
  '/lib/modules/%s/vmlinux-%s',
  '/lib/modules/%s/build/vmlinux',
  '/usr/lib/modules/%s/kernel/vmlinux',
  '/usr/lib/debug/boot/vmlinux-%s',
  '/usr/lib/debug/boot/vmlinux-%s.debug',
  '/usr/lib/debug/lib/modules/%s/vmlinux',
] as const;

/** Which kernel's types are wanted. */
export interface KernelBtfOptions {
  /** Folder to look in instead of `/`: a mounted image, a container's root. */
  readonly root?: string | undefined;
  /** Release of the kernel, as `uname -r` prints it; the running kernel's by default. */
  readonly release?: string | undefined;
}

/** A kernel's types, and how they were found. */
export interface KernelBtfSearch {
  readonly btf: Btf;
  /** The file that has them. */
  readonly path: string;
  /** Places that were tried before, and what was wrong with each. */
  readonly failed: readonly KernelBtfAttempt[];
}

let cached: Btf | undefined;

/**
 * Types of the running kernel, from where libbpf looks for them; read and parsed once in a
 * process. With options those of another root or release, read each time.
 *
 * {@link BpfError} `kernel-btf-missing` tells every place that was tried, and why each failed.
 *
 * @example
 * ```ts
 * const task = kernelBtf().find('task_struct', BTF_KIND.STRUCT);
 * ```
 */
export function kernelBtf(options?: KernelBtfOptions): Btf {
  if (options !== undefined) return findKernelBtf(options).btf;
  cached ??= findKernelBtf().btf;
  return cached;
}

/** As {@link kernelBtf}, but tells where the types were found and what failed before. */
export function findKernelBtf(options: KernelBtfOptions = {}): KernelBtfSearch {
  const { root = '/', release = runningRelease() } = options;
  const paths = places.map((place) =>
    join(
      root,
      place.replaceAll('%s', () => release),
    ),
  );
  const failed: KernelBtfAttempt[] = [];
  for (const path of paths) {
    const found = tryFile(path, 'vmlinux', undefined);
    if (!('problem' in found)) return { btf: found, path, failed };
    failed.push(found);
  }
  throw new BpfError({ code: 'kernel-btf-missing', release, tried: failed });
}

/**
 * Types of a loaded module, as the kernel shows them below `/sys/kernel/btf`, on those of the
 * kernel itself ({@link kernelBtf}) or on `base`. A `-` in the name counts as `_`.
 * {@link BpfError} `kernel-btf-missing` where there are none.
 */
export function kernelModuleBtf(
  module: string,
  options: KernelBtfOptions & { readonly base?: Btf | undefined } = {},
): Btf {
  const { base, root, release } = options;
  const name = module.replaceAll('-', '_');
  const path = join(root ?? '/', kernelFolder, name);
  const isOther = root !== undefined || release !== undefined;
  // A path, or the kernel itself, is no module.
  const found = /^\w+$/.test(name) && name !== 'vmlinux' ? tryModule() : notModule(path);
  if (!('problem' in found)) return found;
  const running = release ?? runningRelease();
  throw new BpfError({ code: 'kernel-btf-missing', module, release: running, tried: [found] });

  function tryModule(): Btf | KernelBtfAttempt {
    return tryFile(path, name, () => base ?? kernelBtf(isOther ? { root, release } : undefined));
  }
}

function notModule(path: string): KernelBtfAttempt {
  return { path, problem: 'missing', reason: 'this is no name of a module' };
}

/** Names of the loaded modules that have types, sorted; none where sysfs has no folder for them. */
export function kernelModuleNames(options: { readonly root?: string | undefined } = {}): string[] {
  try {
    const names = readdirSync(join(options.root ?? '/', kernelFolder));
    return names.filter((name) => name !== 'vmlinux').sort();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return [];
  }
}

/** The types of a file, or what is wrong with it. */
function tryFile(
  path: string,
  name: string,
  base: (() => Btf) | undefined,
): Btf | KernelBtfAttempt {
  try {
    return withFile(path, (file) => parseBtfFile(file, { name, base: base?.() }));
  } catch (error) {
    if (error instanceof BpfError && error.code !== 'kernel-btf-missing') {
      return { path, problem: 'unusable', reason: error.message };
    }
    const code = systemCode(error);
    if (code === undefined) throw error;
    return { path, ...systemProblem(code) };
  }
}

function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error instanceof BpfError || !('code' in error))
    return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function systemProblem(code: string): Pick<KernelBtfAttempt, 'problem' | 'reason'> {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { problem: 'missing', reason: 'there is no such file' };
    case 'EACCES':
    case 'EPERM':
      return { problem: 'no-permission', reason: 'no permission to read it; try as root' };
    case 'EISDIR':
      return { problem: 'unreadable', reason: 'it is a directory' };
    default:
      return { problem: 'unreadable', reason: `it cannot be read (${code})` };
  }
}

function withFile<T>(path: string, work: (file: Uint8Array | ByteSource) => T): T {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    // Files that the kernel makes up may have no size.
    return work(size === 0 ? readFileSync(fd) : { size, read: (at, n) => readAt(fd, at, n) });
  } finally {
    closeSync(fd);
  }
}

/** Reads a part of a file; the rest is 0 where it has become shorter meanwhile. */
function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes;
}
