import type { Backend } from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import { readBtfFile } from './input.ts';

/** A backend for one command, and what the command may ask of it. */
export interface OpenedBackend extends Disposable {
  readonly backend: Backend;
  /** What programs printed; nothing for the kernel, whose trace pipe is not ours to read. */
  readonly trace: () => readonly string[];
}

/** Starts the VM, with kernel objects laid out by `btf` where given, or opens the kernel. */
export async function openBackend(
  name: 'vm' | 'kernel',
  btf: Btf | undefined,
): Promise<OpenedBackend> {
  if (name === 'kernel') {
    const { createKernelBackend } = await import('../kernel/index.ts');
    const backend = createKernelBackend();
    return { backend, trace: () => [], [Symbol.dispose]: () => backend.close() };
  }
  const { createVm } = await import('../vm/index.ts');
  const vm = createVm(btf === undefined ? {} : { targetBtf: btf });
  return { backend: vm, trace: () => vm.trace, [Symbol.dispose]: () => vm.close() };
}

/** The target types that a user named, else those built into the VM. */
export async function chooseBtf(path: string | undefined): Promise<Btf> {
  if (path !== undefined) return readBtfFile(path);
  const { builtinBtf } = await import('../vm/index.ts');
  return builtinBtf();
}
