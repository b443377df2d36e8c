import { BPF_FUNC, BPF_MAP_TYPE } from '../../src/abi/bpf.ts';
import { BpfError } from '../../src/errors.ts';
import type { MapSpec } from '../../src/object/spec.ts';
import { createHelpers } from '../../src/vm/helpers/table.ts';
import { createVm, type Vm, type VmOptions } from '../../src/vm/index.ts';
import {
  type HelperFunction,
  type LoadedProgram,
  type Run,
  type RunContext,
  windows,
} from '../../src/vm/machine.ts';
import { assemble, type Code, imageOf } from './engine/assemble.ts';

/** A hash map of 4-byte keys and 8-byte values for four elements; `more` overrides. */
export function specOf(more: Partial<MapSpec> = {}): MapSpec {
  return {
    name: 'test_map',
    kernelName: 'test_map',
    type: BPF_MAP_TYPE.HASH,
    keySize: 4,
    valueSize: 8,
    maxEntries: 4,
    flags: 0,
    extra: 0n,
    numaNode: 0,
    keyType: undefined,
    valueType: undefined,
    pinning: 'none',
    inner: undefined,
    values: [],
    data: undefined,
    ...more,
  };
}

export function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

export function u64(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** What an action gives: its value, or the errno name of its error. */
export function outcome<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return error.detail.code === 'errno' ? error.detail.errno : error.detail.code;
  }
}

/** Calls helpers of a VM directly, as an engine would: arguments in r1 to r5, result in r0. */
export class HelperBench implements Disposable {
  readonly vm: Vm;
  readonly run: Run;
  readonly #helpers: ReadonlyMap<number, HelperFunction>;
  /** The program that a tail call asked for. */
  tailCalled: LoadedProgram | undefined;

  constructor(
    options: VmOptions & { readonly littleEndian?: boolean } = {},
    context?: (vm: Vm) => RunContext,
  ) {
    this.vm = createVm(options);
    this.#helpers = createHelpers(this.vm);
    const cpu = this.vm.cpus[0];
    if (cpu === undefined) throw new Error('no CPU');
    const image = imageOf(assemble([]), { littleEndian: options.littleEndian ?? true });
    this.run = {
      cpu,
      program: { image, probeLoads: false },
      context: context?.(this.vm) ?? { addressLow: 0, addressHigh: 0 },
      tailCalls: 0,
      budget: 1_000_000,
      callFunction: () => {},
      tailCallTo: (target) => {
        this.tailCalled = target;
        return true;
      },
    };
  }

  /** Calls a helper; the result is signed. */
  call(name: keyof typeof BPF_FUNC, ...args: readonly (bigint | number)[]): bigint {
    const helper = this.#helpers.get(BPF_FUNC[name]);
    if (helper === undefined) throw new Error(`no helper ${name}`);
    const { regs } = this.run.cpu;
    args.forEach((arg, i) => {
      regs[i + 1] = BigInt.asIntN(64, BigInt(arg));
    });
    helper(this.run);
    return regs[0] as bigint;
  }

  /** Places bytes in VM memory; their address. */
  place(bytes: Uint8Array | string): bigint {
    const data = typeof bytes === 'string' ? new TextEncoder().encode(`${bytes}\0`) : bytes;
    const offset = this.vm.memory.allocate(data.length, { label: 'test' });
    this.vm.memory.bytes.set(data, offset);
    return addressOf(offset);
  }

  /** Bytes at an address. */
  read(address: bigint, size: number): Uint8Array {
    const offset = Number(address & 0xffff_ffffn);
    return this.vm.memory.bytes.slice(offset, offset + size);
  }

  /** The text at an address up to its zero. */
  text(address: bigint): string {
    const bytes = this.read(address, 1024);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }

  [Symbol.dispose](): void {
    this.vm.close();
  }
}

export function addressOf(offset: number): bigint {
  return (BigInt(windows.main >>> 0) << 32n) | BigInt(offset);
}

/** Loads a program of plain instructions into a VM. */
export function loadCode(vm: Vm, code: Code, more: Parameters<typeof imageOf>[1] = {}) {
  return vm.loadProgram(imageOf(assemble(code), more), []);
}
