// The machine may have no modules: these tests have a kernel of their own, which answers the
// calls that list and read BTF and keeps what a program load asks for.
import test from 'ava';
import { BPF_ATTACH_TYPE, BPF_PROG_TYPE } from '../../src/abi/bpf.ts';
import { ERRNO } from '../../src/abi/errno.ts';
import { BPF_ATTR, type FieldLayout, STRUCTS } from '../../src/abi/layouts.ts';
import { decodeInsns } from '../../src/asm/insns.ts';
import { type Btf, parseBtf } from '../../src/btf/btf.ts';
import { BtfBuilder } from '../../src/btf/encode.ts';
import type { TypeId } from '../../src/btf/types.ts';
import { BpfError } from '../../src/errors.ts';
import { ModuleBtfs } from '../../src/kernel/module-btf.ts';
import { loadProgram } from '../../src/kernel/program-load.ts';
import { type BpfCall, type KernelCalls, memoryAt } from '../../src/kernel/sys.ts';
import { findAttachTarget } from '../../src/object/attach-btf.ts';
import { imageOf, kernelTest } from '../support/kernel.ts';

function vmlinux(): Btf {
  const builder = new BtfBuilder();
  const int = builder.add({ kind: 'int', name: 'int', size: 4, signed: true });
  const proto = builder.add({ kind: 'func-proto', returns: int, params: [] });
  builder.add({ kind: 'func', name: 'in_kernel', proto, linkage: 'static' });
  return parseBtf(builder.finish(), { name: 'vmlinux' });
}

const kernel = vmlinux();

function moduleBtf(name: string, fn: string): Btf {
  const builder = new BtfBuilder({ base: kernel });
  const proto = builder.add({ kind: 'func-proto', returns: 1 as TypeId, params: [] });
  builder.add({ kind: 'func', name: fn, proto, linkage: 'static' });
  return parseBtf(builder.finish(), { name, base: kernel });
}

const held: readonly (readonly [id: number, name: string, btf: Btf])[] = [
  [1, 'vmlinux', kernel],
  [5, 'first', moduleBtf('first', 'in_first')],
  [9, 'second', moduleBtf('second', 'in_second')],
];

/** A kernel that holds the BTFs above; descriptors are 100 more than the ids. */
class FakeKernel implements KernelCalls {
  readonly pageSize = 4096;
  readonly open: number[] = [];
  refuses = 0;
  /** The bytes of the last program load, and what its pointers led to. */
  insns = new Uint8Array();
  descriptors: readonly number[] = [];
  attachTo = 0;

  bpf(call: BpfCall): number {
    if (this.refuses !== 0) return -this.refuses;
    const view = new DataView(call.bytes.buffer, call.bytes.byteOffset, call.bytes.length);
    const field = ({ offset, size }: FieldLayout): number =>
      size === 8 ? Number(view.getBigUint64(offset, true)) : view.getUint32(offset, true);
    switch (call.command) {
      case 'BTF_GET_NEXT_ID': {
        const fields = BPF_ATTR.BTF_GET_NEXT_ID.fields;
        const next = held.find(([id]) => id > field(fields.start_id));
        if (next !== undefined) view.setUint32(fields.next_id.offset, next[0], true);
        return next === undefined ? -ERRNO.ENOENT : 0;
      }
      case 'BTF_GET_FD_BY_ID': {
        const id = field(BPF_ATTR.BTF_GET_FD_BY_ID.fields.btf_id);
        this.open.push(100 + id);
        return 100 + id;
      }
      case 'OBJ_GET_INFO_BY_FD': {
        const { bpf_fd, info } = BPF_ATTR.OBJ_GET_INFO_BY_FD.fields;
        return this.#describe(field(bpf_fd) - 100, field(info));
      }
      case 'PROG_LOAD':
        return this.#load(field);
      default:
        return -ERRNO.EINVAL;
    }
  }

