import type { Btf } from '../btf/btf.ts';
import { TypeComparison } from '../btf/compatible/comparison.ts';
import { essentialName, resolveType, typeToString } from '../btf/graph.ts';
import { BTF_KIND, type TypeId } from '../btf/types.ts';
import { BpfError, type BpfErrorDetail } from '../errors.ts';
import type { KernelEntity } from '../object/image.ts';
import type { ExternSpec, KconfigPlace, MapIndex, ObjectSpec } from '../object/spec.ts';
import { kconfigBytes, kconfigNumber, parseKconfig } from './kconfig.ts';
import { type FoundType, findType, type HostFacts, type KernelTypes } from './target.ts';

/** What an extern is on the machine at hand. */
export type ResolvedExtern =
  /** Its value lies in the map of `.kconfig`. */
  | { readonly kind: 'kconfig'; readonly place: KconfigPlace }
  /** A kernel symbol that the object knows no type of. */
  | { readonly kind: 'address'; readonly address: bigint }
  /** A kernel function, or a variable with a type. */
  | { readonly kind: 'kernel'; readonly entity: KernelEntity }
  /** Not there: where it is weak, it has address 0 and is no function to call. */
  | { readonly kind: 'missing'; readonly reason: string };

/** What {@link resolveExterns} may ask. */
export interface ExternSources {
  /** The types of the kernel that the program will run on, whatever CO-RE relocates against. */
  readonly types?: KernelTypes | undefined;
  /** Without one, nothing is an error that only a machine can answer, until a program needs it. */
  readonly host?: HostFacts | undefined;
  /** Configuration text that comes before the host's. */
  readonly kconfig?: string | undefined;
}

/** Every extern of an object, by its index, and the contents of the map of `.kconfig`. */
export interface ResolvedExterns {
  readonly externs: readonly ResolvedExtern[];
  /** Values of kconfig externs, as they are to be written into the map at their places. */
  readonly values: readonly KconfigValue[];
}

