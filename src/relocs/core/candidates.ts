import type { Btf } from '../../btf/btf.ts';
import { kindsCompatible, TypeView } from '../../btf/compatible/view.ts';
import { essentialName } from '../../btf/graph.ts';
import type { TypeId } from '../../btf/types.ts';
import { BpfError } from '../../errors.ts';

/** A type of a target that has the local type's name, but for flavours, and its kind. */
export interface CoreCandidate {
  readonly types: TypeView;
  readonly id: TypeId;
}

/**
 * Looks for the candidates of a local type (`bpf_core_find_cands`). The first target is the
 * kernel itself, the others are modules: they are asked only where the kernel has nothing, and
 * only for types of their own. Candidates come in the order of targets and ids. An anonymous
 * local type is an error.
 */
export function findCandidates(
  local: TypeView,
  id: TypeId,
  targets: Iterable<Btf>,
): readonly CoreCandidate[] {
  const name = local.btf.nameOf(id);
  if (name === '') throw new BpfError({ code: 'core-anonymous', type: id });
  const kind = local.kind(id);
  const essential = essentialName(name);
  const inTarget = (btf: Btf, first: number): CoreCandidate[] => {
    const types = TypeView.of(btf);
    return btf
      .findEssential(essential)
      .filter((found) => found >= first && kindsCompatible(btf.kindOf(found), kind))
      .sort((a, b) => a - b)
      .map((found) => ({ types, id: found }));
  };
  let first = true;
  const inModules: CoreCandidate[] = [];
  for (const target of targets) {
    if (!first) inModules.push(...inTarget(target, target.firstId));
    else {
      const inKernel = inTarget(target, 1);
      // The modules are not even asked for: reading their types may cost something.
      if (inKernel.length > 0) return inKernel;
      first = false;
    }
  }
  return inModules;
}
