import { BTF_KIND } from '../types.ts';

/** bpftool's names of kinds, by number; `UNKNOWN` also for `void`. */
const kindNames: readonly string[] = [
  'UNKNOWN',
  'INT',
  'PTR',
  'ARRAY',
  'STRUCT',
  'UNION',
  'ENUM',
  'FWD',
  'TYPEDEF',
  'VOLATILE',
  'CONST',
  'RESTRICT',
  'FUNC',
  'FUNC_PROTO',
  'VAR',
  'DATASEC',
  'FLOAT',
  'DECL_TAG',
  'TYPE_TAG',
  'ENUM64',
];

/** bpftool's name of a kind; `UNKNOWN` for those that it does not know. */
export function kindName(kind: number): string {
  return kindNames[kind] ?? 'UNKNOWN';
}

/** What bpftool prints in place of a name that is not there. */
export const noName = '(anon)';

/** The encoding of an integer, from the word behind it: only single attributes have a name. */
export function intEncodingName(data: number): string {
  return ['(none)', 'SIGNED', 'CHAR', 'UNKN', 'BOOL'][(data >>> 24) & 0xf] ?? 'UNKN';
}

/** Linkage of a function or a variable (`enum btf_func_linkage`, `BTF_VAR_*`). */
export function linkageName(linkage: number): string {
  return ['static', 'global', 'extern'][linkage] ?? '(unknown)';
}

/** Whether a type is nothing but a reference to another, to bpftool. */
export function isPlainReference(kind: number): boolean {
  return (
    kind === BTF_KIND.PTR ||
    (kind >= BTF_KIND.TYPEDEF && kind <= BTF_KIND.RESTRICT) ||
    kind === BTF_KIND.TYPE_TAG
  );
}
