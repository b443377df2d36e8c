import { BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { encodeText } from '../../bytes/text.ts';
import type { HelperFunction, Run } from '../machine.ts';
import {
  type FormatArguments,
  type FormattedText,
  formatText,
  maxFormatArguments,
} from './format.ts';
import type { HelperMachine } from './machine.ts';
import {
  argumentU32,
  argumentWide,
  giveNumber,
  type HelperEntries,
  isLittleEndian,
  isNull,
  pointer,
} from './registers.ts';

/** Size of the kernel's buffer for one printed text, with its zero (`MAX_BPRINTF_BUF`). */
const traceBuffer = 1024;

/** Longest format that is looked at; the kernel's verifier sets no limit. */
const longestFormat = 4096;

/** `bpf_trace_printk`, `bpf_trace_vprintk` and `bpf_snprintf`. */
export function printHelpers(machine: HelperMachine): HelperEntries {
  const printk: HelperFunction = (run) => {
    const format = formatBytes(machine, run, 1, argumentU32(run, 2));
    const data = { read: (i: number) => argumentWide(run, 3 + i), count: 3 };
    giveNumber(run, trace(machine, run, format, data));
  };
  const vprintk: HelperFunction = (run) => {
    const format = formatBytes(machine, run, 1, argumentU32(run, 2));
    const data = dataArguments(machine, run, 3, 4);
    giveNumber(run, data === undefined ? -ERRNO.EINVAL : trace(machine, run, format, data));
  };
  return [
    [BPF_FUNC.trace_printk, printk],
    [BPF_FUNC.trace_vprintk, vprintk],
    [BPF_FUNC.snprintf, (run) => giveNumber(run, snprintf(machine, run))],
  ];
}

/** A format with its zero: live bytes, of which {@link formatText} reads up to the zero. */
function formatBytes(machine: HelperMachine, run: Run, index: number, size: number): Uint8Array {
  const at = pointer(machine.memory, run, index, size, 'load');
  return machine.memory.bytes.subarray(at, at + Math.min(size, longestFormat));
}

/** Formats for a buffer of `room` bytes; long texts cost instructions of the run's budget. */
function print(
  machine: HelperMachine,
  run: Run,
  room: number,
  format: Uint8Array,
  data: DataArguments,
): FormattedText | number {
  const { memory } = machine;
  const printed = formatText({ memory, room }, format, data.read, data.count);
  if (typeof printed !== 'number') run.budget -= printed.text.length >>> 4;
  return printed;
}

/** Puts a formatted text into the log: its length as the program gets it, or the errno. */
function trace(machine: HelperMachine, run: Run, format: Uint8Array, data: DataArguments): number {
  const printed = print(machine, run, traceBuffer, format, data);
  if (typeof printed === 'number') return printed;
  const { task, clock } = machine;
  machine.log.add({
    text: printed.text.slice(0, traceBuffer - 1),
    cpu: run.cpu.id,
    pid: task.pid,
    comm: task.shownComm,
    time: clock.monotonic,
  });
  return printed.length;
}

interface DataArguments {
  readonly read: FormatArguments;
  readonly count: number;
}

/** Arguments in an array of 64-bit numbers; undefined where pointer and size are refused. */
function dataArguments(
  machine: HelperMachine,
  run: Run,
  index: number,
  sizeIndex: number,
): DataArguments | undefined {
  const size = argumentU32(run, sizeIndex);
  if (size % 8 !== 0 || size > maxFormatArguments * 8) return undefined;
  if (size > 0 && isNull(run, index)) return undefined;
  const at = pointer(machine.memory, run, index, size, 'load');
  const little = isLittleEndian(run);
  return { read: (i) => machine.memory.view.getBigUint64(at + 8 * i, little), count: size / 8 };
}

/** `bpf_snprintf(to, size, format, data, data_size)`: the length of the whole text with its zero. */
function snprintf(machine: HelperMachine, run: Run): number {
  const { memory } = machine;
  const size = argumentU32(run, 2);
  const to = pointer(memory, run, 1, size, 'store');
  const data = dataArguments(machine, run, 4, 5);
  if (data === undefined) return -ERRNO.EINVAL;
  const format = memory.resolve(run.cpu.half[6] as number, run.cpu.half[7] as number, 1, 'load');
  const end = Math.min(memory.mainEnd, format + longestFormat);
  const printed = print(machine, run, size, memory.bytes.subarray(format, end), data);
  if (typeof printed === 'number') return printed;
  if (size > 0) {
    const bytes = encodeText(printed.text).subarray(0, size - 1);
    memory.bytes.set(bytes, to);
    memory.bytes[to + bytes.length] = 0;
  }
  return printed.length + 1;
}
