// Compares what the command line says about BTF in the running kernel with what bpftool says.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { kernelSupport } from '../../src/kernel/probe.ts';
import { loadObject } from '../../src/loader/load.ts';
import { openObject } from '../../src/object/open.ts';
import type { Differences } from './compare.ts';

/** Objects with all kinds of maps, data sections and several programs. */
const objects = ['globals', 'map_work'];

/** A comparison that was made. */
export interface LiveComparison {
  readonly title: string;
  readonly differences: Differences;
}

/** Why the running kernel cannot be compared; undefined where it can. */
export function missingKernel(): string | undefined {
  const support = kernelSupport();
  return support.ok ? undefined : support.reason;
}

interface Output {
  readonly status: number | null;
  readonly text: string;
}

function run(program: string, args: readonly string[]): Output {
  const done = spawnSync(program, args, { maxBuffer: 1 << 28, encoding: 'utf8' });
  return { status: done.status, text: done.stdout };
}

const bpftool = (args: readonly string[]): Output =>
  run(join(dirname(authoritiesRoot), 'run'), ['bpftool', ...args]);
const tsbpf = (args: readonly string[]): Output =>
  run(process.execPath, [join(projectRoot, 'dist/bundle/cli/tsbpf.js'), ...args]);

/** `btf show`, and `btf dump` by every way to name something, with objects loaded meanwhile. */
export function compareLive(): readonly LiveComparison[] {
  using kernel = createKernelBackend();
  const loaded = objects.map((name) => {
    const bytes = new Uint8Array(readFileSync(join(projectRoot, `fixtures/v3/${name}.o`)));
    return loadObject(openObject(bytes, { name }), { backend: kernel });
  });
  try {
    return [...compareShow(), ...compareDumps()];
  } finally {
    for (const object of loaded) object.close();
  }
}

/** Words and the order of ids: bpftool lists them as its hash table has them. */
function compareShow(): readonly LiveComparison[] {
  const known = ids('btf');
  return [[], ...known.map((id) => ['id', String(id)])].map((words) => {
    const args = ['-j', 'btf', 'show', ...words];
    const [theirs, ours] = [bpftool(args), tsbpf(args)].map(({ text }) => comparable(text));
    return {
      title: `live: btf show ${words.join(' ')}`,
      differences: theirs === ours ? [] : [`${ours}, not ${theirs}`],
    };
  });
}

type Shown = Record<string, unknown>;

function comparable(text: string): string {
  const parsed = JSON.parse(text) as Shown | readonly Shown[];
  const all = Array.isArray(parsed) ? (parsed as readonly Shown[]) : [parsed as Shown];
  // bpftool finds processes only where it was built with clang at hand.
  return JSON.stringify(all.map(({ pids: _, ...each }) => sorted(each)));
}

function sorted(each: Shown): Shown {
  const lists = ['prog_ids', 'map_ids'].map((name) => [
    name,
    [...(each[name] as readonly number[])].sort((a, b) => a - b),
  ]);
  return { ...each, ...Object.fromEntries(lists) };
}

function ids(noun: 'btf' | 'map' | 'prog'): readonly number[] {
  const listed = JSON.parse(bpftool(['-j', noun, 'show']).text) as readonly { id: number }[];
  return listed.map(({ id }) => id);
}

function compareDumps(): readonly LiveComparison[] {
  const sources = [
    ...ids('btf').map((id) => ['id', String(id)]),
    ...ids('prog').map((id) => ['prog', 'id', String(id)]),
    ...ids('map').flatMap((id) =>
      [[], ['key'], ['value'], ['kv'], ['all']].map((part) => ['map', 'id', String(id), ...part]),
    ),
    ['map', 'name', 'numbers'],
    ['prog', 'name', 'map_empty'],
    ['m', 'n', 'numbers', 'v'],
    ['p', 'id', '999999999'],
    ['id', '999999999'],
  ];
  const forms = [[], ['format', 'c'], ['format', 'c', 'unsorted']];
  return sources.flatMap((source) => [
    ...forms.map((form) => compareDump([], [...source, ...form])),
    compareDump(['-j'], source),
  ]);
}

function compareDump(flags: readonly string[], words: readonly string[]): LiveComparison {
  const args = [...flags, 'btf', 'dump', ...words];
  const [theirs, ours] = [bpftool(args), tsbpf(args)];
  const title = `live: ${args.join(' ')}`;
  if ((theirs.status === 0) !== (ours.status === 0)) {
    return { title, differences: [`status ${ours.status}, not ${theirs.status}`] };
  }
  if (theirs.status !== 0) return { title, differences: [] };
  const same = flags.length === 0 ? theirs.text === ours.text : equalJson(theirs.text, ours.text);
  return { title, differences: same ? [] : ['the output differs'] };
}

function equalJson(a: string, b: string): boolean {
  return JSON.stringify(JSON.parse(a)) === JSON.stringify(JSON.parse(b));
}
