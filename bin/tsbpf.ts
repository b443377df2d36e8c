#!/usr/bin/env node
import { main } from '../src/cli/main.ts';
import { writeOutput } from '../src/cli/write-bytes.ts';

const { stdout, stderr } = process;
// `tsbpf … | head` closes our output early; that is no error of ours, and the status stays.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}
process.exitCode = await main(process.argv.slice(2), {
  out: (text) => void stdout.write(text),
  outBytes: async (bytes) => writeOutput(bytes),
  err: (text) => void stderr.write(text),
  color:
    stdout.isTTY === true &&
    process.env['NO_COLOR'] === undefined &&
    process.env['TERM'] !== 'dumb',
});
