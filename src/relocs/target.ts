import type { Btf } from '../btf/btf.ts';
import type { BtfKind, TypeId } from '../btf/types.ts';

/** The types of the kernel that a program is going to run on. */
export interface KernelTypes {
  readonly kernel: Btf;
  /** Those of its modules; asked for only where the kernel itself lacks something. */
  modules(): readonly { readonly name: string; readonly btf: Btf }[];
}

/** What relocation asks about the machine, apart from its types; a backend's host knows it. */
export interface HostFacts {
  /** `KERNEL_VERSION(major, minor, patch)`. */
  kernelVersion(): number;
  /** The kernel's configuration as text; undefined where there is none to read. */
  kconfig(): string | undefined;
  /** Addresses of kernel symbols by name. */
  symbols(names: ReadonlySet<string>): ReadonlyMap<string, readonly bigint[]>;
  has(feature: HostFact): boolean;
}

/** Abilities of a kernel that change what a program's image looks like. */
export type HostFact =
  | 'cookie'
  | 'syscall-wrapper'
  | 'probe-read-kernel'
  | 'arg-ctx-tag'
  | 'full-range-imm64'
  | 'uprobe-multi';

/** A type by name, and where it is. */
export interface FoundType {
  readonly btf: Btf;
  readonly type: TypeId;
  /** Undefined for the kernel itself. */
  readonly module: string | undefined;
}

/** The kernel's own type of that name and kind, else the first module's (`find_ksym_btf_id`). */
export function findType(
  types: KernelTypes | undefined,
  name: string,
  kind: BtfKind,
): FoundType | undefined {
  if (types === undefined) return undefined;
  const own = types.kernel.find(name, kind);
  if (own !== undefined) return { btf: types.kernel, type: own, module: undefined };
  for (const module of types.modules()) {
    const type = module.btf.findAll(name, kind).find((id) => id >= module.btf.firstId);
    if (type !== undefined) return { btf: module.btf, type, module: module.name };
  }
  return undefined;
}

/** The types in the order in which CO-RE looks at them; modules are read when it gets to them. */
export function* coreTargets(types: KernelTypes): Generator<Btf> {
  yield types.kernel;
  for (const { btf } of types.modules()) yield btf;
}
