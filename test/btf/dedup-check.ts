// Checks that a deduplicated BTF has every type of the original.
import type { Btf } from '../../src/btf/btf.ts';
import { childIds } from '../../src/btf/children.ts';
import type { DedupResult } from '../../src/btf/dedup/dedup.ts';
import type { BtfType, TypeId } from '../../src/btf/types.ts';

/** A type without the ids in it, as text. */
function shape(type: BtfType): string {
  const ids = new Set(['id', 'target', 'type', 'element', 'index', 'returns', 'proto']);
  return JSON.stringify(type, (key, value) =>
    ids.has(key) ? 0 : typeof value === 'bigint' ? `${value}` : value,
  );
}

function isComposite(type: BtfType): boolean {
  return type.kind === 'struct' || type.kind === 'union';
}

function isEnum(type: BtfType): boolean {
  return type.kind === 'enum' || type.kind === 'enum64';
}

/** Names that are declared somewhere: what they stand for is chosen among all of the name. */
function declaredNames(btf: Btf): ReadonlySet<string> {
  const names = new Set<string>();
  for (let id = 1 as TypeId; id < btf.endId; id++) {
    const type = btf.type(id as TypeId);
    if (type.kind === 'fwd') names.add(`${type.of} ${type.name}`);
    if ((type.kind === 'enum' || type.kind === 'enum64') && type.values.length === 0) {
      names.add(`enum ${type.name}`);
    }
  }
  return names;
}

/**
 * Walks both graphs from each old id and its new one; where they differ, by anything but a
 * declaration and what it stands for, says how. Undefined if they do not.
 */
export function missingType(old: Btf, { btf, ids }: DedupResult): string | undefined {
  const declared = declaredNames(old);
  const seen = new Set<number>();
  const pairs: [TypeId, TypeId][] = [];
  const add = (a: TypeId, b: TypeId): void => {
    const key = a * btf.endId + b;
    if (!seen.has(key)) pairs.push([a, b]);
    seen.add(key);
  };
  for (let id = 0; id < old.endId; id++) add(id as TypeId, ids[id] as TypeId);
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [a, b] = [old.type(pair[0]), btf.type(pair[1])];
    if (isStandIn(a, b, declared)) continue;
    if (shape(a) !== shape(b)) return `${a.id} ${shape(a)} became ${b.id} ${shape(b)}`;
    const others = childIds(b);
    for (const [i, child] of childIds(a).entries()) add(child, others[i] as TypeId);
  }
  return undefined;
}

function isStandIn(a: BtfType, b: BtfType, declared: ReadonlySet<string>): boolean {
  if (a.kind === 'void' || b.kind === 'void' || !('name' in a) || !('name' in b)) return false;
  if (a.name !== b.name) return false;
  if (isEnum(a) && isEnum(b)) return declared.has(`enum ${a.name}`);
  if (a.kind === 'fwd') return isComposite(b) && b.kind === a.of;
  return isComposite(a) && a.kind === b.kind && declared.has(`${a.kind} ${a.name}`);
}
