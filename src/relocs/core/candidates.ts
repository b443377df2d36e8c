import type { Btf } from '../../btf/btf.ts';
import { essentialName } from '../../btf/graph.ts';
import type { TypeId } from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';
import { CoreTypes, kindsCompatible } from './types.ts';

/** A type of a target that has the local type's name, but for flavours, and its kind. */
export interface CoreCandidate {
  readonly types: CoreTypes;
  readonly id: TypeId;
}

/**
 * Looks for the candidates of a local type (`bpf_core_find_cands`). The first target is the
 * kernel itself, the others are modules: they are asked only where the kernel has nothing, and
 * only for types of their own. Candidates come in the order of targets and ids. An anonymous
 * local type is an error.
 */
export function findCandidates(
  local: CoreTypes,
  id: TypeId,
  targets: readonly Btf[],
): readonly CoreCandidate[] {
  const name = local.btf.nameOf(id);
  if (name === '') throw new BpfError({ code: 'core-anonymous', type: id });
  const kind = local.kind(id);
  const essential = essentialName(name);
  const inTarget = (btf: Btf, first: number): CoreCandidate[] => {
    const types = CoreTypes.of(btf);
    return btf
      .findEssential(essential)
      .filter((found) => found >= first && kindsCompatible(btf.kindOf(found), kind))
      .sort((a, b) => a - b)
      .map((found) => ({ types, id: found }));
  };
  const [kernel, ...modules] = targets;
  if (kernel === undefined) return [];
  const inKernel = inTarget(kernel, 1);
  if (inKernel.length > 0) return inKernel;
  return modules.flatMap((module) => inTarget(module, module.firstId));
}
