import type { Btf } from '../btf/btf.ts';
import { BTF_KIND, type TypeId } from '../btf/types.ts';
import type { ObjectSpec } from '../object/spec.ts';

/**
 * The object with its hidden functions as static ones in its types: the verifier looks at a
 * static function with what it knows of each call, at a global one on its own. `__hidden` is
 * how C asks for the former where several files are linked (libbpf's `mark_btf_static`).
 */
export function withHiddenStatic(spec: ObjectSpec): ObjectSpec {
  const { btf } = spec;
  if (btf === undefined) return spec;
  const programs = new Set<number>(spec.programs.map((program) => program.function));
  const hidden = spec.functions.filter(
    (fn, index) => fn.hidden && fn.binding !== 'local' && !programs.has(index),
  );
  const changed = hidden.flatMap(({ name }) => globalFunction(btf, name) ?? []);
  return changed.length === 0 ? spec : { ...spec, btf: withStatic(btf, changed) };
}

function globalFunction(btf: Btf, name: string): TypeId | undefined {
  return btf.findAll(name, BTF_KIND.FUNC).find((id) => btf.vlenOf(id) === globalLinkage);
}

/** The linkage of a FUNC is where other kinds have their count. */
const globalLinkage = 1;

function withStatic(btf: Btf, ids: readonly TypeId[]): Btf {
  const bytes = btf.bytes.slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const id of ids) {
    const word = (btf.offsets[id - btf.firstId] as number) + 1;
    const at = btf.typeSection.offset + 4 * word;
    view.setUint32(at, BTF_KIND.FUNC << 24, btf.littleEndian);
  }
  return btf.withBytes(bytes, ids);
}
