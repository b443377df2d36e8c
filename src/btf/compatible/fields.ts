import type { Btf } from '../btf.ts';
import { essentialName } from '../graph.ts';
import type { TypeId } from '../types.ts';
import { isComposite, isEnum, TypeView } from './view.ts';

/** Arrays of arrays of … that a field's type may be; libbpf has no limit, and C code needs few. */
const maxArrays = 256;

/**
 * Whether a field of one type can stand for a field of the other
 * (`bpf_core_fields_are_compat`): typedefs and qualifiers do not count, any two structs or
 * unions do, also mixed; pointers, floats and integers (of any size and sign) with their
 * like; enums and forward declarations by name; arrays by their elements.
 *
 * Symmetric. {@link BpfError} `btf-nesting` for arrays in more than {@link maxArrays} levels,
 * and for references in a circle.
 */
export function fieldsCompatible(
  local: Btf,
  localId: TypeId,
  target: Btf,
  targetId: TypeId,
): boolean {
  const [ours, theirs] = [TypeView.of(local), TypeView.of(target)];
  let a = ours.resolved(localId);
  let b = theirs.resolved(targetId);
  for (let depth = 0; a.kind === 'array' && b.kind === 'array'; depth++) {
    if (depth === maxArrays) throw ours.nesting(localId, maxArrays);
    a = ours.resolved(a.element);
    b = theirs.resolved(b.element);
  }
  if (isComposite(a) && isComposite(b)) return true;
  if (isEnum(a) && isEnum(b)) return namesCompatible(a.name, b.name);
  if (a.kind === 'fwd' && b.kind === 'fwd') return namesCompatible(a.name, b.name);
  if (a.kind === 'int' && b.kind === 'int') return a.bitOffset === 0 && b.bitOffset === 0;
  return (a.kind === 'ptr' || a.kind === 'float') && a.kind === b.kind;
}

/** Equal but for flavours, or at least one of them anonymous. */
function namesCompatible(a: string, b: string): boolean {
  const first = essentialName(a);
  const second = essentialName(b);
  return first === '' || second === '' || first === second;
}
