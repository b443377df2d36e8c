// libbpf as a peer: bench/libbpf-bench.c, compiled against the fetched libbpf and kept
// running, so that its own start is in no sample.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { authoritiesRoot, projectRoot } from '../scripts/paths.ts';

const source = join(projectRoot, 'bench/libbpf-bench.c');
const program = join(projectRoot, '.cache/bench/libbpf-bench');
const start = join(dirname(authoritiesRoot), 'run');

/** How rows name this peer. */
export const libbpfName = 'libbpf 1.7';

function build(): void {
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return;
  mkdirSync(dirname(program), { recursive: true });
  const include = join(authoritiesRoot, 'usr/include');
  const library = join(authoritiesRoot, 'usr/lib/x86_64-linux-gnu');
  const link = ['-L', library, '-Wl,--allow-shlib-undefined', '-lbpf'];
  execFileSync('gcc', ['-O2', '-I', include, source, '-o', program, ...link], { stdio: 'inherit' });
}

/** A running libbpf-bench. */
export class LibbpfPeer implements Disposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error('libbpf-bench has no output');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Undefined where the authorities or a C compiler are missing. */
  static start(): LibbpfPeer | undefined {
    if (!existsSync(start)) return undefined;
    try {
      build();
    } catch {
      return undefined;
    }
    return new LibbpfPeer(spawn(start, [program], { stdio: ['pipe', 'pipe', 'inherit'] }));
  }

  async #ask(command: string): Promise<number> {
    this.#child.stdin?.write(`${command}\n`);
    const answer = await this.#lines.next();
    if (answer.done) throw new Error(`libbpf-bench ended at: ${command}`);
    return Number(answer.value);
  }

  /** Nanoseconds to open all of the objects. */
  open(paths: readonly string[]): Promise<number> {
    return this.#ask(`open ${paths.join(' ')}`);
  }

  /** Nanoseconds to parse a raw BTF file. */
  parseBtf(path: string): Promise<number> {
    return this.#ask(`btf ${path}`);
  }

  /** Nanoseconds for `count` lookups by name and kind in a freshly parsed BTF. */
  lookup(path: string, count: number): Promise<number> {
    return this.#ask(`lookup ${path} ${count}`);
  }

  /** Nanoseconds to deduplicate so many copies of a raw BTF file, put together before. */
  dedup(path: string, copies: number): Promise<number> {
    return this.#ask(`dedup ${path} ${copies}`);
  }

  /** Nanoseconds to write all types of a freshly parsed BTF as C into memory. */
  dumpC(path: string): Promise<number> {
    return this.#ask(`cdump ${path}`);
  }

  [Symbol.dispose](): void {
    this.#child.stdin?.end();
  }
}

/** One sample of a process that has done nothing before. */
export async function coldLibbpf(
  sample: (peer: LibbpfPeer) => Promise<number>,
): Promise<number | undefined> {
  using peer = LibbpfPeer.start();
  return peer === undefined ? undefined : await sample(peer);
}
