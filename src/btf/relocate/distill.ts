import { BpfError } from '../../errors.ts';
import { type Btf, parseBtf } from '../btf.ts';
import { childIds } from '../children.ts';
import { BtfBuilder } from '../encode.ts';
import { BTF_KIND, type BtfKind, type TypeId } from '../types.ts';

/** A split BTF that carries what it needs to know of its base. */
export interface DistilledBtf {
  /** What goes into a module's `.BTF.base`. */
  readonly base: Btf;
  /** The module's own types, on {@link DistilledBtf.base}; what goes into `.BTF`. */
  readonly split: Btf;
}

/** Kinds that a split BTF may refer to in its base. */
const referable: ReadonlySet<BtfKind> = new Set([
  BTF_KIND.INT,
  BTF_KIND.FLOAT,
  BTF_KIND.FWD,
  BTF_KIND.ARRAY,
  BTF_KIND.STRUCT,
  BTF_KIND.UNION,
  BTF_KIND.TYPEDEF,
  BTF_KIND.ENUM,
  BTF_KIND.ENUM64,
  BTF_KIND.PTR,
  BTF_KIND.CONST,
  BTF_KIND.RESTRICT,
  BTF_KIND.VOLATILE,
  BTF_KIND.FUNC_PROTO,
  BTF_KIND.TYPE_TAG,
]);

/** Kinds that are found again by their name, so that the base keeps no more than that. */
const outlined: ReadonlySet<BtfKind> = new Set([
  BTF_KIND.STRUCT,
  BTF_KIND.UNION,
  BTF_KIND.ENUM,
  BTF_KIND.ENUM64,
]);

/**
 * Makes a module's types independent of the ids of the kernel's: a split BTF refers to its
 * base by number, which any other build of the base breaks. The result has a small base of
 * its own that says by name what is meant, with which `relocateBtf` puts it on other kernels.
 *
 * The rules are those of libbpf's `btf__distill_base`. Of all that the split BTF refers to,
 * directly or through others,
 *
 * - integers, floating-point numbers and forward declarations are in the new base as they are;
 * - structs and unions with a name are there with their size, without members; enums with a
 *   name with their size, without values, those of 64 bits as plain enums;
 * - everything else (pointers, typedefs, prototypes, …, what has no name) comes to the end of
 *   the split BTF, whose own types keep their order.
 *
 * Of several levels of bases all are distilled. Layout sections are left out.
 * {@link BpfError} `btf-no-base` if nothing is to be distilled, `btf-distill` where something
 * of the base is referred to that has no place in a distilled one, such as a function.
 *
 * @example
 * ```ts
 * const { base, split } = distillBase(parseBtf(module, { base: vmlinux }));
 * ```
 */
export function distillBase(btf: Btf): DistilledBtf {
  const { littleEndian, name, pointerSize, firstId } = btf;
  if (btf.base === undefined) throw new BpfError({ code: 'btf-no-base', btf: name });
  const used = usedOfBase(btf);
  const ids = new Uint32Array(btf.endId);
  const small = new BtfBuilder({ littleEndian });
  for (const id of used) if (isNamed(btf, id)) ids[id] = outline(small, btf, id);
  const base = parseBtf(small.finish(), { name: `${name} (distilled base)`, pointerSize });
  const moved = used.filter((id) => !isNamed(btf, id));
  const own = Array.from({ length: btf.endId - firstId }, (_, i) => (firstId + i) as TypeId);
  const order = [...own, ...moved];
  order.forEach((id, index) => {
    ids[id] = base.endId + index;
  });
  const builder = new BtfBuilder({ littleEndian, base });
  for (const id of order) builder.copy(btf, id, (old) => ids[old] as number);
  return { base, split: parseBtf(builder.finish(), { name, base, pointerSize }) };
}

/** Ids of the base that the split BTF needs, in order. */
function usedOfBase(btf: Btf): readonly TypeId[] {
  const marks = new Uint8Array(btf.firstId);
  const open: TypeId[] = [];
  const visit = (id: TypeId): void => {
    for (const child of childIds(btf.type(id))) {
      if (child === 0 || child >= btf.firstId || marks[child] === 1) continue;
      refuseOthers(btf, child);
      marks[child] = 1;
      if (!isOutlined(btf, child)) open.push(child);
    }
  };
  for (let id = btf.firstId as TypeId; id < btf.endId; id++) {
    visit(id);
    for (let next = open.pop(); next !== undefined; next = open.pop()) visit(next);
  }
  const used: TypeId[] = [];
  for (let id = 1 as TypeId; id < btf.firstId; id++) if (marks[id] === 1) used.push(id);
  return used;
}

function refuseOthers(btf: Btf, id: TypeId): void {
  if (referable.has(btf.kindOf(id))) return;
  const { kind } = btf.type(id);
  throw failure(btf, id, `is a ${kind}, which a distilled base cannot have`);
}

function failure(btf: Btf, id: TypeId, problem: string): BpfError {
  return new BpfError({ code: 'btf-distill', btf: btf.name, id, name: btf.nameOf(id), problem });
}

/** Whether only name and size of a type go into the new base. */
function isOutlined(btf: Btf, id: TypeId): boolean {
  return outlined.has(btf.kindOf(id)) && btf.nameOffsetOf(id) !== 0;
}

/** Whether a type goes into the new base; as libbpf, integers do with or without a name. */
function isNamed(btf: Btf, id: TypeId): boolean {
  const kind = btf.kindOf(id);
  const isPlain = kind === BTF_KIND.INT || kind === BTF_KIND.FLOAT || kind === BTF_KIND.FWD;
  return isPlain || isOutlined(btf, id);
}

/** Adds what the new base says of a type. */
function outline(builder: BtfBuilder, btf: Btf, id: TypeId): TypeId {
  if (!isOutlined(btf, id)) return builder.copy(btf, id);
  const name = btf.nameOf(id);
  const size = btf.sizeOrTypeOf(id);
  const kind = btf.kindOf(id);
  if (kind === BTF_KIND.STRUCT) return builder.add({ kind: 'struct', name, size, members: [] });
  if (kind === BTF_KIND.UNION) return builder.add({ kind: 'union', name, size, members: [] });
  if (size === 0) throw failure(btf, id, 'is an enum that is only declared, without a size');
  return builder.add({ kind: 'enum', name, size, values: [] });
}
