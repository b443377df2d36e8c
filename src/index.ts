/**
 * tsbpf: opens the BPF objects that clang makes, relocates them against any kernel's types
 * and hands them to a backend: the VM (`tsbpf/vm`) or the real kernel (`tsbpf/kernel`).
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs';
 * import { loadObject, openObject } from 'tsbpf';
 * import { createVm } from 'tsbpf/vm';
 *
 * const spec = openObject(readFileSync('xdp_counter.o'));
 * using vm = createVm();
 * using object = loadObject(spec, { backend: vm });
 * const { returnValue } = object.program('count_packets').testRun({ data: packet });
 * ```
 */

export { disassemble } from './asm/disassemble.ts';
export type { InsnIndex } from './asm/insns.ts';
export { decodeInsns, encodeInsns, Insns } from './asm/insns.ts';
export type {
  Backend,
  BackendMap,
  BackendProgram,
  CreateMapOptions,
  TestRunInput,
  TestRunResult,
} from './backend/backend.ts';
export { Btf, parseBtf } from './btf/btf.ts';
export type { BtfKind, BtfType, TypeId } from './btf/types.ts';
export type { BpfErrorCode, BpfErrorDetail, ErrorContext } from './errors.ts';
export { BpfError } from './errors.ts';
export type { GlobalVariable } from './loader/global.ts';
export type { LoadOptions } from './loader/load.ts';
export { loadObject } from './loader/load.ts';
export type { LoadedProgram } from './loader/loaded.ts';
export { LoadedObject } from './loader/loaded.ts';
export type { PreparedObject, PrepareOptions } from './loader/prepare.ts';
export { prepareObject } from './loader/prepare.ts';
export type { MapPatch, ProgramPatch } from './object/edit.ts';
export { editMap, editProgram, setVariable } from './object/edit.ts';
export type { ImageFunction, ProgramImage, Slot, SourceLine } from './object/image.ts';
export { sourceLineAt } from './object/image.ts';
export type { OpenOptions } from './object/open.ts';
export { openObject } from './object/open.ts';
export type {
  CoreRelocation,
  CoreReloKind,
  DataSection,
  ExternSpec,
  FuncInfo,
  FunctionIndex,
  FunctionSpec,
  InitialValue,
  InsnRelocation,
  LineInfo,
  MapIndex,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
  VariableSpec,
} from './object/spec.ts';
export { CORE_RELO } from './object/spec.ts';
export type { CoreInput, CorePlan } from './relocs/core/index.ts';
export { applyCore, describePlan, planCore } from './relocs/core/index.ts';
export { buildImage, buildImages } from './relocs/image.ts';
