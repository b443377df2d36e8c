// Relocates data/object.o against data/kernel.btf and compares with what libbpf 1.7 made of each
// program alone (`btf_custom_path`, only that program autoloaded, `bpf_object__prepare`, then
// `bpf_program__insns`). How the files were built is said in data/object.bpf.c.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../../scripts/paths.ts';
import { encodeInsns } from '../../../src/asm/insns.ts';
import { parseBtf } from '../../../src/btf/btf.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { BpfError } from '../../../src/errors.ts';
import { openObject } from '../../../src/object/open.ts';
import {
  applyCore,
  type CoreFunction,
  describePlan,
  planCore,
} from '../../../src/relocs/core/index.ts';

function data(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(projectRoot, 'test/relocs/core/data', name)));
}

/** Program by program: its instructions in hex, one per line, or `fail`. */
function golden(): ReadonlyMap<string, readonly string[]> {
  const programs = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of new TextDecoder().decode(data('object.golden')).trim().split('\n')) {
    if (/^([0-9a-f]{16}|fail)$/.test(line)) lines.push(line);
    else {
      lines = [];
      programs.set(line, lines);
    }
  }
  return programs;
}

const object = openObject(data('object.o'));
const kernel = parseBtf(data('kernel.btf'), { name: 'kernel' });

function relocate(fn: CoreFunction, explain: boolean): readonly string[] {
  if (object.btf === undefined) throw new Error('the object has types');
  const plans = planCore({ local: object.btf, targets: [kernel], functions: [fn], explain });
  for (const plan of plans) describePlan(plan);
  const insns = fn.insns.slice();
  try {
    applyCore(insns, plans);
  } catch (error) {
    if (error instanceof BpfError) return ['fail'];
    throw error;
  }
  return toHex(encodeInsns(insns, { littleEndian: true })).match(/.{16}/g) ?? [];
}

for (const [name, expected] of golden()) {
  test(`as libbpf: ${name}`, (t) => {
    const fn = object.functions.find((candidate) => candidate.name === name);
    if (fn === undefined) return t.fail('the object has no such program');
    t.deepEqual(relocate(fn, false), expected);
    t.deepEqual(relocate(fn, true), expected);
  });
}

test('every program of the object is compared', (t) => {
  t.deepEqual([...golden().keys()].sort(), object.functions.map((fn) => fn.name).sort());
});
