import type { SourceLine } from '../object/image.ts';
import type { FunctionIndex, MapIndex } from '../object/spec.ts';

/** An instruction that asks for something of the kernel. */
export interface NeedPlace {
  readonly function: FunctionIndex;
  readonly functionName: string;
  /** Index in the function, in slots of 8 bytes. */
  readonly insn: number;
  /** Line of C, where the object has line info. */
  readonly source: SourceLine | undefined;
}

/** Something that a kernel has or lacks, told from an object without any kernel in view. */
export type Requirement =
  /** `type` is `BPF_PROG_TYPE_*`, `attachType` `BPF_*` of enum bpf_attach_type. */
  | {
      readonly kind: 'program-type';
      readonly type: number;
      readonly attachType: number;
      readonly programs: readonly string[];
    }
  /** `type` is `BPF_MAP_TYPE_*`. */
  | { readonly kind: 'map-type'; readonly type: number; readonly maps: readonly MapIndex[] }
  /** One bit of `BPF_F_*` in the flags of maps. */
  | { readonly kind: 'map-flag'; readonly flag: number; readonly maps: readonly MapIndex[] }
  /** `id` is `BPF_FUNC_*`. */
  | { readonly kind: 'helper'; readonly id: number; readonly places: readonly NeedPlace[] }
  | {
      readonly kind: 'kfunc';
      readonly name: string;
      /** Absent ones read as zero. */
      readonly weak: boolean;
      readonly places: readonly NeedPlace[];
    }
  /** A kernel variable or address; `typed` ones are looked for in BTF, others in kallsyms. */
  | {
      readonly kind: 'ksym';
      readonly name: string;
      readonly typed: boolean;
      readonly weak: boolean;
      readonly places: readonly NeedPlace[];
    }
  /** Instructions that came after the first kernels: the CPU version of clang's -mcpu. */
  | {
      readonly kind: 'instructions';
      readonly group: InstructionGroup;
      readonly places: readonly NeedPlace[];
    }
  /** Something that the loader needs of the kernel for what the object has. */
  | { readonly kind: 'feature'; readonly feature: ObjectFeature; readonly why: string };

/** Groups of instructions that kernels learnt together. */
export type InstructionGroup =
  | 'jump-less'
  | 'alu32'
  | 'fetching-atomics'
  | 'v4'
  | 'may-goto'
  | 'address-space-cast'
  | 'load-acquire'
  | 'indirect-jump';

/** Parts of an object that need more than its maps, programs and instructions say. */
export type ObjectFeature =
  | 'btf'
  | 'global-data'
  | 'bpf-to-bpf-calls'
  | 'global-functions'
  | 'callbacks'
  | 'bounded-loops'
  | 'kfuncs'
  | 'module-kfuncs'
  | 'typed-ksyms'
  | 'struct-ops'
  | 'arena'
  | 'exceptions'
  | 'sleepable';
