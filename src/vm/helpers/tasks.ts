import { BPF_FUNC } from '../../abi/bpf.ts';
import type { HelperFunction } from '../machine.ts';
import type { HelperMachine } from './machine.ts';
import {
  argumentU32,
  giveNumber,
  givePointer,
  giveWide,
  type HelperEntries,
  pointer,
} from './registers.ts';

/** The current task and its cgroup. */
export function taskHelpers(machine: HelperMachine): HelperEntries {
  const task: HelperFunction = (run) => {
    givePointer(run, machine.task.object?.offset ?? 0);
  };
  const comm: HelperFunction = (run) => {
    const size = argumentU32(run, 2);
    const at = pointer(machine.memory, run, 1, size, 'store');
    const { bytes } = machine.memory;
    bytes.fill(0, at, at + size);
    // The last byte of the buffer stays zero, however short it is.
    if (size > 0) bytes.set(machine.task.commBytes.subarray(0, size - 1), at);
    giveNumber(run, 0);
  };
  return [
    [
      BPF_FUNC.get_current_pid_tgid,
      (run) => giveWide(run, pair(machine.task.tgid, machine.task.pid)),
    ],
    [
      BPF_FUNC.get_current_uid_gid,
      (run) => giveWide(run, pair(machine.task.gid, machine.task.uid)),
    ],
    [BPF_FUNC.get_current_comm, comm],
    [BPF_FUNC.get_current_task, task],
    [BPF_FUNC.get_current_task_btf, task],
    [BPF_FUNC.get_current_cgroup_id, (run) => giveWide(run, machine.task.cgroupId)],
  ];
}

function pair(high: number, low: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
