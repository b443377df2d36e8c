import type { ExecutionContext } from 'ava';
import {
  BPF_ATTACH_TYPE,
  BPF_F_MMAPABLE,
  BPF_FUNC,
  BPF_MAP_TYPE,
  BPF_PROG_TYPE,
} from '../../src/abi/bpf.ts';
import { STRUCTS } from '../../src/abi/layouts.ts';
import type { InsnIndex } from '../../src/asm/insns.ts';
import { BpfError } from '../../src/errors.ts';
import { createKernelBackend, type KernelBackend } from '../../src/kernel/index.ts';
import type { MapIndex } from '../../src/object/spec.ts';
import { imageOf, kernelTest, mapOf, type Row, u32, u64 } from '../support/kernel.ts';

function withKernel(title: string, fn: (t: ExecutionContext, kernel: KernelBackend) => void): void {
  kernelTest(title, (t) => {
    using kernel = createKernelBackend();
    fn(t, kernel);
  });
}

function failure(t: ExecutionContext, work: () => void): BpfError {
  return t.throws(work, { instanceOf: BpfError }) as BpfError;
}

const exit: Row = [0x95, 0, 0, 0, 0];
const returns = (value: number): Row[] => [[0xb7, 0, 0, 0, value], exit];
const slot = (insn: number) =>
  ({ kind: 'map', insn: insn as InsnIndex, map: 0 as MapIndex }) as const;
const packet = (size: number) => Uint8Array.from({ length: size }, (_, i) => i & 0xff);

withKernel('XDP: return value, packet back, several runs timed', (t, kernel) => {
  using program = kernel.loadProgram(imageOf(returns(2)), []);
  const one = program.testRun({ data: packet(64) });
  t.is(one.returnValue, 2);
  t.deepEqual(one.data, packet(64));
  t.is(one.context, undefined);
  const many = program.testRun({ data: packet(64), repeat: 1000 });
  t.is(many.returnValue, 2);
  t.true(many.duration < 100_000);
});

withKernel('XDP: a packet that the program grows comes back whole', (t, kernel) => {
  // bpf_xdp_adjust_tail(ctx, 100); return XDP_PASS
  const rows: Row[] = [
    [0xb7, 2, 0, 0, 100],
    [0x85, 0, 0, 0, BPF_FUNC.xdp_adjust_tail],
    ...returns(2),
  ];
  const result = kernel.loadProgram(imageOf(rows), []).testRun({ data: packet(64) });
  t.is(result.data?.length, 164);
  t.deepEqual(result.data?.subarray(0, 64), packet(64));
});

withKernel('XDP: the context goes in and comes back', (t, kernel) => {
  const { size, fields } = STRUCTS.xdp_md;
  const context = new Uint8Array(size);
  new DataView(context.buffer).setUint32(fields.data_end.offset, 64, true);
  // r0 = ctx->ingress_ifindex
  const rows: Row[] = [[0x61, 0, 1, fields.ingress_ifindex.offset, 0], exit];
  const result = kernel.loadProgram(imageOf(rows), []).testRun({ data: packet(64), context });
  t.is(result.context?.length, size);
  t.is(
    new DataView((result.context as Uint8Array).buffer).getUint32(fields.data_end.offset, true),
    64,
  );
});

withKernel('tc: the program changes the mark in its context', (t, kernel) => {
  const { size, fields } = STRUCTS.__sk_buff;
  const type = BPF_PROG_TYPE.SCHED_CLS;
  // ctx->mark += 1; return TC_ACT_SHOT
  const rows: Row[] = [
    [0x61, 2, 1, fields.mark.offset, 0],
    [0x07, 2, 0, 0, 1],
    [0x63, 1, 2, fields.mark.offset, 0],
    ...returns(2),
  ];
  const context = new Uint8Array(size);
  new DataView(context.buffer).setUint32(fields.mark.offset, 41, true);
  const program = kernel.loadProgram(imageOf(rows, { type, section: 'tc' }), []);
  const result = program.testRun({ data: packet(64), context });
  t.is(result.returnValue, 2);
  t.is(new DataView((result.context as Uint8Array).buffer).getUint32(fields.mark.offset, true), 42);
  t.deepEqual(result.data, packet(64));
});

