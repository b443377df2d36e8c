import type { InsnIndex } from '../../asm/insns.ts';
import type { TypeId } from '../../btf/types.ts';
import type { BpfErrorDetail } from '../../errors.ts';
import type { SourceLine } from '../../object/image.ts';
import type { CoreReloKind } from '../../object/spec.ts';
import type { CoreSpec } from './access.ts';
import type { CoreEffect } from './effect.ts';
import type { CoreMismatch } from './match.ts';
import type { CoreValue, FieldPlace } from './value.ts';

/**
 * One relocation, decided: what it is about, what was found, and what becomes of the
 * instruction. Plain data; names are as the BTFs have them (escape them before printing).
 */
export interface CorePlan {
  /** Index of the function in the input's `functions`. */
  readonly function: number;
  readonly functionName: string;
  /** Within the function. */
  readonly insn: InsnIndex;
  /** The same as `effect.verdict`. */
  readonly verdict: CoreEffect['verdict'];
  readonly effect: CoreEffect;
  /** Shared by all relocations of the same type, kind and access. */
  readonly result: CoreResult;
  /** With `explain` only. */
  readonly source?: SourceLine | undefined;
  /** With `explain` only: the pointer chain that this access ends, `task_struct->real_parent->tgid`. */
  readonly chain?: string | undefined;
}

/** What a relocation comes to, apart from the instruction that it changes. */
export interface CoreResult {
  readonly kind: CoreReloKind;
  /** libbpf's name of the kind, such as `byte_off`. */
  readonly kindName: string;
  /** Root type, in the object's BTF. */
  readonly typeId: TypeId;
  /** Root type in words, such as `struct task_struct___old`. */
  readonly type: string;
  /** Access string as the object has it. */
  readonly access: string;
  /** Undefined where the access string makes no sense. */
  readonly local: CoreSpec | undefined;
  readonly candidates: readonly CoreCandidateResult[];
  /** Index in `candidates` of the first that matches: its spec is the target spec. */
  readonly chosen: number | undefined;
  /** Undefined where the relocation fails. */
  readonly value: CoreValue | undefined;
  /** Why the relocation, and with it loading, fails. */
  readonly error: BpfErrorDetail | undefined;
  /** With `explain` only. */
  readonly localLayout?: CoreLayout | undefined;
  /** With `explain` only, where there is no candidate: types of the targets with a similar name. */
  readonly nearestTypes?: readonly string[] | undefined;
}

/** A candidate that was looked at. */
export interface CoreCandidateResult {
  /** Name of the BTF that holds it: `vmlinux`, a module, a file. */
  readonly btf: string;
  readonly typeId: TypeId;
  /** The candidate in words, such as `struct task_struct`. */
  readonly type: string;
  readonly verdict: 'match' | 'mismatch' | 'error';
  /** Where it matches. */
  readonly spec: CoreSpec | undefined;
  /** Value that it gives, unsigned 64 bits. */
  readonly value: bigint | undefined;
  /** Where it does not match. */
  readonly why: CoreMismatch | undefined;
  /** With `explain` only: members or enumerators with a name similar to the missing one. */
  readonly nearest?: readonly string[] | undefined;
  /** With `explain` only. */
  readonly layout?: CoreLayout | undefined;
}

/** What a spec leads to in its BTF. */
export type CoreLayout =
  /** `type` is the field's declared type. */
  | (FieldPlace & { readonly of: 'field'; readonly type: string })
  /** `size` in bytes; undefined where the type has none. */
  | { readonly of: 'type'; readonly size: number | undefined }
  | { readonly of: 'enumerator'; readonly value: bigint };
