import test from 'ava';
import { BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { createVm, type Vm } from '../../../src/vm/index.ts';
import { outcome, specOf, u64 } from '../bench.ts';

const none = new Uint8Array(0);
const make = (vm: Vm, type: number, more = {}) =>
  vm.createMap(specOf({ type, keySize: 0, valueSize: 8, maxEntries: 5, ...more }), {
    btf: undefined,
  });

for (const type of [BPF_MAP_TYPE.QUEUE, BPF_MAP_TYPE.STACK]) {
  test(`type ${type} is one, whatever comes and goes`, (t) => {
    using vm = createVm();
    const { inUse } = vm.stats();
    const map = make(vm, type);
    const model: bigint[] = [];
    let state = 7;
    for (let i = 0; i < 500; i++) {
      state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
      const kind = (state >>> 8) % 5;
      const value = BigInt(i);
      if (kind < 2) {
        const full = model.length === 5;
        t.is(
          outcome(() => map.update(none, u64(value))),
          full ? 'E2BIG' : undefined,
        );
        if (!full) model.push(value);
      } else if (kind === 2) {
        map.update(none, u64(value), 2);
        if (model.length === 5) model.shift();
        model.push(value);
      } else {
        const next = type === BPF_MAP_TYPE.QUEUE ? model[0] : model.at(-1);
        const expected = next === undefined ? undefined : u64(next);
        t.deepEqual(map.lookup(none), expected);
        t.deepEqual(map.lookupAndDelete(none), expected);
        if (type === BPF_MAP_TYPE.QUEUE) model.shift();
        else model.pop();
      }
    }
    map.close();
    t.is(vm.stats().inUse, inUse);
  });
}

test('a Bloom filter knows what was put in, and seldom thinks that it knows more', (t) => {
  using vm = createVm();
  const map = make(vm, BPF_MAP_TYPE.BLOOM_FILTER, { maxEntries: 1000 });
  for (let i = 0n; i < 1000n; i++) map.update(none, u64(i * 7n));
  for (let i = 0n; i < 1000n; i++) t.true(map.contains(u64(i * 7n)));
  let wrong = 0;
  for (let i = 0n; i < 5000n; i++) if (map.contains(u64(1_000_003n + i))) wrong++;
  t.true(wrong < 400, `${wrong} of 5000 that were never put in`);
});
