import { readFileSync } from 'node:fs';
import type { Btf } from '../btf/btf.ts';
import { parseBtfFile } from '../btf/file.ts';
import { BpfError, withContext } from '../errors.ts';

/** Reads a file; what the operating system says becomes a `BpfError` that names the file. */
export function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BpfError({ code: 'unreadable-file', path, reason }, { cause: error });
  }
}

/**
 * Reads types: a raw BTF file, or the `.BTF` section of an ELF file. A split one goes on
 * `base`; a module's own `.BTF.base` comes before it.
 */
export function readBtfFile(path: string, base?: Btf): Btf {
  const bytes = readInput(path);
  return withContext({ file: path }, () => parseBtfFile(bytes, { name: path, base }));
}