withKernel('raw tracepoint: arguments in, never repeated', (t, kernel) => {
  const type = BPF_PROG_TYPE.RAW_TRACEPOINT;
  const map = kernel.createMap(mapOf({ flags: BPF_F_MMAPABLE }), { btf: undefined });
  // (*value)++; return ctx[1]
  const rows: Row[] = [
    [0x79, 6, 1, 8, 0],
    [0x7a, 10, 0, -8, 0],
    [0xbf, 2, 10, 0, 0],
    [0x07, 2, 0, 0, -8],
    [0x18, 1, 1, 0, 0],
    [0, 0, 0, 0, 0],
    [0x85, 0, 0, 0, BPF_FUNC.map_lookup_elem],
    [0x15, 0, 0, 2, 0],
    [0xb7, 1, 0, 0, 1],
    [0xdb, 0, 1, 0, 0],
    [0xbf, 0, 6, 0, 0],
    exit,
  ];
  const program = kernel.loadProgram(imageOf(rows, { type, slots: [slot(4)] }), [map]);
  const context = Uint8Array.of(...u64(1n), ...u64(99n));
  for (let i = 0; i < 4; i++) program.testRun({ context });
  const result = program.testRun({ context, repeat: 1 });
  t.regex(failure(t, () => program.testRun({ context, repeat: 2 })).message, /EINVAL.*repeats no/);
  t.is(result.returnValue, 99);
  t.is(result.data, undefined);
  t.deepEqual(map.lookup(u32(0)), u64(5n));
  t.deepEqual(map.view().slice(0, 8), u64(5n));
});

withKernel('syscall program: changes its context in place', (t, kernel) => {
  const type = BPF_PROG_TYPE.SYSCALL;
  const rows: Row[] = [[0x7a, 1, 0, 8, 7], ...returns(3)];
  const program = kernel.loadProgram(imageOf(rows, { type, flags: 0x10, section: 'syscall' }), []);
  const result = program.testRun({ context: new Uint8Array(16) });
  t.is(result.returnValue, 3);
  t.deepEqual(result.context, Uint8Array.of(...u64(0n), ...u64(7n)));
});

withKernel('a program writes a view, and sees what is written there', (t, kernel) => {
  const spec = mapOf({ flags: BPF_F_MMAPABLE, maxEntries: 1, valueSize: 16 });
  const map = kernel.createMap(spec, { btf: undefined });
  // value[1] = value[0] + 1
  const rows: Row[] = [
    [0x18, 1, 2, 0, 0],
    [0, 0, 0, 0, 0],
    [0x79, 2, 1, 0, 0],
    [0x07, 2, 0, 0, 1],
    [0x7b, 1, 2, 8, 0],
    ...returns(0),
  ];
  const value = { ...slot(0), kind: 'map-value', offset: 0 } as const;
  const program = kernel.loadProgram(imageOf(rows, { slots: [value] }), [map]);
  const view = map.view();
  view.set(u64(41n));
  program.testRun({ data: packet(14) });
  t.deepEqual(view.slice(8), u64(42n));
});

withKernel('tail call through a prog array', (t, kernel) => {
  const jumps = kernel.createMap(mapOf({ type: BPF_MAP_TYPE.PROG_ARRAY, valueSize: 4 }), {
    btf: undefined,
  });
  const target = kernel.loadProgram(imageOf(returns(7), { name: 'target' }), []);
  const rows: Row[] = [
    [0x18, 2, 1, 0, 0],
    [0, 0, 0, 0, 0],
    [0xb7, 3, 0, 0, 1],
    [0x85, 0, 0, 0, BPF_FUNC.tail_call],
    ...returns(1),
  ];
  const program = kernel.loadProgram(imageOf(rows, { slots: [slot(0)] }), [jumps]);
  t.is(program.testRun({ data: packet(14) }).returnValue, 1);
  jumps.setProgram(u32(1), target);
  t.is(program.testRun({ data: packet(14) }).returnValue, 7);
});

withKernel(
  'verifier: errno, instruction and verdict are in the error, the whole log in its detail',
  (t, kernel) => {
    const rows: Row[] = [[0xb7, 1, 0, 0, 0], [0x79, 0, 1, 0, 0], exit];
    const error = failure(t, () => kernel.loadProgram(imageOf(rows, { name: 'bad' }), []));
    const { detail } = error;
    if (detail.code !== 'program-load') return t.fail(error.message);
    t.is(detail.errno, 'EACCES');
    t.is(detail.failure?.insn, 1);
    t.is(detail.failure?.message, "R1 invalid mem access 'scalar'");
    t.regex(detail.log, /processed 2 insns/);
    t.false(detail.logTruncated);
    t.regex(
      error.message,
      /^load program 'bad' \(BPF_PROG_LOAD\): EACCES \(13\): the verifier stopped at instruction 1: R1 invalid/,
    );
  },
);

