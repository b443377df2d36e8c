import { fromHex } from '../bytes/hex.ts';
import { BpfError } from '../errors.ts';
import { openObject } from '../object/open.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { readInput } from './files.ts';
import type { Log } from './log.ts';
import { UsageError } from './usage.ts';

// Apart, so that commands on types alone load nothing that reads objects.
export { readBtfFile, readInput } from './files.ts';

/** Opens the object at `path`. */
export function openObjectFile(path: string, log: Log): ObjectSpec {
  const bytes = readInput(path);
  const spec = openObject(bytes, { file: path });
  const { programs, maps } = spec;
  const facts = { path, bytes: bytes.length, programs: programs.length, maps: maps.length };
  log.debug(facts, 'opened object');
  return spec;
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
