import { ByteSink } from './byte-sink.ts';
import { SECTION, TYPE, W } from './wasm-codes.ts';

/** Types of parameters and results. */
export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

/** A function body: how many locals of each type it has beyond its parameters, and its code. */
export interface FunctionBody {
  readonly type: number;
  readonly locals: readonly (readonly [count: number, type: number])[];
  /** Without the last `end`. */
  readonly code: Uint8Array;
}

/** A WebAssembly module that is being put together. Functions are numbered imports first. */
export class ModuleWriter {
  readonly #types: FunctionType[] = [];
  readonly #typeIndex = new Map<string, number>();
  readonly #imports: ((sink: ByteSink) => void)[] = [];
  readonly #bodies: FunctionBody[] = [];
  readonly #exports: { readonly name: string; readonly index: number }[] = [];
  #functionImports = 0;
  #globalImports = 0;
  #table: readonly number[] = [];

  /** Index of a function type; equal types are one. */
  type(params: readonly number[], results: readonly number[]): number {
    const key = `${params}:${results}`;
    let index = this.#typeIndex.get(key);
    if (index === undefined) {
      index = this.#types.push({ params, results }) - 1;
      this.#typeIndex.set(key, index);
    }
    return index;
  }

  /** Imports the memory `env.memory`, of any size. */
  importMemory(): void {
    this.#import('memory', (sink) => {
      sink.byte(0x02);
      sink.byte(0x00);
      sink.unsigned(1);
    });
  }

  /** Imports an immutable `i32`; its index. */
  importGlobal(name: string): number {
    this.#import(name, (sink) => {
      sink.byte(0x03);
      sink.byte(TYPE.i32);
      sink.byte(0x00);
    });
    return this.#globalImports++;
  }

  /** Imports a function; its index. All imports come before the first `addFunction`. */
  importFunction(name: string, type: number): number {
    this.#import(name, (sink) => {
      sink.byte(0x00);
      sink.unsigned(type);
    });
    return this.#functionImports++;
  }

  /** Index that the next added function gets. */
  get nextFunction(): number {
    return this.#functionImports + this.#bodies.length;
  }

  addFunction(body: FunctionBody): number {
    return this.#functionImports + this.#bodies.push(body) - 1;
  }

  exportFunction(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  /** Functions that `call_indirect` reaches, by their place. */
  setTable(functions: readonly number[]): void {
    this.#table = functions;
  }

  finish(): Uint8Array {
    const out = new ByteSink(4096);
    out.append(Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00));
    section(out, SECTION.type, this.#types, writeType);
    section(out, SECTION.import, this.#imports, (sink, write) => write(sink));
    section(out, SECTION.function, this.#bodies, (sink, body) => sink.unsigned(body.type));
    if (this.#table.length > 0) section(out, SECTION.table, [this.#table.length], writeTable);
    section(out, SECTION.export, this.#exports, writeExport);
    if (this.#table.length > 0) section(out, SECTION.element, [this.#table], writeElements);
    section(out, SECTION.code, this.#bodies, writeBody);
    return out.written.slice();
  }

  #import(name: string, write: (sink: ByteSink) => void): void {
    this.#imports.push((sink) => {
      sink.name('env');
      sink.name(name);
      write(sink);
    });
  }
}

function section<T>(
  out: ByteSink,
  id: number,
  items: readonly T[],
  write: (sink: ByteSink, item: T) => void,
): void {
  const sink = new ByteSink();
  sink.unsigned(items.length);
  for (const item of items) write(sink, item);
  out.byte(id);
  out.unsigned(sink.length);
  out.append(sink.written);
}

function writeType(sink: ByteSink, { params, results }: FunctionType): void {
  sink.byte(0x60);
  sink.unsigned(params.length);
  for (const type of params) sink.byte(type);
  sink.unsigned(results.length);
  for (const type of results) sink.byte(type);
}

function writeTable(sink: ByteSink, size: number): void {
  sink.byte(0x70);
  sink.byte(0x01);
  sink.unsigned(size);
  sink.unsigned(size);
}

function writeExport(
  sink: ByteSink,
  { name, index }: { readonly name: string; readonly index: number },
): void {
  sink.name(name);
  sink.byte(0x00);
  sink.unsigned(index);
}

function writeElements(sink: ByteSink, functions: readonly number[]): void {
  sink.byte(0x00);
  sink.byte(W.i32Const);
  sink.signed(0);
  sink.byte(W.end);
  sink.unsigned(functions.length);
  for (const index of functions) sink.unsigned(index);
}

function writeBody(sink: ByteSink, { locals, code }: FunctionBody): void {
  const head = new ByteSink(16);
  head.unsigned(locals.length);
  for (const [count, type] of locals) {
    head.unsigned(count);
    head.byte(type);
  }
  sink.unsigned(head.length + code.length + 1);
  sink.append(head.written);
  sink.append(code);
  sink.byte(W.end);
}
