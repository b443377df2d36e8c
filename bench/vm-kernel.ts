// The programs of fixtures/compute.bpf.c in the VM, against the kernel's JIT through
// BPF_PROG_TEST_RUN. Both say how long one run takes on average. The time of the empty
// program is each one's fixed cost and is taken off, except from programs so short that
// little more than noise would be left.
import type { Backend, BackendProgram } from '../src/backend/backend.ts';
import { createKernelBackend, kernelSupport } from '../src/kernel/index.ts';
import { loadObject } from '../src/loader/load.ts';
import type { LoadedObject } from '../src/loader/loaded.ts';
import { openObject } from '../src/object/open.ts';
import { createVm } from '../src/vm/index.ts';
import { fixture } from '../test/support/fixtures.ts';
import { type BenchOptions, type Group, interleaved, type Row } from './measure.ts';
import { udpPacket } from './packets.ts';

const peerName = 'kernel, JIT';
const data = udpPacket();

/** How often a sample runs the program, so that it takes some milliseconds. */
const repeats: Readonly<Record<string, { readonly ours: number; readonly kernel: number }>> = {
  empty: { ours: 5000, kernel: 50_000 },
  parse_headers: { ours: 5000, kernel: 50_000 },
};
const usualRepeats = { ours: 20, kernel: 1000 };

function meanRun(program: BackendProgram, repeat: number): number {
  return program.testRun({ data, repeat }).duration;
}

function load(backend: Backend): LoadedObject {
  return loadObject(openObject(fixture('v3/compute'), { name: 'compute' }), { backend });
}

async function measure(
  name: string,
  vm: LoadedObject,
  kernel: LoadedObject | undefined,
  { quick }: BenchOptions,
): Promise<{ readonly ours: number; readonly peer: number | undefined }> {
  const repeat = repeats[name] ?? usualRepeats;
  const ours = vm.program(name);
  const peer = kernel?.program(name);
  return interleaved(
    () => meanRun(ours, repeat.ours),
    peer && (() => meanRun(peer, repeat.kernel)),
    quick ? { rounds: 1, warmUp: 1 } : { rounds: 11, warmUp: 5 },
  );
}

async function rows(options: BenchOptions): Promise<readonly Row[]> {
  using vm = createVm({ instructionBudget: 1_000_000_000 });
  using kernel = kernelSupport().ok ? createKernelBackend() : undefined;
  using inVm = load(vm);
  using inKernel = kernel && load(kernel);
  const fixed = await measure('empty', inVm, inKernel, options);
  const result: Row[] = [{ name: 'vm/empty/fixed cost', ...fixed, peerName, goal: undefined }];
  for (const { spec } of inVm.programs) {
    if (spec.name === 'empty') continue;
    const { ours, peer } = await measure(spec.name, inVm, inKernel, options);
    const long = ours > 5 * fixed.ours;
    result.push({
      name: `vm/${spec.name}/interpreter`,
      ours: long ? ours - fixed.ours : ours,
      peer: peer && (long ? peer - (fixed.peer ?? 0) : peer),
      peerName,
      goal: undefined,
    });
  }
  return result;
}

export const vmKernelGroup: Group = { name: 'vm', rows };
