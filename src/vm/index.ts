export { builtinBtf } from './builtin.ts';
export type { ClockOptions, VmClock } from './clock.ts';
export type { NetworkInterface, Redirect } from './contexts/fields.ts';
export { describeLowered } from './engine/describe.ts';
export { type ExecuteOptions, executeBytes } from './exec.ts';
export { VmHost, type VmHostOptions } from './host.ts';
export { type EngineChoice, moduleBytes } from './jit/jit.ts';
export { ArrayMap, PercpuArrayMap } from './maps/array.ts';
export { BloomFilterMap } from './maps/bloom-filter.ts';
export { mapTypes } from './maps/create.ts';
export { HashMap, PercpuHashMap } from './maps/hash.ts';
export { LpmTrieMap } from './maps/lpm-trie.ts';
export { VmMap } from './maps/map.ts';
export { QueueMap, StackMap } from './maps/queue.ts';
export { RingBufferMap } from './maps/ring-buffer.ts';
export { ArrayOfMaps, HashOfMaps, ProgArrayMap } from './maps/slots.ts';
export { StructOpsMap } from './maps/struct-ops.ts';
export type { MemoryStats } from './memory.ts';
export {
  KernelObject,
  type KernelObjects,
  type ObjectMembers,
  type ObjectValue,
} from './objects.ts';
export {
  type BranchCoverage,
  Coverage,
  type FileCoverage,
  type FunctionCoverage,
  type IstanbulFile,
  type LineCoverage,
} from './observe/coverage.ts';
export { type Observer, onInstruction, type Step } from './observe/observer.ts';
export { type LineProfile, Profile, type ProfileReport } from './observe/profile.ts';
export { formatTrace, Trace, type TraceEvent, type TraceLevel } from './observe/trace.ts';
export { VmPins } from './pins.ts';
export { VmProgram } from './program.ts';
export type { CurrentTask, TaskDescription } from './task.ts';
export type { VmTestRunInput, VmTestRunResult } from './test-run.ts';
export type { TraceEntry, TraceLog } from './trace-log.ts';
export { createVm, Vm, type VmOptions } from './vm.ts';
