import { BPF_FUNC, BPF_RINGBUF_HDR_SZ } from '../../abi/bpf.ts';
import type { HelperFunction, Run } from '../machine.ts';
import { RingBufferMap } from '../maps/ring-buffer.ts';
import type { HelperMachine } from './machine.ts';
import { mapArgument } from './maps.ts';
import {
  argumentU32,
  argumentU64,
  giveNumber,
  givePointer,
  giveUnsigned,
  type HelperEntries,
  misuse,
  pointer,
} from './registers.ts';

/** Ring buffers. */
export function ringBufferHelpers(machine: HelperMachine): HelperEntries {
  const { memory } = machine;
  const output: HelperFunction = (run) => {
    const ring = ringArgument(machine, run);
    const size = argumentU64(run, 3);
    const from = pointer(memory, run, 2, size, 'load');
    giveNumber(run, ring.output(from, size, argumentU64(run, 4)));
  };
  const reserve: HelperFunction = (run) => {
    const ring = ringArgument(machine, run);
    givePointer(run, argumentU64(run, 3) === 0 ? ring.reserve(argumentU64(run, 2)) : 0);
  };
  const end =
    (discard: boolean): HelperFunction =>
    (run) => {
      sampleRing(machine, run).commit(argumentU32(run, 1), argumentU32(run, 2), discard);
      giveNumber(run, 0);
    };
  return [
    [BPF_FUNC.ringbuf_output, output],
    [BPF_FUNC.ringbuf_reserve, reserve],
    [BPF_FUNC.ringbuf_submit, end(false)],
    [BPF_FUNC.ringbuf_discard, end(true)],
    [
      BPF_FUNC.ringbuf_query,
      (run) => giveUnsigned(run, ringArgument(machine, run).query(argumentU64(run, 2))),
    ],
  ];
}

function ringArgument(machine: HelperMachine, run: Run): RingBufferMap {
  const map = mapArgument(machine, run, 1);
  if (map instanceof RingBufferMap) return map;
  throw map.notForPrograms('a ring buffer helper');
}

/** The ring buffer of a reserved sample: its header says how many pages it is from page 0. */
function sampleRing(machine: HelperMachine, run: Run): RingBufferMap {
  const { memory, pageSize } = machine;
  const sample = pointer(memory, run, 1, 1, 'store');
  const header = sample - BPF_RINGBUF_HDR_SZ;
  const distance = memory.words[(header + 4) >>> 2] as number;
  const ring = machine.ringAt((Math.floor(header / pageSize) - distance) * pageSize);
  if (ring?.isReserved(sample) === true) return ring;
  throw misuse(run, 1, 'the argument is not a reserved sample of a ring buffer');
}
