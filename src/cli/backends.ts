import type { Backend } from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import type { EngineChoice, Vm } from '../vm/index.ts';
import { readBtfFile } from './input.ts';

/** A backend for one command, and what the command may ask of it. */
export interface OpenedBackend extends Disposable {
  readonly backend: Backend;
  /** What programs printed; nothing for the kernel, whose trace pipe is not ours to read. */
  readonly trace: () => readonly string[];
  /** Set where programs can be observed while they run: in the VM. */
  readonly vm: Vm | undefined;
}

/**
 * Starts the VM, with kernel objects laid out by `btf` where given and programs run by
 * `engine`, or opens the kernel.
 */
export async function openBackend(
  name: 'vm' | 'kernel',
  btf: Btf | undefined,
  engine?: EngineChoice,
): Promise<OpenedBackend> {
  if (name === 'kernel') {
    const { createKernelBackend } = await import('../kernel/index.ts');
    const backend = createKernelBackend();
    return { backend, trace: () => [], vm: undefined, [Symbol.dispose]: () => backend.close() };
  }
  const { createVm } = await import('../vm/index.ts');
  const vm = createVm({ targetBtf: btf, engine });
  return { backend: vm, trace: () => vm.trace, vm, [Symbol.dispose]: () => vm.close() };
}

/**
 * The types that a user named: a file, or `kernel` for those of the running kernel, from
 * wherever libbpf would take them (a file of that name is `./kernel`).
 */
export async function readTypes(source: string, base?: Btf): Promise<Btf> {
  if (source !== 'kernel') return readBtfFile(source, base);
  const { kernelBtf } = await import('../kernel/kernel-btf.ts');
  return kernelBtf();
}

/** The target types that a user named, else those built into the VM. */
export async function chooseBtf(source: string | undefined): Promise<Btf> {
  if (source !== undefined) return readTypes(source);
  const { builtinBtf } = await import('../vm/index.ts');
  return builtinBtf();
}
