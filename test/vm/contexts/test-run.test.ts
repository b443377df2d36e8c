import test from 'ava';
import { BPF_PROG_TYPE as T } from '../../../src/abi/bpf.ts';
import { createVm, type VmTestRunInput } from '../../../src/vm/index.ts';
import { loadCode, outcome, u64 } from '../bench.ts';
import {
  addImm,
  type Code,
  exit,
  load,
  movImm,
  movReg,
  store,
  storeImm,
} from '../engine/assemble.ts';

const nothing: Code = [movImm(0, 3), exit()];
const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);

function ethernet(length: number, type = 0x1234): Uint8Array {
  const bytes = new Uint8Array(length);
  if (length >= 14) bytes.set([type >> 8, type & 0xff], 12);
  return bytes;
}

/** Runs code once; the return value, or the errno name. */
function run(type: number, code: Code, input: VmTestRunInput, attachType = 0) {
  using vm = createVm();
  const before = vm.stats().inUse;
  const program = loadCode(vm, code, { type, attachType });
  const result = outcome(() => program.testRun(input));
  program.close();
  if (vm.stats().inUse !== before) throw new Error('the run left memory behind');
  return result;
}

const status = (type: number, input: VmTestRunInput) => {
  const result = run(type, nothing, input);
  return typeof result === 'string' ? result : result.returnValue;
};

test('packets must have an Ethernet header, and an IP header where they say so', (t) => {
  const rows = [
    [T.XDP, ethernet(13), 'EINVAL'],
    [T.XDP, ethernet(14), 3],
    [T.XDP, ethernet(14, 0x0800), 3],
    [T.XDP, ethernet(73_152), 3],
    [T.XDP, ethernet(73_153), 'ENOMEM'],
    [T.SCHED_CLS, ethernet(13), 'EINVAL'],
    [T.SCHED_CLS, ethernet(14), 3],
    [T.SCHED_CLS, ethernet(33, 0x0800), 'EINVAL'],
    [T.SCHED_CLS, ethernet(34, 0x0800), 3],
    [T.SCHED_CLS, ethernet(53, 0x86dd), 'EINVAL'],
    [T.SCHED_CLS, ethernet(54, 0x86dd), 3],
    [T.SOCKET_FILTER, ethernet(3712), 3],
    [T.SOCKET_FILTER, ethernet(3713), 'EINVAL'],
    [T.CGROUP_SKB, ethernet(33, 0x0800), 'EINVAL'],
    [T.LWT_XMIT, undefined, 'EINVAL'],
  ] as const;
  for (const [type, data, expected] of rows)
    t.is(status(type, { data }), expected, `${type} ${data?.length}`);
});

test('xdp_md: what may be given', (t) => {
  const data = ethernet(64);
  const rows = [
    [[0, 64], 3],
    [[0, 63], 3],
    [[0, 65], 'EINVAL'],
    [[4, 64], 3],
    [[3, 64], 'EINVAL'],
    [[48, 64], 3],
    [[52, 64], 'EINVAL'],
    [[256, 64], 'EINVAL'],
    [[0, 64, 1], 'EINVAL'],
    [[0, 64, 0, 1, 0], 3],
    [[0, 64, 0, 1, 1], 'EINVAL'],
    [[0, 64, 0, 99], 'ENODEV'],
    [[0, 64, 0, 0, 1], 'EINVAL'],
    [[0, 64, 0, 0, 0, 1], 'EINVAL'],
    [[0, 64, 0, 0, 0, 0, 0], 3],
    [[0, 64, 0, 0, 0, 0, 1], 'E2BIG'],
  ] as const;
  for (const [fields, expected] of rows) {
    t.is(status(T.XDP, { data, context: words(...fields) }), expected, `${fields}`);
  }
});

test('xdp_md comes back with offsets from the data that is given back', (t) => {
  using vm = createVm();
  const program = loadCode(vm, nothing);
  const data = ethernet(64);
  const result = program.testRun({ data, context: words(8, 40) });
  t.deepEqual(result.context, words(8, 40, 0, 0, 0, 0));
  t.deepEqual(result.data, data);
  t.is(program.testRun({ data }).context, undefined);
});

