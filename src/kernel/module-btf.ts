import { ERRNO } from '../abi/errno.ts';
import type { ModuleTypes } from '../backend/backend.ts';
import type { Btf } from '../btf/btf.ts';
import { BpfError } from '../errors.ts';
import { Attr } from './attr.ts';
import { type KernelBtfInfo, kernelBtfById, listKernelBtf } from './btf-info.ts';
import { check } from './errno.ts';
import type { KernelCalls } from './sys.ts';

/** The types of the kernel's modules, each read once. */
export class ModuleBtfs {
  readonly #calls: KernelCalls;
  readonly #base: () => Btf;
  /** By the kernel's id, which is never used twice. */
  readonly #read = new Map<number, Btf>();
  #ids = new Map<string, number>();

  constructor(calls: KernelCalls, base: () => Btf) {
    this.#calls = calls;
    this.#base = base;
  }

  /** The modules that are loaded now. None where this process may not look at them. */
  all(): readonly ModuleTypes[] {
    const listed = this.#list().filter(({ kernel, name }) => kernel && name !== 'vmlinux');
    this.#ids = new Map(listed.map(({ name, id }) => [name, id]));
    return listed.flatMap(({ name, id }) => {
      const btf = this.#types(id);
      return btf === undefined ? [] : [{ name, btf }];
    });
  }

  /** A descriptor of a module's types, which is the caller's to close. */
  open(name: string): number {
    if (!this.#ids.has(name)) this.all();
    const id = this.#ids.get(name);
    const operation = `open the types of module ${name}`;
    const fd =
      id === undefined
        ? -ERRNO.ENOENT
        : this.#calls.bpf(new Attr('BTF_GET_FD_BY_ID').set('btf_id', id));
    return check(fd, { operation, call: 'BTF_GET_FD_BY_ID' });
  }

  /** Only who may administrate the system may list BTFs; for others there are no modules. */
  #list(): readonly KernelBtfInfo[] {
    try {
      return listKernelBtf(this.#calls);
    } catch (error) {
      if (isErrno(error, ERRNO.EPERM)) return [];
      throw error;
    }
  }

  /** Undefined where the module has gone meanwhile. */
  #types(id: number): Btf | undefined {
    const known = this.#read.get(id);
    if (known !== undefined) return known;
    try {
      const btf = kernelBtfById(id, this.#base(), this.#calls);
      this.#read.set(id, btf);
      return btf;
    } catch (error) {
      if (isErrno(error, ERRNO.ENOENT)) return undefined;
      throw error;
    }
  }
}

function isErrno(error: unknown, number: number): boolean {
  return (
    error instanceof BpfError && error.detail.code === 'errno' && error.detail.number === number
  );
}
