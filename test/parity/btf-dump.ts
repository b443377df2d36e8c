// Compares our dumps of BTF with those of bpftool, byte for byte.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot } from '../../scripts/paths.ts';
import type { Btf } from '../../src/btf/btf.ts';
import { dumpCBytes } from '../../src/btf/dump/c.ts';
import { dumpJsonBytes } from '../../src/btf/dump/json-text.ts';
import { mergeBtfs } from '../../src/btf/dump/merge.ts';
import { dumpRawBytes } from '../../src/btf/dump/raw.ts';
import { parseBtfFile } from '../../src/btf/file.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import type { Differences } from './compare.ts';

const launcher = join(dirname(authoritiesRoot), 'run');
const bpftoolProgram = join(authoritiesRoot, 'usr/sbin/bpftool');

/** Why bpftool cannot be compared with here; undefined where it can. */
export function missingBpftool(): string | undefined {
  if (existsSync(bpftoolProgram)) return undefined;
  return `no bpftool in ${authoritiesRoot}: run scripts/authorities.sh`;
}

/** Runs something, or gives the BpfError that it throws. */
export function attempt<T>(work: () => T): T | BpfError {
  try {
    return work();
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

/** The BTF in a file, raw or in ELF, as bpftool reads it. */
export function readBtf(file: string, base?: Btf): Btf | BpfError {
  const bytes = new Uint8Array(readFileSync(file));
  return attempt(() => parseBtfFile(bytes, { name: file, base }));
}

interface Output {
  readonly status: number | null;
  readonly bytes: Uint8Array;
}

function bpftool(args: readonly string[]): Output {
  // Circles keep it busy for ever, or overflow its stack.
  const options = { maxBuffer: 1 << 28, timeout: 5000, killSignal: 'SIGKILL' as const };
  const done = spawnSync(launcher, ['bpftool', ...args], options);
  return { status: done.status, bytes: new Uint8Array(done.stdout) };
}

/** A dump to compare: its name, how bpftool is asked for it, and what we make. */
interface Form {
  readonly name: string;
  readonly flags: readonly string[];
  readonly words: readonly string[];
  readonly ours: (btf: Btf, roots: readonly TypeId[] | undefined) => Uint8Array;
}

const forms: readonly Form[] = [
  {
    name: 'raw',
    flags: [],
    words: ['format', 'raw'],
    ours: (btf, roots) => dumpRawBytes(btf, { roots }),
  },
  {
    name: 'json',
    flags: ['-j'],
    words: [],
    ours: (btf, roots) => dumpJsonBytes(btf, { roots, lineEnd: true }),
  },
  {
    name: 'c',
    flags: [],
    words: ['format', 'c'],
    ours: (btf, roots) => dumpCBytes(btf, { roots }),
  },
  {
    name: 'c unsorted',
    flags: [],
    words: ['format', 'c', 'unsorted'],
    ours: (btf, roots) => dumpCBytes(btf, { roots, unsorted: true }),
  },
];

/** How one form of a dump compares. */
export interface Compared {
  readonly form: string;
  /** Undefined where bpftool crashed or did not end, and there is nothing to compare with. */
  readonly differences: Differences | undefined;
}

/** Every form of the dump of a file, on a base or alone, of all types or of some. */
export function compareDumps(
  file: string,
  options: { readonly base?: string; readonly roots?: readonly number[] } = {},
): readonly Compared[] {
  const base = options.base === undefined ? undefined : readBtf(options.base);
  const btf = base instanceof BpfError ? base : readBtf(file, base);
  const on = options.base === undefined ? [] : ['-B', options.base];
  const rootWords = (options.roots ?? []).flatMap((id) => ['root_id', String(id)]);
  const roots = options.roots as readonly TypeId[] | undefined;
  return forms.map(({ name, flags, words, ours }) => {
    const theirs = bpftool([...flags, ...on, 'btf', 'dump', 'file', file, ...words, ...rootWords]);
    if (theirs.status === null) return { form: name, differences: undefined };
    const mine = btf instanceof BpfError ? btf : attempt(() => ours(btf, roots));
    return { form: name, differences: compareOutputs(mine, theirs) };
  });
}

/** Every form of the dump of several split BTFs, merged on their base. */
export function compareMerged(files: readonly string[], baseFile: string): readonly Compared[] {
  const base = readBtf(baseFile);
  if (base instanceof BpfError) throw base;
  const merged = attempt(() =>
    mergeBtfs(
      files.map((file) => {
        const btf = readBtf(file, base);
        if (btf instanceof BpfError) throw btf;
        return btf;
      }),
    ),
  );
  const fileWords = files.flatMap((file) => ['file', file]);
  return forms.map(({ name, flags, words, ours }) => {
    const theirs = bpftool([...flags, '-B', baseFile, 'btf', 'dump', ...fileWords, ...words]);
    if (theirs.status === null) return { form: name, differences: undefined };
    const mine = merged instanceof BpfError ? merged : attempt(() => ours(merged, undefined));
    return { form: name, differences: compareOutputs(mine, theirs) };
  });
}

function compareOutputs(ours: Uint8Array | BpfError, theirs: Output): Differences {
  if (ours instanceof BpfError) {
    return theirs.status === 0 ? [`bpftool takes it; we say: ${ours.message}`] : [];
  }
  if (theirs.status !== 0) return ['bpftool refuses it, we do not'];
  return firstDifference(ours, theirs.bytes);
}

function firstDifference(ours: Uint8Array, theirs: Uint8Array): Differences {
  if (Buffer.compare(ours, theirs) === 0) return [];
  let at = 0;
  while (ours[at] === theirs[at]) at++;
  const around = (bytes: Uint8Array): string =>
    JSON.stringify(Buffer.from(bytes.subarray(Math.max(0, at - 60), at + 60)).toString());
  return [`byte ${at}: we have ${around(ours)}, bpftool ${around(theirs)}`];
}