withKernel('verifier: the reason of a poisoned instruction is told', (t, kernel) => {
  const poisoned = [{ insn: 0 as InsnIndex, reason: 'no field thing in struct task_struct' }];
  const rows: Row[] = [[0x85, 0, 0, 0, 0xbad2310], exit];
  const error = failure(t, () => kernel.loadProgram(imageOf(rows, { poisoned }), []));
  t.regex(error.message, /a relocation failed there: no field thing in struct task_struct/);
});

withKernel('verifier: a log beyond the first buffer is read whole', (t, kernel) => {
  const rows: Row[] = [];
  for (let i = 0; i < 3000; i++) rows.push([0xb7, 1, 0, 0, i]);
  rows.push([0x79, 0, 1, 0, 0], exit);
  const error = failure(t, () => kernel.loadProgram(imageOf(rows), []));
  if (error.detail.code !== 'program-load') return t.fail(error.message);
  t.true(error.detail.log.length > 65_536);
  t.false(error.detail.logTruncated);
  t.is(error.detail.failure?.insn, 3000);
});

kernelTest('the log of a program that loads is kept on demand', (t) => {
  using kernel = createKernelBackend({ logLevel: 1 });
  t.regex(kernel.loadProgram(imageOf(returns(1)), []).log, /processed 2 insns/);
});

withKernel('types without a test run say so', (t, kernel) => {
  for (const [type, name] of [
    [BPF_PROG_TYPE.TRACEPOINT, 'tracepoint'],
    [BPF_PROG_TYPE.KPROBE, 'kprobe'],
  ] as const) {
    const program = kernel.loadProgram(imageOf(returns(0), { type }), []);
    const error = failure(t, () => program.testRun({ context: new Uint8Array(64) }));
    t.regex(error.message, new RegExp(`ENOTSUPP.*no test run for programs of type ${name}`));
  }
});

withKernel('input that does not fit is an error of the kernel with a hint', (t, kernel) => {
  const program = kernel.loadProgram(imageOf(returns(2)), []);
  const error = failure(t, () => program.testRun({ data: packet(3) }));
  t.regex(error.message, /EINVAL.*at least 14 bytes/);
});

withKernel('tp_btf: the target is looked up in the running kernel', (t, kernel) => {
  const tracing = {
    type: BPF_PROG_TYPE.TRACING,
    attachType: BPF_ATTACH_TYPE.TRACE_RAW_TP,
    section: 'tp_btf/sched_switch',
  };
  kernel.loadProgram(imageOf(returns(0), { ...tracing, attachTarget: 'sched_switch' }), []);
  const unknown = imageOf(returns(0), { ...tracing, attachTarget: 'sched_switc' });
  const error = failure(t, () => kernel.loadProgram(unknown, []));
  t.regex(error.message, /no 'btf_trace_sched_switc'.*similar names: .*'sched_switch'/);
  const nameless = imageOf(returns(0), { ...tracing, attachTarget: undefined, section: 'tp_btf' });
  t.regex(failure(t, () => kernel.loadProgram(nameless, [])).message, /names nothing to attach to/);
});

withKernel('iterators find their function', (t, kernel) => {
  const iter = { type: BPF_PROG_TYPE.TRACING, attachType: BPF_ATTACH_TYPE.TRACE_ITER };
  t.notThrows(() => kernel.loadProgram(imageOf(returns(0), { ...iter, attachTarget: 'task' }), []));
});

withKernel(
  'a program of the other byte order is refused before the kernel sees it',
  (t, kernel) => {
    const image = imageOf(returns(0), { littleEndian: false });
    t.is(failure(t, () => kernel.loadProgram(image, [])).code, 'kernel-unsupported');
  },
);

withKernel('a name beyond 15 characters, or of odd ones, is no obstacle', (t, kernel) => {
  const name = 'a-very-long.program name \u{1F600}';
  t.is(kernel.loadProgram(imageOf(returns(1), { name }), []).name, name);
});

withKernel('use after close', (t, kernel) => {
  const program = kernel.loadProgram(imageOf(returns(1)), []);
  program.close();
  program.close();
  t.is(failure(t, () => program.testRun()).code, 'closed');
});
