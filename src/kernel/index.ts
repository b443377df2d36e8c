/**
 * The running kernel as a backend: maps, programs and their test runs through bpf(2).
 * Needs Linux, the optional package koffi, and the capabilities that bpf(2) asks for.
 */
export { createKernelBackend, KernelBackend, type KernelBackendOptions } from './backend.ts';
export { type KernelBtfInfo, listKernelBtf, readKernelBtf } from './btf-info.ts';
export { possibleCpuCount } from './cpus.ts';
export { kernelBtf } from './kernel-btf.ts';
export { KernelMap } from './map.ts';
export { type KernelSupport, kernelSupport } from './probe.ts';
export { KernelProgram } from './program.ts';
export { parseVerifierLog } from './verifier-log.ts';
