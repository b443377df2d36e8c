import type { FunctionIndex, FunctionSpec, ObjectSpec } from '../object/spec.ts';

/** The function itself first, then what it calls or takes the address of, each once. */
export function reachableFunctions(
  spec: ObjectSpec,
  entry: FunctionIndex,
): readonly FunctionIndex[] {
  const found = new Set<FunctionIndex>([entry]);
  // A set is walked in insertion order, and what is added while walking is walked too.
  for (const index of found) {
    for (const relocation of spec.functions[index]?.relocations ?? []) {
      if (relocation.kind === 'call' || relocation.kind === 'function-address') {
        found.add(relocation.target);
      }
    }
  }
  return [...found];
}

/** The same as functions. */
export function reachable(spec: ObjectSpec, entry: FunctionIndex): readonly FunctionSpec[] {
  return reachableFunctions(spec, entry).map((index) => spec.functions[index] as FunctionSpec);
}
