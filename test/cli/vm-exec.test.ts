import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { objectPath, tsbpf } from './support.ts';

function exec(input: string, ...args: readonly string[]) {
  const program = join(projectRoot, 'dist/bundle/cli/tsbpf.js');
  const options = { input, encoding: 'utf8', timeout: 20_000 } as const;
  return spawnSync(process.execPath, [program, 'vm', 'exec', ...args], options);
}

const exit = '9500000000000000';

for (const engine of ['interpreter', 'jit']) {
  test(`vm exec prints r0 in hex: ${engine}`, (t) => {
    const rows: readonly (readonly [program: string, memory: string | undefined, r0: string])[] = [
      [`b70000002a000000 ${exit}`, undefined, '2a\n'],
      ['b7 00 00 00 ff ff ff ff\n95 00 00 00 00 00 00 00', undefined, 'ffffffffffffffff\n'],
      // r2 is the length, r1 the address; without memory both are 0
      [`bf20000000000000 ${exit}`, '0x01 02 03', '3\n'],
      [`bf10000000000000 ${exit}`, undefined, '0\n'],
      [`6110000000000000 ${exit}`, '01020304', '4030201\n'],
    ];
    for (const [program, memory, r0] of rows) {
      const args = memory === undefined ? [] : [memory];
      const { stdout, stderr, status } = exec(program, ...args, '--engine', engine);
      t.deepEqual({ stdout, stderr, status }, { stdout: r0, stderr: '', status: 0 }, program);
    }
  });
}

test('a big-endian program reads its memory so', (t) => {
  const { stdout } = exec(`6101000000000000 ${exit}`, '01020304', '--big-endian');
  t.is(stdout, '1020304\n');
});

test('what is wrong is one line, with a status of its own', (t) => {
  const rows: readonly (readonly [
    input: string,
    args: string[],
    status: number,
    reason: RegExp,
  ])[] = [
    ['zz', [], 2, /standard input: pairs of hex digits/],
    [exit, ['0'], 2, /MEMORY_HEX/],
    [exit, ['00', '11'], 2, /once/],
    [exit, ['--engine', 'fast'], 2, /--engine/],
    [exit, ['--nonsense'], 2, /nonsense/],
    ['', [], 1, /no instruction|empty/],
    ['b700000000', [], 1, /ends too early/],
    [`6110000000000000 ${exit}`, [], 1, /trap .* null pointer/],
    [`85000000ff000000 ${exit}`, [], 1, /lacks a function/],
    [`0500ffff00000000 ${exit}`, [], 1, /budget|instructions/],
  ];
  for (const [input, args, expected, reason] of rows) {
    const { stdout, stderr, status } = exec(input, ...args);
    t.is(stdout, '');
    t.is(status, expected, `${input} ${args.join(' ')}: ${stderr}`);
    t.regex(stderr, /^Error: [^\n]*\n$/);
    t.regex(stderr, reason);
  }
  t.regex(exec(exit, '--help').stdout, /^Usage: tsbpf vm exec/);
});

test('prog dump prints every stage', async (t) => {
  const compute = objectPath('v3/compute');
  const bpf = await tsbpf('prog', 'dump', 'file', compute, 'fibonacci');
  t.is(bpf.out, (await tsbpf('object', 'image', compute, '--program', 'fibonacci')).out);
  const lowered = await tsbpf('prog', 'dump', 'file', compute, 'fibonacci', 'stage', 'lowered');
  t.regex(lowered.out, /^fibonacci:\n +0 {2}insn 0 /);
  const wasm = await tsbpf('p', 'd', 'f', compute, 'fibonacci', 'st', 'w');
  t.regex(wasm.out, /^;; "fibonacci"\n\(module\n/);
  t.true(wasm.out.includes('i64.add'));
  const json = await tsbpf('-j', 'prog', 'dump', 'file', compute, 'stage', 'lowered');
  const report = JSON.parse(json.out);
  t.is(report.programs.length, 10);
  t.is((await tsbpf('prog', 'dump', 'file', compute, 'stage', 'asm')).status, 2);
  t.is((await tsbpf('prog', 'dump', 'file', compute, 'nothing', 'stage', 'wasm')).status, 1);
});
