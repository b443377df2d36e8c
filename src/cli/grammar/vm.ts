import type { Command } from 'commander';

/** `tsbpf vm …`: for the list of commands only, since `vm exec` is answered before this is loaded. */
export function addVm(program: Command): void {
  const vm = program.command('vm').description('run programs alone');
  vm.command('exec')
    .description('run the bytes of a program from standard input, as conformance suites do')
    .argument('[memory]', 'hex digits: what r1 points to')
    .option('--engine <engine>', 'interpreter or jit', 'interpreter')
    .option('--big-endian', 'the program and its memory are big-endian');
}
