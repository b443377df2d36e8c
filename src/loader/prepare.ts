import type { Btf } from '../btf/btf.ts';
import type { ProgramImage } from '../object/image.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { CorePlan } from '../relocs/core/index.ts';
import { buildImages } from '../relocs/image.ts';

export interface PrepareOptions {
  /** Types to relocate against: a kernel's, or those and its modules'. None by default. */
  readonly targetBtf?: Btf | readonly Btf[] | undefined;
  /** Which programs to take; those whose spec says `autoload` by default. */
  readonly autoload?: ((program: ProgramSpec) => boolean) | undefined;
}

/** An object whose programs are relocated, before any backend has seen it. */
export interface PreparedObject {
  readonly spec: ObjectSpec;
  /** The programs that were taken, in the object's order. */
  readonly programs: readonly ProgramSpec[];
  /** One image for each of `programs`. */
  readonly images: readonly ProgramImage[];
  /** What CO-RE decided; `function` of each plan is an index into `spec.functions`. */
  readonly plans: readonly CorePlan[];
}

/**
 * Chooses an object's programs and relocates them. Pure: needs no backend, changes nothing.
 * A chosen program in a section of unknown name is an error; with autoload off it is left out.
 *
 * @example
 * ```ts
 * const { images } = prepareObject(openObject(bytes), { targetBtf: parseBtf(vmlinux) });
 * ```
 */
export function prepareObject(spec: ObjectSpec, options: PrepareOptions = {}): PreparedObject {
  const { autoload = (program: ProgramSpec) => program.autoload } = options;
  const programs = spec.programs.filter(autoload);
  const built = buildImages(spec, { targets: listTargets(options.targetBtf), programs });
  return { spec, programs, images: built.images, plans: built.plans };
}

/** True where relocating some chosen program may look at the target's types. */
export function needsTarget(spec: ObjectSpec): boolean {
  return spec.functions.some((fn) => fn.coreRelocations.length > 0);
}

function listTargets(target: PrepareOptions['targetBtf']): readonly Btf[] {
  if (target === undefined) return [];
  return Array.isArray(target) ? (target as readonly Btf[]) : [target as Btf];
}
