// Compares what is left of objects' types for kernels that lack parts of BTF with what libbpf
// hands to such kernels.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { dumpRaw } from '../../src/btf/dump/raw.ts';
import { encodeBtf } from '../../src/btf/tools/reencode.ts';
import { BTF_FEATURES, type BtfFeature, sanitiseBtf } from '../../src/btf/tools/sanitise.ts';
import { BpfError } from '../../src/errors.ts';
import { openObject } from '../../src/object/open.ts';
import { attempt } from './btf-dump.ts';
import type { Differences } from './compare.ts';

const launcher = join(dirname(authoritiesRoot), 'run');
const library = join(authoritiesRoot, 'usr/lib/x86_64-linux-gnu/libbpf.so.1');
const harness = join(dirname(authoritiesRoot), 'bin/libbpf-sanitise');
const source = join(projectRoot, 'test/parity/libbpf-sanitise.c');

/**
 * What may be lacking: each feature alone, none, and all that came after some kernel. To find
 * out about declaration tags, a variable is needed.
 */
const lackings: readonly (readonly BtfFeature[])[] = [
  [],
  ['func'],
  ['datasec', 'decl-tag'],
  ['global-func'],
  ['float'],
  ['decl-tag'],
  ['type-tag'],
  ['enum64'],
  ['qmark-datasec'],
  ['enum64', 'type-tag', 'decl-tag', 'qmark-datasec'],
  BTF_FEATURES.filter((feature) => feature !== 'layout'),
];

/** Why libbpf cannot be compared with here; undefined where it can. Builds the harness. */
export function missingSanitiseHarness(): string | undefined {
  if (!existsSync(library)) return `no libbpf in ${authoritiesRoot}: run scripts/authorities.sh`;
  if (existsSync(harness) && statSync(harness).mtimeMs > statSync(source).mtimeMs) return undefined;
  mkdirSync(dirname(harness), { recursive: true });
  const link = [library, '-Wl,--allow-shlib-undefined', '-ldl'];
  const headers = `-I${join(authoritiesRoot, 'usr/include')}`;
  const built = spawnSync('cc', ['-O2', '-Wall', headers, source, '-o', harness, ...link]);
  return built.status === 0 ? undefined : 'no C compiler';
}

/** Differences by what is lacking; objects that libbpf does not load at all are left out. */
export function* compareSanitised(
  objects: readonly string[],
  folder: string,
): Generator<{ readonly lacking: string; readonly differences: Differences }> {
  const full = sanitisedByLibbpf([], objects, folder);
  for (const features of lackings) {
    const found = sanitisedByLibbpf(features, objects, folder);
    const differences = objects.flatMap((object, i) => {
      const [before, theirs] = [full[i], found[i]];
      if (before === undefined || theirs === undefined) return [];
      const difference = compareOne(before, theirs, features);
      return difference === undefined ? [] : [`${object}: ${difference}`];
    });
    yield { lacking: features.length === 0 ? 'nothing' : features.join(', '), differences };
  }
}

/**
 * From what libbpf hands to a kernel that has everything: where variables lie in their
 * sections, and `extern` declarations, it has settled there already.
 */
function compareOne(
  before: Uint8Array,
  theirs: Uint8Array,
  lacking: readonly BtfFeature[],
): string | undefined {
  const features = new Set(BTF_FEATURES.filter((feature) => !lacking.includes(feature)));
  const original = parseBtf(before);
  const ours = attempt(() => sanitiseBtf(original, features));
  if (ours instanceof BpfError) return ours.message;
  if (same(ours, parseBtf(theirs))) return undefined;
  const lines = dumpRaw(ours).split('\n');
  const other = dumpRaw(parseBtf(theirs)).split('\n');
  const at = lines.findIndex((line, i) => line !== other[i]);
  return `${lines[at] ?? 'other bytes'}, not ${other[at]}`;
}

/** Names that parameters get from us and not from libbpf do not count. */
function same(ours: Btf, theirs: Btf): boolean {
  const bytes = (btf: Btf): Buffer => Buffer.from(encodeBtf(btf, { layout: false }));
  if (bytes(ours).equals(bytes(theirs))) return true;
  const text = dumpRaw(ours).replaceAll("'argument' val=", "'(anon)' val=");
  return text === dumpRaw(theirs);
}

function sanitisedByLibbpf(
  lacking: readonly BtfFeature[],
  objects: readonly string[],
  folder: string,
): readonly (Uint8Array | undefined)[] {
  const outs = objects.map((_, i) => join(folder, `sanitised-${i}.btf`));
  for (const out of outs) rmSync(out, { force: true });
  const input = objects.map((object, i) => `${object} ${outs[i]}\n`).join('');
  const args = [harness, lacking.length === 0 ? '-' : lacking.join(',')];
  const done = spawnSync(launcher, args, { input, encoding: 'utf8', timeout: 120_000 });
  if (done.status !== 0) throw new Error(`libbpf ends with ${done.status}: ${done.stderr}`);
  return outs.map((out) => (existsSync(out) ? new Uint8Array(readFileSync(out)) : undefined));
}

/** Whether objects have types at all, so that there is something to compare. */
export function hasTypes(object: string): boolean {
  const spec = attempt(() => openObject(new Uint8Array(readFileSync(object))));
  return !(spec instanceof BpfError) && spec.btf !== undefined;
}