export interface KconfigValue {
  readonly map: MapIndex;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * Finds everything that an object declares as `extern` (libbpf's `bpf_object__resolve_externs`):
 * kernel configuration values, addresses of kernel symbols, kernel functions and variables in
 * the kernel's and its modules' types, whose declaration in the object must be compatible.
 * What is weak may be missing; anything else that is not there is an error.
 */
export function resolveExterns(spec: ObjectSpec, sources: ExternSources): ResolvedExterns {
  const config = new Configuration(sources);
  const addresses = findAddresses(spec, sources.host);
  const values: KconfigValue[] = [];
  const comparisons = new Comparisons(spec.btf);
  const externs = spec.externs.map((wanted) => {
    if (wanted.kind === 'kfunc') return resolveFunction(comparisons, wanted, sources);
    if (wanted.kind === 'kconfig') return resolveKconfig(spec, wanted, config, values);
    if (isTyped(wanted)) return resolveVariable(comparisons, wanted, sources);
    return resolveSymbol(wanted, addresses.get(wanted.name), sources);
  });
  return { externs, values };
}

/** A variable declared `void` has an address and nothing more. */
function isTyped(wanted: ExternSpec): boolean {
  return wanted.type !== undefined && wanted.type !== 0;
}

function findAddresses(
  spec: ObjectSpec,
  host: HostFacts | undefined,
): ReadonlyMap<string, readonly bigint[]> {
  const names = new Set<string>();
  for (const wanted of spec.externs) {
    if (wanted.kind === 'ksym' && !isTyped(wanted)) names.add(wanted.name);
  }
  return names.size === 0 || host === undefined ? new Map() : host.symbols(names);
}

/** libbpf's `kallsyms_cb`: one name at several addresses is an error, even of a weak extern. */
function resolveSymbol(
  wanted: ExternSpec,
  addresses: readonly bigint[] | undefined,
  { host }: ExternSources,
): ResolvedExtern {
  const [address, ...others] = addresses ?? [];
  if (address === undefined) {
    return host === undefined
      ? missing(wanted, false, 'only a running kernel knows its address')
      : missing(wanted, true, 'the kernel lists no symbol of that name');
  }
  if (others.length === 0) return { kind: 'address', address };
  const all = [address, ...others];
  throw new BpfError({ code: 'extern-ambiguous', name: wanted.name, addresses: all });
}

function missing(wanted: ExternSpec, strict: boolean, reason: string): ResolvedExtern {
  if (wanted.weak || !strict) return { kind: 'missing', reason };
  throw missingError(wanted, reason);
}

/** The error of a program that cannot do without an extern. */
export function missingError({ name, kind }: ExternSpec, reason: string): BpfError {
  return new BpfError({ code: 'extern-missing', name, kind, reason });
}

/** `bpf_object__resolve_ksym_var_btf_id`: an incompatible variable is an error, even a weak one. */
function resolveVariable(
  comparisons: Comparisons,
  wanted: ExternSpec,
  { types, host }: ExternSources,
): ResolvedExtern {
  const found = findType(types, wanted.name, BTF_KIND.VAR);
  if (found === undefined) {
    const reason = 'the types of the kernel have no such variable';
    return missing(wanted, host !== undefined, reason);
  }
  const type = found.btf.sizeOrTypeOf(found.type) as TypeId;
  const local = wanted.type as TypeId;
  if (comparisons.compatible(local, found, type)) return entity(wanted.name, found);
  throw new BpfError(comparisons.error(wanted, local, found, type));
}

/**
 * `bpf_object__resolve_ksym_func_btf_id`: a flavour (`name___flavour`) stands for `name`; a weak
 * function whose prototype is another one is as good as missing.
 */
function resolveFunction(
  comparisons: Comparisons,
  wanted: ExternSpec,
  { types, host }: ExternSources,
): ResolvedExtern {
  const name = essentialName(wanted.name);
  const found = findType(types, name, BTF_KIND.FUNC);
  if (found === undefined) {
    const reason = 'the types of the kernel have no such function';
    return missing(wanted, host !== undefined, reason);
  }
  const local = comparisons.prototypeOf(wanted);
  const target = found.btf.sizeOrTypeOf(found.type) as TypeId;
  if (local === undefined || comparisons.compatible(local, found, target)) {
    return entity(name, found);
  }
  const detail = comparisons.error(wanted, local, found, target);
  if (!wanted.weak) throw new BpfError(detail);
  return { kind: 'missing', reason: new BpfError(detail).message };
}

function entity(name: string, { type, module }: FoundType): ResolvedExtern {
  return { kind: 'kernel', entity: { name, type, module } };
}

/**
 * Compares what the object declares with what a kernel or module has. All comparisons with one
 * BTF share their results and their limit, so that declarations made to be slow do not add up.
 */
class Comparisons {
  readonly #btf: Btf | undefined;
  readonly #byTarget = new Map<Btf, TypeComparison>();

  constructor(btf: Btf | undefined) {
    this.#btf = btf;
  }

  compatible(local: TypeId, found: FoundType, target: TypeId): boolean {
    if (this.#btf === undefined) return true;
    let comparison = this.#byTarget.get(found.btf);
    if (comparison === undefined) {
      comparison = new TypeComparison(this.#btf, found.btf);
      this.#byTarget.set(found.btf, comparison);
    }
    const [a, b] = [resolveType(this.#btf, local), resolveType(found.btf, target)];
    return comparison.compatible(a, b) === undefined;
  }

  prototypeOf({ type }: ExternSpec): TypeId | undefined {
    return type === undefined ? undefined : (this.#btf?.sizeOrTypeOf(type) as TypeId | undefined);
  }

  error(
    { name, kind }: ExternSpec,
    local: TypeId,
    found: FoundType,
    target: TypeId,
  ): Extract<BpfErrorDetail, { readonly code: 'extern-type' }> {
    return {
      ...{ code: 'extern-type', name, kind: kind === 'kfunc' ? 'kfunc' : 'ksym' },
      expected: this.#btf === undefined ? 'unknown' : typeToString(this.#btf, local),
      found: typeToString(found.btf, target),
      where: found.module ?? 'the kernel',
    };
  }
}

function resolveKconfig(
  spec: ObjectSpec,
  wanted: ExternSpec,
  config: Configuration,
  values: KconfigValue[],
): ResolvedExtern {
  const { name, kconfig: place } = wanted;
  if (place === undefined)
    return { kind: 'missing', reason: 'the object has no room for its value' };
  const variable = { name, place, littleEndian: spec.littleEndian };
  const bytes = name.startsWith('CONFIG_')
    ? given(config.value(name), (value) => kconfigBytes(variable, value))
    : given(config.virtual(wanted), (value) => kconfigNumber(variable, value));
  if (bytes === undefined) missing(wanted, config.strict, config.lack);
  else values.push({ map: place.map, offset: place.offset, bytes });
  return { kind: 'kconfig', place };
}

function given<T, R>(value: T | undefined, work: (value: T) => R): R | undefined {
  return value === undefined ? undefined : work(value);
}

/** Values of the kernel's configuration: the text given first, then the host's, each read once. */
class Configuration {
  readonly #sources: ExternSources;
  #given: ReadonlyMap<string, string> | undefined;
  #host: ReadonlyMap<string, string> | undefined;

  constructor(sources: ExternSources) {
    this.#sources = sources;
  }

  /** As the text has it; undefined where no text has it. */
  value(name: string): string | undefined {
    const { kconfig, host } = this.#sources;
    this.#given ??= parseKconfig(kconfig ?? '');
    const value = this.#given.get(name);
    if (value !== undefined) return value;
    this.#host ??= parseKconfig(host?.kconfig() ?? '');
    return this.#host.get(name);
  }

  /** Whether a strong value must be there. */
  get strict(): boolean {
    return this.#sources.host !== undefined;
  }

  /** What a missing value is due to. */
  get lack(): string {
    return this.#host?.size === 0
      ? 'there is no configuration of this kernel to read; give one as text'
      : 'the configuration of the kernel does not set it';
  }

  /** The `LINUX_…` values, which no configuration has; unknown ones only if weak. */
  virtual({ name, kind, weak }: ExternSpec): bigint | undefined {
    const { host } = this.#sources;
    switch (name) {
      case 'LINUX_KERNEL_VERSION':
        return host === undefined ? undefined : BigInt(host.kernelVersion());
      case 'LINUX_HAS_BPF_COOKIE':
        return host === undefined ? undefined : BigInt(host.has('cookie'));
      case 'LINUX_HAS_SYSCALL_WRAPPER':
        return host === undefined ? undefined : BigInt(host.has('syscall-wrapper'));
      default:
        if (name.startsWith('LINUX_') && weak) return 0n;
        throw new BpfError({
          code: 'extern-missing',
          name,
          kind,
          reason:
            'names of such values begin with CONFIG_, or are LINUX_KERNEL_VERSION, LINUX_HAS_BPF_COOKIE or LINUX_HAS_SYSCALL_WRAPPER',
        });
    }
  }
}

/** The object with its configuration values in the map of `.kconfig`. */
export function withKconfig(spec: ObjectSpec, values: readonly KconfigValue[]): ObjectSpec {
  if (values.length === 0) return spec;
  const filled = new Map<MapIndex, Uint8Array>();
  for (const { map, offset, bytes } of values) {
    const contents = filled.get(map) ?? spec.maps[map]?.data?.contents.slice();
    if (contents === undefined || offset + bytes.length > contents.length) {
      throw new Error('a kconfig value has its place in a map');
    }
    contents.set(bytes, offset);
    filled.set(map, contents);
  }
  const maps = spec.maps.map((map, index) => {
    const contents = filled.get(index as MapIndex);
    return contents === undefined || map.data === undefined
      ? map
      : { ...map, data: { ...map.data, contents } };
  });
  return { ...spec, maps };
}
