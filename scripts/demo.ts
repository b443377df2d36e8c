// `npm run demo`: the main job on a committed object, without root: what is in it, its
// CO-RE relocations in words, a packet and a tracepoint event through the VM, and what they
// left in maps and ring buffer. Each step is the command line that a user would type.
import { relative } from 'node:path';
import { main } from '../src/cli/main.ts';
import type { Terminal } from '../src/cli/terminal.ts';
import { projectRoot } from './paths.ts';

const object = `${relative(process.cwd(), projectRoot) || '.'}/fixtures/v3/demo.o`;

/** Ethernet, IPv4 and UDP, 42 bytes: 192.0.2.1:53 to 192.0.2.2:4242. */
const packet =
  '0200000000020200000000010800' + // Ethernet
  '4500001c000000004011f6cdc0000201c0000202' + // IPv4
  '0035109200080000'; // UDP

const steps: readonly (readonly [title: string, ...argv: string[]])[] = [
  ['What is in the object', 'inspect', object],
  ['Where the fields that it reads are in the kernel that the VM simulates', 'explain', object],
  [
    'Three packets through the XDP program',
    'run',
    object,
    '--program',
    'count_packets',
    '--packet',
    packet,
    '--repeat',
    '3',
  ],
  ['A tracepoint event', 'run', object, '--program', 'report_open', '--event', 'open_event'],
];

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  color: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined,
};

for (const [title, ...argv] of steps) {
  terminal.out(`\n# ${title}\n$ tsbpf ${argv.join(' ')}\n\n`);
  const status = await main(argv, terminal);
  if (status !== 0) {
    process.exitCode = status;
    break;
  }
}
