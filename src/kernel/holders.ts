import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NumberedKind } from './object-info.ts';

/** A process that has a descriptor of something. */
export interface Holder {
  readonly pid: number;
  /** Name of the process, at most 15 characters. */
  readonly command: string;
}

/**
 * The line of a descriptor's `fdinfo` that has the id. The first that is there says what the
 * descriptor is of: a link's names its program too.
 */
const lines: readonly (readonly [NumberedKind, RegExp])[] = [
  ['link', /^link_id:\s*(\d+)$/m],
  ['map', /^map_id:\s*(\d+)$/m],
  ['program', /^prog_id:\s*(\d+)$/m],
  ['btf', /^btf_id:\s*(\d+)$/m],
];

/**
 * Which processes hold descriptors, by the id of what they hold; processes by rising number.
 * From `/proc/PID/fdinfo`: what this user may not read is left out. (bpftool asks the kernel
 * through an iterator program, which needs more rights and gives the same.)
 */
export function holdersOf(
  kind: NumberedKind,
  proc = '/proc',
): ReadonlyMap<number, readonly Holder[]> {
  const found = new Map<number, Holder[]>();
  for (const pid of processes(proc)) {
    for (const id of idsOf(join(proc, String(pid), 'fdinfo'), kind)) {
      const holder = { pid, command: commandOf(join(proc, String(pid), 'comm')) };
      const holders = found.get(id);
      if (holders === undefined) found.set(id, [holder]);
      else holders.push(holder);
    }
  }
  return found;
}

function processes(proc: string): readonly number[] {
  return entriesOf(proc)
    .map(Number)
    .filter((pid) => pid > 0)
    .sort((a, b) => a - b);
}

function idsOf(folder: string, kind: NumberedKind): ReadonlySet<number> {
  const ids = new Set<number>();
  for (const name of entriesOf(folder)) {
    const text = textOf(join(folder, name));
    const line = lines.find(([, pattern]) => pattern.test(text));
    if (line?.[0] === kind) ids.add(Number(line[1].exec(text)?.[1]));
  }
  return ids;
}

function commandOf(path: string): string {
  return textOf(path).replace(/\n$/, '');
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // gone, or not ours to read
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
