import { addressOf, loadPacket, loadSlow, storeSlow } from '../engine/access.ts';
import { interpret } from '../engine/interpreter.ts';
import { OP, wordDst, wordOp, wordSrc } from '../engine/operations.ts';
import type { Fault, LoweredProgram } from '../engine/program.ts';
import type { InterpreterRun } from '../engine/run.ts';
import { RunStop } from '../engine/stop.ts';
import { type Cpu, type HelperFunction, MemoryFault } from '../machine.ts';
import type { WasmImports } from '../webassembly.ts';
import { loadForms, narrowAtomics, storeForms } from './memory-forms.ts';
import type { CpuState } from './state.ts';
import { startRows } from './translate.ts';

/** What the compiled code of one program calls, on one CPU. Registers are in the register file. */
export function hostFunctions(program: LoweredProgram, cpu: Cpu, state: CpuState): WasmImports {
  const { code } = program;
  const places = new Map(startRows(program).map((row, place) => [row, place]));
  const at = (row: number): InterpreterRun => {
    const run = cpu.run as InterpreterRun;
    run.row = row;
    return run;
  };
  const imports: Record<string, (row: number) => unknown> = {
    fault: (row) => {
      const run = at(row < 0 ? ~row : row);
      throw row < 0 ? run.outOfBudget(run.row) : faultAt(run);
    },
    load: (row) => {
      const { size, signed } = loadForms.get(wordOp(code.words[row] as number)) ?? unknownRow(row);
      loadSlow(at(row), row, size, signed === true);
    },
    store: (row) => storeField(at(row), row),
    packet: (row) =>
      loadPacket(at(row), code.words[row] as number, code.imm[row] as number) ? 1 : 0,
    functionOf: (row) => {
      const run = at(row);
      const register = 2 * wordDst(code.words[row] as number);
      const [low, high] = [cpu.half[register] as number, cpu.half[register + 1] as number];
      return places.get(run.functionRow(low, high)) as number;
    },
    tailCall: (row) => {
      const run = at(row);
      (code.helpers[code.target[row] as number] as HelperFunction)(run);
      return tailCall(run, state);
    },
  };
  code.helpers.forEach((helper, i) => {
    imports[`helper${i}`] = (row) => {
      const run = cpu.run as InterpreterRun;
      run.row = row;
      helper(run);
      if (run.budget !== 0) chargeHelper(run, state);
    };
  });
  return imports;
}

function unknownRow(row: number): never {
  throw new Error(`row ${row} is no memory access`);
}

/** Helpers take what they cost off the run's budget, which compiled code holds meanwhile. */
function chargeHelper(run: InterpreterRun, state: CpuState): void {
  state.fuel += run.budget;
  run.budget = 0;
}

/** After `bpf_tail_call`: runs the other program in this frame, where there is one. */
function tailCall(run: InterpreterRun, state: CpuState): number {
  const { active, program, activeDepth } = run;
  if (!run.hasTailCall) {
    if (run.budget !== 0) chargeHelper(run, state);
    return 0;
  }
  active?.suspend(run);
  run.takeTailCall();
  run.continueTailCall();
  run.program = program;
  run.activeDepth = activeDepth;
  active?.resume(run);
  return 1;
}

/** What is thrown at a row that found something wrong. */
function faultAt(run: InterpreterRun): unknown {
  const { code, memory } = run.program;
  const word = code.words[run.row] as number;
  const op = wordOp(word);
  if (op === OP.call || op === OP.callReg) return new RunStop('call-depth');
  if (op === OP.trap) {
    const { reason, note } = code.faults[code.target[run.row] as number] as Fault;
    return new RunStop(reason, note);
  }
  if (op === OP.helper) return helperFault(run);
  const load = loadForms.get(op);
  const size = load?.size ?? storeForms.get(op)?.size ?? (narrowAtomics.has(op) ? 4 : 8);
  const { low, high } = addressOf(run, word, load === undefined ? wordDst(word) : wordSrc(word));
  const access = load === undefined ? 'store' : 'load';
  try {
    memory.resolve(low, high, size, access);
  } catch (error) {
    if (error instanceof MemoryFault) return error;
    throw error;
  }
  return laterFault(run);
}

/**
 * One check covers several accesses of a block: where the first is allowed, the interpreter
 * goes on to the one that is not, with the effects of all before it.
 */
function laterFault(run: InterpreterRun): unknown {
  const { row } = run;
  run.settle();
  run.budget = run.program.code.weight[row] as number;
  try {
    interpret(run, row);
  } catch (error) {
    return error;
  }
  return new Error(`the block at row ${row} finds nothing wrong`);
}

/** What a helper says to arguments that compiled code has found wrong. */
function helperFault(run: InterpreterRun): unknown {
  const { code } = run.program;
  try {
    (code.helpers[code.target[run.row] as number] as HelperFunction)(run);
  } catch (error) {
    return error;
  }
  return new Error(`the helper at row ${run.row} finds nothing wrong`);
}

/** A store that may be to a field of the context. */
function storeField(run: InterpreterRun, row: number): void {
  const { code } = run.program;
  const { half } = run.cpu;
  const word = code.words[row] as number;
  const { size, from } = storeForms.get(wordOp(word)) ?? unknownRow(row);
  if (from === 'register') {
    const src = 2 * wordSrc(word);
    storeSlow(run, row, size, half[src] as number, half[src + 1] as number);
  } else {
    const imm = code.imm[row] as number;
    const high = size === 8 ? Number((code.imm64[row] as bigint) >> 32n) : imm >> 31;
    storeSlow(run, row, size, imm, high);
  }
}
