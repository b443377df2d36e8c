import { escapeName, quoteName } from './quote.ts';
import type { Words } from './words.ts';

/**
 * One of several candidates that do not agree: the type in words (`struct foo`), its id, the
 * BTF that holds it and what the relocation would come to.
 */
export interface CoreAmbiguousCandidate {
  readonly btf: string;
  readonly type: number;
  readonly name: string;
  readonly bitOffset: number;
  /** Undefined where this candidate would poison the instruction. */
  readonly value: bigint | undefined;
}

/** Errors of CO-RE relocations: what libbpf fails on too. Program and instruction are context. */
export type RelocsCoreErrorDetail =
  /** The record's kind is none of the 13. */
  | { readonly code: 'core-kind'; readonly kind: number }
  /** The record names a type that the object's BTF does not have. */
  | { readonly code: 'core-no-type'; readonly type: number }
  /** The access string makes no sense for the type. */
  | {
      readonly code: 'core-access';
      readonly access: string;
      readonly type: string;
      readonly why: string;
    }
  /** Access or target nested deeper than the 64 levels that libbpf follows. */
  | { readonly code: 'core-too-deep'; readonly type: string; readonly limit: number }
  /** Deciding the object's relocations takes more steps than any real object needs. */
  | { readonly code: 'core-too-complex'; readonly type: string }
  /** The root type has no name to look for. */
  | { readonly code: 'core-anonymous'; readonly type: number }
  /** A type that has no size where one is needed. */
  | { readonly code: 'core-no-size'; readonly btf: string; readonly type: string }
  /** A bit field that no single load of 1, 2, 4 or 8 bytes covers. */
  | {
      readonly code: 'core-bit-field';
      readonly btf: string;
      readonly field: string;
      readonly bitOffset: number;
      readonly bitSize: number;
    }
  /** Signedness and shifts of an array element, which libbpf does not define. */
  | { readonly code: 'core-array-element'; readonly kind: string; readonly access: string }
  /** Several candidates match and come to different results. */
  | {
      readonly code: 'core-ambiguous';
      readonly type: string;
      readonly candidates: readonly CoreAmbiguousCandidate[];
    }
  /** No such instruction in the function. */
  | { readonly code: 'core-no-insn'; readonly insn: number; readonly length: number }
  /** The instruction is none that a relocation can patch. */
  | { readonly code: 'core-insn'; readonly opcode: number; readonly why: string }
  /** The instruction does not hold the value that the object's own types give. */
  | {
      readonly code: 'core-mismatch';
      readonly found: bigint;
      readonly expected: bigint;
      readonly value: bigint;
    }
  /** The target's offset does not fit in a load or store. */
  | { readonly code: 'core-offset-range'; readonly value: bigint }
  /** A load or store whose size is not the field's, or whose new size no load has. */
  | {
      readonly code: 'core-memory-size';
      readonly insnSize: number;
      readonly fieldSize: number;
      readonly newSize: number;
    };

export const relocsCoreWords: Words<RelocsCoreErrorDetail> = {
  'core-kind': (d) =>
    `unknown kind ${d.kind} of CO-RE relocation; this object needs a newer tsbpf or is damaged`,
  'core-no-type': (d) => `the object has no type ${d.type}, which a CO-RE relocation names`,
  'core-access': (d) =>
    `access string ${quoteName(d.access)} does not fit ${escapeName(d.type)}: ${escapeName(d.why)}`,
  'core-too-deep': (d) =>
    `access to ${escapeName(d.type)} goes deeper than ${d.limit} levels; access an inner struct by a pointer of its own`,
  'core-too-complex': (d) =>
    `${escapeName(d.type)} takes too many comparisons; too many types share its name, or too many members have none`,
  'core-anonymous': (d) =>
    `type ${d.type} has no name to look for in the target; name it, or reach it through a named struct`,
  'core-no-size': (d) => `${escapeName(d.type)} has no size in ${quoteName(d.btf)}`,
  'core-bit-field': (d) =>
    `bit field ${quoteName(d.field)} in ${quoteName(d.btf)} (${d.bitSize} bits at bit ${d.bitOffset}) is covered by no load of at most 8 bytes`,
  'core-array-element': (d) =>
    `${d.kind} is not defined for an array element (${escapeName(d.access)})`,
  'core-ambiguous': (d) =>
    `candidates for ${escapeName(d.type)} disagree: ${d.candidates
      .map(describeCandidate)
      .join(', ')}`,
  'core-no-insn': (d) =>
    `relocated instruction ${d.insn} is outside of the function's ${d.length} instructions`,
  'core-insn': (d) => `opcode 0x${d.opcode.toString(16)} cannot be relocated: ${d.why}`,
  'core-mismatch': (d) =>
    `the instruction holds ${d.found}, but by the object's types it should hold ${d.expected}, to become ${d.value}`,
  'core-offset-range': (d) => `offset ${d.value} does not fit in a load or store (at most 32767)`,
  'core-memory-size': (d) =>
    `cannot change a ${d.insnSize}-byte access of a ${d.fieldSize}-byte field to ${d.newSize} bytes`,
};

function describeCandidate(candidate: CoreAmbiguousCandidate): string {
  const { btf, name, type, bitOffset } = candidate;
  const value = candidate.value === undefined ? 'poison' : String(candidate.value);
  const offset = bitOffset === 0 ? '' : ` at bit ${bitOffset}`;
  return `${escapeName(name)} [${type}] of ${quoteName(btf)} gives ${value}${offset}`;
}
