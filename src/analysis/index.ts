/**
 * tsbpf/analysis: what objects need of a kernel, and which kernels have it.
 */
export type {
  InstructionGroup,
  NeedPlace,
  ObjectFeature,
  Requirement,
} from './requirements.ts';
