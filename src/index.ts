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
  BackendHost,
  BackendMap,
  BackendPins,
  BackendProgram,
  CreateMapOptions,
  HostFeature,
  MapBatch,
  MapDefinition,
  ModuleTypes,
  PinnedMap,
  StructOpsMember,
  StructOpsType,
  TestRunInput,
  TestRunResult,
} from './backend/backend.ts';
export { Btf, parseBtf } from './btf/btf.ts';
export type { BtfKind, BtfType, TypeId } from './btf/types.ts';
export type { BpfErrorCode, BpfErrorDetail, ErrorContext } from './errors.ts';
export { BpfError } from './errors.ts';
export type { GlobalVariable } from './loader/global.ts';
export type { LoadOptions, LoadPreparedOptions } from './loader/load.ts';
export { loadObject, loadPrepared } from './loader/load.ts';
export type { LoadedProgram } from './loader/loaded.ts';
export { LoadedObject, StructOpsRegistration } from './loader/loaded.ts';
export { defaultPinRoot } from './loader/pins.ts';
export type { Machine, PreparedObject, PrepareOptions } from './loader/prepare.ts';
export { prepareObject } from './loader/prepare.ts';
export type { AttachTarget } from './object/attach-target.ts';
export { attachTargetOf } from './object/attach-target.ts';
export type { MapPatch, ProgramPatch } from './object/edit.ts';
export { cloneProgram, editMap, editProgram, setVariable } from './object/edit.ts';
export type {
  ImageFunction,
  KernelEntity,
  MapSlot,
  ProgramImage,
  Slot,
  SourceLine,
  StructOpsTarget,
} from './object/image.ts';
export { isMapSlot, sourceLineAt } from './object/image.ts';
export type { OpenOptions } from './object/open.ts';
export { openObject } from './object/open.ts';
export type { ProgramSetup, SectionHandler } from './object/section-handlers.ts';
export type {
  ArgumentTag,
  CoreRelocation,
  CoreReloKind,
  DataSection,
  ExternSpec,
  FuncInfo,
  FunctionIndex,
  FunctionSpec,
  InitialValue,
  InsnRelocation,
  KconfigPlace,
  KernelPointer,
  LineInfo,
  MapIndex,
  MapSpec,
  ObjectSpec,
  ProgramSpec,
  StructOpsFunction,
  StructOpsSpec,
  VariableSpec,
} from './object/spec.ts';
export { CORE_RELO } from './object/spec.ts';
export type { CoreInput, CorePlan } from './relocs/core/index.ts';
export { applyCore, describePlan, planCore } from './relocs/core/index.ts';
export type {
  ExternSources,
  KconfigValue,
  ResolvedExtern,
  ResolvedExterns,
} from './relocs/externs.ts';
export { resolveExterns, withKconfig } from './relocs/externs.ts';
export type {
  BuiltImages,
  ImageMachine,
  ImageOptions,
  ImagesOptions,
} from './relocs/image.ts';
export { buildImage, buildImages } from './relocs/image.ts';
export { kconfigBytes, parseKconfig } from './relocs/kconfig.ts';
export type { StructOpsMap, StructOpsPlan } from './relocs/struct-ops.ts';
export { planStructOps } from './relocs/struct-ops.ts';
export type { HostFact, HostFacts, KernelTypes } from './relocs/target.ts';
