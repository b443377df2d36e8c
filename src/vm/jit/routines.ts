import type { CodeSink } from './code-sink.ts';
import type { FunctionBody, ModuleWriter } from './module-writer.ts';

/** A function of the module that is not one of the program's, such as the lookup in a map. */
export interface Routine {
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly locals: FunctionBody['locals'];
  readonly write: (sink: CodeSink) => void;
}

/** Routines that a module turns out to need, numbered behind the program's functions. */
export class Routines {
  readonly #first: number;
  readonly #indices = new Map<object, Map<string, number>>();
  readonly #routines: Routine[] = [];

  constructor(first: number) {
    this.#first = first;
  }

  /** Index of the routine called `name` for a subject; made the first time. */
  index(subject: object, name: string, make: () => Routine): number {
    let names = this.#indices.get(subject);
    if (names === undefined) {
      names = new Map();
      this.#indices.set(subject, names);
    }
    let index = names.get(name);
    if (index === undefined) {
      index = this.#first + this.#routines.push(make()) - 1;
      names.set(name, index);
    }
    return index;
  }

  /** Adds all to the module. */
  addTo(module: ModuleWriter, sink: () => CodeSink): void {
    for (const { params, results, locals, write } of this.#routines) {
      const body = sink();
      write(body);
      module.addFunction({ type: module.type(params, results), locals, code: body.written });
    }
  }
}
