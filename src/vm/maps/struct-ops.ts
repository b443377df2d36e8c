import { BPF_F_LINK } from '../../abi/bpf.ts';
import { ERRNO } from '../../abi/errno.ts';
import type { StructOpsMember } from '../../backend/backend.ts';
import { quoteName } from '../../errors/quote.ts';
import { type HeldProgram, type MapOptions, VmMap } from './map.ts';

/** `enum bpf_struct_ops_state`. */
const state = { init: 0, inUse: 1, toBeFreed: 2, ready: 3 } as const;

/** Place of the state in `struct bpf_struct_ops_common_value`, which every value begins with. */
const stateOffset = 4;

/**
 * `BPF_MAP_TYPE_STRUCT_OPS`: one struct of callbacks of the kernel's. Its value is set once,
 * as in kernel/bpf/bpf_struct_ops.c; members that are functions read as the ids of programs.
 * Nothing in the VM calls the members by itself: they are run by who has the map.
 */
export class StructOpsMap extends VmMap {
  readonly #value: number;
  readonly #members = new Map<number, HeldProgram>();
  #state: number = state.init;

  constructor(options: MapOptions) {
    super(options);
    this.#value = this.memory.allocate(this.valueStride, { label: this.label });
  }

  /** Programs by the place of their member in the value, in bytes. */
  get members(): ReadonlyMap<number, HeldProgram> {
    return this.#members;
  }

  override setStructOps(value: Uint8Array, members: readonly StructOpsMember[]): void {
    const operation = 'set struct of callbacks';
    this.requireOpen();
    if (value.length !== this.valueSize) {
      const reason = `the value has ${value.length} bytes, ${this.valueSize} are wanted`;
      throw this.error('EINVAL', operation, reason);
    }
    if (this.#state !== state.init) throw this.error('EBUSY', operation, 'it was set before');
    const held = members.map(({ offset, program }) => [offset, asHeld(program)] as const);
    const foreign = held.findIndex(([, program]) => program === undefined);
    if (foreign >= 0) {
      const name = quoteName(members[foreign]?.program.name ?? '');
      throw this.error('EBADF', operation, `program ${name} is not of this VM`);
    }
    this.memory.bytes.set(value, this.#value);
    for (const [offset, program] of held) if (program !== undefined) this.#hold(offset, program);
    this.#setState((this.flags & BPF_F_LINK) === 0 ? state.inUse : state.ready);
  }

  #hold(offset: number, program: HeldProgram): void {
    program.acquire();
    this.#members.set(offset, program);
    this.memory.view.setBigUint64(this.#value + offset, BigInt(program.id), this.littleEndian);
  }

  #setState(to: number): void {
    this.#state = to;
    if (this.valueSize >= stateOffset + 4) {
      this.memory.view.setUint32(this.#value + stateOffset, to, this.littleEndian);
    }
  }

  protected override userLookup(): Uint8Array {
    return this.memory.bytes.slice(this.#value, this.#value + this.valueSize);
  }

  protected override userUpdate(): number {
    throw this.error('EINVAL', 'update element', 'its members need programs: set it as a struct');
  }

  /** Ends the registration, once and for all; a linked one ends with its link. */
  override elementDelete(): number {
    if ((this.flags & BPF_F_LINK) !== 0) return -ERRNO.EOPNOTSUPP;
    if (this.#state === state.init) return -ERRNO.ENOENT;
    if (this.#state === state.toBeFreed) return -ERRNO.EINPROGRESS;
    this.#setState(state.toBeFreed);
    return 0;
  }

  protected override userNextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    return key === undefined ? new Uint8Array(4) : undefined;
  }

  override get canBeInner(): boolean {
    return false;
  }

  override destroy(): void {
    for (const program of this.#members.values()) program.release();
    this.#members.clear();
    this.memory.free(this.#value);
  }
}

function asHeld(program: StructOpsMember['program']): HeldProgram | undefined {
  return 'acquire' in program && 'release' in program ? (program as HeldProgram) : undefined;
}
