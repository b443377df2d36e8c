import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { type Btf, parseBtf } from '../btf/btf.ts';
import { BpfError } from '../errors.ts';

/** Where libbpf looks for the running kernel's types; `%s` stands for its release. */
const places = [
  '/sys/kernel/btf/vmlinux',
  '/boot/vmlinux-%s',
  '/lib/modules/%s/vmlinux-%s',
  '/lib/modules/%s/build/vmlinux',
  '/usr/lib/modules/%s/kernel/vmlinux',
  '/usr/lib/debug/boot/vmlinux-%s',
  '/usr/lib/debug/boot/vmlinux-%s.debug',
  '/usr/lib/debug/lib/modules/%s/vmlinux',
] as const;

let cached: Btf | undefined;

/** Types of the running kernel; read and parsed once in a process. */
export function kernelBtf(): Btf {
  cached ??= readFirst(places.map((place) => place.replaceAll('%s', release())));
  return cached;
}

/**
 * Types from the first of `paths` that has them: raw BTF, or a vmlinux with a section
 * `.BTF`. A {@link BpfError} `kernel-btf-missing` says what was wrong with each.
 */
export function readFirst(paths: readonly string[]): Btf {
  const tried: { readonly path: string; readonly reason: string }[] = [];
  for (const path of paths) {
    try {
      return parseBtf(rawBtf(readFileSync(path)), { name: 'vmlinux', pointerSize: 8 });
    } catch (error) {
      tried.push({ path, reason: reasonOf(error) });
    }
  }
  throw new BpfError({ code: 'kernel-btf-missing', tried });
}

function reasonOf(error: unknown): string {
  if (error instanceof BpfError) return error.message;
  const code = (error as { readonly code?: unknown } | null)?.code;
  if (typeof code === 'string') return code;
  throw error;
}

const elfMagic = 0x7f454c46;

/** The bytes of section `.BTF` where the file is an ELF file, else all of it. */
function rawBtf(file: Uint8Array): Uint8Array {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < 64 || view.getUint32(0) !== elfMagic) return file;
  return sectionOfVmlinux(file, view);
}

/**
 * Finds `.BTF` in a 64-bit vmlinux. Backends may not use `elf/`, which is for BPF objects
 * and refuses other machines; a section table needs no more than this:
 *
 * ```
 *   e_shoff u64 at 40   e_shentsize u16 at 58   e_shnum u16 at 60   e_shstrndx u16 at 62
 *   entry: sh_name u32 at 0   sh_offset u64 at 24   sh_size u64 at 32
 * ```
 */
function sectionOfVmlinux(file: Uint8Array, view: DataView): Uint8Array {
  const little = file[5] === 1;
  const u64 = (at: number): number => Number(view.getBigUint64(at, little));
  const table = u64(40);
  const entrySize = view.getUint16(58, little);
  const entry = (index: number): number => {
    const at = table + index * entrySize;
    if (entrySize < 64 || at + 64 > file.length) throw noSection();
    return at;
  };
  const names = u64(entry(view.getUint16(62, little)) + 24);
  for (let i = 0; i < view.getUint16(60, little); i++) {
    const at = entry(i);
    const name = names + view.getUint32(at, little);
    if (!isBtfName(file, name)) continue;
    const start = u64(at + 24);
    return file.subarray(start, start + u64(at + 32));
  }
  throw noSection();
}

function isBtfName(file: Uint8Array, at: number): boolean {
  return [0x2e, 0x42, 0x54, 0x46, 0].every((byte, i) => file[at + i] === byte);
}

function noSection(): BpfError {
  const reason = 'it has no section .BTF';
  return new BpfError({ code: 'kernel-unsupported', what: 'file', name: 'vmlinux', reason });
}
