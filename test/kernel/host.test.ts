import test from 'ava';
import { runningKconfig, runningVersion, versionNumber } from '../../src/kernel/host.ts';
import { hasFeature } from '../../src/kernel/host-features.ts';
import { createKernelBackend } from '../../src/kernel/index.ts';
import { addressesOf } from '../../src/kernel/kallsyms.ts';
import { systemCalls } from '../../src/kernel/sys.ts';
import { parseKconfig } from '../../src/relocs/kconfig.ts';
import { kernelTest, wrapCalls } from '../support/kernel.ts';

const list = `ffffffff81000000 T _text
ffffffff81000010 t helper
ffffffff81000020 t helper
ffffffff81000020 t helper
ffffffff82000000 d counter.llvm.1234567
ffffffff82000008 t function.llvm.7
ffffffffc0000000 t in_module	[mod]
nonsense
zz T broken
ffffffff81000030 T last`;

const symbols: readonly [name: string, addresses: readonly bigint[] | undefined][] = [
  ['_text', [0xffff_ffff_8100_0000n]],
  ['helper', [0xffff_ffff_8100_0010n, 0xffff_ffff_8100_0020n]],
  ['counter', [0xffff_ffff_8200_0000n]],
  ['function', undefined],
  ['function.llvm.7', [0xffff_ffff_8200_0008n]],
  ['in_module', [0xffff_ffff_c000_0000n]],
  ['broken', undefined],
  ['last', [0xffff_ffff_8100_0030n]],
  ['__proto__', undefined],
];

for (const [name, addresses] of symbols) {
  test(`kallsyms: ${name}`, (t) => {
    t.deepEqual(addressesOf(list, new Set([name])).get(name), addresses);
  });
}

test('kallsyms: 200,000 lines without a module are linear', (t) => {
  const lines = Array.from({ length: 200_000 }, (_, i) => `ffffffff8${i} t symbol_${i}`);
  const started = performance.now();
  const found = addressesOf(lines.join('\n'), new Set(['symbol_199999']));
  t.is(found.size, 1);
  t.true(performance.now() - started < 2000);
});

test('kallsyms: damaged lists end', (t) => {
  for (const text of ['', '\n', '\n\n\n', ' ', 'a', 'a b', 'a b ', '0 T x\0\n']) {
    t.notThrows(() => addressesOf(text, new Set(['x', ''])));
  }
});

const versions: readonly [string, number][] = [
  ['6.18.44-fc-v669', 0x06122c],
  ['5.10.300', 0x050aff],
  ['6.1', 0x060100],
  ['unknown', 0],
];

for (const [text, number] of versions) {
  test(`kernel version ${text}`, (t) => t.is(versionNumber(text), number));
}

kernelTest('the running kernel has a version, a configuration and symbols', (t) => {
  using backend = createKernelBackend();
  t.true(runningVersion() > 0x040000);
  t.is(backend.host.kernelVersion(), runningVersion());
  const text = runningKconfig();
  if (text !== undefined) t.is(parseKconfig(text).get('CONFIG_BPF_SYSCALL'), 'y');
  t.true(backend.host.symbols(new Set(['_text'])).has('_text'));
  t.is(backend.host.symbols(new Set(['no_such_symbol'])).size, 0);
  t.true(Array.isArray(backend.host.modules()));
});

kernelTest('abilities are asked for once and leave nothing open', (t) => {
  const calls = wrapCalls(() => undefined);
  for (const feature of ['probe-read-kernel', 'arg-ctx-tag', 'full-range-imm64'] as const) {
    const first = hasFeature(calls, feature);
    const asked = calls.seen.length;
    t.true(asked > 0);
    t.is(hasFeature(calls, feature), first);
    t.is(calls.seen.length, asked);
    t.is(hasFeature(systemCalls(), feature), first);
  }
  // Every kernel with BTF has this one.
  t.true(hasFeature(calls, 'probe-read-kernel'));
});

kernelTest('a kernel that refuses everything has no abilities', (t) => {
  const calls = wrapCalls(() => -1);
  for (const feature of ['cookie', 'arg-ctx-tag', 'full-range-imm64', 'uprobe-multi'] as const) {
    t.false(hasFeature(calls, feature), feature);
  }
});