  #describe(id: number, address: number): number {
    const entry = held.find(([each]) => each === id);
    if (entry === undefined) return -ERRNO.EBADF;
    const [, name, btf] = entry;
    const { size, fields } = STRUCTS.bpf_btf_info;
    const out = memoryAt(address, size);
    const view = new DataView(out.buffer, out.byteOffset, size);
    const pointer = ({ offset }: FieldLayout): number => Number(view.getBigUint64(offset, true));
    memoryAt(pointer(fields.name), name.length).set(new TextEncoder().encode(name));
    const room = view.getUint32(fields.btf_size.offset, true);
    if (room >= btf.bytes.length) memoryAt(pointer(fields.btf), btf.bytes.length).set(btf.bytes);
    view.setUint32(fields.btf_size.offset, btf.bytes.length, true);
    view.setUint32(fields.id.offset, id, true);
    view.setUint32(fields.kernel_btf.offset, 1, true);
    return 0;
  }

  #load(field: (layout: FieldLayout) => number): number {
    const { insns, insn_cnt, fd_array, attach_btf_obj_fd } = BPF_ATTR.PROG_LOAD.fields;
    this.insns = memoryAt(field(insns), 8 * field(insn_cnt)).slice();
    const array = field(fd_array);
    this.descriptors = array === 0 ? [] : [...new Int32Array(memoryAt(array, 12).slice().buffer)];
    this.attachTo = field(attach_btf_obj_fd);
    return 77;
  }

  close(fd: number): number {
    this.open.splice(this.open.indexOf(fd), 1);
    return 0;
  }

  mmap = (): number => -ERRNO.ENOMEM;
  moveMapping = (): number => -ERRNO.ENOMEM;
  munmap = (): number => 0;
}

kernelTest('types of modules are read once each and leave nothing open', (t) => {
  const calls = new FakeKernel();
  const modules = new ModuleBtfs(calls, () => kernel);
  const [first, second] = modules.all();
  t.deepEqual([first?.name, second?.name], ['first', 'second']);
  t.is(first?.btf.base, kernel);
  t.true(second?.btf.findAll('in_second').length === 1);
  t.is(modules.all()[0]?.btf, first?.btf);
  t.deepEqual(calls.open, []);
  const fd = modules.open('second');
  t.is(fd, 109);
  calls.close(fd);
  t.throws(() => modules.open('third'), { message: /open the types of module third/ });
});

kernelTest('who may not list BTFs has no modules', (t) => {
  const calls = new FakeKernel();
  calls.refuses = ERRNO.EPERM;
  t.deepEqual(new ModuleBtfs(calls, () => kernel).all(), []);
  calls.refuses = ERRNO.ENOMEM;
  t.throws(() => new ModuleBtfs(calls, () => kernel).all(), { instanceOf: BpfError });
});

kernelTest('calls of functions in modules go through the descriptor array', (t) => {
  const calls = new FakeKernel();
  const call = [0x85, 0, 2, 0, 0] as const;
  const insn = (at: number) => ({ kind: 'kfunc', insn: at as never }) as const;
  const image = imageOf(
    [call, call, call, call, [0x18, 1, 3, 0, 0], [0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0]],
    {
      slots: [
        { ...insn(0), name: 'a', type: 11 as TypeId, module: undefined },
        { ...insn(1), name: 'b', type: 12 as TypeId, module: 'second' },
        { ...insn(2), name: 'c', type: 13 as TypeId, module: 'first' },
        { ...insn(3), name: 'd', type: 14 as TypeId, module: 'second' },
        { ...insn(4), kind: 'kernel-variable', name: 'v', type: 15 as TypeId, module: 'first' },
      ],
    },
  );
  const fds: Readonly<Record<string, number>> = { first: 105, second: 109 };
  const { fd } = loadProgram(calls, {
    image,
    mapFd: () => -1,
    btfFd: undefined,
    attachBtfId: 3,
    attachModule: 'second',
    moduleFd: (module) => fds[module] ?? -1,
    kernelVersion: 0,
    logLevel: 0,
  });
  t.is(fd, 77);
  const insns = decodeInsns(calls.insns, { littleEndian: true, section: 'test' });
  t.deepEqual([...insns.imm.slice(0, 6)], [11, 12, 13, 14, 15, 105]);
  t.deepEqual([...insns.off.slice(0, 4)], [0, 1, 2, 1]);
  t.deepEqual(calls.descriptors, [0, 109, 105]);
  t.is(calls.attachTo, 109);
});

const types = {
  kernel,
  modules: () => held.slice(1).map(([, name, btf]) => ({ name, btf })),
};

const targets: readonly [target: string, module: string | undefined, found: boolean][] = [
  ['in_kernel', undefined, true],
  ['in_second', 'second', true],
  ['second:in_second', 'second', true],
  ['first:in_second', undefined, false],
  ['vmlinux:in_kernel', undefined, true],
  ['vmlinux:in_first', undefined, false],
  ['gone', undefined, false],
];

for (const [attachTarget, module, found] of targets) {
  test(`attaching to ${attachTarget}`, (t) => {
    const type = BPF_PROG_TYPE.TRACING;
    const image = imageOf([], { type, attachType: BPF_ATTACH_TYPE.TRACE_FENTRY, attachTarget });
    if (found) t.is(findAttachTarget(image, types).module, module);
    else t.throws(() => findAttachTarget(image, types), { instanceOf: BpfError });
  });
}
