import { readFileSync } from 'node:fs';
import { type Btf, parseBtf } from '../btf/btf.ts';
import { fromHex } from '../bytes/hex.ts';
import { readBtfSections } from '../elf/elf.ts';
import { BpfError, withContext } from '../errors.ts';
import { openObject } from '../object/open.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { Log } from './log.ts';
import { UsageError } from './usage.ts';

/** Reads a file; what the operating system says becomes a `BpfError` that names the file. */
export function readInput(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BpfError({ code: 'unreadable-file', path, reason }, { cause: error });
  }
}

/** Opens the object at `path`. */
export function openObjectFile(path: string, log: Log): ObjectSpec {
  const bytes = readInput(path);
  const spec = openObject(bytes, { file: path });
  const { programs, maps } = spec;
  const facts = { path, bytes: bytes.length, programs: programs.length, maps: maps.length };
  log.debug(facts, 'opened object');
  return spec;
}

/**
 * Reads types: a raw BTF file, or the `.BTF` section of an ELF file. A split one goes on
 * `base`; a module's own `.BTF.base` comes before it.
 */
export function readBtfFile(path: string, base?: Btf): Btf {
  const bytes = readInput(path);
  return withContext({ file: path }, () => {
    if (!isElf(bytes)) return parseBtf(bytes, { name: path, base });
    const sections = readBtfSections(bytes);
    if (sections.btf === undefined) throw new BpfError({ code: 'no-btf-section' });
    const pointerSize = bytes[4] === 1 ? 4 : 8; // by the ELF class, as libbpf does
    const own = sections.base;
    const on = own === undefined ? base : parseBtf(own, { name: `${path} (.BTF.base)` });
    return parseBtf(sections.btf, { name: path, base: on, pointerSize });
  });
}

function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** Bytes given on the command line: hex digits, else the file of that name (`./cafe` is a file). */
export function readBytesArgument(value: string, option: string): Uint8Array {
  const hex = fromHex(value);
  if (hex !== undefined && hex.length > 0) return hex;
  try {
    return readInput(value);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    throw new UsageError(`${option}: neither hex digits nor a readable file: ${error.message}`);
  }
}

/** A whole number from `min` to `max`, decimal or 0x hex. */
export function readNumber(value: string, option: string, min: number, max: number): number {
  const number = /^(0x[0-9a-f]+|\d+)$/i.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) {
    throw new UsageError(
      `${option}: a whole number from ${min} to ${max} is wanted, not '${value}'`,
    );
  }
  return number;
}

/** The program of that name; without a name the only one there is. */
export function chooseProgram(spec: ObjectSpec, name: string | undefined): ProgramSpec {
  const have = spec.programs.map((program) => program.name);
  if (name !== undefined) {
    const found = spec.programs.find((program) => program.name === name);
    if (found !== undefined) return found;
    throw new BpfError({ code: 'no-such-program', name, have });
  }
  const [only, ...others] = spec.programs;
  if (only !== undefined && others.length === 0) return only;
  throw new BpfError({ code: 'which-program', have });
}
