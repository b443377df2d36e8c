import test from 'ava';
import { MemoryFault } from '../../../src/vm/machine.ts';
import { HelperBench, u64 } from '../bench.ts';

/** Text, base, and what strtol and strtoul give on Linux 6.18: [result, value]. */
const numbers: readonly (readonly [
  string,
  number,
  readonly [number, bigint],
  readonly [number, bigint],
])[] = [
  ['42', 0, [2, 42n], [2, 42n]],
  [' -42x', 0, [4, -42n], [-22, 0n]],
  ['0x1f', 0, [4, 31n], [4, 31n]],
  ['0x1f', 16, [4, 31n], [4, 31n]],
  ['017', 0, [3, 15n], [3, 15n]],
  ['089', 0, [1, 0n], [1, 0n]],
  ['', 0, [-22, 0n], [-22, 0n]],
  ['abc', 10, [-22, 0n], [-22, 0n]],
  ['ffZ', 16, [2, 255n], [2, 255n]],
  ['9223372036854775808', 0, [-34, 0n], [19, 9223372036854775808n]],
  ['-9223372036854775808', 0, [20, -9223372036854775808n], [-22, 0n]],
  ['18446744073709551616', 10, [-34, 0n], [-34, 0n]],
  ['0x', 0, [1, 0n], [1, 0n]],
  ['0x', 16, [-22, 0n], [-22, 0n]],
  ['  ', 0, [-22, 0n], [-22, 0n]],
  ['12', 7, [-22, 0n], [-22, 0n]],
];

for (const [text, base, signed, unsigned] of numbers) {
  test(`strtol and strtoul of ${JSON.stringify(text)} in base ${base}`, (t) => {
    using bench = new HelperBench();
    const at = bench.place(text);
    const to = bench.place(u64(12345n));
    for (const [name, [result, value]] of [
      ['strtol', signed],
      ['strtoul', unsigned],
    ] as const) {
      t.is(bench.call(name, at, text.length + 1, base, to), BigInt(result));
      t.deepEqual(bench.read(to, 8), u64(BigInt.asUintN(64, value)));
    }
  });
}

test('results are stored in the byte order of the program', (t) => {
  using bench = new HelperBench({ littleEndian: false });
  const to = bench.place(u64(0n));
  bench.call('strtol', bench.place('258'), 4, 0, to);
  t.deepEqual([...bench.read(to, 8)], [0, 0, 0, 0, 0, 0, 1, 2]);
});

test('strncmp compares up to the zero or the size', (t) => {
  using bench = new HelperBench();
  const abc = bench.place('abc');
  const rows = [
    ['abd', 4, 1n],
    ['abd', 2, 0n],
    ['ab', 3, -1n],
    ['abc', 4, 0n],
    ['zzz', 0, 0n],
  ] as const;
  for (const [first, size, expected] of rows) {
    t.is(bench.call('strncmp', bench.place(first), size, abc), expected);
  }
});

test('probe reads copy, or fail with zeros and an errno', (t) => {
  using bench = new HelperBench();
  const from = bench.place(u64(7n));
  const to = bench.place(u64(1n));
  const rows = [
    ['probe_read_kernel', from, 0n],
    ['probe_read_user', from, 0n],
    ['probe_read', from, 0n],
    ['probe_read_kernel', 1n, -34n],
    ['probe_read_kernel', 0xffff_8880_0000_0000n, -14n],
    ['probe_read_kernel', 0x8000_0000_0000_0000n, -34n],
    ['probe_read_user', 1n, -14n],
    ['probe_read', 1n, -14n],
  ] as const;
  for (const [name, address, result] of rows) {
    bench.vm.memory.bytes.fill(9, Number(to & 0xffff_ffffn), Number(to & 0xffff_ffffn) + 8);
    t.is(bench.call(name, to, 8, address), result, `${name} ${address}`);
    t.deepEqual(bench.read(to, 8), u64(result === 0n ? 7n : 0n));
  }
  t.is(bench.call('probe_read_user', to, 0, 1), 0n);
  t.is(bench.call('probe_read_kernel', to, 0, 1), -34n);
});

test('probe reads of strings give the length with the zero', (t) => {
  using bench = new HelperBench();
  const from = bench.place('abc');
  const to = bench.place(new Uint8Array(8).fill(1));
  t.is(bench.call('probe_read_kernel_str', to, 8, from), 4n);
  t.deepEqual([...bench.read(to, 8)], [97, 98, 99, 0, 1, 1, 1, 1]);
  t.is(bench.call('probe_read_kernel_str', to, 3, from), 3n);
  t.deepEqual([...bench.read(to, 8)], [97, 98, 0, 0, 1, 1, 1, 1]);
  t.is(bench.call('probe_read_user_str', to, 8, 1), -14n);
  t.deepEqual([...bench.read(to, 8)], [0, 0, 0, 0, 0, 0, 0, 0]);
  t.is(bench.call('probe_read_kernel_str', to, 8, 1), -34n);
  t.is(bench.call('probe_read_kernel_str', to, 0, from), 0n);
});

test('a bad destination is a fault of the program', (t) => {
  using bench = new HelperBench();
  const from = bench.place(u64(7n));
  t.throws(() => bench.call('probe_read_kernel', 16, 8, from), { instanceOf: MemoryFault });
  t.throws(() => bench.call('get_current_comm', 16, 8), { instanceOf: MemoryFault });
});

test('long arguments cost instructions of the budget', (t) => {
  using bench = new HelperBench();
  const big = bench.place(new Uint8Array(160_000));
  const before = bench.run.budget;
  bench.call('probe_read_kernel', big, 160_000, big);
  t.is(before - bench.run.budget, 10_000);
});
