import test from 'ava';
import { HelperBench } from '../bench.ts';

const text = 'hello world';
/** Stands for the address of the text in the arguments below. */
const here = Symbol('address of the text');
type Argument = bigint | number | typeof here;

/** Formats, arguments, and what Linux 6.18 prints; a number is the result of an error. */
const rows: readonly (readonly [string, readonly Argument[], string | number])[] = [
  ['plain', [], 'plain'],
  ['100%%', [], '100%'],
  ['%d %u', [-1, -1], '-1 4294967295'],
  ['%lld|%llx', [-5, 0xabcdef], '-5|abcdef'],
  ['%ld %li %lu', [-1, -2, -3], '-1 -2 18446744073709551613'],
  ['%5d|%-5d|%05d', [7, 7, 7], '    7|7    |00007'],
  ['%+d % d %-+5d|', [5, 5, 3], '+5  5 +3   |'],
  ['%X %x', [0xbeef, 0xbeef], 'BEEF beef'],
  ['%08llx', [0x1234], '00001234'],
  ['%-8x|%8x', [1, 2], '1       |       2'],
  ['%s|%c', [here, 0x78], 'hello world|x'],
  ['%20s|%-20s|', [here, here], '         hello world|hello world         |'],
  ['%5c|', [0x61], '    a|'],
  ['%s', [1], ''],
  ['%pks %pus', [here, here], 'hello world hello world'],
  ['%px', [0xffff888012345678n], 'ffff888012345678'],
  ['%5px|%-5px|%05px', [1, 2, 3], '    1|2    |00003'],
  ['%30pI4|', [1], '0.0.0.0|'],
  ['%p%d', [1, 2], '00000000000000012'],
  ['%p%%', [1], '0000000000000001%'],
  ['%pKx', [1], '0000000000000001'],
  ['%ps %pS', [0, 0x10], '0x0 0x10'],
  ['%pI4 %pi4', [here, here], '104.101.108.108 104.101.108.108'],
  ['%pI4', [1], '0.0.0.0'],
  ['%pI6', [here], '6865:6c6c:6f20:776f:726c:6400:0000:0000'],
  ['%pi6', [here], '68656c6c6f20776f726c640000000000'],
  ['caf\u00e9 %d', [1], 'caf\u00e9 1'],
  ['%y', [1], -22],
  ['%', [1], -22],
  ['%ll', [1], -22],
  ['%lc', [1], -22],
  ['%hd', [1], -22],
  ['%.3d', [1], -22],
  ['%sx', [here], -22],
  ['%pz', [1], -22],
  ['%3%', [1], -22],
  ['%pI5', [1], -22],
  ['\u0001', [], -22],
  ['%d\u007f', [1], -22],
  ['%d %d', [1], -22],
];

for (const [format, args, expected] of rows) {
  test(`snprintf ${JSON.stringify(format)} is ${JSON.stringify(expected)}`, (t) => {
    using bench = new HelperBench();
    const at = bench.place(text.padEnd(20, '\0'));
    const values = args.map((arg) => BigInt.asUintN(64, arg === here ? at : BigInt(arg)));
    const data = bench.place(new Uint8Array(BigUint64Array.from([...values, 0n]).buffer));
    const to = bench.place(new Uint8Array(100).fill(0xee));
    const result = bench.call('snprintf', to, 100, bench.place(format), data, values.length * 8);
    if (typeof expected === 'number') t.is(result, BigInt(expected));
    else {
      t.is(bench.text(to), expected);
      t.is(result, BigInt(new TextEncoder().encode(expected).length + 1));
    }
  });
}

test('snprintf cuts the text and says how long it is', (t) => {
  using bench = new HelperBench();
  const to = bench.place(new Uint8Array(8).fill(0xee));
  t.is(bench.call('snprintf', to, 6, bench.place('0123456789'), 0, 0), 11n);
  t.deepEqual([...bench.read(to, 8)], [48, 49, 50, 51, 52, 0, 0xee, 0xee]);
  t.is(bench.call('snprintf', 0, 0, bench.place('0123456789'), 0, 0), 11n);
});

test('wide fields are counted, and cost no more than the buffer shows', (t) => {
  using bench = new HelperBench();
  const to = bench.place(new Uint8Array(16));
  const data = bench.place(new Uint8Array(BigUint64Array.from([7n, 8n]).buffer));
  const print = (format: string) => bench.call('snprintf', to, 16, bench.place(format), data, 16);
  t.is(print('%9000000d|%d'), 8_388_607n + 3n);
  t.is(bench.text(to), ' '.repeat(15));
  t.is(print('%-20d|%d'), 23n);
  t.is(bench.text(to), `7${' '.repeat(14)}`);
  t.is(print('%0999999999999999999999d%d') > 0n, true);
  t.is(print('%4294967299d%d'), 5n);
});

test('snprintf and trace_vprintk check pointer and size of their arguments', (t) => {
  using bench = new HelperBench();
  const format = bench.place('%d');
  const data = bench.place(new Uint8Array(200));
  for (const [pointer, size] of [
    [data, 7],
    [data, 104],
    [0n, 8],
  ] as const) {
    t.is(bench.call('snprintf', data, 10, format, pointer, size), -22n);
    t.is(bench.call('trace_vprintk', format, 3, pointer, size), -22n);
  }
});

test('trace_printk goes to the log with task, CPU and time', (t) => {
  using bench = new HelperBench({
    task: { pid: 42, tgid: 40, comm: 'a-name-that-is-too-long' },
    clock: { monotonic: 5n },
  });
  const format = bench.place('n=%d %s\n');
  t.is(bench.call('trace_printk', format, 9, 5, bench.place('abc')), 8n);
  t.deepEqual(bench.vm.trace, ['n=5 abc\n']);
  t.deepEqual(bench.vm.log.entries, [
    { text: 'n=5 abc\n', cpu: 0, pid: 42, comm: 'a-name-that-is-', time: 5n },
  ]);
});

test('trace_printk wants the zero in the size it is given, and prints at most three arguments', (t) => {
  using bench = new HelperBench();
  t.is(bench.call('trace_printk', bench.place('nozero'), 3), -22n);
  t.is(bench.call('trace_printk', bench.place('%d %d %d %d'), 12, 1, 2, 3), -22n);
  t.is(bench.vm.trace.length, 0);
});

test('trace_vprintk prints up to twelve', (t) => {
  using bench = new HelperBench();
  const data = bench.place(new Uint8Array(BigUint64Array.from([1n, 2n, 3n, 4n]).buffer));
  t.is(bench.call('trace_vprintk', bench.place('%d %d %d %d'), 12, data, 32), 7n);
  t.deepEqual(bench.vm.trace, ['1 2 3 4']);
});

test('the log keeps the newest entries', (t) => {
  using bench = new HelperBench();
  const format = bench.place('%d');
  for (let i = 0; i < 40_000; i++) bench.call('trace_printk', format, 3, i);
  t.true(bench.vm.log.dropped > 0);
  t.is(bench.vm.log.entries.at(-1)?.text, '39999');
  t.is(bench.vm.log.dropped + bench.vm.log.entries.length, 40_000);
});
