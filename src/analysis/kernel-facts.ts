import type { Btf } from '../btf/btf.ts';
import { BTF_KIND, type TypeId } from '../btf/types.ts';
import { findType, type KernelTypes } from '../relocs/target.ts';

/** Enumerations of <linux/bpf.h>, which are in every kernel's types. */
export type KernelEnum = 'bpf_prog_type' | 'bpf_attach_type' | 'bpf_map_type' | 'bpf_func_id';

/** What the types of a kernel tell about what it can do. */
export class KernelFacts {
  readonly #types: KernelTypes;
  readonly #btf: Btf;
  readonly #values = new Map<KernelEnum, ReadonlyMap<string, bigint>>();
  #flags: bigint | undefined;

  constructor(types: KernelTypes) {
    this.#types = types;
    this.#btf = types.kernel;
  }

  /** Whether an enumeration has a value; true for a kernel whose types lack the enumeration. */
  hasValue(name: KernelEnum, value: number): boolean {
    const values = this.#enumerators(name);
    if (values.size === 0) return true;
    for (const [enumerator, each] of values) {
      // The count at the end is a value that nothing has.
      if (each === BigInt(value) && !enumerator.startsWith('__')) return true;
    }
    return false;
  }

  /** Whether it has an enumerator of one of these enumerations, or a function, of that name. */
  hasName(name: string): boolean {
    const enums: readonly KernelEnum[] = ['bpf_map_type', 'bpf_attach_type', 'bpf_func_id'];
    if (enums.some((each) => this.#enumerators(each).has(name))) return true;
    return findType(this.#types, name, BTF_KIND.FUNC) !== undefined;
  }

  /** Whether a bit is one of the flags of maps; true where the types do not tell. */
  hasMapFlag(flag: number): boolean {
    this.#flags ??= mapFlags(this.#btf);
    return this.#flags === 0n || (this.#flags & BigInt(flag)) !== 0n;
  }

  #enumerators(name: KernelEnum): ReadonlyMap<string, bigint> {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const id = this.#btf.find(name, BTF_KIND.ENUM);
    const type = id === undefined ? undefined : this.#btf.type(id);
    const found = new Map(
      type?.kind === 'enum' ? type.values.map((each) => [each.name, BigInt(each.value)]) : [],
    );
    this.#values.set(name, found);
    return found;
  }
}

/** The enumeration without a name that has `BPF_F_NO_PREALLOC`: all its bits. */
function mapFlags(btf: Btf): bigint {
  for (let id = btf.firstId; id < btf.endId; id++) {
    if (btf.kindOf(id as TypeId) !== BTF_KIND.ENUM || btf.nameOffsetOf(id as TypeId) !== 0) {
      continue;
    }
    const type = btf.type(id as TypeId);
    if (type.kind !== 'enum' || !type.values.some(({ name }) => name === 'BPF_F_NO_PREALLOC')) {
      continue;
    }
    return type.values.reduce((bits, { value }) => bits | BigInt(value), 0n);
  }
  return 0n;
}
