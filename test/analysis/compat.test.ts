import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../scripts/paths.ts';
import { requirementsOf } from '../../src/analysis/collect.ts';
import { checkCompatibility } from '../../src/analysis/compat.ts';
import { formatVersion, minimumKernel } from '../../src/analysis/kernels.ts';
import { stackUse } from '../../src/analysis/stack.ts';
import { parseBtf } from '../../src/btf/btf.ts';
import { openObject } from '../../src/object/open.ts';
import type { ProgramSpec } from '../../src/object/spec.ts';
import { builtinBtf } from '../../src/vm/index.ts';
import { fixture } from '../support/fixtures.ts';

const open = (name: string) => openObject(fixture(`v3/${name}`), { name });

test('what an object asks for, by its code, maps and externs', (t) => {
  const needs = requirementsOf(open('kfuncs'));
  t.deepEqual(
    needs.flatMap((need) => (need.kind === 'kfunc' ? [`${need.name} ${need.weak}`] : [])),
    [
      'tsbpf_no_such_kfunc true',
      'bpf_rcu_read_lock false',
      'bpf_rcu_read_unlock false',
      'bpf_task_from_pid false',
      'bpf_task_release false',
      'bpf_task_acquire___own false',
    ].sort((a, b) => order(needs, a) - order(needs, b)),
  );
  const place = needs.flatMap((need) => (need.kind === 'kfunc' ? need.places : []))[0];
  t.regex(place?.source?.file ?? '', /kfuncs\.bpf\.c$/);
  t.true(needs.some((need) => need.kind === 'feature' && need.feature === 'kfuncs'));
});

/** Kfuncs come in the order of their first use. */
function order(needs: ReturnType<typeof requirementsOf>, text: string): number {
  return needs.findIndex((need) => need.kind === 'kfunc' && text.startsWith(`${need.name} `));
}

for (const [name, version] of [
  ['all_types', '5.2'],
  ['atomics', '5.12'],
  ['callbacks', '5.17'],
  ['kfuncs', '6.2'],
  ['arena_plain', '6.9'],
  ['map_pinned', '5.8'],
  ['no_license', '3.19'],
  ['task_walk', '5.5'],
] as const) {
  test(`${name} needs Linux ${version}`, (t) => {
    t.is(formatVersion(minimumKernel(requirementsOf(open(name))).version), version);
  });
}

test('stack: each function, and the deepest chain in the units of the verifier', (t) => {
  const spec = open('xdp_parser');
  const { functions, deepest } = stackUse(spec, spec.programs[0] as ProgramSpec);
  t.deepEqual(
    functions.filter((fn) => fn.bytes > 0),
    [
      { name: 'parse_packet', bytes: 48 },
      { name: 'remember', bytes: 56 },
    ],
  );
  t.is(deepest, 128);
});

test('code that a check rules out does not count', (t) => {
  const kernel = { name: 'built-in', btf: builtinBtf() };
  const spec = open('core_poison');
  const { loads, programs } = checkCompatibility(spec, kernel);
  t.true(loads, JSON.stringify(programs.map((program) => program.problems)));
  // Without what the checks ask, the reads themselves are the problem.
  const unchecked = {
    ...spec,
    functions: spec.functions.map((fn) => ({
      ...fn,
      coreRelocations: fn.coreRelocations.filter((each) => each.kind === 0),
    })),
  };
  t.false(checkCompatibility(unchecked, kernel).loads);
});

test('a kernel without a helper, map type or function is told so, with the lines', (t) => {
  const file = join(projectRoot, '.cache/kernels/6.1/vmlinux.btf');
  if (!existsSync(file)) {
    t.pass('the types of 6.1 are not here');
    return;
  }
  const kernel = { name: '6.1', btf: parseBtf(new Uint8Array(readFileSync(file))) };
  t.true(checkCompatibility(open('xdp_counter'), kernel).loads);
  const { loads, problems, programs } = checkCompatibility(open('arena_plain'), kernel);
  t.false(loads);
  t.deepEqual(
    problems.map(({ kind }) => kind),
    ['map-type', 'map-flag', 'map-flag', 'kfunc', 'kfunc'],
  );
  t.is(programs[0]?.problems[0]?.kind, 'instructions');
  t.is(
    problems[3]?.reason,
    "'bpf_arena_alloc_pages': the types of the kernel have no such function",
  );
  t.regex(problems[3]?.places[0]?.source?.text ?? '', /bpf_arena_alloc_pages\(/);
});
