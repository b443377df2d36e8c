import type { Btf } from '../../btf/btf.ts';
import { isComposite, TypeView } from '../../btf/compatible/view.ts';
import { BTF_KIND, type TypeId } from '../../btf/types.ts';
import { CORE_RELO } from '../../object/spec.ts';
import type { CoreSpec } from './access.ts';
import { orNone } from './explain.ts';
import type { CorePlan } from './result.ts';
import { accessPath } from './words.ts';

/**
 * Puts accesses through pointers together: clang makes one relocation for each pointer that
 * `task->real_parent->tgid` follows. A relocation goes on with the chain of the one before it
 * if both are offsets, come from the same source line, and the field of the first is a pointer
 * to the type of the second.
 */
export function withChains(local: Btf, plans: readonly CorePlan[]): readonly CorePlan[] {
  const types = TypeView.of(local);
  let before: CorePlan | undefined;
  return plans.map((plan) => {
    const chain = orNone(() => chainOf(types, before, plan));
    const linked = chain === undefined ? plan : { ...plan, chain };
    before = linked;
    return linked;
  });
}

function chainOf(
  types: TypeView,
  before: CorePlan | undefined,
  plan: CorePlan,
): string | undefined {
  const spec = plan.result.local;
  if (spec === undefined || spec.kind !== CORE_RELO.FIELD_BYTE_OFFSET) return undefined;
  const path = accessPath(spec);
  const start = before !== undefined && follows(types, before, plan) ? before.chain : undefined;
  if (start !== undefined) return `${start}->${path.replace(/^\./, '')}`;
  const root = types.btf.nameOf(types.resolve(spec.root));
  return root === '' ? undefined : `${root}${path.replace(/^\./, '->')}`;
}

function follows(types: TypeView, before: CorePlan, plan: CorePlan): boolean {
  const { source } = plan;
  if (source === undefined || before.function !== plan.function) return false;
  if (before.source?.line !== source.line || before.source.file !== source.file) return false;
  const target =
    before.result.local === undefined ? undefined : pointee(types, before.result.local);
  return target !== undefined && target === types.resolve(plan.result.typeId);
}

/** What the pointer that a spec leads to points at, typedefs and qualifiers looked through. */
function pointee(types: TypeView, spec: CoreSpec): TypeId | undefined {
  const step = spec.steps.at(-1);
  if (step === undefined) return undefined;
  const holder = types.type(step.type);
  const member = isComposite(holder) ? holder.members[step.index] : undefined;
  const field = types.resolve(
    step.name === undefined || member === undefined ? step.type : member.type,
  );
  if (types.kind(field) !== BTF_KIND.PTR) return undefined;
  return types.resolve(types.btf.sizeOrTypeOf(field) as TypeId);
}
