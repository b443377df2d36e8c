import test from 'ava';
import fc from 'fast-check';
import { BPF_F_NO_PREALLOC, BPF_MAP_TYPE } from '../../../src/abi/bpf.ts';
import { toHex } from '../../../src/bytes/hex.ts';
import { createVm } from '../../../src/vm/index.ts';
import { outcome, specOf, u32, u64 } from '../bench.ts';

const kinds = [
  { title: 'hash', type: BPF_MAP_TYPE.HASH, flags: 0 },
  { title: 'hash on demand', type: BPF_MAP_TYPE.HASH, flags: BPF_F_NO_PREALLOC },
  { title: 'per-CPU hash', type: BPF_MAP_TYPE.PERCPU_HASH, flags: 0 },
  { title: 'per-CPU hash on demand', type: BPF_MAP_TYPE.PERCPU_HASH, flags: BPF_F_NO_PREALLOC },
];

for (const { title, type, flags } of kinds) {
  test(`${title}: errno of every case`, (t) => {
    using vm = createVm({ cpuCount: 1 });
    const map = vm.createMap(specOf({ type, flags, maxEntries: 2 }), { btf: undefined });
    const rows: readonly (readonly [() => unknown, unknown])[] = [
      [() => map.lookup(u32(1)), undefined],
      [() => map.delete(u32(1)), false],
      [() => map.nextKey(undefined), undefined],
      [() => map.update(u32(1), u64(1n), 2), 'ENOENT'],
      [() => map.update(u32(1), u64(1n), 1), undefined],
      [() => map.update(u32(1), u64(2n), 1), 'EEXIST'],
      [() => map.update(u32(1), u64(3n), 2), undefined],
      [() => map.lookup(u32(1)), u64(3n)],
      [() => map.update(u32(1), u64(1n), 3), 'EINVAL'],
      [() => map.update(u32(1), u64(1n), 4), 'EINVAL'],
      [() => map.update(u32(1), u64(1n), 2 ** 40), 'EINVAL'],
      [() => map.update(u32(2), u64(2n)), undefined],
      [() => map.update(u32(3), u64(3n)), 'E2BIG'],
      [() => map.update(u32(2), u64(4n)), undefined],
      [() => map.delete(u32(1)), true],
      [() => map.nextKey(u32(77)), u32(2)],
      [() => map.nextKey(u32(2)), undefined],
      [() => map.update(u32(3), u64(3n)), undefined],
    ];
    for (const [work, expected] of rows) t.deepEqual(outcome(work), expected, String(work));
  });

  test(`${title}: behaves as a JavaScript map`, (t) => {
    const key = fc.integer({ min: 0, max: 40 });
    const step = fc.oneof(
      fc.record({ kind: fc.constant('update'), key, flags: fc.constantFrom(0, 0, 1, 2) }),
      fc.record({ kind: fc.constant('delete'), key, flags: fc.constant(0) }),
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 150 }),
        fc.integer({ min: 1, max: 30 }),
        (steps, size) => {
          using vm = shared;
          const before = vm.stats().inUse;
          const map = vm.createMap(specOf({ type, flags, keySize: 6, maxEntries: size }), {
            btf: undefined,
          });
          const model = new Map<string, string>();
          let counter = 0n;
          for (const { kind, key: number, flags: how } of steps) {
            const bytes = Uint8Array.of(number, 0, 1, 2, 3, number >> 1);
            const name = toHex(bytes);
            if (kind === 'delete') {
              if (map.delete(bytes) !== model.delete(name)) return false;
              continue;
            }
            const value = u64(...Array.from({ length: map.userValueSize / 8 }, () => ++counter));
            const exists = model.has(name);
            const expected = exists
              ? how === 1
                ? 'EEXIST'
                : undefined
              : how === 2
                ? 'ENOENT'
                : model.size >= size
                  ? 'E2BIG'
                  : undefined;
            if (outcome(() => map.update(bytes, value, how)) !== expected) return false;
            if (expected === undefined) model.set(name, toHex(value));
          }
          const same = sameContents(map, model);
          map.close();
          return same && vm.stats().inUse === before;
        },
      ),
      { numRuns: 40 },
    );
    t.pass();
  });
}

