// Compares our deduplication with libbpf's btf__dedup, byte for byte: scripts call
// `compareDedup` for each set of files.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { appendBtf } from '../../src/btf/dedup/append.ts';
import { dedupBtf } from '../../src/btf/dedup/dedup.ts';
import { convertEndianness } from '../../src/btf/tools/reencode.ts';
import { BpfError } from '../../src/errors.ts';
import { readBtf } from './btf-dump.ts';
import type { Differences } from './compare.ts';

const launcher = join(dirname(authoritiesRoot), 'run');
const library = join(authoritiesRoot, 'usr/lib/x86_64-linux-gnu/libbpf.so.1');
const source = join(projectRoot, 'test/parity/libbpf-dedup.c');
const harness = join(dirname(authoritiesRoot), 'bin/libbpf-dedup');

/** Why libbpf cannot be compared with here; undefined where it can. Builds the harness. */
export function missingDedupHarness(): string | undefined {
  if (!existsSync(library)) return `no libbpf in ${authoritiesRoot}: run scripts/authorities.sh`;
  if (existsSync(harness) && statSync(harness).mtimeMs > statSync(source).mtimeMs) return undefined;
  mkdirSync(dirname(harness), { recursive: true });
  // The library wants a newer C library than the system's; it is started with its own.
  const link = [library, '-Wl,--allow-shlib-undefined'];
  const headers = `-I${join(authoritiesRoot, 'usr/include')}`;
  const built = spawnSync('cc', ['-O2', '-Wall', headers, source, '-o', harness, ...link]);
  return built.status === 0 ? undefined : 'no C compiler';
}

/** One answer of the harness; a reason if libbpf crashed or refused. */
function ask(question: string): { readonly types: number; readonly time: number } | string {
  const options = { input: `${question}\n`, timeout: 60_000, encoding: 'utf8' as const };
  const done = spawnSync(launcher, [harness], { ...options, killSignal: 'SIGKILL' });
  const [result, types, time] = done.stdout.split(' ').map(Number);
  if (result === undefined || types === undefined || time === undefined) {
    return `libbpf ends with ${done.signal ?? `status ${done.status}`}`;
  }
  return result === 0 ? { types, time } : `libbpf refuses it with ${result}`;
}

/** libbpf's time for so many copies of a file in milliseconds, without putting them together. */
export function timeLibbpfDedup(file: string, copies: number): number | undefined {
  const answer = ask(`time ${file} ${copies}`);
  return typeof answer === 'string' ? undefined : answer.time / 1e6;
}

/**
 * The files put together, on a base or not, and deduplicated by both; a reason where libbpf
 * cannot do it (circles of pointers, pointers to tags). It writes the byte order of its
 * machine, ours is turned round for that.
 */
export function compareDedup(files: readonly string[], base?: string): Differences | string {
  const folder = mkdtempSync(join(tmpdir(), 'tsbpf-dedup-'));
  try {
    const out = join(folder, 'out.btf');
    const answer = ask(['dedup', out, base ?? '-', ...files].join(' '));
    if (typeof answer === 'string') return answer;
    const theirs = new Uint8Array(readFileSync(out));
    const ours = dedupBtf(together(files, base));
    if (base !== undefined && ours.endId < answer.types) return compareTwice(ours, theirs);
    if (ours.endId !== answer.types) return [`${ours.endId} types, not ${answer.types}`];
    const bytes = convertEndianness(ours, isLittleEndian(theirs));
    return Buffer.compare(bytes, theirs) === 0 ? [] : ['as many types, but other bytes'];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isLittleEndian(btf: Uint8Array): boolean {
  return btf[0] === 0x9f;
}

/**
 * libbpf 1.7 looks for typedefs by another hash than the one it files those of the base
 * under, so it repeats them. We do not: what it leaves must be what we would make of it, or,
 * where structs of the base have declarations that are defined above it and one time more
 * finds more, what we would make of ours as well.
 */
function compareTwice(ours: Btf, theirs: Uint8Array): Differences {
  const again = dedupBtf(parseBtf(theirs, { base: ours.base }));
  if (again.endId === ours.endId) return [];
  const twice = dedupBtf(ours);
  return again.endId === twice.endId ? [] : [`${twice.endId} types, not ${again.endId}`];
}

function together(files: readonly string[], base: string | undefined): Btf {
  const baseBtf = base === undefined ? undefined : read(base);
  return files.map((file) => read(file, baseBtf)).reduce(appendBtf);
}

function read(file: string, base?: Btf): Btf {
  const btf = readBtf(file, base);
  if (btf instanceof BpfError) throw btf;
  return btf;
}
