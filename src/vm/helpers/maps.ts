import { BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG, BPF_FUNC } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import { type HelperFunction, type Run, windows } from '../machine.ts';
import type { VmMap } from '../maps/map.ts';
import { ProgArrayMap } from '../maps/slots.ts';
import type { HelperMachine } from './machine.ts';
import {
  argument,
  argumentU32,
  argumentU64,
  giveError,
  giveNumber,
  givePointer,
  type HelperEntries,
  misuse,
  pointer,
} from './registers.ts';

/** The map that argument 1..5 points at. */
export function mapArgument(machine: HelperMachine, run: Run, index: number): VmMap {
  const { half } = run.cpu;
  const map =
    half[2 * index + 1] === windows.main ? machine.mapAt(argumentU32(run, index)) : undefined;
  if (map === undefined) throw misuse(run, index, 'the argument is not a map');
  return map;
}

/** Helpers on maps of any type that allows them. */
export function mapHelpers(machine: HelperMachine): HelperEntries {
  const { memory } = machine;
  const key = (run: Run, map: VmMap) => pointer(memory, run, 2, map.keySize, 'load');

  const lookup: HelperFunction = (run) => {
    const map = mapArgument(machine, run, 1);
    if ((map.flags & BPF_F_WRONLY_PROG) !== 0) throw map.notForPrograms('bpf_map_lookup_elem');
    givePointer(run, map.elementLookup(memory.bytes, key(run, map), run.cpu.id));
  };
  const update: HelperFunction = (run) => {
    const map = mapArgument(machine, run, 1);
    if ((map.flags & BPF_F_RDONLY_PROG) !== 0) throw map.notForPrograms('bpf_map_update_elem');
    const value = pointer(memory, run, 3, map.valueSize, 'load');
    const flags = argumentU64(run, 4);
    const { bytes } = memory;
    giveNumber(run, map.elementUpdate(bytes, key(run, map), bytes, value, flags, run.cpu.id));
  };
  const remove: HelperFunction = (run) => {
    const map = mapArgument(machine, run, 1);
    if (map.programsMayNotDelete || (map.flags & BPF_F_RDONLY_PROG) !== 0)
      throw map.notForPrograms('bpf_map_delete_elem');
    giveNumber(run, map.elementDelete(memory.bytes, key(run, map)));
  };
  const lookupPercpu: HelperFunction = (run) => {
    const map = mapArgument(machine, run, 1);
    const cpu = argumentU32(run, 3);
    if (!map.isPercpu) throw map.notForPrograms('bpf_map_lookup_percpu_elem');
    const found = cpu < machine.cpuCount ? map.elementLookup(memory.bytes, key(run, map), cpu) : 0;
    givePointer(run, found);
  };
  const push: HelperFunction = (run) => {
    const map = mapArgument(machine, run, 1);
    if ((map.flags & BPF_F_RDONLY_PROG) !== 0) throw map.notForPrograms('bpf_map_push_elem');
    const value = pointer(memory, run, 2, map.valueSize, 'load');
    giveNumber(run, map.elementPush(memory.bytes, value, argumentU64(run, 3)));
  };
  const take =
    (remove: boolean): HelperFunction =>
    (run) => {
      const map = mapArgument(machine, run, 1);
      const forbidden = remove ? BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG : BPF_F_WRONLY_PROG;
      const name = remove ? 'bpf_map_pop_elem' : 'bpf_map_peek_elem';
      if ((map.flags & forbidden) !== 0) throw map.notForPrograms(name);
      giveNumber(run, map.elementPeek(pointer(memory, run, 2, map.valueSize, 'store'), remove));
    };
  return [
    [BPF_FUNC.map_push_elem, push],
    [BPF_FUNC.map_pop_elem, take(true)],
    [BPF_FUNC.map_peek_elem, take(false)],
    [BPF_FUNC.map_lookup_elem, lookup],
    [BPF_FUNC.map_update_elem, update],
    [BPF_FUNC.map_delete_elem, remove],
    [BPF_FUNC.map_lookup_percpu_elem, lookupPercpu],
    [BPF_FUNC.for_each_map_elem, (run) => forEachElement(machine, run)],
    [BPF_FUNC.tail_call, (run) => tailCall(machine, run)],
  ];
}

/** `bpf_for_each_map_elem(map, callback, context, flags)`: callback(map, key, value, context). */
function forEachElement(machine: HelperMachine, run: Run): void {
  const map = mapArgument(machine, run, 1);
  const callback = callbackArgument(run, 2);
  const { half } = run.cpu;
  const [contextLow, contextHigh] = [half[6] as number, half[7] as number];
  if (argumentU64(run, 4) !== 0) {
    giveError(run, 'EINVAL');
    return;
  }
  const visited = map.forEach(run.cpu.id, (key, value) => {
    setPointer(half, 1, map.header);
    setPointer(half, 2, key);
    setPointer(half, 3, value);
    half[8] = contextLow;
    half[9] = contextHigh;
    run.callFunction(callback);
    return (half[0] as number) | (half[1] as number);
  });
  giveNumber(run, visited);
}

/** Lower half of a function pointer in argument 1..5. */
export function callbackArgument(run: Run, index: number): number {
  if (run.cpu.half[2 * index + 1] !== windows.code) {
    throw misuse(run, index, 'the argument is not a function');
  }
  return argument(run, index);
}

function setPointer(half: Int32Array, register: number, offset: number): void {
  half[2 * register] = offset;
  half[2 * register + 1] = windows.main;
}

/**
 * `bpf_tail_call(context, prog_array, index)`: does not come back where it works. Otherwise
 * the program goes on; the kernel leaves r0 undefined then, here it says why.
 */
function tailCall(machine: HelperMachine, run: Run): void {
  const map = mapArgument(machine, run, 2);
  if (!(map instanceof ProgArrayMap)) throw map.notForPrograms('bpf_tail_call');
  const index = argumentU32(run, 3);
  const held = map.program(index);
  const program = held === undefined ? undefined : machine.loadedProgram(held.id);
  if (program === undefined) giveNumber(run, index < map.maxEntries ? -ERRNO.ENOENT : -ERRNO.E2BIG);
  else if (!run.tailCallTo(program)) giveNumber(run, -ERRNO.E2BIG);
}