// One VM for all property runs: closing is a no-op so that `using` may stay in the property.
const shared = Object.assign(createVm(), { [Symbol.dispose]: () => {} });

function sameContents(
  map: import('../../../src/vm/index.ts').VmMap,
  model: Map<string, string>,
): boolean {
  const seen = new Map<string, string>();
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    seen.set(toHex(key), toHex(map.lookup(key) ?? new Uint8Array(0)));
  }
  return seen.size === model.size && [...model].every(([key, value]) => seen.get(key) === value);
}

test('updating does not change the value that a program has a pointer to', (t) => {
  using vm = createVm();
  const map = vm.createMap(specOf(), { btf: undefined });
  map.update(u32(1), u64(1n));
  const old = map.elementLookup(u32(1), 0, 0);
  map.update(u32(1), u64(2n));
  t.not(map.elementLookup(u32(1), 0, 0), old);
  t.is(vm.memory.view.getBigUint64(old, true), 1n);
});

test('a sparse on-demand map takes a hundredth of the preallocated one', (t) => {
  using vm = createVm();
  const size = (flags: number): number => {
    const before = vm.stats().inUse;
    const map = vm.createMap(specOf({ maxEntries: 1_000_000, flags, valueSize: 64 }), {
      btf: undefined,
    });
    for (let i = 0; i < 1000; i++) map.update(u32(i * 7919), new Uint8Array(64));
    const used = vm.stats().inUse - before;
    map.close();
    return used;
  };
  t.true(size(BPF_F_NO_PREALLOC) * 100 <= size(0));
});

test('elements may be deleted and added while they are visited', (t) => {
  using vm = createVm();
  for (const flags of [0, BPF_F_NO_PREALLOC]) {
    const map = vm.createMap(specOf({ maxEntries: 64, flags }), { btf: undefined });
    for (let i = 0; i < 64; i++) map.update(u32(i), u64(BigInt(i)));
    const visited = map.forEach(0, (key) => {
      const index = vm.memory.words[key >>> 2] as number;
      map.delete(u32(index));
      if (index % 2 === 0) map.update(u32(index + 1000), u64(1n));
      return 0;
    });
    t.true(visited >= 64);
    for (let i = 0; i < 64; i++) t.is(map.lookup(u32(i)), undefined);
    t.is(map.lookup(u32(1002)) === undefined, false);
  }
});

test('memory that a program has written over ends in an error, not in a hang', (t) => {
  using vm = createVm();
  const map = vm.createMap(specOf({ maxEntries: 8 }), { btf: undefined });
  for (let i = 0; i < 8; i++) map.update(u32(i), u64(1n));
  const elements = Array.from({ length: 8 }, (_, i) => map.elementLookup(u32(i), 0, 0) - 16);
  for (const element of elements) vm.memory.words[element >>> 2] = element;
  for (let i = 0; i < 100; i++) {
    const result = outcome(() => map.lookup(u32(i)));
    t.true(result === undefined || result instanceof Uint8Array || result === 'EFAULT');
  }
  map.close();
});

test('the keys come back complete when the map grows while user space walks it', (t) => {
  using vm = createVm();
  const map = vm.createMap(specOf({ maxEntries: 10_000, flags: BPF_F_NO_PREALLOC }), {
    btf: undefined,
  });
  for (let i = 0; i < 20; i++) map.update(u32(i), u64(0n));
  const seen = new Set<number>();
  let extra = 100;
  for (let key = map.nextKey(undefined); key !== undefined; key = map.nextKey(key)) {
    seen.add(new DataView(key.buffer).getUint32(0, true));
    if (extra < 400) map.update(u32(extra++), u64(0n));
  }
  for (let i = 0; i < 20; i++) t.true(seen.has(i));
});
