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
  readonly maps: readonly BackendMap[];
  readonly mapsByName: ReadonlyMap<string, BackendMap>;
  readonly programs: readonly LoadedProgram[];
  readonly owner: Owner;
}

/** An object whose maps exist and whose programs are ready to run; made by `loadObject`. */
export class LoadedObject implements Disposable {
  readonly spec: ObjectSpec;
  /** In the order of `spec.maps`. */
  readonly mapList: readonly BackendMap[];
  /** By the names of `spec.maps`. */
  readonly maps: ReadonlyMap<string, BackendMap>;
  /** The programs that were loaded, in the object's order; names may occur twice. */
  readonly programs: readonly LoadedProgram[];
  /** What CO-RE decided; `function` of each plan is an index into `spec.functions`. */
  readonly plans: readonly CorePlan[];
  readonly #owner: Owner;
  #closed = false;

  constructor(parts: LoadedParts) {
    this.spec = parts.prepared.spec;
    this.mapList = parts.maps;
    this.maps = parts.mapsByName;
    this.programs = parts.programs;
    this.plans = parts.prepared.plans;
    this.#owner = parts.owner;
  }

  /** The map of that name; none is an error that lists what there is. */
  map(name: string): BackendMap {
    this.#checkOpen();
    const map = this.maps.get(name);
    if (map !== undefined) return map;
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
    return openGlobal(this.spec.maps, this.mapList, name, section);
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
