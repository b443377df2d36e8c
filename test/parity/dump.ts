// What libbpf-dump.c prints, and how to build and run it.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { authoritiesRoot, projectRoot } from '../../scripts/paths.ts';

export interface DumpedMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly numaNode: number;
  readonly extra: string;
  readonly keyType: number;
  readonly valueType: number;
  readonly internal: boolean;
  readonly pinned: boolean;
  readonly autocreate: boolean;
  /** Hex; null where the map has no initial value. */
  readonly contents: string | null;
  readonly inner?: DumpedMap | null;
}

/** A map as it was created: descriptor, id, and the ids in its slots. */
export interface CreatedMap {
  readonly fd: number;
  readonly id: number;
  /** Hex: contents of the map of `.kconfig`; null for others. */
  readonly kconfig: string | null;
  readonly slots: readonly { readonly index: number; readonly id: number }[];
}

/** What an object says about a program. */
export interface DeclaredProgram {
  readonly name: string;
  readonly section: string;
  readonly type: number;
  readonly attachType: number;
  readonly autoload: boolean;
}

/** What libbpf asked the kernel to load. */
export interface LoadRequest {
  readonly type: number;
  readonly attachType: number;
  readonly flags: number;
  readonly attachBtfId: number;
  /** It attaches to another program. */
  readonly attachProgram: boolean;
  /** The kernel took it. */
  readonly taken: boolean;
}

export interface DumpedProgram extends DeclaredProgram {
  /** 0 where it was not loaded. */
  readonly id: number;
  /** Null where libbpf gave up before. */
  readonly request: LoadRequest | null;
  /** Hex, in the byte order of the machine. */
  readonly insns: string;
  readonly funcInfo: readonly (readonly [insn: number, type: number])[];
  readonly lineInfo: readonly (readonly [
    insn: number,
    file: number,
    line: number,
    lineAndColumn: number,
  ])[];
}

/** How far libbpf got: not opened, only opened, relocated, or loaded into the kernel. */
export type Stage = 'refused' | 'opened' | 'prepared' | 'loaded';

export interface Dump {
  readonly stage: Stage;
  readonly error: number;
  /** libbpf's warnings. */
  readonly log: string;
  /** The rest is absent where the object was refused. */
  readonly libbpf?: string;
  readonly name?: string;
  readonly maps?: readonly DumpedMap[];
  /** As they are after opening. */
  readonly declared?: readonly DeclaredProgram[];
  /** Absent where it was only opened. */
  readonly created?: readonly CreatedMap[];
  /** As they are after loading, or preparing. */
  readonly programs?: readonly DumpedProgram[];
  /** Jump tables by descriptor; targets are instructions of the program. */
  readonly tables?: readonly { readonly fd: number; readonly targets: readonly number[] }[];
}

const source = join(projectRoot, 'test/parity/libbpf-dump.c');
const program = join(dirname(authoritiesRoot), 'bin/libbpf-dump');
const launcher = join(dirname(authoritiesRoot), 'run');
const library = join(authoritiesRoot, 'usr/lib/x86_64-linux-gnu/libbpf.so.1');

/** Why libbpf cannot be compared with here; undefined where it can. */
export function missingAuthority(): string | undefined {
  if (!existsSync(library)) return `no libbpf in ${authoritiesRoot}: run scripts/authorities.sh`;
  if (process.getuid?.() !== 0) return 'libbpf makes maps when it relocates, which needs root';
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
  } catch {
    return 'no C compiler';
  }
  return undefined;
}

/** Compiles the harness where it is older than its source. */
export function buildDump(): void {
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return;
  mkdirSync(dirname(program), { recursive: true });
  const headers = join(authoritiesRoot, 'usr/include');
  // The library wants a newer C library than the system's; it is started with its own.
  const link = [library, '-Wl,--allow-shlib-undefined'];
  execFileSync('cc', ['-O1', '-Wall', `-I${headers}`, source, '-o', program, ...link, '-ldl']);
}

/** What libbpf makes of the object at `path`, relocated against a BTF file or the kernel. */
export function dumpObject(path: string, btf?: string): Dump {
  const args = [program, path, ...(btf === undefined ? [] : [btf])];
  const text = execFileSync(launcher, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  return JSON.parse(text) as Dump;
}
