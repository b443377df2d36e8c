import { writeSync } from 'node:fs';

/**
 * Writes bytes to standard output as they are, in as few calls as it takes.
 *
 * Where the other end cannot take more now (a pipe that does not block) the stream takes
 * over and waits; where it is gone the process ends quietly, as with the stream.
 */
export function writeOutput(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'EPIPE') process.exit();
      // EAGAIN, and what the stream will word as for any other output.
      process.stdout.write(bytes.subarray(at));
      return;
    }
  }
}
