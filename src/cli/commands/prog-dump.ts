import { BpfError } from '../../errors.ts';
import { loadObject } from '../../loader/load.ts';
import type { ProgramSpec } from '../../object/spec.ts';
import { readTypes } from '../backends.ts';
import { chooseProgram, openObjectFile } from '../input.ts';
import { type CommandContext, printReport } from '../terminal.ts';
import { Words } from '../words.ts';
import { imageCommand } from './image.ts';

const usage = 'prog dump file OBJ [PROGRAM] [stage { bpf | lowered | wasm }]';

/** Stages of a program on its way to an engine: instructions, what both engines read, WebAssembly. */
const stages = ['bpf', 'lowered', 'wasm'] as const;
type Stage = (typeof stages)[number];

/** What `tsbpf prog dump` prints of the stages that only the VM has. */
export type ProgDumpReport = {
  readonly file: string;
  readonly stage: string;
  readonly programs: readonly { readonly name: string; readonly text: string }[];
};

/** `tsbpf prog dump file OBJ [PROGRAM] [stage STAGE]`. */
export async function progDumpCommand(
  args: readonly string[],
  btf: string | undefined,
  context: CommandContext,
): Promise<void> {
  const words = new Words(args, usage);
  words.oneOf(['file'], 'source of programs');
  const file = words.next('OBJ');
  let program: string | undefined;
  let stage: Stage = 'bpf';
  while (!words.done) {
    if (words.take('stage')) stage = words.oneOf(stages, 'stage');
    else if (program === undefined) program = words.next('PROGRAM');
    else words.end();
  }
  if (stage === 'bpf') {
    const chosen = program === undefined ? {} : { program };
    await imageCommand(file, { ...chosen, ...(btf === undefined ? {} : { btf }) }, context);
    return;
  }
  const programs = await dumpStage(file, { program, stage, btf }, context);
  printReport<ProgDumpReport>(context, { file, stage, programs }, (report) =>
    report.programs.map(({ text }) => text).join('\n'),
  );
}

interface StageRequest {
  readonly program: string | undefined;
  readonly stage: 'lowered' | 'wasm';
  readonly btf: string | undefined;
}

/** Loads into a VM, which makes the later stages. */
async function dumpStage(
  file: string,
  { program, stage, btf }: StageRequest,
  context: CommandContext,
): Promise<ProgDumpReport['programs']> {
  const spec = openObjectFile(file, context.log);
  const only = program === undefined ? undefined : chooseProgram(spec, program);
  const { createVm, describeLowered, moduleBytes, VmProgram } = await import('../../vm/index.ts');
  const toText = stage === 'wasm' ? await wasmPrinter() : undefined;
  using vm = createVm({ targetBtf: btf === undefined ? undefined : await readTypes(btf) });
  using object = loadObject(spec, {
    backend: vm,
    ...(only && { autoload: (each: ProgramSpec) => each === only }),
  });
  return object.programs.map(({ spec: { name }, program: loaded }) => {
    if (!(loaded instanceof VmProgram)) throw new Error('a VM loads programs of its own');
    if (toText === undefined) return { name, text: describeLowered(loaded.lowered) };
    const bytes = moduleBytes(loaded.lowered, (header) => vm.mapAt(header));
    if (bytes === undefined) throw tooLarge(name);
    return { name, text: toText(name, bytes) };
  });
}

function tooLarge(name: string): BpfError {
  const reason = 'it is too large for a WebAssembly module; the interpreter runs it';
  return new BpfError({ code: 'kernel-unsupported', what: 'program', name, reason });
}

/** WebAssembly's text is made by a tool of developers, which the package does not bring along. */
async function wasmPrinter(): Promise<(name: string, bytes: Uint8Array) => string> {
  const wabt = await import('wabt').then(
    (module) => module.default(),
    () => undefined,
  );
  if (wabt === undefined) {
    const reason = 'its text needs the package wabt: npm install --save-dev wabt';
    throw new BpfError({ code: 'kernel-unsupported', what: 'stage', name: 'wasm', reason });
  }
  return (name, bytes) => {
    const module = wabt.readWasm(bytes, { readDebugNames: true });
    try {
      return `;; ${JSON.stringify(name)}\n${module.toText({ foldExprs: false, inlineExport: false })}`;
    } finally {
      module.destroy();
    }
  };
}
