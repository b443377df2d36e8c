import { BPF_FUNC } from '../../abi/bpf.ts';
import type { HelperFunction } from '../machine.ts';
import { checksumHelpers } from './checksums.ts';
import { controlHelpers } from './control.ts';
import type { HelperMachine } from './machine.ts';
import { mapHelpers } from './maps.ts';
import { printHelpers } from './print.ts';
import { probeHelpers } from './probe.ts';
import { redirectHelpers } from './redirect.ts';
import { ringBufferHelpers } from './ring-buffer.ts';
import { skbHelpers } from './skb.ts';
import { stringHelpers } from './strings.ts';
import { taskHelpers } from './tasks.ts';
import { timeHelpers } from './time.ts';
import { vlanHelpers } from './vlan.ts';
import { xdpHelpers } from './xdp.ts';

const families = [
  mapHelpers,
  timeHelpers,
  taskHelpers,
  probeHelpers,
  stringHelpers,
  controlHelpers,
  ringBufferHelpers,
  printHelpers,
  xdpHelpers,
  skbHelpers,
  vlanHelpers,
  checksumHelpers,
  redirectHelpers,
] as const;

/** All helpers of a VM by number (`enum bpf_func_id`). What is not here the VM does not have. */
export function createHelpers(machine: HelperMachine): ReadonlyMap<number, HelperFunction> {
  return new Map(families.flatMap((family) => family(machine)));
}

const names = new Map<number, string>(
  Object.entries(BPF_FUNC).map(([name, number]) => [number, `bpf_${name}`]),
);

/** Name of a helper, such as `bpf_map_lookup_elem`. */
export function helperName(number: number): string {
  return names.get(number) ?? `helper ${number}`;
}
