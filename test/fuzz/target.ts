// What a fuzzed object goes through: everything that a user's object does, up to short runs
// in the VM. Anything but a value or a BpfError leaves here as an exception.
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { loadObject } from '../../src/loader/load.ts';
import type { LoadedObject } from '../../src/loader/loaded.ts';
import { prepareObject } from '../../src/loader/prepare.ts';
import { openObject } from '../../src/object/open.ts';
import type { ObjectSpec, ProgramSpec } from '../../src/object/spec.ts';
import { createVm } from '../../src/vm/index.ts';
import { ElfEdit } from '../support/elf-edit.ts';
import { attempt, lookAt } from './look.ts';

type Vm = ReturnType<typeof createVm>;

/** How far an input got; for statistics that show that the fuzzing reaches every stage. */
export type Reached = 'opened' | 'prepared' | 'loaded' | 'ran' | 'refused';

/** Instructions that a program may execute here. */
const instructionBudget = 2000;

/** A fresh VM after so many inputs, so that leaks show and do not hide one another. */
const inputsPerVm = 200;

/** Looking at everything takes longer than all the rest; every nth object is enough. */
const looksEach = 4;

const packet = Uint8Array.from({ length: 128 }, (_, i) => (i * 37) & 0xff);

/** Takes inputs one after the other; holds the VM that they share. */
export class FuzzTarget implements Disposable {
  #vm: Vm | undefined;
  #used = 0;

  #backend(): Vm {
    if (this.#used++ % inputsPerVm === 0) {
      this.#vm?.close();
      this.#vm = createVm({ instructionBudget, memoryLimit: 64 << 20 });
    }
    if (this.#vm === undefined) throw new Error('no VM');
    return this.#vm;
  }

  /** One object through all stages. `target` is relocated against, the VM's own types by default. */
  run(bytes: Uint8Array, target?: Uint8Array): Reached {
    let reached: Reached = 'refused';
    attempt(() => {
      const spec = openObject(bytes, { name: 'fuzzed' });
      reached = 'opened';
      const vm = this.#backend();
      const targetBtf = target === undefined ? vm.targetBtf() : parseBtf(target);
      if (this.#used % looksEach === 0) lookAt(spec, targetBtf);
      const good = new Set(spec.programs.filter((program) => prepares(spec, program, targetBtf)));
      reached = 'prepared';
      using object = loadObject(spec, {
        backend: vm,
        targetBtf,
        autoload: (program) => good.has(program),
      });
      reached = 'loaded';
      runPrograms(object);
      reached = 'ran';
    });
    return reached;
  }

  [Symbol.dispose](): void {
    this.#vm?.close();
    this.#vm = undefined;
  }
}

/** Program by program, so that one bad program does not shield the others. */
function prepares(spec: ObjectSpec, program: ProgramSpec, targetBtf: Btf): boolean {
  return attempt(() => prepareObject(spec, { targetBtf, autoload: (each) => each === program }));
}

function runPrograms(object: LoadedObject): void {
  for (const { program } of object.programs) attempt(() => program.testRun({ data: packet }));
}

/** The `.BTF` section of a well-formed object. */
export function btfOf(object: Uint8Array): Uint8Array {
  const { offset, size } = new ElfEdit(object).section('.BTF');
  return object.slice(offset, offset + size);
}
