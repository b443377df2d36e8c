import { BTF_KIND, type TypeId } from '../btf/types.ts';
import { BpfError } from '../errors.ts';
import type { FunctionIndex, ObjectSpec } from '../object/spec.ts';

const prefix = 'exception_callback:';

/** The function that runs when a program throws, by the program's function. */
export type ExceptionCallbacks = ReadonlyMap<FunctionIndex, FunctionIndex>;

/**
 * Reads `__exception_cb(name)`, a tag on a program that names the global function to be called
 * when it throws (`bpf_throw`). Nothing calls it in the program's own code, so it has to be
 * appended all the same (libbpf's `bpf_object__relocate`).
 */
export function exceptionCallbacks(spec: ObjectSpec): ExceptionCallbacks {
  const tags = exceptionTags(spec);
  const found = new Map<FunctionIndex, FunctionIndex>();
  if (tags.size === 0) return found;
  for (const { name, function: index } of spec.programs) {
    const [callback, ...others] = tags.get(spec.functions[index]?.name ?? name) ?? [];
    if (callback === undefined) continue;
    if (others.length > 0) throw refuse(name, callback, 'the program names several');
    found.set(index, findCallback(spec, name, callback));
  }
  return found;
}

/** Names of callbacks by the name of the function that is tagged. */
function exceptionTags({ btf }: ObjectSpec): ReadonlyMap<string, readonly string[]> {
  const tags = new Map<string, string[]>();
  if (btf === undefined) return tags;
  for (let id = btf.firstId as TypeId; id < btf.endId; id = (id + 1) as TypeId) {
    if (btf.kindOf(id) !== BTF_KIND.DECL_TAG || !btf.nameOf(id).startsWith(prefix)) continue;
    const tag = btf.type(id);
    if (tag.kind !== 'decl-tag' || tag.component !== -1) continue;
    const callback = tag.name.slice(prefix.length);
    const tagged = btf.nameOf(tag.target);
    const known = tags.get(tagged);
    if (known === undefined) tags.set(tagged, [callback]);
    else known.push(callback);
  }
  return tags;
}

function findCallback(spec: ObjectSpec, program: string, callback: string): FunctionIndex {
  const programs = new Set<number>(spec.programs.map((each) => each.function));
  const index = spec.functions.findIndex((fn, at) => fn.name === callback && !programs.has(at));
  const fn = spec.functions[index];
  if (fn === undefined) throw refuse(program, callback, 'the object has no such function');
  if (fn.binding === 'local' || fn.hidden) {
    throw refuse(program, callback, 'it must be a global function that is not hidden');
  }
  return index as FunctionIndex;
}

function refuse(program: string, callback: string, reason: string): BpfError {
  return new BpfError({ code: 'exception-callback', program, callback, reason });
}
