// Runs random programs, and each once more with some of its offsets and constants changed, on
// the interpreter, compiled to WebAssembly and, with `--kernel`, in the machine's kernel, and
// compares results, packets and maps.
//
//   node dist/scripts/fuzz-engines.js [--count N] [--seed S] [--kernel]
//
// A program whose outcomes differ is printed with its seed; `--seed` with that number and
// `--count 1` runs it again. It is to be kept as a case of test/vm/jit/differential.test.ts.
import { parseArgs } from 'node:util';
import { disassemble } from '../src/asm/disassemble.ts';
import { createKernelBackend, kernelSupport } from '../src/kernel/index.ts';
import type { ProgramImage } from '../src/object/image.ts';
import { createVm } from '../src/vm/index.ts';
import { pinToFirstCpu } from '../test/both/outcome.ts';
import { difference, Runner } from '../test/vm/compare-engines.ts';
import { mutated, randomProgram, seededRandom } from '../test/vm/random-programs.ts';
import { formatCounts, noCounts } from './counts.ts';

const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    kernel: { type: 'boolean', default: false },
  },
});

const count = Number(options.count);
const firstSeed = Number(options.seed);
const packet = Uint8Array.from({ length: 64 }, (_, i) => (i * 7) & 0xff);

function report(seed: number, image: ProgramImage, runner: Runner, text: string): void {
  console.log(`seed ${seed}: ${runner.name} differs from the interpreter`);
  console.log(text);
  for (let at = 0; at < image.insns.length; at++) {
    console.log(`${at}: ${disassemble(image.insns, at)}`);
    if (image.insns.code[at] === 0x18) at++;
  }
}

function main(): void {
  const support = kernelSupport();
  if (options.kernel && !support.ok) {
    console.log(`- no kernel: ${support.reason}`);
    console.log(formatCounts({ ...noCounts, skipped: count }));
    return;
  }
  // Per-CPU values are compared for the first CPU, which is the VM's only one that runs.
  if (options.kernel) pinToFirstCpu();
  const budget = { instructionBudget: 50_000 };
  const vms = (): readonly [Runner, Runner] => [
    new Runner('interpreter', () => createVm({ engine: 'interpreter', ...budget })),
    new Runner('jit', () => createVm({ engine: 'jit', ...budget })),
  ];
  const [reference, compiled] = vms();
  // Programs that write where they should not damage what later ones of the same VM use.
  const [wildReference, wildCompiled] = vms();
  const kernel = options.kernel ? new Runner('kernel', () => createKernelBackend()) : undefined;
  const runners = [reference, compiled, wildReference, wildCompiled];
  let different = 0;
  let inKernel = 0;
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const next = seededRandom(seed);
    const image = randomProgram(next, { callbacks: kernel === undefined });
    const compare = (program: ProgramImage, runner: Runner, expected: string | undefined) => {
      const outcome = runner.outcome(program, packet);
      if (runner === kernel && outcome === undefined) return;
      if (runner === kernel) inKernel++;
      if (outcome === expected) return;
      different++;
      report(seed, program, runner, difference(expected ?? 'not loaded', outcome ?? 'not loaded'));
    };
    const expected = reference.outcome(image, packet);
    compare(image, compiled, expected);
    if (kernel !== undefined) compare(image, kernel, expected);
    const changed = mutated(image, next);
    compare(changed, wildCompiled, wildReference.outcome(changed, packet));
  }
  const asked = kernel === undefined ? '' : `, ${inKernel} of them in the kernel as well`;
  console.log(`${count} programs${asked}`);
  console.log(formatCounts({ passed: count - different, failed: different, skipped: 0 }));
  if (different > 0) process.exitCode = 1;
  for (const runner of [...runners, kernel]) runner?.close();
}

main();