test('__sk_buff: what may be given, and what comes back', (t) => {
  const data = ethernet(64, 0x0800);
  const at = (offset: number, value: number) => {
    const bytes = new Uint8Array(192);
    new DataView(bytes.buffer).setUint32(offset, value, true);
    return bytes;
  };
  const rows = [
    [0, 1, 'EINVAL'],
    [4, 1, 'EINVAL'],
    [8, 1, 3],
    [12, 1, 'EINVAL'],
    [32, 1, 3],
    [36, 9, 3],
    [40, 1, 3],
    [40, 77, 'ENODEV'],
    [44, 1, 'EINVAL'],
    [48, 1, 3],
    [68, 1, 'EINVAL'],
    [76, 1, 'EINVAL'],
    [80, 1, 'EINVAL'],
    [140, 1, 'EINVAL'],
    [152, 1, 3],
    [160, 10, 'EINVAL'],
    [160, 100, 3],
    [160, 65_537, 'EINVAL'],
    [164, 65_535, 3],
    [164, 65_536, 'EINVAL'],
    [168, 1, 'EINVAL'],
    [176, 1, 3],
    [180, 1, 'EINVAL'],
    [184, 1, 3],
  ] as const;
  for (const [offset, value, expected] of rows) {
    t.is(status(T.SCHED_CLS, { data, context: at(offset, value) }), expected, `${offset}`);
  }
  const code = [storeImm(4, 1, 5, 8), movImm(0, 0), exit()];
  const result = run(T.SCHED_CLS, code, { data, context: at(32, 7) });
  const view = new DataView((result as { context: Uint8Array }).context.buffer);
  t.deepEqual(
    [8, 32, 40, 160].map((offset) => view.getUint32(offset, true)),
    [5, 7, 1, 64],
  );
});

/** Loads one field of the context into r0. */
const loads = (size: 1 | 2 | 4 | 8, offset: number): Code => [load(size, 0, 1, offset), exit()];
const stores = (size: 1 | 2 | 4 | 8, offset: number): Code => [
  movImm(2, 1),
  store(size, 1, 2, offset),
  movImm(0, 1),
  exit(),
];

test('fields of __sk_buff: who may read and write what', (t) => {
  const data = ethernet(64, 0x0800);
  const types = [T.SOCKET_FILTER, T.SCHED_CLS, T.CGROUP_SKB, T.LWT_IN];
  const trap = 'vm-trap';
  const rows: readonly (readonly [Code, readonly unknown[]])[] = [
    [loads(4, 0), [50, 64, 50, 50]],
    [loads(4, 4), [0, 0, 0, 0]],
    [loads(4, 16), [8, 8, 8, 8]],
    [loads(1, 16), [8, 8, 8, 8]],
    [loads(1, 17), [0, 0, 0, 0]],
    [loads(2, 18), [0, 0, 0, 0]],
    [loads(2, 17), [trap, trap, trap, trap]],
    [loads(8, 0), [trap, trap, trap, trap]],
    [loads(4, 40), [1, 1, 1, 1]],
    [loads(4, 72), [trap, 0, trap, trap]],
    [loads(2, 76), [trap, trap, trap, trap]],
    [loads(4, 88), [trap, trap, 2, trap]],
    [loads(4, 140), [trap, undefined, trap, trap]],
    [loads(8, 144), [trap, trap, trap, trap]],
    [loads(8, 152), [trap, 0, 0, trap]],
    [loads(4, 152), [trap, trap, trap, trap]],
    [loads(4, 160), [trap, 0, trap, trap]],
    [loads(8, 168), [0, 0, 0, 0]],
    [loads(1, 180), [trap, 0, trap, trap]],
    [loads(4, 96), [trap, trap, 0, trap]],
    [loads(2, 96), [trap, trap, trap, trap]],
    [loads(8, 184), [trap, 0, 0, trap]],
    [loads(4, 192), [trap, trap, trap, trap]],
    [stores(4, 0), [trap, trap, trap, trap]],
    [stores(4, 8), [trap, 1, 1, 1]],
    [stores(2, 8), [trap, trap, trap, trap]],
    [stores(4, 12), [trap, 1, trap, trap]],
    [stores(4, 32), [trap, 1, 1, 1]],
    [stores(4, 44), [trap, 1, trap, trap]],
    [stores(1, 51), [1, 1, 1, 1]],
    [stores(8, 56), [1, 1, 1, 1]],
    [stores(8, 64), [trap, trap, trap, trap]],
    [stores(4, 72), [trap, 1, trap, trap]],
    [stores(8, 152), [trap, 1, 1, trap]],
    [stores(4, 76), [trap, trap, trap, trap]],
  ];
  for (const [code, expected] of rows) {
    types.forEach((type, i) => {
      if (expected[i] === undefined) return;
      const result = run(type, code, { data });
      const got = typeof result === 'string' ? result : result.returnValue;
      t.is(
        got,
        expected[i] as never,
        `type ${type}: ${JSON.stringify(code[0])}${JSON.stringify(code[1])}`,
      );
    });
  }
});

