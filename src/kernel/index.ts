/**
 * The running kernel as a backend: maps, programs and their test runs through bpf(2).
 * Needs Linux, the optional package koffi, and the capabilities that bpf(2) asks for.
 */
export { createKernelBackend, KernelBackend, type KernelBackendOptions } from './backend.ts';
export { type KernelBtfInfo, kernelBtfById, kernelBtfInfo, listKernelBtf } from './btf-info.ts';
export { possibleCpuCount } from './cpus.ts';
export { type Holder, holdersOf } from './holders.ts';
export { KernelHost } from './host.ts';
export {
  findKernelBtf,
  type KernelBtfAttempt,
  type KernelBtfOptions,
  type KernelBtfSearch,
  kernelBtf,
  kernelModuleBtf,
  kernelModuleNames,
} from './kernel-btf.ts';
export { KernelMap } from './map.ts';
export {
  findKernelMap,
  findKernelProgram,
  type KernelMapInfo,
  type KernelProgramInfo,
  type KernelSelector,
  listKernelMaps,
  listKernelPrograms,
  type NumberedKind,
} from './object-info.ts';
export { KernelPins } from './pins.ts';
export { type KernelSupport, kernelSupport } from './probe.ts';
export { KernelProgram } from './program.ts';
export { describeFailure } from './verifier/failure.ts';
export {
  failingPath,
  type LogSource,
  parseVerifierLog,
  type VerifierLog,
  type VerifierStatistics,
  type VerifierStep,
} from './verifier/log.ts';
export { parseRegisters, type RegisterState } from './verifier/registers.ts';
export type { ReportPlace, VerifierReport } from './verifier/report.ts';
export { rewritePoison } from './verifier/rewrite.ts';
