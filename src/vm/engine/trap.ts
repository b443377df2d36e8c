import type { TrapFrame, VmEngineErrorDetail } from '../../errors/vm-engine.ts';
import { BpfError } from '../../errors.ts';
import { MemoryFault } from '../machine.ts';
import { type LoweredProgram, sourceText } from './program.ts';
import type { InterpreterRun } from './run.ts';
import type { RunStop } from './stop.ts';

type TrapDetail = Extract<VmEngineErrorDetail, { readonly code: 'vm-trap' }>;

/** The trap report of a run that a fault or a stop ended; frames must still be as they were. */
export function trapError(run: InterpreterRun, cause: MemoryFault | RunStop): BpfError {
  const registers = Array.from(run.cpu.regs, (value) => BigInt.asUintN(64, value));
  const common = { code: 'vm-trap', calls: callStack(run), registers } as const;
  const detail: TrapDetail =
    cause instanceof MemoryFault
      ? { ...common, reason: 'access', access: access(run, cause), note: cause.reason }
      : { ...common, reason: cause.reason, note: cause.note };
  return new BpfError(detail, { context: [{ program: run.program.image.name }], cause });
}

function access(run: InterpreterRun, fault: MemoryFault): TrapDetail['access'] {
  const { low, high, size, access: kind } = fault;
  const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  return { kind, size, address, place: run.program.memory.describe(low, high) };
}

/** Functions of this run, innermost first. A caller's instruction is its call. */
function callStack(run: InterpreterRun): TrapFrame[] {
  const { frames, bottom } = run;
  const out: TrapFrame[] = [];
  let row = run.row;
  for (let depth = frames.depth; depth >= bottom; depth--) {
    out.push(frameAt(frames.programs[depth] as LoweredProgram, row));
    row = Math.max(0, (frames.returnTo[depth] as number) - 1);
  }
  return out;
}

function frameAt(program: LoweredProgram, row: number): TrapFrame {
  const { image, code } = program;
  const insn = code.source[row] as number;
  return {
    program: image.name,
    function: program.functionAt(row).name,
    insn,
    source: sourceText(image, insn),
  };
}