test('fields of xdp_md: 4 bytes, never written, egress in devmap programs only', (t) => {
  const data = ethernet(64);
  const value = (code: Code, attachType = 0) => {
    const result = run(T.XDP, code, { data }, attachType);
    return typeof result === 'string' ? result : result.returnValue;
  };
  t.is(value(loads(4, 12)), 1);
  t.is(value(loads(4, 16)), 0);
  t.is(value(loads(4, 20)), 'vm-trap');
  t.is(value(loads(4, 20), 33), 0);
  t.is(value(loads(2, 0)), 'vm-trap');
  t.is(value(loads(8, 0)), 'vm-trap');
  t.is(value(loads(4, 24)), 'vm-trap');
  t.is(value(stores(4, 12)), 'vm-trap');
});

test('packet pointers are 64 bits wide, and what the program writes is in the result', (t) => {
  const code = [
    load(4, 2, 1, 0),
    load(4, 3, 1, 4),
    storeImm(1, 2, 0x77, 0),
    movReg(0, 3),
    { code: 0x1f, dst: 0, src: 2 },
    exit(),
  ];
  const result = run(T.XDP, code, { data: ethernet(64) });
  if (typeof result === 'string') return t.fail(result);
  t.is(result.returnValue, 64);
  t.is(result.data?.[0], 0x77);
});

test('runs in a row go on with the same packet', (t) => {
  const code = [load(4, 2, 1, 0), load(1, 0, 2, 0), addImm(0, 1), store(1, 2, 0, 0), exit()];
  const result = run(T.XDP, code, { data: ethernet(64), repeat: 5 });
  t.is((result as { returnValue: number }).returnValue, 5);
});

test('programs without link header get zeros in its place back', (t) => {
  const data = ethernet(64, 0x0800).fill(9, 14);
  data[0] = 7;
  const result = run(T.SOCKET_FILTER, nothing, { data });
  if (typeof result === 'string') return t.fail(result);
  t.deepEqual(result.data, new Uint8Array(64).fill(9, 14));
});

test('syscall programs get their context back, tracepoints do not', (t) => {
  const code = [storeImm(8, 1, 5, 0), movImm(0, 0), exit()];
  const context = u64(1n);
  const result = run(T.SYSCALL, code, { context });
  t.deepEqual((result as { context: Uint8Array }).context, u64(5n));
  t.deepEqual(context, u64(1n));
  t.is((run(T.TRACEPOINT, code, { context }) as { context: undefined }).context, undefined);
});

test('contexts that are memory: sizes, arguments, and what is refused', (t) => {
  const first = loads(8, 0);
  const value = (type: number, input: VmTestRunInput) => {
    const result = run(type, first, input);
    return typeof result === 'string' ? result : result.returnValue;
  };
  t.is(value(T.RAW_TRACEPOINT, { args: [77, 8n] }), 77);
  t.is(value(T.RAW_TRACEPOINT, {}), 0);
  t.is(value(T.RAW_TRACEPOINT, { context: u64(5n) }), 5);
  t.is(value(T.RAW_TRACEPOINT, { context: new Uint8Array(104) }), 'EINVAL');
  t.is(value(T.RAW_TRACEPOINT, { context: u64(5n), repeat: 2 }), 'EINVAL');
  t.is(value(T.RAW_TRACEPOINT, { data: new Uint8Array(64) }), 'EINVAL');
  t.is(value(T.TRACING, { args: Array(13).fill(0) }), 'EINVAL');
  t.is(value(T.KPROBE, {}), 0);
  t.is(value(T.TRACEPOINT, { repeat: 3 }), 0);
  t.is(value(T.SYSCALL, { context: new Uint8Array(65_536) }), 'EINVAL');
  t.is(value(T.XDP, { data: ethernet(64), cpu: 2 }), 'EINVAL');
});

test('a closed program does not run', (t) => {
  using vm = createVm();
  const program = loadCode(vm, nothing);
  program.close();
  program.close();
  t.is(
    outcome(() => program.testRun({ data: ethernet(64) })),
    'closed',
  );
});
