import { BPF_MAP_TYPE } from '../abi/bpf.ts';
import { ERRNO } from '../abi/errno.ts';
import type { Slot } from '../object/image.ts';
import { Attr, hostLittleEndian } from './attr.ts';
import { check, errnoError } from './errno.ts';
import { allocate, type KernelCalls } from './sys.ts';

type JumpTable = Extract<Slot, { readonly kind: 'jump-table' }>;

/** Size of `struct bpf_insn_array_value`; its first field is the instruction's index. */
const entrySize = 16;

const map = '.jumptables';

/**
 * The jump tables of one program, as instruction arrays: made for its load, since the kernel
 * binds an array to the one program that uses it, and closed behind it. Tables with the same
 * entries are one array (libbpf's `create_jt_map`).
 */
export class JumpTables implements Disposable {
  readonly #calls: KernelCalls;
  readonly #descriptors = new Map<string, number>();

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /** Descriptor of the array for a slot; it stays ours. */
  descriptor({ targets }: JumpTable): number {
    const key = targets.join();
    let fd = this.#descriptors.get(key);
    if (fd === undefined) {
      fd = this.#create(targets.length);
      this.#descriptors.set(key, fd);
      this.#fill(fd, targets);
    }
    return fd;
  }

  close(): void {
    for (const fd of this.#descriptors.values()) this.#calls.close(fd);
    this.#descriptors.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #create(entries: number): number {
    const attr = new Attr('MAP_CREATE')
      .set('map_type', BPF_MAP_TYPE.INSN_ARRAY)
      .set('key_size', 4)
      .set('value_size', entrySize)
      .set('max_entries', entries)
      .text('map_name', map);
    const fd = this.#calls.bpf(attr);
    if (fd !== -ERRNO.EINVAL) return check(fd, { operation: 'create', call: 'MAP_CREATE', map });
    const reason =
      'the program jumps through tables, which kernels know since 6.19 (BPF_MAP_TYPE_INSN_ARRAY); compile it with -fno-jump-tables';
    throw errnoError(ERRNO.EINVAL, { operation: 'create', call: 'MAP_CREATE', map, reason });
  }

  #fill(fd: number, targets: readonly number[]): void {
    const key = allocate(4);
    const value = allocate(entrySize);
    const attr = new Attr('MAP_UPDATE_ELEM')
      .set('map_fd', fd)
      .point('key', key)
      .point('value', value);
    const keyView = new DataView(key.bytes.buffer);
    const valueView = new DataView(value.bytes.buffer);
    targets.forEach((target, index) => {
      keyView.setUint32(0, index, hostLittleEndian);
      valueView.setUint32(0, target, hostLittleEndian);
      check(this.#calls.bpf(attr), { operation: 'fill', call: 'MAP_UPDATE_ELEM', map });
    });
    const freeze = new Attr('MAP_FREEZE').set('map_fd', fd);
    check(this.#calls.bpf(freeze), { operation: 'freeze', call: 'MAP_FREEZE', map });
  }
}
