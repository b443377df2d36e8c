import { BPF_F_LINK } from '../abi/bpf.ts';
import type { BackendMap, BackendProgram } from '../backend/backend.ts';
import { BpfError } from '../errors.ts';
import type { ProgramImage } from '../object/image.ts';
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts';
import type { CorePlan } from '../relocs/core/index.ts';
import { type GlobalVariable, openGlobal } from './global.ts';
import type { Owner } from './owner.ts';
import type { PreparedObject } from './prepare.ts';

/** A program that a backend has taken. */
export interface LoadedProgram {
  readonly spec: ProgramSpec;
  readonly image: ProgramImage;
  readonly program: BackendProgram;
}

/** What `loadObject` hands over. */
export interface LoadedParts {
  readonly prepared: PreparedObject;
  readonly maps: readonly (BackendMap | undefined)[];
  readonly mapsByName: ReadonlyMap<string, BackendMap>;
  readonly programs: readonly LoadedProgram[];
  readonly owner: Owner;
}

/** A struct of callbacks that the kernel knows; made by `LoadedObject.registerStructOps`. */
export class StructOpsRegistration implements Disposable {
  readonly map: BackendMap;
  #open: boolean;

  constructor(map: BackendMap) {
    this.map = map;
    // With a link, it is the link that ends.
    this.#open = (map.flags & BPF_F_LINK) === 0;
  }

  /** The kernel forgets it (the map's one element is deleted). Twice is harmless. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.map.delete(new Uint8Array(4));
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** An object whose maps exist and whose programs are ready to run; made by `loadObject`. */
export class LoadedObject implements Disposable {
  readonly spec: ObjectSpec;
  /** In the order of `spec.maps`; undefined for those that were not to be made. */
  readonly mapList: readonly (BackendMap | undefined)[];
  /** By the names of `spec.maps`. */
  readonly maps: ReadonlyMap<string, BackendMap>;
  /** The programs that were loaded, in the object's order; names may occur twice. */
  readonly programs: readonly LoadedProgram[];
  /** What CO-RE decided; `function` of each plan is an index into `spec.functions`. */
  readonly plans: readonly CorePlan[];
  readonly #prepared: PreparedObject;
  readonly #owner: Owner;
  #closed = false;

  constructor(parts: LoadedParts) {
    this.spec = parts.prepared.spec;
    this.mapList = parts.maps;
    this.maps = parts.mapsByName;
    this.programs = parts.programs;
    this.plans = parts.prepared.plans;
    this.#prepared = parts.prepared;
    this.#owner = parts.owner;
  }

  /** The map of that name; none is an error that lists what there is. */
  map(name: string): BackendMap {
    this.#checkOpen();
    const map = this.maps.get(name);
    if (map !== undefined) return map;
    const known = this.spec.maps.some((each) => each.name === name);
    if (known) throw new BpfError({ code: 'map-not-created', name });
    throw new BpfError({ code: 'no-such-map', name, have: [...this.maps.keys()] });
  }

  /** The loaded program of that name; none is an error that says why. */
  program(name: string): BackendProgram {
    this.#checkOpen();
    const loaded = this.programs.find((each) => each.spec.name === name);
    if (loaded !== undefined) return loaded.program;
    const have = this.spec.programs.map((each) => each.name);
    if (have.includes(name)) throw new BpfError({ code: 'program-not-loaded', name });
    throw new BpfError({ code: 'no-such-program', name, have });
  }

  /** The global variable of that name, as live bytes; `section` tells static ones apart. */
  global(name: string, section?: string): GlobalVariable {
    this.#checkOpen();
    return openGlobal(this.spec.maps, this.mapList, this.#prepared.arenaOffsets, name, section);
  }

  /**
   * Gives the map of a struct of callbacks its value, with this object's programs in it. That
   * registers it with the kernel at once, until the result, or the object, is closed. If its
   * section is `.struct_ops.link`, it is only made ready for a link.
   */
  registerStructOps(name: string): StructOpsRegistration {
    const map = this.map(name);
    const plan = this.#prepared.structOps.maps.get(this.mapList.indexOf(map));
    if (plan === undefined) throw new BpfError({ code: 'no-struct-ops', map: name });
    const members = plan.functions.map(({ offset, function: fn }) => {
      const loaded = this.programs.find((each) => each.spec.function === fn);
      if (loaded !== undefined) return { offset, program: loaded.program };
      const program = this.spec.functions[fn]?.name ?? `function ${fn}`;
      throw new BpfError({ code: 'program-not-loaded', name: program });
    });
    map.setStructOps(plan.value, members);
    return this.#owner.add(new StructOpsRegistration(map));
  }

  /** Closes programs and maps. Views of globals must not be used any more. Twice is harmless. */
  close(): void {
    this.#closed = true;
    this.#owner.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new BpfError({ code: 'object-closed' });
  }
}
