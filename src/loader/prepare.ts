import type { Backend } from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import { withContext } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import { arenaDataOffset } from '../relocs/arena.ts';
import type { CorePlan } from '../relocs/core/index.ts';
import { type ResolvedExtern, resolveExterns, withKconfig } from '../relocs/externs.ts';
import { buildImages } from '../relocs/image.ts';
import { withHiddenStatic } from '../relocs/linkage.ts';
import { planStructOps, type StructOpsPlan, structOpsAutoload } from '../relocs/struct-ops.ts';
import { coreTargets, type KernelTypes } from '../relocs/target.ts';

/** The machine that programs are prepared for; every backend is one. */
export type Machine = Pick<Backend, 'targetBtf' | 'pageSize' | 'host'>;

export interface PrepareOptions {
  /**
   * Types that CO-RE relocates against: a kernel's, or those and its modules'. The machine's by
   * default, none without a machine. Kernel functions, variables and structs of callbacks are
   * always looked for in the machine's own, if there is one.
   */
  readonly targetBtf?: Btf | readonly Btf[] | undefined;
  /** Which programs to take; those whose spec says `autoload` by default. */
  readonly autoload?: ((program: ProgramSpec) => boolean) | undefined;
  /**
   * Kernel configuration (`CONFIG_X=y` lines) that comes before the machine's own, for variables
   * declared `__kconfig`.
   */
  readonly kconfig?: string | undefined;
  /** Answers what an object asks about the kernel: `extern` variables and functions, abilities. */
  readonly machine?: Machine | undefined;
}

/** An object whose programs are relocated, before any backend has made anything of it. */
export interface PreparedObject {
  /**
   * The object, with the values of the kernel's configuration in its map of `.kconfig`, and
   * with hidden functions as static ones in its types.
   */
  readonly spec: ObjectSpec;
  /** The programs that were taken, in the object's order. */
  readonly programs: readonly ProgramSpec[];
  /** One image for each of `programs`. */
  readonly images: readonly ProgramImage[];
  /** What CO-RE decided; `function` of each plan is an index into `spec.functions`. */
  readonly plans: readonly CorePlan[];
  /** What each of `spec.externs` is. */
  readonly externs: readonly ResolvedExtern[];
  /** The struct_ops maps in the target's layout, and what their programs are. */
  readonly structOps: StructOpsPlan;
  /** Where the variables of an arena begin in it, in bytes, by the map's index. */
  readonly arenaOffsets: ReadonlyMap<number, number>;
}

/**
 * Chooses an object's programs and relocates them: externs found, struct_ops maps converted,
 * CO-RE applied. Makes nothing and changes nothing; without a machine it asks nobody, either.
 * A chosen program in a section of unknown name is an error; with autoload off it is left out.
 * Programs that struct_ops maps refer to are taken if one of those maps is made.
 *
 * @example
 * ```ts
 * const { images } = prepareObject(openObject(bytes), { targetBtf: parseBtf(vmlinux) });
 * ```
 */
export function prepareObject(object: ObjectSpec, options: PrepareOptions = {}): PreparedObject {
  const spec = withHiddenStatic(object);
  const { machine, kconfig, autoload = (program: ProgramSpec) => program.autoload } = options;
  const types = kernelTypes(options);
  const { externs, values } = resolveExterns(spec, { types, host: machine?.host, kconfig });
  const structOps = planStructOps(spec, types);
  const programs = spec.programs.filter(
    (program) => structOpsAutoload(structOps, program) ?? autoload(program),
  );
  const targets = coreTypes(options, types);
  const built = buildImages(spec, { targets, programs, externs, structOps, machine });
  return {
    spec: withKconfig(spec, values),
    programs,
    images: built.images,
    plans: built.plans,
    externs,
    structOps,
    arenaOffsets: arenaOffsets(spec, machine),
  };
}

/** True where relocating some chosen program may look at the target's types. */
export function needsTarget(spec: ObjectSpec): boolean {
  return spec.functions.some((fn) => fn.coreRelocations.length > 0);
}

/** The types of the kernel that the programs will run on, read when first asked for. */
function kernelTypes({ machine, targetBtf }: PrepareOptions): KernelTypes | undefined {
  if (machine !== undefined) {
    let modules: ReturnType<KernelTypes['modules']> | undefined;
    return {
      get kernel() {
        return machine.targetBtf();
      },
      modules: () => {
        modules ??= machine.host.modules();
        return modules;
      },
    };
  }
  const [kernel, ...modules] = listTargets(targetBtf);
  if (kernel === undefined) return undefined;
  return { kernel, modules: () => modules.map((btf) => ({ name: btf.name, btf })) };
}

function coreTypes({ targetBtf }: PrepareOptions, types: KernelTypes | undefined): Iterable<Btf> {
  if (targetBtf !== undefined) return listTargets(targetBtf);
  return types === undefined ? [] : { [Symbol.iterator]: () => coreTargets(types) };
}

function listTargets(target: PrepareOptions['targetBtf']): readonly Btf[] {
  if (target === undefined) return [];
  return Array.isArray(target) ? (target as readonly Btf[]) : [target as Btf];
}

function arenaOffsets(spec: ObjectSpec, machine: Machine | undefined): ReadonlyMap<number, number> {
  const offsets = new Map<number, number>();
  spec.maps.forEach((map, index) => {
    if (map.data?.kind !== 'arena') return;
    const pageSize = machine?.pageSize ?? 4096;
    const fullRange = machine?.host.has('full-range-imm64') ?? true;
    const offset = withContext({ map: map.name }, () =>
      arenaDataOffset(map, { pageSize, fullRange }),
    );
    offsets.set(index, offset);
  });
  return offsets;
}
