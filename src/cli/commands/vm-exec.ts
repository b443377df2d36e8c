import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fromHex } from '../../bytes/hex.ts';
import { BpfError } from '../../errors.ts';
import { executeBytes } from '../../vm/exec.ts';
import type { Terminal } from '../terminal.ts';
import { UsageError } from '../usage.ts';

/** What `tsbpf vm exec` says about itself. */
export const vmExecUsage = `Usage: tsbpf vm exec [MEMORY_HEX] [--engine interpreter|jit] [--big-endian]

Runs a program whose bytes come as hex digits from standard input, with r1 = the address of the
memory and r2 = its length in bytes, and prints r0 in hex. Made for conformance suites.

Example:
  $ echo 'b7 00 00 00 2a 00 00 00  95 00 00 00 00 00 00 00' | tsbpf vm exec
  2a
`;

/**
 * `tsbpf vm exec …`, given what follows; the exit status. Apart from the parser of command
 * lines, which would double the time of a process that is started thousands of times.
 */
export async function vmExec(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        engine: { type: 'string', default: 'interpreter' },
        'big-endian': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      terminal.out(vmExecUsage);
      return 0;
    }
    const result = await execute(positionals, values.engine, !values['big-endian']);
    terminal.out(`${result.toString(16)}\n`);
    return 0;
  } catch (error) {
    return reported(error, terminal);
  }
}

async function execute(
  [memory = '', ...more]: readonly string[],
  engine: string,
  littleEndian: boolean,
): Promise<bigint> {
  if (more.length > 0) throw new UsageError('memory is given once, as hex digits');
  if (engine !== 'interpreter' && engine !== 'jit') {
    throw new UsageError("--engine is 'interpreter' or 'jit'");
  }
  const program = hexBytes(readFileSync(0, 'utf8'), 'standard input');
  const jit = engine === 'jit' ? (await import('../../vm/jit/jit.ts')).accelerate : undefined;
  return executeBytes(program, {
    memory: hexBytes(memory, 'MEMORY_HEX'),
    littleEndian,
    jit: jit && ((lowered) => jit(lowered, 'jit')),
  });
}

function hexBytes(text: string, what: string): Uint8Array {
  const digits = text.replace(/0x|[\s,]/gi, '');
  const bytes = digits === '' ? new Uint8Array(0) : fromHex(digits);
  if (bytes === undefined) throw new UsageError(`${what}: pairs of hex digits are wanted`);
  return bytes;
}

function reported(error: unknown, terminal: Terminal): number {
  const isUsage =
    error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE');
  if (!isUsage && !(error instanceof BpfError)) throw error;
  terminal.err(`Error: ${(error as Error).message}\n`);
  return isUsage === true ? 2 : 1;
}
