import { maxStack } from '../engine/stack.ts';
import { CodeSink } from './code-sink.ts';
import {
  type Findings,
  FunctionWriter,
  type ModuleNames,
  type ProgramContext,
} from './function-writer.ts';
import { localTypes, parameterTypes } from './locals.ts';
import { ModuleWriter } from './module-writer.ts';
import { type FunctionPlan, planFunctions, type Source } from './plan.ts';
import { Routines } from './routines.ts';
import { emitDispatch, emitStructured } from './structure.ts';
import { TYPE, W } from './wasm-codes.ts';

/** Largest body of a function that V8 takes (`kV8MaxWasmFunctionSize`). */
const largestBody = 7_654_321;

/** Most targets of a jump table that V8 takes (`kV8MaxWasmFunctionBrTableSize`). */
const mostTargets = 65_520;

/** A translated program. */
export interface Translation extends Findings {
  /** The WebAssembly module. */
  readonly bytes: Uint8Array;
}

/**
 * Translates a program to a WebAssembly module, in time that is nearly linear in its size:
 * one function for each of its own, and an exported one without parameters for each that the
 * runner starts. Undefined where the module would exceed what hosts take.
 *
 * ```
 *   env.memory                         the VM's memory
 *   env.registers, record, frameRows   addresses of what the CPU has, see `state.ts`
 *   env.fault, load, store, …          what the host does, by row
 *   env.helper0 …                      helpers, in the order of `code.helpers`
 *   exports start0, start<row> …       entry function and functions whose address is taken
 * ```
 */
export function translateProgram(source: Source): Translation | undefined {
  const { functions, flow } = planFunctions(source);
  const module = new ModuleWriter();
  const names = declare(module, source);
  const findings: Findings = { readsPacket: false };
  const context = { source, flow, names, findings };
  for (const plan of functions) {
    const code = translateFunction(context, plan);
    if (code === undefined || code.length > largestBody) return undefined;
    module.addFunction({ type: names.functionType, locals: localTypes, code });
  }
  names.routines.addTo(module, () => new CodeSink());
  addStarts(module, source, names);
  return { bytes: module.finish(), ...findings };
}

/** First rows of the functions that the runner may start: the entry, and those with an address. */
export function startRows({ code }: Pick<Source, 'code'>): readonly number[] {
  return [...new Set([0, ...code.addressTaken.values()])];
}

function declare(module: ModuleWriter, { code }: Source): ModuleNames {
  module.importMemory();
  const functionType = module.type(parameterTypes, [TYPE.i64]);
  const takesRow = module.type([TYPE.i32], []);
  const asksRow = module.type([TYPE.i32], [TYPE.i32]);
  const imports = {
    registers: module.importGlobal('registers'),
    record: module.importGlobal('record'),
    frameRows: module.importGlobal('frameRows'),
    fault: module.importFunction('fault', takesRow),
    load: module.importFunction('load', takesRow),
    store: module.importFunction('store', takesRow),
    packet: module.importFunction('packet', asksRow),
    functionOf: module.importFunction('functionOf', asksRow),
    tailCall: module.importFunction('tailCall', asksRow),
    helpers: code.helpers.map((_, i) => module.importFunction(`helper${i}`, takesRow)),
  };
  const first = module.nextFunction;
  const functions = new Map(code.functions.map(({ start }, i) => [start, first + i]));
  const routines = new Routines(first + code.functions.length);
  return { ...imports, functions, routines, functionType };
}

function translateFunction(context: ProgramContext, plan: FunctionPlan): Uint8Array | undefined {
  const { graph } = plan;
  if (!graph.reducible && graph.start.length > mostTargets) return undefined;
  const writer = new FunctionWriter(context, plan);
  writer.prologue();
  writer.open(W.block);
  if (graph.reducible) emitStructured(writer);
  else emitDispatch(writer);
  writer.sink.op(W.unreachable);
  writer.close();
  writer.epilogue();
  return writer.sink.written;
}

/** Functions that the runner calls: arguments from the register file, r0 back into it. */
function addStarts(module: ModuleWriter, source: Source, names: ModuleNames): void {
  const type = module.type([], []);
  const rows = startRows(source);
  for (const row of rows) {
    const target = names.functions.get(row) as number;
    const index = module.addFunction({ type, locals: [], code: startCode(names, target) });
    module.exportFunction(`start${row}`, index);
  }
  module.setTable(rows.map((row) => names.functions.get(row) as number));
}

function startCode(names: ModuleNames, target: number): Uint8Array {
  const sink = new CodeSink(64);
  sink.indexed(W.globalGet, names.registers);
  sink.indexed(W.globalGet, names.registers);
  sink.memory(W.i32Load, 80);
  sink.i32(maxStack);
  sink.op(W.i32Sub);
  for (let register = 1; register <= 5; register++) {
    sink.indexed(W.globalGet, names.registers);
    sink.memory(W.i64Load, 8 * register);
  }
  sink.indexed(W.call, target);
  sink.memory(W.i64Store, 0);
  return sink.written;
}
