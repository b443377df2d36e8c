import { BPF_FUNC } from '../../abi/bpf.ts';
import type { HelperMachine } from './machine.ts';
import { giveNumber, giveUnsigned, giveWide, type HelperEntries } from './registers.ts';

/** Time, random numbers, CPU and NUMA node. */
export function timeHelpers(machine: HelperMachine): HelperEntries {
  const { clock, random } = machine;
  return [
    [BPF_FUNC.ktime_get_ns, (run) => giveWide(run, clock.monotonic)],
    [BPF_FUNC.ktime_get_boot_ns, (run) => giveWide(run, clock.boot)],
    [BPF_FUNC.ktime_get_coarse_ns, (run) => giveWide(run, clock.coarse)],
    [BPF_FUNC.ktime_get_tai_ns, (run) => giveWide(run, clock.tai)],
    [BPF_FUNC.get_prandom_u32, (run) => giveUnsigned(run, random.next())],
    [BPF_FUNC.get_smp_processor_id, (run) => giveNumber(run, run.cpu.id)],
    [BPF_FUNC.get_numa_node_id, (run) => giveNumber(run, 0)],
  ];
}
