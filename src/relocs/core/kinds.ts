import { BpfError } from '../../errors.ts';
import { CORE_RELO, type CoreReloKind } from '../../object/spec.ts';

/** What a relocation is about: a field of a struct, a type as such, or an enumerator. */
export type CoreSubject = 'field' | 'type' | 'enumerator';

export interface CoreKindRule {
  /** libbpf's name of the kind, as its logs and bpftool have it. */
  readonly name: string;
  readonly subject: CoreSubject;
  /** What the value is, in words. */
  readonly words: string;
}

/** The 13 kinds of `enum bpf_core_relo_kind`, indexed by their number. */
const rules: { readonly [K in CoreReloKind]: CoreKindRule } = {
  [CORE_RELO.FIELD_BYTE_OFFSET]: { name: 'byte_off', subject: 'field', words: 'byte offset' },
  [CORE_RELO.FIELD_BYTE_SIZE]: { name: 'byte_sz', subject: 'field', words: 'size' },
  [CORE_RELO.FIELD_EXISTS]: { name: 'field_exists', subject: 'field', words: 'existence' },
  [CORE_RELO.FIELD_SIGNED]: { name: 'signed', subject: 'field', words: 'signedness' },
  [CORE_RELO.FIELD_LSHIFT_U64]: { name: 'lshift_u64', subject: 'field', words: 'left shift' },
  [CORE_RELO.FIELD_RSHIFT_U64]: { name: 'rshift_u64', subject: 'field', words: 'right shift' },
  [CORE_RELO.TYPE_ID_LOCAL]: { name: 'local_type_id', subject: 'type', words: 'local type id' },
  [CORE_RELO.TYPE_ID_TARGET]: { name: 'target_type_id', subject: 'type', words: 'type id' },
  [CORE_RELO.TYPE_EXISTS]: { name: 'type_exists', subject: 'type', words: 'existence' },
  [CORE_RELO.TYPE_SIZE]: { name: 'type_size', subject: 'type', words: 'size' },
  [CORE_RELO.ENUMVAL_EXISTS]: {
    name: 'enumval_exists',
    subject: 'enumerator',
    words: 'existence',
  },
  [CORE_RELO.ENUMVAL_VALUE]: { name: 'enumval_value', subject: 'enumerator', words: 'value' },
  [CORE_RELO.TYPE_MATCHES]: { name: 'type_matches', subject: 'type', words: 'match' },
};

/** The rule of a kind; a number that is no kind is an error. */
export function coreKindRule(kind: number): CoreKindRule {
  const rule = (rules as { readonly [kind: number]: CoreKindRule | undefined })[kind];
  if (rule === undefined) throw new BpfError({ code: 'core-kind', kind });
  return rule;
}

/** libbpf's name of a kind, `unknown` where there is none. */
export function coreKindName(kind: number): string {
  return (rules as { readonly [kind: number]: CoreKindRule | undefined })[kind]?.name ?? 'unknown';
}
