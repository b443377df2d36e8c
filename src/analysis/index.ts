/**
 * tsbpf/analysis: what objects need of a kernel, and which kernels have it.
 */
export { requirementsOf } from './collect.ts';
export {
  type Compatibility,
  type CompatProblem,
  checkCompatibility,
  type KernelDescription,
  type ProgramCompat,
} from './compat.ts';
export {
  type ExplainedExtern,
  type ExplainedMember,
  type ExplainedObject,
  type ExplainedStruct,
  type ExplainedTarget,
  explainNeeds,
} from './explain.ts';
export {
  compareVersions,
  formatVersion,
  type KernelVersion,
  type MinimumKernel,
  minimumKernel,
  versionOf,
} from './kernels.ts';
export type {
  InstructionGroup,
  NeedPlace,
  ObjectFeature,
  Requirement,
} from './requirements.ts';
export { type StackUse, stackUse } from './stack.ts';
