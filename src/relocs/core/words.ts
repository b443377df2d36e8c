import type { TypeDifference } from '../../btf/compatible/comparison.ts';
import { escapeName, quoteName } from '../../errors/quote.ts';
import { unreachable } from '../../errors.ts';
import { CORE_RELO } from '../../object/spec.ts';
import type { CoreSpec } from './access.ts';
import { coreKindRule } from './kinds.ts';
import type { CoreMismatch } from './match.ts';
import type { CorePlan, CoreResult } from './result.ts';

/** The named part of a field access as C writes it: `.a[3].b`, with `[2]` first for `s[2].b`. */
export function accessPath(spec: CoreSpec): string {
  return spec.steps
    .map((step, at) => {
      if (step.name !== undefined) return `.${step.name}`;
      return at === 0 && step.index === 0 ? '' : `[${step.index}]`;
    })
    .join('');
}

/**
 * A spec in words, behind the name of its root type: `struct task_struct.real_parent`,
 * `enum state::RUNNING`, `struct sock`. Names are not escaped.
 */
export function specWords(root: string, spec: CoreSpec): string {
  switch (coreKindRule(spec.kind).subject) {
    case 'type':
      return root;
    case 'enumerator':
      return `${root}::${spec.steps[0]?.name ?? '?'}`;
    case 'field':
      return `${root}${accessPath(spec)}`;
  }
}

/** A value of a relocation as a reader wants it: yes or no, a signed number, or bytes. */
export function valueWords(kind: number, value: bigint): string {
  switch (kind) {
    case CORE_RELO.FIELD_EXISTS:
    case CORE_RELO.TYPE_EXISTS:
    case CORE_RELO.ENUMVAL_EXISTS:
    case CORE_RELO.TYPE_MATCHES:
    case CORE_RELO.FIELD_SIGNED:
      return value === 0n ? 'no' : 'yes';
    case CORE_RELO.ENUMVAL_VALUE:
      return String(BigInt.asIntN(64, value));
    default:
      return String(value);
  }
}

/** A number of bytes. */
export function byteWords(size: number): string {
  return size === 1 ? '1 byte' : `${size} bytes`;
}

/** Why a candidate does not match, in words; names are escaped. */
export function mismatchWords(why: CoreMismatch): string {
  switch (why.kind) {
    case 'member-missing':
      return `${escapeName(why.type)} has no member ${quoteName(why.member)}`;
    case 'member-incompatible':
      return `member ${quoteName(why.member)} of type ${escapeName(why.target)} cannot stand for ${escapeName(why.local)}`;
    case 'not-composite':
      return `${escapeName(why.type)} has no members, so no ${quoteName(why.member)}`;
    case 'not-array':
      return `${escapeName(why.type)} is no array`;
    case 'index-out-of-range':
      return `the array has ${why.length} elements, so no element ${why.index}`;
    case 'enumerator-missing':
      return `${escapeName(why.type)} has no enumerator ${quoteName(why.enumerator)}`;
    case 'not-enum':
      return `${escapeName(why.type)} is no enum`;
    case 'type-differs':
      return differenceWords(why);
    case 'ruled-out':
      return 'ruled out, it lacks what an earlier relocation found elsewhere';
    default:
      return unreachable(why, 'mismatch');
  }
}

const differences: { readonly [W in TypeDifference['why']]: string } = {
  kind: 'the kinds differ',
  name: 'the names differ',
  size: 'the sizes differ',
  sign: 'one is signed, the other is not',
  length: 'the lengths differ',
  parameters: 'the numbers of parameters differ',
  'bit-integer': 'one is an integer within an integer, as only old compilers made them',
  unsupported: 'types of this kind are not compared',
  member: 'a member is missing',
  enumerator: 'an enumerator is missing',
};

function differenceWords(why: Extract<CoreMismatch, { readonly kind: 'type-differs' }>): string {
  const at = why.path.length === 0 ? '' : ` at ${quoteName(why.path.join('.'))}`;
  if (why.missing !== undefined) {
    const lacks = why.missing === '' ? 'what is without a name' : quoteName(why.missing);
    return `${escapeName(why.target)} has no ${lacks}${at}`;
  }
  const types = `${escapeName(why.local)} in the object, ${escapeName(why.target)} in the target`;
  return `${differences[why.why]}${at}: ${types}`;
}

/** Why a value stands for nothing in the targets. */
export function absenceWords(result: CoreResult): string {
  if (result.candidates.length === 0) return `no target has ${escapeName(result.type)}`;
  const why = result.candidates.find((candidate) => candidate.why !== undefined)?.why;
  return why === undefined ? 'nothing matches' : mismatchWords(why);
}

/**
 * Why a plan poisons its instruction, in one sentence for verifier logs and traps:
 * `struct task_struct.foo: struct task_struct has no member 'foo'`. Names are escaped.
 * Undefined for plans that do not poison.
 */
export function poisonReason(plan: CorePlan): string | undefined {
  const { effect, result } = plan;
  if (effect.verdict !== 'poison') return undefined;
  const { local } = result;
  const what = escapeName(local === undefined ? result.type : specWords(result.type, local));
  if (effect.because === 'no-match') return `${what}: ${absenceWords(result)}`;
  const sizes = `${byteWords(result.value?.originalSize ?? 0)} in the object, ${byteWords(result.value?.targetSize ?? 0)} in the target`;
  return `${what}: a load or store of ${sizes}; only pointers and unsigned integers can change size`;
}
